import type { Kysely } from 'kysely'
import { describe, expect, test } from 'vitest'
import { createManualClock } from '../kernel/clock.ts'
import { everything } from '../kernel/scope.ts'
import { migrations } from '../migrations/index.ts'
import { engines } from '../platform/database/testing.ts'
import { createMetrics } from '../platform/metrics.ts'
import { bucketsOf, type Granularity } from './analytics/buckets.ts'
import { ask, type Question } from './analytics/query.ts'
import { type Dimension, measures as everySum } from './analytics/schema.ts'
import { createAnalyticsStore } from './analytics/store.ts'
import { makeRows } from './analytics/testing.ts'
import { createUsageRetention, type UsageLimits } from './retention.ts'
import type { UsageTables } from './rows.ts'
import { createUsageStore } from './store.ts'
import { quietLog } from './testing.ts'

const dayMs = 86_400_000
const now = Date.UTC(2026, 10, 23, 10, 20)
const from = now - 20 * dayMs
const rows = makeRows(600, from, now, 31)
const never = new AbortController().signal
const unlimited: UsageLimits = {
  ...{ rows: 1000, maxRows: 1_000_000, quarter: 1000, hour: 1000, latency: 1000, day: 1000, maxBytes: 0 },
}

describe.each(engines())('retention of sums on $name', ({ open }) => {
  async function start() {
    const db = (await open(migrations)).kysely as Kysely<UsageTables>
    const ledger = createUsageStore(db)
    await ledger.storeRows(rows)
    const store = createAnalyticsStore(db)
    const clock = { ...createManualClock(now), sleep: async () => {} }
    const said: string[] = []
    const log = { ...quietLog, warn: (message: string) => void said.push(message) }
    const parts = { store: ledger, sums: store, clock, log }
    let registry = createMetrics()
    const keep = (limits: Partial<UsageLimits>, signal = never) => {
      registry = createMetrics()
      return createUsageRetention({ ...parts, metrics: registry }, () => ({ ...unlimited, ...limits })).run(signal)
    }
    const metrics = async () => (await registry.render()).text
    const count = async (table: keyof UsageTables) =>
      Number(
        (
          await db
            .selectFrom(table)
            .select((eb) => eb.fn.countAll().as('n'))
            .executeTakeFirstOrThrow()
        ).n,
      )
    const question = (
      granularity: Granularity | null,
      start = from,
      dimensions: Dimension[] = [],
      measures: Question['measures'] = everySum,
    ) => ({
      ...{ scope: everything, from: start, to: now, dimensions, filters: {}, measures },
      ...{ order: 'bucket' as const, limit: 50_000 },
      buckets: granularity === null ? ({ kind: 'one' } as const) : bucketsOf(start, now, granularity, 'UTC'),
    })
    const requests = async (...asked: Parameters<typeof question>) => {
      const answer = await ask(store, question(...asked))
      return { ...answer, sum: answer.rows.reduce((sum, row) => sum + row.measures.requests!, 0) }
    }
    return { db, ledger, store, keep, count, requests, said, metrics }
  }
  const since = (time: number) => rows.filter((row) => row.started_at >= time).length

  test('each grain goes at an age of its own, and what is coarser tells the same sums', async () => {
    const { keep, count, requests, db } = await start()
    await keep({ rows: 2, quarter: 5, hour: 9, latency: 9 })
    expect(await count('request_logs')).toBe(since(now - 2 * dayMs))
    for (const [table, days] of [
      ['usage_facets_quarter', 5],
      ['usage_cube_quarter', 5],
      ['usage_facets_hour', 9],
      ['usage_durations_hour', 9],
      ['usage_latency_day', 9],
    ] as const) {
      const { first } = await db
        .selectFrom(table)
        .select((eb) => eb.fn.min('slot').as('first'))
        .executeTakeFirstOrThrow()
      expect(Number(first)).toBeGreaterThanOrEqual(now - (now % dayMs) - days * dayMs)
    }
    // Over whole days nothing is lost, however it is cut.
    const midnight = from - (from % dayMs)
    for (const granularity of [null, 'day', 'month'] as const) {
      for (const dimensions of [[], ['model'], ['user', 'status_class']] as Dimension[][]) {
        const { sum, completeFrom } = await requests(granularity, midnight, dimensions)
        expect({ sum, completeFrom }).toEqual({ sum: rows.length, completeFrom: null })
      }
    }
    expect((await requests('day', midnight)).isExact).toBe(true)
  })

  test('where a range begins within sums that are gone, whole ones stand for their parts and the answer says so', async () => {
    const { keep, requests } = await start()
    await keep({ rows: 2, quarter: 5, hour: 9, latency: 9 })
    for (const days of [1, 3, 6, 12]) {
      const start = now - days * dayMs + 61_000
      const size = [1, 900_000, 3_600_000, dayMs][[1, 3, 6, 12].indexOf(days)]!
      const { sum, isExact } = await requests(null, start)
      expect({ days, sum, isExact }).toEqual({ days, sum: since(start - (start % size)), isExact: size === 1 })
    }
    // Hours are asked for, days are left: they are told once, not per hour.
    const hours = await requests('hour')
    expect(hours).toMatchObject({ isExact: false, sum: rows.length })
    // Percentiles are told from where there are any.
    const percentiles = await requests(null, from, ['model'], ['latency_ms_p50'])
    expect(percentiles.completeFrom).toBe(now - (now % dayMs) - 9 * dayMs)
    // People are counted from what is left, too.
    const people = await requests('day', from - (from % dayMs), [], ['distinct_users'])
    for (const row of people.rows) {
      const seen = rows.filter(
        (each) => each.user_id !== '' && each.started_at >= row.bucket && each.started_at < row.bucket + dayMs,
      )
      expect(row.measures.distinct_users).toBe(new Set(seen.map((each) => each.user_id)).size)
    }
  })

  test('sums never go before what is finer, whatever the settings say', async () => {
    const { keep, requests } = await start()
    await keep({ rows: 12, quarter: 1, hour: 1, day: 1, latency: 1 })
    expect(await requests(null, now - 12 * dayMs)).toMatchObject({
      isExact: true,
      completeFrom: null,
      sum: since(now - 12 * dayMs),
    })
  })

  test('what is older than the sums of days cannot be told, and the answer says from when on it can', async () => {
    const { keep, requests } = await start()
    await keep({ rows: 1, quarter: 2, hour: 3, latency: 3, day: 4 })
    const first = now - (now % dayMs) - 4 * dayMs
    expect(await requests(null)).toMatchObject({ completeFrom: first, sum: since(first) })
  })

  test('a store that takes too much room loses its oldest rows first, says so, and keeps the sums of days', async () => {
    const { ledger, keep, count, requests, said, metrics } = await start()
    const { bytes, rowBytes } = await ledger.measureBytes()
    await keep({ maxBytes: bytes - 200 * rowBytes })
    const left = await count('request_logs')
    expect(left).toBeLessThan(rows.length)
    expect(said).toEqual(['The ledger took more room than usage.max_mb: its oldest rows were deleted'])
    expect(await metrics()).toMatch(/gatehouse_usage_deleted_rows_total\{kind="rows",reason="size"\} [1-9]/)
    await keep({ maxBytes: 1 })
    expect(await count('request_logs')).toBe(0)
    expect(said.at(-1)).toContain('nothing is left to delete')
    expect((await requests('day', from - (from % dayMs))).sum).toBe(rows.length)
  })

  test('nothing goes while rows wait to be added up', async () => {
    const { db, keep, count } = await start()
    await db.insertInto('usage_analytics_state').values({ name: 'rows_without_sums_before', value: now }).execute()
    await keep({ rows: 1, quarter: 1, hour: 1, latency: 1, day: 1, maxBytes: 1 })
    expect(await count('request_logs')).toBe(rows.length)
  })

  test('a run that is told to stop ends after the batch it is in', async () => {
    const { keep, count } = await start()
    const before = await count('usage_facets_quarter')
    await keep({ rows: 1, quarter: 1 }, AbortSignal.abort())
    expect(await count('usage_facets_quarter')).toBe(before)
    expect(await count('request_logs')).toBe(rows.length)
  })
})
