import type { Outcome } from './schema.ts'

/** What every sum of requests counts; all of it is additive. Hourly sums and those for reports have more beside it. */
export const requestMeasures = [
  'requests',
  'successes',
  'failures',
  'aborted',
  'truncated',
  'refused',
  'attempts',
  'tokens_in',
  'tokens_out',
  'tokens_cached_read',
  'tokens_cached_write',
  'tokens_reasoning',
  'cost_nano_usd',
  'unpriced_requests',
  'wasted_nano_usd',
  'unpriced_wasted',
  'cache_hits',
  'latency_ms_sum',
  'first_token_ms_sum',
  'first_token_count',
] as const

export type RequestMeasure = (typeof requestMeasures)[number]

/** What these measures look at of a request. */
export type MeasuredRow = {
  outcome: Outcome
  cost_nano_usd: number | null
  wasted_nano_usd: number | null
  cache_hit: string
  latency_ms: number
  first_token_ms: number | null
  attempts: number
  tokens_in: number
  tokens_out: number
  tokens_cached_read: number
  tokens_cached_write: number
  tokens_reasoning: number
}

const outcomeMeasures = {
  success: 'successes',
  failure: 'failures',
  truncated: 'truncated',
  aborted: 'aborted',
  refused: 'refused',
} as const satisfies Record<MeasuredRow['outcome'], RequestMeasure>

/** Adds one request to a sum, or takes it away with `sign` -1. Written out, because this runs for every request. */
export function addRequest(sum: Record<RequestMeasure, number>, row: MeasuredRow, sign: 1 | -1 = 1): void {
  sum.requests += sign
  sum[outcomeMeasures[row.outcome]] += sign
  sum.attempts += sign * row.attempts
  sum.tokens_in += sign * row.tokens_in
  sum.tokens_out += sign * row.tokens_out
  sum.tokens_cached_read += sign * row.tokens_cached_read
  sum.tokens_cached_write += sign * row.tokens_cached_write
  sum.tokens_reasoning += sign * row.tokens_reasoning
  if (row.cost_nano_usd === null) sum.unpriced_requests += sign
  else sum.cost_nano_usd += sign * row.cost_nano_usd
  if (row.wasted_nano_usd === null) sum.unpriced_wasted += sign
  else sum.wasted_nano_usd += sign * row.wasted_nano_usd
  if (row.cache_hit !== '') sum.cache_hits += sign
  sum.latency_ms_sum += sign * row.latency_ms
  if (row.first_token_ms === null) return
  sum.first_token_ms_sum += sign * row.first_token_ms
  sum.first_token_count += sign
}

/** Adds one sum to another. Written out as well: looking each name up costs most of the time that adding takes. */
export function addSums(sum: Record<RequestMeasure, number>, more: Readonly<Record<RequestMeasure, number>>): void {
  sum.requests += more.requests
  sum.successes += more.successes
  sum.failures += more.failures
  sum.aborted += more.aborted
  sum.truncated += more.truncated
  sum.refused += more.refused
  sum.attempts += more.attempts
  sum.tokens_in += more.tokens_in
  sum.tokens_out += more.tokens_out
  sum.tokens_cached_read += more.tokens_cached_read
  sum.tokens_cached_write += more.tokens_cached_write
  sum.tokens_reasoning += more.tokens_reasoning
  sum.cost_nano_usd += more.cost_nano_usd
  sum.unpriced_requests += more.unpriced_requests
  sum.wasted_nano_usd += more.wasted_nano_usd
  sum.unpriced_wasted += more.unpriced_wasted
  sum.cache_hits += more.cache_hits
  sum.latency_ms_sum += more.latency_ms_sum
  sum.first_token_ms_sum += more.first_token_ms_sum
  sum.first_token_count += more.first_token_count
}
