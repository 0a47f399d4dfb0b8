import { existsSync } from 'node:fs'
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
