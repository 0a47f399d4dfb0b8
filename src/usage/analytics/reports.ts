import { type Scope, showTenantId } from '../../kernel/scope.ts'
import { bucketsOf, createWallHours, equalBuckets } from './buckets.ts'
import type { Filters } from './pieces-store.ts'
import { type Answer, type AnswerRow, type Asked, ask, type Question, type ReportStore } from './query.ts'
import { type Dimension, hubSource, type Measure } from './schema.ts'

/** What every report is of: times are epoch ms, `to` is exclusive. */
export type Range = { scope: Scope; from: number; to: number; filters: Filters }

/** The names of what ids stand for, where they still exist. */
export type NamesOf = (
  kind: 'user' | 'key' | 'provider',
  ids: readonly string[],
) => Promise<ReadonlyMap<string, string>>

export type ReportParts = { store: ReportStore; namesOf: NamesOf }

export const topBy = {
  user: { dimension: 'user', id: 'user_id', name: 'username' },
  token: { dimension: 'key', id: 'token_id', name: 'token_name' },
  model: { dimension: 'model', id: null, name: 'model_name' },
  channel: { dimension: 'provider', id: 'channel_id', name: 'channel_name' },
  tenant: { dimension: 'tenant', id: 'tenant_id', name: null },
  agent: { dimension: 'agent', id: null, name: 'agent_name' },
  model_asked: { dimension: 'model_asked', id: null, name: 'model_name' },
  service: { dimension: 'service', id: null, name: 'service_name' },
  endpoint: { dimension: 'endpoint', id: null, name: 'endpoint' },
  error_kind: { dimension: 'error_kind', id: null, name: 'error_kind' },
  tag: { dimension: 'tag', id: null, name: 'tag' },
  source: { dimension: 'source', id: null, name: 'source' },
} as const satisfies Record<string, { dimension: Dimension; id: string | null; name: string | null }>

export type TopBy = keyof typeof topBy

export const topMetrics = {
  tokens: 'tokens',
  reqs: 'requests',
  quota_sum: 'cost_nano_usd',
  cost: 'cost_nano_usd',
  failures: 'failures',
  wasted: 'wasted_nano_usd',
  tokens_in: 'tokens_in',
  tokens_out: 'tokens_out',
} as const satisfies Record<string, Measure | 'tokens'>

export type TopMetric = keyof typeof topMetrics

/** One dollar is so many units of quota in the gateways whose monitor these paths come from. */
const nanoUsdPerQuota = 2000

/** Counts of each slot between `from` and `to`, 0 where nothing came: none before the first and none after the last. */
export async function series(parts: ReportParts, range: Range, slotMs: number) {
  const buckets = equalBuckets(range.from, range.to, slotMs)
  const answer = await ask(parts.store, {
    ...question(range, [...countedMeasures, 'distinct_users', 'distinct_keys']),
    ...{ buckets, limit: buckets.kind === 'equal' ? buckets.starts.length : 1 },
  })
  const found = new Map(answer.rows.map((row) => [row.bucket, row]))
  const starts = buckets.kind === 'equal' ? buckets.starts : []
  return { answer, points: starts.map((bucket) => ({ bucket, ...seriesCounts(found.get(bucket)) })) }
}

function seriesCounts(row: AnswerRow | undefined) {
  return {
    ...counts(row),
    users: row?.measures.distinct_users ?? 0,
    tokens_cnt: row?.measures.distinct_keys ?? 0,
  }
}

/** What `counts` is made of. */
const countedMeasures = [
  ...(['requests', 'tokens', 'tokens_in', 'tokens_out', 'tokens_cached_read', 'tokens_cached_write'] as const),
  ...(['tokens_reasoning', 'successes', 'failures', 'cost_nano_usd', 'unpriced_requests', 'wasted_nano_usd'] as const),
] as const

/** What the monitor's fields are called, and ours beside them. */
export function counts(row: AnswerRow | undefined) {
  const of = (name: (typeof countedMeasures)[number]) => row?.measures[name] ?? 0
  return {
    reqs: of('requests'),
    tokens: of('tokens'),
    quota_sum: Math.round(of('cost_nano_usd') / nanoUsdPerQuota),
    tokens_in: of('tokens_in'),
    tokens_out: of('tokens_out'),
    tokens_cached_read: of('tokens_cached_read'),
    tokens_cached_write: of('tokens_cached_write'),
    tokens_reasoning: of('tokens_reasoning'),
    successes: of('successes'),
    failures: of('failures'),
    cost_nano_usd: of('cost_nano_usd'),
    unpriced_requests: of('unpriced_requests'),
    wasted_nano_usd: of('wasted_nano_usd'),
  }
}

/** The first `limit` of those that `by` tells apart, largest first; ties go by id. What belongs to nobody has the id ''. */
export async function top(parts: ReportParts, range: Range, by: TopBy, metric: TopMetric, limit: number) {
  const { dimension, id, name } = topBy[by]
  const answer = await ask(parts.store, {
    ...question(range, countedMeasures),
    ...{ dimensions: [dimension], order: topMetrics[metric], limit },
  })
  const ids = answer.rows.map((row) => row.values[0]!).filter((value) => value !== '')
  const names =
    ids.length > 0 && (dimension === 'user' || dimension === 'key' || dimension === 'provider')
      ? await parts.namesOf(dimension, ids)
      : new Map<string, string>()
  const rows = answer.rows.map((row) => {
    const stored = row.values[0]!
    const value = dimension === 'tenant' ? showTenantId(stored) : dimension === 'source' ? stored || hubSource : stored
    const named = name === null ? {} : { [name]: id === null ? value : (names.get(stored) ?? null) }
    const labels: Record<string, string | null> = { ...(id === null ? {} : { [id]: value }), ...named }
    return { ...labels, ...counts(row) } as ReturnType<typeof counts> & Record<string, string | number | null>
  })
  return { answer, rows }
}

/** Counts by weekday (Monday is 1) and hour of the day as the zone's clocks show them: all 168, 0 where nothing came. */
export async function heatmap(parts: ReportParts, range: Range, zone: string) {
  const buckets = bucketsOf(range.from, range.to, 'hour', zone)
  const answer = await ask(parts.store, { ...question(range, countedMeasures), buckets, limit: 20_000 })
  const wallOf = createWallHours(zone)
  const cells = Array.from({ length: 168 }, (_, index) => ({
    ...{ weekday: Math.floor(index / 24) + 1, hour: index % 24 },
    ...counts(undefined),
  }))
  for (const row of answer.rows) {
    const { weekday, hour } = wallOf(row.bucket)
    const cell = cells[(weekday - 1) * 24 + hour]!
    for (const [name, amount] of Object.entries(counts(row)) as [keyof ReturnType<typeof counts>, number][]) {
      cell[name] += amount
    }
  }
  return { answer, cells }
}

const kpiMeasures = [
  ...countedMeasures,
  ...(['aborted', 'refused', 'cache_hits', 'success_rate', 'tokens_per_second'] as const),
  ...(['latency_ms_avg', 'first_token_ms_avg'] as const),
  ...(['distinct_users', 'distinct_keys', 'latency_ms_p50', 'latency_ms_p95', 'latency_ms_p99'] as const),
  ...(['first_token_ms_p50', 'first_token_ms_p95'] as const),
] as const

/** One row for the whole range, and the same for the range of the same length before it. */
export async function kpi(parts: ReportParts, range: Range) {
  const length = range.to - range.from
  const [answer, before] = await Promise.all([
    ask(parts.store, question(range, kpiMeasures)),
    ask(parts.store, question({ ...range, from: range.from - length, to: range.from }, kpiMeasures)),
  ])
  return { answer, before, now: indicators(answer), previous: indicators(before) }
}

function indicators({ rows: [row] }: Answer) {
  const of = (name: Asked) => row?.measures[name] ?? null
  return {
    ...seriesCounts(row),
    aborted: of('aborted') ?? 0,
    refused: of('refused') ?? 0,
    cache_hits: of('cache_hits') ?? 0,
    success_rate: of('success_rate'),
    tokens_per_second: of('tokens_per_second'),
    latency_ms_avg: of('latency_ms_avg'),
    first_token_ms_avg: of('first_token_ms_avg'),
    latency_ms_p50: of('latency_ms_p50'),
    latency_ms_p95: of('latency_ms_p95'),
    latency_ms_p99: of('latency_ms_p99'),
    first_token_ms_p50: of('first_token_ms_p50'),
    first_token_ms_p95: of('first_token_ms_p95'),
  }
}

function question(range: Range, measures: readonly Asked[]): Question {
  return { ...range, buckets: { kind: 'one' }, dimensions: [], measures, order: 'bucket', limit: 1 }
}
