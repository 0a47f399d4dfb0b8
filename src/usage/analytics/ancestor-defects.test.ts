/** What the monitor whose paths these are got wrong on sums and reads: each defect is a test that would find it again. */
import { tmpdir } from 'node:os'
import { type Kysely, sql } from 'kysely'
import { describe, expect, test } from 'vitest'
import { everything } from '../../kernel/scope.ts'
import { migrations } from '../../migrations/index.ts'
import { migrate, openDatabase } from '../../platform/database/index.ts'
import { engines } from '../../platform/database/testing.ts'
import { silentLog } from '../../platform/database/testing-log.ts'
import type { UsageTables } from '../rows.ts'
import { createUsageStore } from '../store.ts'
import { rebuild } from './rebuild.ts'
import { series, top } from './reports.ts'
import { dayMs, hourMs } from './schema.ts'
import { createAnalyticsStore } from './store.ts'
import { makeRows } from './testing.ts'

const from = Date.UTC(2026, 9, 5)
const to = from + 7 * dayMs
const rows = makeRows(400, from, to, 41)
const range = { scope: everything, from, to, filters: {} }

describe.each(engines())('what the ancestor got wrong, on $name', ({ name, open, address }) => {
  async function start(kept = rows, given?: Kysely<UsageTables>) {
    const db = given ?? ((await open(migrations)).kysely as Kysely<UsageTables>)
    const ledger = createUsageStore(db)
    await ledger.storeRows(kept)
    const store = createAnalyticsStore(db)
    const parts = { store, namesOf: async () => new Map<string, string>() }
    const total = async (slotMs: number) =>
      (await series(parts, range, slotMs)).points.reduce((sum, { reqs }) => sum + reqs, 0)
    return { ledger, store, parts, total }
  }

  test('1: the ancestor counted every hour four times', async () => {
    const { total } = await start()
    for (const slotMs of [hourMs, 6 * hourMs, dayMs]) expect(await total(slotMs)).toBe(rows.length)
  })

  test('2: the ancestor ranked a user that nobody is first, with three times the total', async () => {
    const { parts } = await start()
    const { rows: users } = await top(parts, range, 'user', 'reqs', 100)
    expect(users.reduce((sum, { reqs }) => sum + reqs, 0)).toBe(rows.length)
    const nobodys = rows.filter((row) => row.user_id === '').length
    expect(users.filter((row) => row.user_id === '' || row.user_id === null).map(({ reqs }) => reqs)).toEqual([nobodys])
  })

  test('3: the ancestor doubled its sums whenever they were made again', async () => {
    const { store, total, ledger } = await start()
    await rebuild(store, { from, to })
    await rebuild(store, { from, to })
    await ledger.storeRows(rows)
    for (const slotMs of [900_000, hourMs, dayMs]) expect(await total(slotMs)).toBe(rows.length)
  })

  test('4: the ancestor lost what came after its hour had closed, and had no current hour', async () => {
    const late = rows.filter((_, index) => index % 3 === 0)
    const { ledger, total, parts } = await start(rows.filter((_, index) => index % 3 !== 0))
    // Asked before they come: whatever is kept of those hours must not outlive them.
    expect(await total(hourMs)).toBe(rows.length - late.length)
    await ledger.storeRows(late)
    const { points } = await series(parts, range, hourMs)
    for (const point of points) {
      const within = rows.filter((row) => row.started_at >= point.bucket && row.started_at < point.bucket + hourMs)
      expect(point).toMatchObject({
        reqs: within.length,
        users: new Set(within.map((row) => row.user_id).filter((id) => id !== '')).size,
        tokens_cnt: new Set(within.map((row) => row.key_id)).size,
      })
    }
  })

  test('10: the ancestor could not draw more than a thousand buckets, and drew them in the zone of its session', async () => {
    const database = await openDatabase<UsageTables>({
      url: await address(),
      dataDir: tmpdir(),
      poolSize: 1,
      log: silentLog,
    })
    await migrate(database, migrations, { log: silentLog })
    // The only connection there is: what the session's zone could move is moved.
    if (name === 'postgres') await sql`set time zone 'Asia/Kathmandu'`.execute(database.kysely)
    const { total, parts } = await start(rows, database.kysely)
    const before = await series(parts, range, 300_000)
    expect(before.points.length).toBe(2016)
    expect(await total(300_000)).toBe(rows.length)
    const minutes = await series(parts, range, 60_000)
    expect(minutes.points.length).toBe(10_080)
    expect(minutes.points.reduce((sum, { reqs }) => sum + reqs, 0)).toBe(rows.length)
    expect(minutes.points[0]!.bucket).toBe(from)
    await database.close()
  })
})
