import type { Kysely } from 'kysely'
import { describe, expect, test } from 'vitest'
import { createManualClock } from '../../kernel/clock.ts'
import { migrations } from '../../migrations/index.ts'
import { createMetrics } from '../../platform/metrics.ts'
import { createUsageRetention, type UsageLimits } from '../retention.ts'
import type { UsageTables } from '../rows.ts'
import { createUsageStore } from '../store.ts'
import { quietLog } from '../testing.ts'
import { reportEngines } from './clickhouse/testing.ts'
import { ingest, rebuild } from './rebuild.ts'
import { dayMs, hourMs, type UsageFact } from './schema.ts'
import { makeRows } from './testing.ts'

const today = Date.UTC(2026, 10, 23)
const now = today + 10 * hourMs
/** Long ago, but for the sums of days. */
const day = today - 30 * dayMs
const never = new AbortController().signal
const unlimited = { rows: 1000, maxRows: 1_000_000, quarter: 1000, hour: 1000, latency: 1000, day: 1000, maxBytes: 0 }

const fact = (at: number, requests: number, user: string): UsageFact => ({
  ...{ at, keys: { user_id: user, model_served: 'm', tenant_id: 't' }, tags: [`of ${user}`] },
  measures: { requests, successes: requests, tokens_in: requests * 10 },
  latenciesMs: Array.from({ length: requests }, () => 1000),
})
const [early, noon, late] = [day + hourMs, day + 12 * hourMs, day + 20 * hourMs]

describe.each(reportEngines())('days that have lost their finer sums, on $name', ({ open, storeOf }) => {
  async function start() {
    const db = (await open(migrations)).kysely as Kysely<UsageTables>
    const ledger = createUsageStore(db)
    const store = storeOf(db)
    const clock = { ...createManualClock(now), sleep: async () => {} }
    const parts = { store: ledger, sums: store, clock, log: quietLog }
    const keep = (limits: Partial<UsageLimits>) =>
      createUsageRetention({ ...parts, metrics: createMetrics() }, () => ({ ...unlimited, ...limits })).run(never)
    const put = (hour: number, facts: readonly UsageFact[], hours = 1) =>
      ingest(store, facts, { source: 'far', replaceFrom: hour, replaceTo: hour + hours * hourMs })
    /** What each table of sums that reach over days says of everything. */
    const told = async (source = 'far') => {
      const sum = async (table: keyof UsageTables, name: string, facet?: string) => {
        let query = db.selectFrom(table as 'usage_facets_day').select((eb) => eb.fn.sum(name as 'requests').as('sum'))
        query = query.where('source', '=', source)
        if (facet !== undefined) query = query.where('facet', '=', facet)
        return Number((await query.executeTakeFirstOrThrow()).sum)
      }
      return {
        all: await sum('usage_facets_day', 'requests', ''),
        byUser: await sum('usage_facets_day', 'requests', 'user'),
        cube: await sum('usage_cube_day', 'requests'),
        tokens: await sum('usage_cube_day', 'tokens_in'),
        durations: await sum('usage_durations_day', 'amount', ''),
      }
    }
    const of = (requests: number, durations = requests) => ({
      ...{ all: requests, byUser: requests, cube: requests, tokens: requests * 10, durations },
    })
    return { db, ledger, store, keep, put, told, of }
  }

  test.each([
    { gone: 'quarters', limits: { rows: 1, quarter: 5 } },
    { gone: 'quarters and durations', limits: { rows: 1, quarter: 5, latency: 5 } },
    { gone: 'quarters and hours', limits: { rows: 1, quarter: 5, hour: 9, latency: 9 } },
  ])(
    'a late row, where $gone are gone, never makes the day smaller: it is asked for whole, and is the truth then',
    async ({ limits }) => {
      const { keep, put, told, of } = await start()
      expect(await put(early, [fact(early, 3, 'a')])).toEqual([])
      expect(await put(late, [fact(late, 5, 'b'), fact(late + hourMs - 1, 2, 'a')])).toEqual([])
      await keep(limits)
      // One more of an hour that was counted: what was said of it is no longer known apart from the rest.
      expect(await put(early, [fact(early, 4, 'a')])).toEqual([day])
      expect(await told()).toEqual({ ...of(10), durations: limits.latency ? expect.any(Number) : 10 })
      // The same once more, as after a kill, changes nothing either.
      expect(await put(early, [fact(early, 4, 'a')])).toEqual([day])
      expect(await told()).toMatchObject({ all: 10, byUser: 10, cube: 10 })
      const whole = [fact(early, 4, 'a'), fact(late, 5, 'b'), fact(late + hourMs - 1, 2, 'a')]
      for (const times of [1, 2]) {
        expect(await put(day, whole, 24)).toEqual([])
        expect({ times, ...(await told()) }).toEqual({ times, ...of(11) })
      }
      await keep(limits)
      expect(await told()).toMatchObject({ all: 11, byUser: 11, cube: 11 })
    },
  )

  test('hours that were never counted are added to what is left of their day', async () => {
    const { keep, put, told, of } = await start()
    await put(early, [fact(early, 3, 'a')])
    await keep({ rows: 1, quarter: 5 })
    expect(await put(late, [fact(late, 5, 'b')])).toEqual([])
    expect(await told()).toEqual(of(8))
    await keep({ rows: 1, quarter: 5 })
    expect(await put(noon, [fact(noon, 2, 'c')])).toEqual([])
    expect(await told()).toEqual(of(10))
    // A history longer than hours are kept is read hour by hour, and then the days that it stopped within as a whole.
    await keep({ rows: 1, quarter: 5, hour: 9, latency: 9 })
    expect(await put(early + hourMs, [fact(early + hourMs, 1, 'd')])).toEqual([day])
    expect(await told()).toMatchObject({ all: 10, cube: 10 })
  })

  test('a deletion that stopped in the middle of a day loses none of it', async () => {
    const { store, put, told, of } = await start()
    await put(early, [fact(early, 3, 'a')])
    await put(late, [fact(late, 5, 'b')])
    // Four hours of quarters go at once: those of the evening are there still.
    expect(await store.deleteOldestSums('quarter', day + 12 * hourMs)).toMatchObject({ isAll: false })
    expect(await put(late, [fact(late, 6, 'b')])).toEqual([day])
    expect(await told()).toEqual(of(8))
    expect(await put(day + dayMs + hourMs, [fact(day + dayMs + hourMs, 1, 'a')])).toEqual([])
    expect(await told()).toEqual(of(9))
  })

  test('hours of two days of which one is aged: the other is replaced, as it was asked', async () => {
    const { store, put, told, of } = await start()
    const [evening, morning] = [day + 23 * hourMs, day + 24 * hourMs]
    await put(evening, [fact(evening, 3, 'a'), fact(morning, 5, 'b')], 2)
    while (!(await store.deleteOldestSums('quarter', day + dayMs)).isAll) {}
    expect(await put(evening, [fact(evening, 9, 'a'), fact(morning, 6, 'b')], 2)).toEqual([day])
    expect(await told()).toEqual(of(9))
  })

  test('a rebuild never makes a day smaller that loses its rows meanwhile', async () => {
    const { ledger, store, keep, told } = await start()
    await ledger.storeRows(makeRows(200, today - 3 * dayMs, today, 5))
    const before = await told('')
    let isDeleted = false
    const done = await rebuild(store, { from: 0, to: now }, async () => {
      if (!isDeleted) await keep({ rows: 1 })
      isDeleted = true
    })
    expect(done).toMatchObject({ days: 3, kept: 2 })
    expect(await told('')).toEqual(before)
  })
})
