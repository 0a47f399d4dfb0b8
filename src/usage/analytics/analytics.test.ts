import type { Kysely } from 'kysely'
import { describe, expect, test } from 'vitest'
import { everything, type Scope, scopeOf, withinTenant } from '../../kernel/scope.ts'
import { migrations } from '../../migrations/index.ts'
import type { RequestLogRow, UsageTables } from '../rows.ts'
import { createUsageStore } from '../store.ts'
import { bucketsOf, type Granularity, granularities } from './buckets.ts'
import { reportEngines } from './clickhouse/testing.ts'
import type { Filters } from './pieces-store.ts'
import { type Asked, ask, type Question } from './query.ts'
import { compareSums, fillIn, ingest, rebuild } from './rebuild.ts'
import { heatmap, kpi, series, top } from './reports.ts'
import { type Dimension, dayMs, dimensions, measures as everySum, hourMs, type Measure } from './schema.ts'
import { quantileOf } from './sketch.ts'
import type { AnalyticsStore } from './store.ts'
import { makeRows } from './testing.ts'

// New York goes back to winter time on 2026-11-01: a day of 25 hours lies within.
const start = Date.UTC(2026, 9, 30, 3, 7, 11, 13)
const end = Date.UTC(2026, 10, 3, 21, 52, 3, 501)
const rows = makeRows(2500, start - dayMs, end + dayMs)
const parts = (store: AnalyticsStore) => ({
  store,
  namesOf: async () => new Map([['usr_1', 'Ada']]),
})

/** What a dimension is of a row, worked out from the row alone. */
const truthOf: Record<Dimension, (row: RequestLogRow) => string | string[]> = {
  tenant: (row) => row.tenant_id,
  user: (row) => row.user_id,
  key: (row) => row.key_id,
  agent: (row) =>
    row.agent ||
    (tagsOf(row)
      .find((tag) => tag.startsWith('agent:'))
      ?.slice(6) ??
      ''),
  model_asked: (row) => (row.outcome === 'refused' ? '' : row.model_asked),
  model: (row) => row.model_served,
  provider: (row) => row.provider_id,
  provider_key: (row) => row.provider_key_id,
  endpoint: (row) => row.endpoint,
  status_class: (row) => `${String(row.status)[0]}xx`,
  error_kind: (row) => row.error_code,
  cache_hit: (row) => row.cache_hit,
  stream: (row) => String(row.stream),
  service: (row) => row.service,
  source: (row) => (row.is_synthetic === 1 ? 'demo' : ''),
  tag: (row) => (tagsOf(row).length === 0 ? '' : [...new Set(tagsOf(row))]),
}

function tagsOf(row: RequestLogRow): string[] {
  return row.tags === '' ? [] : (JSON.parse(row.tags) as string[])
}

const isGenerating = (row: RequestLogRow) =>
  row.stream === 1 && row.first_token_ms !== null && row.latency_ms > row.first_token_ms

const measureOf: Record<Measure, (row: RequestLogRow) => number> = {
  requests: () => 1,
  successes: (row) => Number(row.outcome === 'success'),
  failures: (row) => Number(row.outcome === 'failure'),
  aborted: (row) => Number(row.outcome === 'aborted'),
  truncated: (row) => Number(row.outcome === 'truncated'),
  refused: (row) => Number(row.outcome === 'refused'),
  attempts: (row) => row.attempts,
  tokens_in: (row) => row.tokens_in,
  tokens_out: (row) => row.tokens_out,
  tokens_cached_read: (row) => row.tokens_cached_read,
  tokens_cached_write: (row) => row.tokens_cached_write,
  tokens_reasoning: (row) => row.tokens_reasoning,
  cost_nano_usd: (row) => row.cost_nano_usd ?? 0,
  unpriced_requests: (row) => Number(row.cost_nano_usd === null),
  wasted_nano_usd: (row) => row.wasted_nano_usd ?? 0,
  unpriced_wasted: (row) => Number(row.wasted_nano_usd === null),
  cache_hits: (row) => Number(row.cache_hit !== ''),
  latency_ms_sum: (row) => row.latency_ms,
  first_token_ms_sum: (row) => row.first_token_ms ?? 0,
  first_token_count: (row) => Number(row.first_token_ms !== null),
  generation_ms_sum: (row) => (isGenerating(row) ? row.latency_ms - row.first_token_ms! : 0),
  generation_tokens: (row) => (isGenerating(row) ? row.tokens_out : 0),
}

function isSeen(row: RequestLogRow, scope: Scope, from: number, to: number, filters: Filters): boolean {
  if (row.started_at < from || row.started_at >= to) return false
  if (scope.kind !== 'everything' && row.tenant_id !== scope.tenantId) return false
  if (scope.kind === 'person' && row.user_id !== scope.userId) return false
  return Object.entries(filters).every(([name, values]) =>
    [truthOf[name as Dimension](row)].flat().some((value) => values.includes(value)),
  )
}

/** The bucket a moment is in, by the calendar of the zone as Intl has it, without a look at our own arithmetic. */
function wallOf(at: number, zone: string, granularity: Granularity): string {
  const shown = new Intl.DateTimeFormat('sv-SE', {
    ...{ timeZone: zone, timeZoneName: 'longOffset' },
    ...{ year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit' },
  }).format(at)
  const [date = '', time = '', offset = ''] = shown.split(' ')
  const [hour = '', minute = '0'] = time.split(':')
  const every = { minute: 1, '5m': 5, '15m': 15, '30m': 30 }[granularity as string]
  if (granularity === 'day') return date
  if (granularity === 'month') return date.slice(0, 7)
  if (granularity === 'week') {
    const day = new Date(`${date}T00:00:00Z`)
    return new Date(day.getTime() - ((day.getUTCDay() + 6) % 7) * dayMs).toISOString()
  }
  return `${date} ${hour}:${every === undefined ? '' : Math.floor(Number(minute) / every)} ${offset}`
}

describe.each(reportEngines())('reports on $name', ({ open, storeOf }) => {
  let opened: Promise<{ db: Kysely<UsageTables>; store: AnalyticsStore }> | null = null

  async function fresh(kept = rows) {
    const db = (await open(migrations)).kysely as Kysely<UsageTables>
    const ledger = createUsageStore(db)
    for (let at = 0; at < kept.length; at += 400) await ledger.storeRows(kept.slice(at, at + 400))
    return { db, store: storeOf(db), ledger }
  }

  /** One store for all tests that only read. */
  function shared() {
    opened ??= fresh()
    return opened
  }

  function questionOf(changes: Partial<Question>): Question {
    return {
      ...{ scope: everything, from: start, to: end, buckets: { kind: 'one' }, dimensions: [], filters: {} },
      ...{ measures: everySum, order: 'bucket', limit: 50_000 },
      ...changes,
    }
  }

  /** Asks, and compares every measure of every group with the events themselves. */
  async function compare(
    changes: Partial<Question>,
    zone = 'UTC',
    granularity: Granularity | null = null,
    among = rows,
  ): Promise<void> {
    const { store } = await shared()
    const question = questionOf(changes)
    if (granularity !== null) question.buckets = bucketsOf(question.from, question.to, granularity, zone)
    const { rows: answered } = await ask(store, question)
    const truth = new Map<string, number[]>()
    const names = Object.keys(measureOf) as Measure[]
    for (const row of among) {
      if (!isSeen(row, question.scope, question.from, question.to, question.filters)) continue
      let groups: string[][] = [[granularity === null ? '' : wallOf(row.started_at, zone, granularity)]]
      for (const name of question.dimensions) {
        const values = [truthOf[name](row)].flat()
        const kept = name === 'tag' ? values.filter((value) => question.filters.tag?.includes(value) ?? true) : values
        groups = groups.flatMap((group) => kept.map((value) => [...group, value]))
      }
      for (const group of groups.map((each) => JSON.stringify(each))) {
        const sums = truth.get(group) ?? names.map(() => 0)
        truth.set(
          group,
          names.map((name, index) => sums[index]! + measureOf[name](row)),
        )
      }
    }
    const told = answered.map(({ bucket, values, measures }) => [
      JSON.stringify([granularity === null ? '' : wallOf(bucket, zone, granularity), ...values]),
      names.map((name) => measures[name]),
    ])
    expect(Object.fromEntries(told)).toEqual(Object.fromEntries(truth))
    expect(told.length).toBe(truth.size)
  }

  test('every dimension gives what the events say, to the unit', async () => {
    for (const dimension of dimensions) await compare({ dimensions: [dimension] })
    await compare({})
  })

  test('pairs of dimensions, and filters beside them, give what the events say', async () => {
    for (const second of dimensions) await compare({ dimensions: ['model', second === 'model' ? 'user' : second] })
    await compare({ dimensions: ['user'], filters: { model: ['gpt-4o', '模型'], status_class: ['2xx'] } })
    await compare({ filters: { tag: ['team-a', 'team-b'] } })
    await compare({ filters: { tag: ['team-a'] } })
    await compare({ dimensions: ['tag'], filters: { tag: ['team-b', ''], user: ['usr_1', 'usr_5'] } })
    await compare({ dimensions: ['provider'], filters: { agent: ['re"ad er'] } })
    await compare({ dimensions: ['model'], filters: { model: [] } })
  })

  test('nobody sees what is not theirs', async () => {
    const person = scopeOf({ role: 'user', tenantId: 'ten_a', userId: 'usr_2' } as never)
    for (const scope of [withinTenant('ten_a'), withinTenant('ten_none'), person]) {
      await compare({ scope })
      for (const dimension of dimensions) await compare({ scope, dimensions: [dimension] })
    }
    await compare({ scope: person, filters: { user: ['usr_1'] } })
    await compare({ scope: withinTenant('ten_b'), dimensions: ['tenant'], filters: { tenant: ['ten_a'] } })
  })

  test.each(['UTC', 'Asia/Shanghai', 'Asia/Kathmandu', 'Asia/Kolkata', 'America/New_York'])(
    'every granularity in %s gives what the events say, over the end of summer time',
    async (zone) => {
      for (const granularity of granularities) await compare({ dimensions: [] }, zone, granularity)
      await compare({ dimensions: ['model'], filters: { stream: ['1'] } }, zone, 'day')
      await compare({ dimensions: ['tag'] }, zone, 'hour')
    },
  )

  test('hours, days, weeks and months of every zone come to the same sum, whatever the range', async () => {
    const { store } = await shared()
    for (const [from, to] of [
      [start, end],
      [Date.UTC(2026, 9, 31), Date.UTC(2026, 10, 2)],
      [start, start + 1],
      [start, start + 7 * 60_000],
    ] as const) {
      const truth = rows.filter((row) => isSeen(row, everything, from, to, {})).length
      for (const zone of ['UTC', 'Asia/Shanghai', 'Asia/Kathmandu', 'America/New_York', 'Australia/Lord_Howe']) {
        for (const granularity of ['hour', 'day', 'week', 'month'] as const) {
          const buckets = bucketsOf(from, to, granularity, zone)
          const told = await ask(store, questionOf({ from, to, buckets }))
          expect(told.rows.reduce((sum, row) => sum + row.measures.requests!, 0)).toBe(truth)
        }
      }
    }
  })

  test('the first few of many, found by what orders them, have the sums they have in the whole list', async () => {
    const { store } = await shared()
    for (const [dimension, order] of [
      ['key', 'cost_nano_usd'],
      ['model', 'requests'],
      ['tag', 'tokens'],
    ] as const) {
      for (const filters of [{}, { stream: ['1'] }, { [dimension]: [rows[0]!.key_id, 'gpt-4o', 'team-a'] }]) {
        const question = questionOf({ dimensions: [dimension], order, filters })
        const all = (await ask(store, question)).rows
        for (const limit of [1, 2, 3])
          expect((await ask(store, { ...question, limit })).rows).toEqual(all.slice(0, limit))
      }
    }
  })

  test('people, keys and addresses are counted, not added up', async () => {
    const { store } = await shared()
    const measures: Asked[] = ['distinct_users', 'distinct_keys', 'distinct_ips']
    const different = (column: 'user_id' | 'key_id' | 'client_ip', of: RequestLogRow[]) =>
      new Set(of.map((row) => row[column]).filter((value) => value !== '')).size
    const seen = rows.filter((row) => isSeen(row, everything, start, end, {}))
    const expected = (of: RequestLogRow[]) => ({
      distinct_users: different('user_id', of),
      distinct_keys: different('key_id', of),
      distinct_ips: different('client_ip', of),
    })
    const [all] = (await ask(store, questionOf({ measures }))).rows
    expect(all?.measures).toMatchObject(expected(seen))
    for (const row of (await ask(store, questionOf({ measures, dimensions: ['model', 'stream'] }))).rows) {
      const group = seen.filter((each) => each.model_served === row.values[0] && String(each.stream) === row.values[1])
      expect(row.measures).toMatchObject(expected(group))
    }
  })

  test('percentiles are within two percent of the durations that were seen', async () => {
    const { store } = await shared()
    const measures: Asked[] = ['latency_ms_p50', 'latency_ms_p99', 'first_token_ms_p95']
    const near = (told: number | null | undefined, durations: number[], share: number) => {
      const exact = durations.sort((a, b) => a - b)[Math.max(0, Math.ceil(share * durations.length) - 1)]!
      expect(told).toBeGreaterThanOrEqual(Math.floor(exact * 0.98))
      expect(told).toBeLessThanOrEqual(Math.max(1, Math.ceil(exact * 1.02)))
    }
    for (const dimension of ['model', 'endpoint'] as const) {
      const told = await ask(store, questionOf({ measures, dimensions: [dimension] }))
      for (const row of told.rows) {
        const group = rows.filter(
          (each) => isSeen(each, everything, start, end, {}) && truthOf[dimension](each) === row.values[0],
        )
        const latencies = group.map((each) => each.latency_ms)
        near(row.measures.latency_ms_p50, latencies, 0.5)
        near(row.measures.latency_ms_p99, latencies, 0.99)
        near(
          row.measures.first_token_ms_p95,
          group.map((each) => each.first_token_ms).filter((ms) => ms !== null),
          0.95,
        )
      }
    }
    expect(quantileOf(new Map(), 0.5)).toBeNull()
  })

  test('a series has every slot of its range once, and none before or after it', async () => {
    const { store } = await shared()
    for (const slotMs of [60_000, 300_000, 900_000, 1_800_000, hourMs, dayMs]) {
      const [from, to] = [Date.UTC(2026, 9, 31), Date.UTC(2026, 10, 1)]
      const { points } = await series(parts(store), { scope: everything, from, to, filters: {} }, slotMs)
      expect(points.length).toBe(dayMs / slotMs)
      expect(points.map(({ bucket }) => bucket)).toEqual(points.map((_, index) => from + index * slotMs))
      for (const point of points) {
        const within = rows.filter((row) => isSeen(row, everything, point.bucket, point.bucket + slotMs, {}))
        expect(point).toMatchObject({
          reqs: within.length,
          tokens: within.reduce((sum, row) => sum + row.tokens_in + row.tokens_out, 0),
          users: new Set(within.map((row) => row.user_id).filter((id) => id !== '')).size,
          tokens_cnt: new Set(within.map((row) => row.key_id)).size,
        })
      }
    }
  })

  test('the first of a list are the largest, and ties go by name', async () => {
    const { store } = await shared()
    const range = { scope: everything, from: start, to: end, filters: {} }
    const { rows: users } = await top(parts(store), range, 'user', 'tokens', 3)
    const truth = new Map<string, number>()
    for (const row of rows.filter((each) => isSeen(each, everything, start, end, {}))) {
      truth.set(row.user_id, (truth.get(row.user_id) ?? 0) + row.tokens_in + row.tokens_out)
    }
    const expected = [...truth].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)).slice(0, 3)
    expect(users.map((row) => [row.user_id, row.tokens])).toEqual(expected)
    expect(users.map((row) => row.username)).toEqual(expected.map(([id]) => (id === 'usr_1' ? 'Ada' : null)))
  })

  test('a heat map and the key figures hold every request once', async () => {
    const { store } = await shared()
    const range = { scope: everything, from: start, to: end, filters: {} }
    const seen = rows.filter((row) => isSeen(row, everything, start, end, {}))
    for (const zone of ['Asia/Kathmandu', 'America/New_York']) {
      const { cells } = await heatmap(parts(store), range, zone)
      expect(cells.length).toBe(168)
      const truth = new Map<string, number>()
      for (const row of seen) {
        const shown = new Intl.DateTimeFormat('en-US', {
          timeZone: zone,
          weekday: 'short',
          hour: '2-digit',
          hourCycle: 'h23',
        })
        const text = shown.format(row.started_at)
        truth.set(text, (truth.get(text) ?? 0) + 1)
      }
      const days = ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun']
      const told = cells.map((cell) => [`${days[cell.weekday - 1]}, ${String(cell.hour).padStart(2, '0')}`, cell.reqs])
      expect(Object.fromEntries(told.filter(([, reqs]) => reqs !== 0))).toEqual(Object.fromEntries(truth))
    }
    const { now, previous } = await kpi(parts(store), range)
    expect(now).toMatchObject({
      reqs: seen.length,
      cost_nano_usd: seen.reduce((sum, row) => sum + (row.cost_nano_usd ?? 0), 0),
    })
    expect(previous.reqs).toBe(rows.filter((row) => isSeen(row, everything, 2 * start - end, start, {})).length)
  })

  test('where there was nothing, sums are 0 and ratios are unknown', async () => {
    const { store } = await shared()
    const { now } = await kpi(parts(store), { scope: withinTenant('ten_none'), from: start, to: end, filters: {} })
    expect(now).toMatchObject({ reqs: 0, success_rate: null, latency_ms_p50: null, tokens_per_second: null })
  })

  test('rows that arrive again, late or in another order change nothing or what they must', async () => {
    const all = makeRows(300, start, end, 7)
    const once = await fresh(all)
    const again = await fresh([...all].reverse())
    await again.ledger.storeRows(all.slice(0, 100))
    await again.ledger.storeRows(all)
    const tables = ['usage_facets_quarter', 'usage_facets_day', 'usage_cube_quarter', 'usage_latency_day'] as const
    for (const table of tables) {
      const read = async (db: Kysely<UsageTables>) =>
        (await db.selectFrom(table).selectAll().execute()).map((row) => JSON.stringify(row)).sort()
      expect(await read(again.db)).toEqual(await read(once.db))
    }
  })

  test('what a demonstration made up goes from every sum', async () => {
    const { db, ledger, store } = await fresh(makeRows(200, start, end, 9))
    while ((await ledger.deleteSynthetic(50)) === 50);
    const told = await ask(store, questionOf({ dimensions: ['source'] }))
    expect(told.rows.map((row) => row.values)).toEqual([['']])
    expect(await db.selectFrom('usage_latency_day').selectAll().where('source', '=', 'demo').execute()).toEqual([])
  })

  test('where rows are gone, sums of whole quarters stand for their parts, and the answer says so', async () => {
    const { ledger, store } = await fresh(makeRows(400, start, end, 11))
    const before = await ask(store, questionOf({ dimensions: ['model'] }))
    expect(await ledger.deleteOldest(150)).toBe(150)
    const quarter = 900_000
    const whole = questionOf({ from: start - (start % quarter), to: end, dimensions: ['model'] })
    expect((await ask(store, whole)).rows).toEqual(before.rows)
    const told = await ask(store, questionOf({ from: start + 60_000, dimensions: ['model'] }))
    expect(told.isExact).toBe(false)
    expect(told.rows).toEqual(before.rows)
    const addresses = await ask(store, questionOf({ measures: ['distinct_ips'] }))
    expect(addresses.completeFrom).toBeGreaterThan(start)
    expect(addresses.rows[0]?.measures.distinct_ips).toBe(20)
  })

  test('sums that went wrong are found by day and table, and made anew from the rows', async () => {
    const { db, store } = await fresh(makeRows(300, start, end, 13))
    const range = { from: start, to: end }
    expect(await compareSums(store, range)).toEqual([])
    const snapshot = async () => {
      const kept: Record<string, string[]> = {}
      for (const table of ['usage_facets_hour', 'usage_cube_day', 'usage_latency_hour', 'usage_latency_day'] as const) {
        const all = await db.selectFrom(table).selectAll().execute()
        kept[table] = all.map((row) => JSON.stringify(Object.entries(row).sort())).sort()
      }
      return kept
    }
    const right = await snapshot()
    await db.updateTable('usage_cube_day').set({ tokens_in: 7 }).where('model_served', '=', 'gpt-4o').execute()
    await db.deleteFrom('usage_latency_hour').execute()
    await db.deleteFrom('usage_facets_quarter').where('facet', '=', 'user').execute()
    const found = await compareSums(store, range)
    expect([...new Set(found.map(({ table }) => table))].sort()).toEqual([
      ...['usage_cube_day', 'usage_facets_quarter', 'usage_latency_hour'],
    ])
    expect(await rebuild(store, range)).toMatchObject({ days: 5, kept: 0, requests: 300 })
    expect(await compareSums(store, range)).toEqual([])
    expect(await snapshot()).toEqual(right)
  })

  test('days that have lost rows keep the sums they have', async () => {
    const { ledger, store } = await fresh(makeRows(300, start, end, 17))
    await ledger.deleteOldest(150)
    const before = await ask(store, questionOf({ from: start - dayMs, to: end + dayMs }))
    expect((await rebuild(store, { from: 0, to: end })).kept).toBeGreaterThan(0)
    const after = await ask(store, questionOf({ from: start - dayMs, to: end + dayMs }))
    expect(after.rows[0]?.measures.requests).toBe(300)
    expect(after).toEqual(before)
  })

  test('what a foreign source says of an hour is replaced, however often it says it, and touches nobody else', async () => {
    const { store } = await fresh(makeRows(100, start, end, 19))
    const hour = Date.UTC(2026, 9, 31, 5)
    const fact = (at: number, requests: number) => ({
      at,
      keys: { user_id: 'usr_far', model_served: 'far-model', tenant_id: 'ten_a' },
      tags: ['far'],
      measures: { requests, tokens_in: requests * 10, cost_nano_usd: requests * 2000 },
      latenciesMs: [1000],
    })
    const into = (replaceFrom: number) => ({ source: 'far', replaceFrom, replaceTo: replaceFrom + hourMs })
    await ingest(store, [fact(hour, 5), fact(hour + 1_000_000, 7)], into(hour))
    await ingest(store, [fact(hour + hourMs, 1)], into(hour + hourMs))
    await ingest(store, [fact(hour, 2), fact(hour + 1_000_000, 3)], into(hour))
    await ingest(store, [fact(hour, 2), fact(hour + 1_000_000, 3)], into(hour))
    const sums = async (changes: Partial<Question>) => (await ask(store, questionOf(changes))).rows
    for (const dimensions of [['source'], ['source', 'model'], ['source', 'tag']] as Dimension[][]) {
      const far = (await sums({ dimensions })).filter((row) => row.values[0] === 'far')
      expect(far.map((row) => row.measures)).toMatchObject([{ requests: 6, tokens_in: 60, cost_nano_usd: 12_000 }])
    }
    const own = (await sums({ dimensions: ['source'] })).filter((row) => row.values[0] !== 'far')
    expect(own.reduce((sum, row) => sum + row.measures.requests!, 0)).toBe(100)
    const [slow] = await sums({ filters: { source: ['far'] }, measures: ['latency_ms_p50'] })
    expect(slow?.measures.latency_ms_p50).toBeGreaterThan(979)
    expect(slow?.measures.latency_ms_p50).toBeLessThan(1021)

    await expect(ingest(store, [fact(hour, 1)], into(hour + hourMs))).rejects.toThrow('outside')
    await expect(ingest(store, [], { ...into(hour), source: '' })).rejects.toThrow("hub's own")
    await expect(ingest(store, [], into(hour + 1))).rejects.toThrow('whole hours')
    await expect(ingest(store, [fact(hour, 1.5)], into(hour))).rejects.toThrow('whole number')
  })

  test('a store that held rows before there were sums gets its sums once', async () => {
    const { db, store } = await fresh(makeRows(120, start, end, 23))
    const right = (await ask(store, questionOf({ dimensions: ['model'] }))).rows
    for (const table of ['usage_facets_quarter', 'usage_facets_hour', 'usage_facets_day'] as const) {
      await db.deleteFrom(table).execute()
    }
    await db.insertInto('usage_analytics_state').values({ name: 'rows_without_sums_before', value: end }).execute()
    expect(await fillIn(store)).toMatchObject({ requests: 120 })
    expect((await ask(store, questionOf({ dimensions: ['model'] }))).rows).toEqual(right)
    expect(await fillIn(store)).toBeNull()
  })
})
