import fc from 'fast-check'
import type { Kysely, KyselyPlugin } from 'kysely'
import { describe, expect, test } from 'vitest'
import { everything } from '../../kernel/scope.ts'
import { migrations } from '../../migrations/index.ts'
import type { UsageTables } from '../rows.ts'
import { createUsageStore } from '../store.ts'
import { type Buckets, bucketsOf } from './buckets.ts'
import { reportEngines } from './clickhouse/testing.ts'
import { ask } from './query.ts'
import { compareSums, rebuild } from './rebuild.ts'
import { type Dimension, dayMs, dimensions, type Measure, measures } from './schema.ts'
import { type AnalyticsStore, createAnalyticsStore } from './store.ts'
import { makeRows } from './testing.ts'

// New York's clocks go back on 2026-11-01.
const from = Date.UTC(2026, 9, 31)
const to = Date.UTC(2026, 10, 3)
const rows = makeRows(300, from, to, 53)
const zones = ['UTC', 'Asia/Shanghai', 'Asia/Kathmandu', 'America/New_York']
/** A request with two tags is in both. */
const partitions = dimensions.filter((name) => name !== 'tag')

async function total(
  store: AnalyticsStore,
  range: { from: number; to: number },
  buckets: Buckets = { kind: 'one' },
  by: readonly Dimension[] = [],
): Promise<Record<Measure, number>> {
  const question = { scope: everything, ...range, buckets, dimensions: by, filters: {}, measures }
  const answer = await ask(store, { ...question, order: 'bucket', limit: 100_000 })
  expect(answer.isExact).toBe(true)
  const sums = Object.fromEntries(measures.map((name) => [name, 0])) as Record<Measure, number>
  for (const row of answer.rows) for (const name of measures) sums[name] += row.measures[name]!
  return sums
}

describe.each(reportEngines())('sums on $name', ({ open, storeOf }) => {
  async function start(kept = rows) {
    const db = (await open(migrations)).kysely as Kysely<UsageTables>
    await createUsageStore(db).storeRows(kept)
    return { db, store: storeOf(db) }
  }

  test('any partition, by any dimension, any cuts and any calendar, comes to the total', async () => {
    const { store } = await start()
    const moment = fc.integer({ min: from, max: to })
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          ends: fc.tuple(moment, moment).filter(([a, b]) => a !== b),
          cuts: fc.array(moment, { maxLength: 4 }),
          dimension: fc.constantFrom(...partitions),
          zone: fc.constantFrom(...zones),
          granularity: fc.constantFrom('15m', 'hour', 'day', 'week', 'month' as const),
        }),
        async ({ ends, cuts, dimension, zone, granularity }) => {
          const range = { from: Math.min(...ends), to: Math.max(...ends) }
          const whole = await total(store, range)
          const truth = rows.filter((row) => row.started_at >= range.from && row.started_at < range.to)
          expect(whole.requests).toBe(truth.length)
          expect(await total(store, range, { kind: 'one' }, [dimension])).toEqual(whole)
          expect(await total(store, range, bucketsOf(range.from, range.to, granularity, zone), [dimension])).toEqual(
            whole,
          )
          const edges = [
            range.from,
            ...cuts.filter((at) => at > range.from && at < range.to).sort((a, b) => a - b),
            range.to,
          ]
          const parts = Object.fromEntries(measures.map((name) => [name, 0])) as Record<Measure, number>
          for (const [index, edge] of edges.slice(0, -1).entries()) {
            const part = await total(store, { from: edge, to: edges[index + 1]! })
            for (const name of measures) parts[name] += part[name]
          }
          expect(parts).toEqual(whole)
        },
      ),
      { numRuns: 15 },
    )
  })

  /** The same store, whose statements fail after the `at`-th has run, as when the process or the connection dies there. */
  function breaking(db: Kysely<UsageTables>, at: number) {
    let count = 0
    const plugin: KyselyPlugin = {
      transformQuery: ({ node }) => node,
      async transformResult({ result }) {
        if (++count === at) throw new Error('broken on purpose')
        return result
      },
    }
    return { db: db.withPlugin(plugin), count: () => count }
  }

  /** Runs `work` again and again, broken one statement later each time, until it comes through. */
  async function breakEverywhere(
    db: Kysely<UsageTables>,
    work: (db: Kysely<UsageTables>) => Promise<unknown>,
    between: () => Promise<void>,
  ) {
    for (let at = 1; ; at++) {
      const broken = breaking(db, at)
      const error = await work(broken.db).then(
        () => null,
        (reason: Error) => reason.message,
      )
      if (error === null) return at - 1
      expect(error).toContain('broken on purpose')
      await between()
    }
  }

  test('settling that dies at any statement has changed nothing, and once repeated all of it', async () => {
    const [first, second] = [rows.slice(0, 100), rows.slice(100, 160)]
    const { db, store } = await start(first)
    const range = { from: from - dayMs, to: to + dayMs }
    const before = await total(store, range)
    const steps = await breakEverywhere(
      db,
      (broken) => createUsageStore(broken).storeRows(second),
      async () => expect(await total(store, range)).toEqual(before),
    )
    expect(steps).toBeGreaterThanOrEqual(12)
    expect((await total(store, range)).requests).toBe(160)
    expect(await compareSums(store, range)).toEqual([])
  })

  test('making the sums anew can die at any statement', async () => {
    const { db, store } = await start(rows.slice(0, 100))
    const before = await total(store, { from, to })
    const steps = await breakEverywhere(
      db,
      (broken) => rebuild(createAnalyticsStore(broken), { from, to: from + 1 }),
      async () => expect(await total(store, { from, to })).toEqual(before),
    )
    expect(steps).toBeGreaterThanOrEqual(15)
    expect(await compareSums(store, { from, to })).toEqual([])
  })

  test('deleting old rows and sums can die at any statement: days tell the same all the time', async () => {
    const { db, store } = await start(rows.slice(0, 100))
    const before = await total(store, { from, to })
    const unchanged = async () => expect(await total(store, { from, to })).toEqual(before)
    await breakEverywhere(db, (broken) => createUsageStore(broken).deleteOldest(1000), unchanged)
    for (const kind of ['quarter', 'hour', 'latency'] as const) {
      const work = async (broken: Kysely<UsageTables>) => {
        const sums = createAnalyticsStore(broken)
        while (!(await sums.deleteOldestSums(kind, to)).isAll);
      }
      await breakEverywhere(db, work, unchanged)
    }
    const { n } = await db
      .selectFrom('usage_facets_quarter')
      .select((eb) => eb.fn.countAll().as('n'))
      .executeTakeFirstOrThrow()
    expect(Number(n)).toBe(0)
    await unchanged()
  })
})
