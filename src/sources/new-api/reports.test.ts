import type { Readable } from 'node:stream'
import { readSheet } from 'read-excel-file/node'
import { afterEach, describe, expect, test } from 'vitest'
import { migrations } from '../../migrations/index.ts'
import { engines } from '../../platform/database/testing.ts'
import { foreignEngines } from '../../platform/foreign/testing.ts'
import { openWorld, testNow } from '../testing.ts'
import { createTables, type Generation, makeGateway, type TrueCall, writeRows } from './testing.ts'

// Every report and every file over a source, against what truly happened: figures are worked out of the events that the
// generator made up, with arithmetic of this file alone.

const stores = engines()
const foreign = foreignEngines()
const quarterMs = 900_000
const dayMs = 86_400_000
const end = Math.ceil(testNow / quarterMs) * quarterMs
const begin = end - 4 * dayMs
const closers: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closers.splice(0)) await close()
})

// biome-ignore lint/suspicious/noExplicitAny: tests read replies as a program without our types would
type Json = any

/** What reports call their sums. */
function sumsOf(calls: readonly TrueCall[]) {
  const of = (pick: (call: TrueCall) => number) => calls.reduce((sum, call) => sum + pick(call), 0)
  return {
    reqs: of((call) => call.requests),
    tokens: of((call) => call.tokensIn + call.tokensOut),
    quota_sum: of((call) => call.quota),
    tokens_in: of((call) => call.tokensIn),
    tokens_out: of((call) => call.tokensOut),
    tokens_cached_read: of((call) => call.cachedRead),
    tokens_cached_write: of((call) => call.cachedWrite),
    tokens_reasoning: 0,
    successes: of((call) => call.successes),
    failures: of((call) => call.failures),
    // Half a million is a dollar.
    cost_nano_usd: of((call) => call.quota * 2000),
    unpriced_requests: 0,
    wasted_nano_usd: 0,
  }
}

const different = (calls: readonly TrueCall[], pick: (call: TrueCall) => number) =>
  new Set(calls.filter((call) => call.requests !== 0 && pick(call) !== 0).map(pick)).size

const withPeople = (calls: readonly TrueCall[]) => ({
  ...sumsOf(calls),
  users: different(calls, ({ user }) => user),
  tokens_cnt: different(calls, ({ token }) => token),
})

const idOf = (number: number) => (number === 0 ? '' : `prod:${number}`)

/** Whom `by` tells apart, by the column that holds the id. */
const told: Record<string, { column: string; of(call: TrueCall): string }> = {
  user: { column: 'user_id', of: ({ user }) => idOf(user) },
  token: { column: 'token_id', of: ({ token }) => idOf(token) },
  channel: { column: 'channel_id', of: ({ channel }) => idOf(channel) },
  model: { column: 'model_name', of: ({ served }) => served },
  model_asked: { column: 'model_name', of: ({ model }) => model },
  endpoint: { column: 'endpoint', of: ({ path }) => path },
  error_kind: { column: 'error_kind', of: ({ error }) => error },
  source: { column: 'source', of: () => 'prod' },
}
const metrics = ['tokens', 'reqs', 'quota_sum', 'failures'] as const

function topOf(calls: readonly TrueCall[], by: string, metric: (typeof metrics)[number]) {
  const { column, of } = told[by]!
  return [...Map.groupBy(calls, of)]
    .map(([id, some]) => ({ [column]: id, ...sumsOf(some) }) as Record<string, string | number>)
    .sort(
      (a, b) =>
        Number(b[metric]) - Number(a[metric]) ||
        Buffer.compare(Buffer.from(String(a[column])), Buffer.from(String(b[column]))),
    )
}

/** By weekday and hour as the clocks of a zone show them. */
function heatOf(calls: readonly TrueCall[], zone: string) {
  const clock = new Intl.DateTimeFormat('en-GB', {
    timeZone: zone,
    weekday: 'short',
    hour: '2-digit',
    hourCycle: 'h23',
  })
  const days = ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun']
  const cells = Map.groupBy(calls, ({ seconds }) => {
    const parts = new Map(clock.formatToParts(seconds * 1000).map(({ type, value }) => [type, value]))
    return `${days.indexOf(parts.get('weekday')!) + 1} ${Number(parts.get('hour'))}`
  })
  return Array.from({ length: 168 }, (_, i) => ({ weekday: Math.floor(i / 24) + 1, hour: i % 24 })).map((cell) => ({
    ...cell,
    ...sumsOf(cells.get(`${cell.weekday} ${cell.hour}`) ?? []),
  }))
}

/** At least so large a part is not above it. */
function quantile(values: number[], share: number): number {
  return values.sort((a, b) => a - b)[Math.ceil(share * values.length) - 1]!
}

const cases = foreign.map(({ engine, create }) => ({
  ...{ engine, create, generation: (engine === 'mysql' ? '2025-05' : '2026-08') as Generation },
  // Both of our own stores have their turn.
  store: engine === 'sqlite' ? stores.at(-1)! : stores[0]!,
}))

describe.each(cases)(
  'reports of a gateway of $generation on $engine, kept in $store.name',
  ({ create, generation, store }) => {
    test('series, tops, heat maps, key figures and files are the truth to the unit', async () => {
      const world = await openWorld(await store.open(migrations))
      closers.push(world.close)
      const gateway = makeGateway({ seed: 17, events: 500, from: begin / 1000, to: testNow / 1000, generation })
      const database = await create()
      await createTables(database, generation)
      await writeRows(database, gateway, [...gateway.rows, ...gateway.late])
      await world.add({ dsn: database.dsn })
      await world.open().round()
      const calls = [...gateway.calls, ...gateway.lateCalls]

      const principal = { role: 'super_admin', kind: 'admin_key', tenantId: '', userId: '' }
      const asked = { start_ms: begin, end_ms: end, source: 'prod' }
      const ask = async (path: string, input: object, method = 'GET'): Promise<Json> => {
        const route = world.usage.routes.find((each) => each.path === path && each.method === method)!
        const given = method === 'GET' ? { query: route.query!.parse(input) } : { body: route.body!.parse(input) }
        return route.handle({ principal, ...given } as never)
      }

      const seriesOf = (slotMs: number) => {
        const slots = Map.groupBy(calls, ({ seconds }) => seconds * 1000 - ((seconds * 1000) % slotMs))
        const first = begin - (begin % slotMs)
        return Array.from({ length: Math.ceil((end - first) / slotMs) }, (_, i) => first + i * slotMs).map(
          (bucket) => ({
            ...{ bucket: Math.max(bucket, first), ...withPeople(slots.get(bucket) ?? []) },
          }),
        )
      }
      for (const slot_sec of [900, 1800, 3600, 86_400]) {
        const { data } = await ask('/api/stats/series', { ...asked, slot_sec })
        expect({ slot_sec, data }).toEqual({ slot_sec, data: seriesOf(slot_sec * 1000) })
      }
      const asWell = { user: metrics, model: metrics } as Record<string, readonly (typeof metrics)[number][]>
      for (const by of Object.keys(told)) {
        for (const metric of asWell[by] ?? (['quota_sum'] as const)) {
          const truth = topOf(calls, by, metric)
          const answer = await ask('/api/stats/top', { ...asked, by, metric, limit: 1000 })
          const names = ['username', 'token_name', 'channel_name']
          const data = answer.data.map((row: object) =>
            Object.fromEntries(Object.entries(row).filter(([name]) => !names.includes(name))),
          )
          expect({ by, metric, data }).toEqual({ by, metric, data: truth })
        }
      }
      const { data: two } = await ask('/api/stats/top', { ...asked, by: 'user', metric: 'tokens', limit: 2 })
      expect(two).toMatchObject(topOf(calls, 'user', 'tokens').slice(0, 2))
      for (const time_zone of ['UTC', 'Asia/Shanghai', 'Asia/Kathmandu', 'America/New_York']) {
        const { data } = await ask('/api/stats/heatmap', { ...asked, time_zone })
        expect({ time_zone, data }).toEqual({ time_zone, data: heatOf(calls, time_zone) })
      }

      const { data: kpi, previous } = await ask('/api/stats/kpi', asked)
      const truth = withPeople(calls)
      expect(kpi).toMatchObject({ ...truth, aborted: 0, refused: 0, cache_hits: 0 })
      expect(previous).toMatchObject(withPeople([]))
      const sum = (pick: (call: TrueCall) => number) => calls.reduce((total, call) => total + pick(call), 0)
      const latencies = calls.flatMap(({ latencyMs }) => (latencyMs === null ? [] : [latencyMs]))
      const firsts = calls.flatMap(({ firstTokenMs }) => (firstTokenMs === null ? [] : [firstTokenMs]))
      expect(kpi.success_rate).toBeCloseTo(truth.successes / truth.reqs, 12)
      expect(kpi.latency_ms_avg).toBeCloseTo(sum((call) => call.latencyMs ?? 0) / truth.reqs, 9)
      expect(kpi.first_token_ms_avg).toBeCloseTo(sum((call) => call.firstTokenMs ?? 0) / firsts.length, 9)
      for (const [name, values, share] of [
        ['latency_ms_p50', latencies, 0.5],
        ['latency_ms_p95', latencies, 0.95],
        ['latency_ms_p99', latencies, 0.99],
        ['first_token_ms_p50', firsts, 0.5],
        ['first_token_ms_p95', firsts, 0.95],
      ] as const) {
        expect(Math.abs(kpi[name] / quantile(values, share) - 1)).toBeLessThanOrEqual(0.0201)
      }

      // Two dimensions at once, narrowed to some of a third.
      const query = {
        ...{
          from: begin,
          to: end,
          dimensions: ['user', 'model'],
          measures: ['requests', 'cost_nano_usd'],
          limit: 10_000,
        },
        filters: { source: 'prod', endpoint: ['/v1/messages', '/v1/responses'] },
      }
      const { data: groups } = await ask('/api/stats/query', query, 'POST')
      const some = calls.filter(({ path }) => query.filters.endpoint.includes(path))
      const wanted = [...Map.groupBy(some, ({ user, served }) => JSON.stringify([idOf(user), served]))].map(
        ([key, each]) => {
          const [user, model] = JSON.parse(key)
          const { reqs, cost_nano_usd } = sumsOf(each)
          return { user, model, requests: reqs, cost_nano_usd }
        },
      )
      const inOrder = (rows: object[]) => rows.map((row) => JSON.stringify(row)).sort()
      expect(inOrder(groups)).toEqual(inOrder(wanted))

      // What a file says is what the truth says, cell for cell.
      const tables = [
        { query_type: 'series', slot_sec: 3600, rows: seriesOf(3_600_000) },
        { query_type: 'top', by: 'model', metric: 'reqs', rows: topOf(calls, 'model', 'reqs') },
        { query_type: 'heatmap', time_zone: 'Asia/Kathmandu', rows: heatOf(calls, 'Asia/Kathmandu') },
      ]
      for (const { rows, ...wish } of tables) {
        for (const format of ['csv', 'json', 'xlsx']) {
          const file = await ask(`/api/export/${format}`, { ...asked, ...wish })
          expect({ format, wish, rows: await readFile(format, file.body) }).toEqual({
            format,
            wish,
            rows: inText(rows),
          })
        }
      }
      // Single requests of a source stay where they are.
      const none = await ask('/api/export/json', { ...asked, query_type: 'requests' })
      expect(JSON.parse((await bytesOf(none.body)).toString()).data).toEqual([])
    }, 120_000)
  },
)

const inText = (rows: readonly object[]) =>
  rows.map((row) => Object.fromEntries(Object.entries(row).map(([name, cell]) => [name, String(cell)])))

async function bytesOf(body: Readable): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of body) chunks.push(Buffer.from(chunk))
  return Buffer.concat(chunks)
}

/** Rows by the names of their columns, every cell as a text. */
async function readFile(format: string, body: Readable): Promise<Record<string, string>[]> {
  const bytes = await bytesOf(body)
  if (format === 'json') return inText(JSON.parse(bytes.toString()).data)
  const cellOf = (cell: unknown) => (cell instanceof Date ? Math.round(cell.getTime() / 1000) * 1000 : (cell ?? ''))
  const [columns, ...rows] =
    format === 'xlsx'
      ? (await readSheet(bytes)).map((row) => row.map((cell) => String(cellOf(cell))))
      : bytes
          .toString()
          .slice(1)
          .trimEnd()
          .split('\r\n')
          .map((line) => line.split(','))
  // A text that a spreadsheet would run has an apostrophe in front.
  return rows.map((row) => Object.fromEntries(columns!.map((name, i) => [name, row[i]!.replace(/^'(?==)/, '')])))
}
