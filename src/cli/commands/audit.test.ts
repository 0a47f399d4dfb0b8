import { sql } from 'kysely'
import { expect, test } from 'vitest'
import { openDatabase } from '../../platform/database/index.ts'
import { silentLog } from '../../platform/database/testing-log.ts'
import { createCommandLine } from '../testing.ts'

const { run, path, writeFile } = createCommandLine()

async function tamper(statement: string): Promise<void> {
  const options = { url: '', dataDir: path('data'), poolSize: 1, log: silentLog }
  const database = await openDatabase<Record<string, never>>(options)
  await sql.raw('drop trigger audit_log_no_update').execute(database.kysely)
  await sql.raw(statement).execute(database.kysely)
  await database.close()
}

test('what the command line changes is in the log, and a whole log is 0', async () => {
  await run(['migrate', 'up'])
  expect(await run(['audit', 'verify', '--json'])).toMatchObject({ exitCode: 0 })
  const { id } = JSON.parse((await run(['keys', 'create', '--name', 'web', '--json'])).out)
  await run(['keys', 'revoke', id])
  expect(await run(['keys', 'revoke', id])).toMatchObject({ exitCode: 1 })
  const { exitCode, out } = await run(['audit', 'verify', '--json'])
  expect(exitCode).toBe(0)
  const told = JSON.parse(out)
  expect(told).toMatchObject({ ok: true, rows: 6, first_seq: 1, last_seq: 6, first_break: null })
  expect(await run(['audit', 'verify', '--anchor', told.head])).toMatchObject({ exitCode: 0 })
})

test('a changed row is 1, and is named', async () => {
  await run(['migrate', 'up'])
  await run(['keys', 'create', '--name', 'web'])
  await run(['keys', 'create', '--name', 'app'])
  await tamper("update audit_log set actor_name = 'somebody else' where seq = 2")
  const { exitCode, out } = await run(['audit', 'verify'])
  expect(exitCode).toBe(1)
  expect(out).toContain('row 2 is not as it was written')
  expect(JSON.parse((await run(['audit', 'verify', '--json'])).out)).toMatchObject({
    ok: false,
    first_break: { seq: 2, reason: 'changed' },
  })
})

test('a file that is no archive is broken, and one that is not there is told', async () => {
  await run(['migrate', 'up'])
  const file = writeFile('rows.jsonl', '{"seq":1}\n')
  expect(await run(['audit', 'verify', '--file', file])).toMatchObject({
    exitCode: 1,
    out: expect.stringContaining('1'),
  })
  expect(await run(['audit', 'verify', '--file', path('absent')])).toMatchObject({ exitCode: 1 })
})
