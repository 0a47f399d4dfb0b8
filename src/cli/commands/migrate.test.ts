import { existsSync, readdirSync } from 'node:fs'
import { expect, test } from 'vitest'
import { migrations } from '../../migrations/index.ts'
import { createCommandLine } from '../testing.ts'

const { run, path } = createCommandLine()
const names = migrations.map((migration) => migration.name)

async function statuses() {
  const { exitCode, out } = await run(['migrate', 'status', '--json'])
  const pending = (JSON.parse(out) as { name: string; appliedAt: number | null }[]).filter(
    (row) => row.appliedAt === null,
  )
  return { exitCode, pending: pending.map((row) => row.name) }
}

test('status tells by its exit code whether the store is up to date', async () => {
  expect(await statuses()).toEqual({ exitCode: 2, pending: names })
  expect(await run(['migrate', 'up'])).toMatchObject({ exitCode: 0, out: expect.stringContaining(names.at(-1)!) })
  expect(await statuses()).toEqual({ exitCode: 0, pending: [] })
  expect((await run(['migrate', 'up', '--json'])).out).toContain('[]')
})

test('a step is taken back only with --yes', async () => {
  await run(['migrate', 'up'])
  expect(await run(['migrate', 'down'])).toMatchObject({ exitCode: 64, err: expect.stringContaining('--yes') })
  expect(await run(['migrate', 'down', '--yes', '--steps', 'all'])).toMatchObject({ exitCode: 64 })
  expect(await statuses()).toMatchObject({ exitCode: 0 })
  expect(await run(['migrate', 'down', '--yes'])).toMatchObject({ exitCode: 0 })
  expect(await statuses()).toEqual({ exitCode: 2, pending: names.slice(-1) })
})

test('a store that cannot be reached is told with the name of the setting’s variable, without its password', async () => {
  const { exitCode, err } = await run(['migrate', 'up'], { DATABASE_URL: 'postgres://hub:canary@127.0.0.1:1/hub' })
  expect(exitCode).toBe(1)
  expect(err).toContain('DATABASE_URL')
  expect(err).not.toContain('canary')
})

test('migrate up takes a backup before it changes a store that holds something, and none of an empty one', async () => {
  await run(['migrate', 'up'])
  expect(existsSync(path('data/backups'))).toBe(false)
  await run(['migrate', 'down', '--yes'])
  expect(await run(['migrate', 'up'])).toMatchObject({ exitCode: 0 })
  expect(readdirSync(path('data/backups'))).toEqual([expect.stringMatching(/^bak_.*\.ghb$/)])
})
