import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { expect, onTestFinished, test } from 'vitest'
import { openTestJournal } from '../../platform/journal/testing.ts'
import { createCommandLine } from '../testing.ts'

const { run, path } = createCommandLine()

test('reset shows what is there and deletes nothing without --yes', async () => {
  await run(['migrate', 'up'])
  await run(['keys', 'create', '--name', 'web'])
  const { exitCode, out, err } = await run(['reset'])
  expect(exitCode).toBe(64)
  expect(out).toMatch(/api_keys +1$/m)
  expect(err).toContain('--yes')
  expect(JSON.parse((await run(['keys', 'list', '--json'])).out)).toHaveLength(1)
})

test('reset --yes leaves an empty store and no journal, and keeps the secret key', async () => {
  await run(['migrate', 'up'])
  await run(['keys', 'create', '--name', 'web'])
  const journal = openTestJournal(path('data/journal'))
  await journal.append('a row')
  journal.close()
  expect(await run(['reset', '--yes'])).toMatchObject({ exitCode: 0 })
  expect(existsSync(path('data/journal'))).toBe(false)
  expect(existsSync(path('data/secret.key'))).toBe(true)
  await run(['migrate', 'up'])
  expect(JSON.parse((await run(['keys', 'list', '--json'])).out)).toEqual([])
})

test('a running hub keeps its data', async () => {
  await run(['migrate', 'up'])
  await run(['keys', 'create', '--name', 'web'])
  const journal = openTestJournal(path('data/journal'))
  onTestFinished(() => journal.close())
  expect(await run(['reset', '--yes'])).toMatchObject({ exitCode: 1, err: expect.stringContaining('another process') })
  expect(JSON.parse((await run(['keys', 'list', '--json'])).out)).toHaveLength(1)
})

test('reset --yes takes a backup first, which brings everything back; logs and samples go too', async () => {
  await run(['migrate', 'up'])
  await run(['keys', 'create', '--name', 'web'])
  for (const folder of ['logs', 'telemetry']) {
    mkdirSync(path(`data/${folder}`), { recursive: true })
    writeFileSync(path(`data/${folder}/file`), 'x')
  }
  const { exitCode, out } = await run(['reset', '--yes', '--json'])
  expect(exitCode).toBe(0)
  const { backup } = JSON.parse(out) as { backup: string }
  expect(readdirSync(path('data'))).not.toContain('logs')
  expect(readdirSync(path('data'))).not.toContain('telemetry')
  const listed = JSON.parse((await run(['backup', 'list', '--json'])).out) as { id: string; kind: string }[]
  expect(listed).toMatchObject([{ id: backup, kind: 'safety' }])
  expect(await run(['backup', 'restore', backup, '--yes'])).toMatchObject({ exitCode: 0 })
  expect(JSON.parse((await run(['keys', 'list', '--json'])).out)).toMatchObject([{ name: 'web' }])
})

test('a reset whose backup cannot be taken deletes nothing, unless none is wanted', async () => {
  await run(['migrate', 'up'])
  await run(['keys', 'create', '--name', 'web'])
  writeFileSync(path('no-folder'), '')
  const env = { GATEHOUSE_BACKUPS_FOLDER: path('no-folder') }
  expect(await run(['reset', '--yes'], env)).toMatchObject({ exitCode: 1, err: expect.stringContaining('--no-backup') })
  expect(JSON.parse((await run(['keys', 'list', '--json'])).out)).toHaveLength(1)
  expect(await run(['reset', '--yes', '--no-backup'], env)).toMatchObject({ exitCode: 0 })
})

test('demo remove takes a backup first', async () => {
  await run(['migrate', 'up'])
  await run(['keys', 'create', '--name', 'web'])
  const { exitCode, out } = await run(['demo', 'remove', '--json'])
  expect([exitCode, JSON.parse(out)]).toEqual([0, { requests: 0, backup: expect.stringMatching(/^bak_/) }])
  expect(readdirSync(path('data/backups'))).toHaveLength(1)
})
