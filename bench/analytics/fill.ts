import { rmSync, statSync } from 'node:fs'
import Sqlite from 'better-sqlite3'
import type { Kysely } from 'kysely'
import { migrations } from '../../src/migrations/index.ts'
import { migrate, openDatabase } from '../../src/platform/database/index.ts'
import { silentLog } from '../../src/platform/database/testing-log.ts'
import { type Cell, foldRows } from '../../src/usage/analytics/fold.ts'
import { spread } from '../../src/usage/analytics/spread.ts'
import { rollUp } from '../../src/usage/roll-up.ts'
import { logColumns, type RequestLogRow, type UsageTables } from '../../src/usage/rows.ts'
import { createTraffic, dayMs } from './traffic.ts'

export type Filled = { rows: number; seconds: number; megabytes: number; tables: Record<string, number> }

const days = 90

/** Above so many, each request is there several times, and every sum as many times as high: folding takes hours. */
const mostFolded = 1_000_000

/**
 * Makes a store with `amount` requests of the last 90 days and their sums: of each day through the same fold that settles
 * calls, written past the settler. Nothing else is skipped: every table and index is there. A million has nearly all of
 * the keys, models and people in nearly all of the hours, so that more of the same hardly add to the number of sums.
 */
export async function fill(file: string, amount: number, now: number): Promise<Filled> {
  const copies = Math.max(1, Math.round(amount / mostFolded))
  const startedAt = performance.now()
  for (const end of ['', '-wal', '-shm']) rmSync(file + end, { force: true })
  await migrateStore(file)
  const db = new Sqlite(file)
  db.pragma('journal_mode = WAL')
  db.pragma('synchronous = OFF')
  db.pragma('cache_size = -400000')
  // Indexes are built once, at the end: page by page they would be read and written again for every row.
  const indexes = db
    .prepare<[], { name: string; sql: string }>(
      "select name, sql from sqlite_master where type = 'index' and tbl_name = 'request_logs' and sql is not null",
    )
    .all()
  for (const { name } of indexes) db.exec(`drop index ${name}`)

  const traffic = createTraffic()
  const until = now
  const lastDay = now - (now % dayMs)
  const inserts = new Map<string, Sqlite.Statement>()
  const insertAll = (table: string, rows: readonly object[], columns = Object.keys(rows[0] ?? {})) => {
    if (rows.length === 0) return
    const insert =
      inserts.get(table) ??
      db.prepare(`insert into ${table} (${columns.join(', ')}) values (${columns.map(() => '?').join(', ')})`)
    inserts.set(table, insert)
    for (const row of rows as Record<string, unknown>[]) insert.run(columns.map((name) => row[name]))
  }
  let rows = 0
  for (let day = lastDay - (days - 1) * dayMs; day <= lastDay; day += dayMs) {
    const isWeekend = [0, 6].includes(new Date(day).getUTCDay())
    const share = (amount / copies / days) * (isWeekend ? 0.5 : 1.2)
    const ofDay: RequestLogRow[] = [...traffic.day(day, share, until)]
    rows += ofDay.length
    const cells = new Map<string, Cell>()
    foldRows(cells, ofDay)
    db.transaction(() => {
      insertAll('request_logs', ofDay, logColumns)
      insertAll('usage_hourly', rollUp(ofDay))
      for (const [table, sums] of Object.entries(spread(cells.values()))) insertAll(table, sums)
    })()
  }
  repeat(db, copies, rows)
  for (const { sql } of indexes) db.exec(sql)
  db.pragma('optimize')
  db.pragma('wal_checkpoint(TRUNCATE)')
  const tables = Object.fromEntries(
    db
      .prepare<[], { name: string }>("select name from sqlite_master where type = 'table' and name like 'usage_%'")
      .all()
      .map(({ name }) => [name, db.prepare<[], number>(`select count(*) from ${name}`).pluck().get() ?? 0] as const),
  )
  db.close()
  const seconds = Math.round((performance.now() - startedAt) / 1000)
  return { rows: rows * copies, seconds, megabytes: Math.round(statSync(file).size / 2 ** 20), tables }
}

/** Makes the store as this version has it. */
export async function migrateStore(file: string): Promise<void> {
  const database = await openDatabase<UsageTables>({ url: `sqlite:${file}`, dataDir: '', log: silentLog })
  await migrate(database as { kysely: Kysely<UsageTables> } & typeof database, migrations, { log: silentLog })
  await database.close()
}

/** Each request `copies` times, under ids of their own, at the same moments; each sum as many times as high. */
function repeat(db: Sqlite.Database, copies: number, rows: number): void {
  if (copies === 1) return
  const columns = logColumns.map((name) => (name === 'id' ? idOfCopy : name)).join(', ')
  const copy = db.prepare(
    `insert into request_logs (${logColumns.join(', ')}) select ${columns} from request_logs where rowid <= ${rows}`,
  )
  for (let number = 1; number < copies; number++) copy.run({ more: number * 10 ** 9 })
  const tables = db
    .prepare<[], string>(
      "select name from sqlite_master where type = 'table' and name like 'usage_%' and name <> 'usage_analytics_state' and name <> 'usage_day_versions'",
    )
    .pluck()
    .all()
  for (const table of tables) {
    const sums = db.prepare<[], string>(`select name from pragma_table_info('${table}') where pk = 0`).pluck().all()
    db.exec(`update ${table} set ${sums.map((name) => `${name} = ${name} * ${copies}`).join(', ')}`)
  }
}

/** An id begins with its time, as in a store that grew by itself; what follows is a number. */
const idOfCopy = "substr(id, 1, 13) || printf('%012d', cast(substr(id, 14) as integer) + @more)"
