import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Sqlite from 'better-sqlite3'
import { expect, onTestFinished, test } from 'vitest'
import { openSqlite } from '../../platform/database/sqlite.ts'
import { silentLog } from '../../platform/testing.ts'
import { sqlite } from './sqlite.ts'
import { checkWithPromtool, runCollectors } from './testing.ts'

type Tables = { notes: { id: number; text: string } }

test("the store's files, pages, waits and refusals are told as they are", async () => {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-sqlite-'))
  const file = join(folder, 'store.db')
  const store = await openSqlite<Tables>({ file, busyTimeoutMs: 20, log: silentLog })
  onTestFinished(async () => {
    await store.close()
    rmSync(folder, { recursive: true })
  })
  const { kysely } = store
  await kysely.schema.createTable('notes').addColumn('id', 'integer').addColumn('text', 'text').execute()
  const rows = Array.from({ length: 200 }, (_, id) => ({ id, text: 'x'.repeat(4000) }))
  await kysely.insertInto('notes').values(rows).execute()
  await kysely.deleteFrom('notes').where('id', '<', 100).execute()
  const run = runCollectors([sqlite], { parts: { sqlite: store.sqlite } })

  const before = await run.read()
  expect(before['gatehouse_sqlite_bytes{part="wal"}']).toBe(statSync(`${file}-wal`).size)
  expect(before['gatehouse_sqlite_bytes{part="file"}']).toBe(statSync(file).size)
  const other = new Sqlite(file)
  onTestFinished(() => void other.close())
  expect(before['gatehouse_sqlite_pages{kind="all"}']).toBe(other.pragma('page_count', { simple: true }))
  expect(before['gatehouse_sqlite_pages{kind="free"}']).toBe(other.pragma('freelist_count', { simple: true }))
  expect(before['gatehouse_sqlite_pages{kind="free"}']).toBeGreaterThan(90)

  const [begun, ended] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const held = kysely.transaction().execute(() => {
    begun.resolve()
    return ended.promise
  })
  await begun.promise
  const behind = [1, 2].map((id) => kysely.insertInto('notes').values({ id, text: '' }).execute())
  await new Promise((resolve) => setImmediate(resolve))
  expect((await run.read()).gatehouse_sqlite_writes_waiting).toBe(2)
  ended.resolve()
  await Promise.all([held, ...behind])
  const after = await run.read()
  expect(after.gatehouse_sqlite_writes_waiting).toBe(0)
  expect(after.gatehouse_sqlite_writes_total).toBe(before.gatehouse_sqlite_writes_total! + 3)
  expect(after.gatehouse_sqlite_write_wait_seconds_total).toBeGreaterThan(
    before.gatehouse_sqlite_write_wait_seconds_total!,
  )

  other.exec('begin immediate')
  await expect(kysely.deleteFrom('notes').execute()).rejects.toMatchObject({ code: 'unavailable' })
  expect((await run.read()).gatehouse_sqlite_busy_total).toBe(1)
  await checkWithPromtool(await run.render())
  other.exec('rollback')
})
