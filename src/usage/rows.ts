import type { AnalyticsTables } from './analytics/schema.ts'
import { requestMeasures } from './measures.ts'
import type { Outcome, ServiceTier, UsageEntry } from './schema.ts'

/** The tables of this room, as both engines give them back. Money is nano-USD, times are epoch ms UTC. */
export type UsageTables = {
  request_logs: RequestLogRow
  usage_hourly: HourlyRow
  prices: PriceRow
} & AnalyticsTables

export type RequestLogRow = {
  id: string
  started_at: number
  tenant_id: string
  user_id: string
  key_id: string
  key_name: string
  endpoint: string
  protocol: string
  model_asked: string
  model_served: string
  provider_id: string
  provider_name: string
  provider_type: string
  status: number
  outcome: Outcome
  error_code: string
  error_message: string
  stream: number
  tokens_in: number
  tokens_out: number
  tokens_cached_read: number
  tokens_cached_write: number
  tokens_reasoning: number
  usage_source: UsageEntry['usageSource']
  /** null when no price is known: never 0 for that. */
  cost_nano_usd: number | null
  price_id: string
  first_token_ms: number | null
  latency_ms: number
  attempts: number
  attempt_log: string
  trace_id: string
  client_ip: string
  user_agent: string
  finish_reason: string
  is_synthetic: number
  service_tier: ServiceTier
  /** JSON of what few calls use, by the names of `detailColumns`; '' for none. */
  usage_details: string
  provider_key_id: string
  session_id: string
  /** JSON array of texts, '' for none. */
  tags: string
  route_log: string
  cache_hit: UsageEntry['cacheHit']
  mirror_of: string
  /** Of failed, retried and cancelled attempts, apart from the cost; null when their price is unknown. */
  wasted_nano_usd: number | null
  abort_policy: UsageEntry['abortPolicy']
  /** Who called on whose behalf, '' when nobody says. Rows of former versions have '' and may carry it as a tag. */
  agent: string
  /** The plugin service whose own credential it was, '' for other callers. */
  service: string
}

/** What the hourly sums look at of a request. */
export type SummedRow = Pick<
  RequestLogRow,
  | 'id'
  | 'started_at'
  | 'tenant_id'
  | 'user_id'
  | 'key_id'
  | 'provider_id'
  | 'model_asked'
  | 'model_served'
  | 'endpoint'
  | 'outcome'
  | 'is_synthetic'
  | 'attempts'
  | 'tokens_in'
  | 'tokens_out'
  | 'tokens_cached_read'
  | 'tokens_cached_write'
  | 'tokens_reasoning'
  | 'cost_nano_usd'
  | 'usage_source'
  | 'latency_ms'
  | 'first_token_ms'
  | 'usage_details'
  | 'cache_hit'
  | 'wasted_nano_usd'
  | 'provider_key_id'
  | 'status'
  | 'error_code'
  | 'stream'
  | 'tags'
  | 'agent'
  | 'service'
>

/** A row as it is settled: other rooms sum by session too. */
export type SettledRow = SummedRow & Pick<RequestLogRow, 'session_id'>

export const hourlyKeys = [
  'hour',
  'tenant_id',
  'user_id',
  'key_id',
  'provider_id',
  'model_asked',
  'model_served',
  'endpoint',
  'outcome',
  'is_synthetic',
] as const

export const hourlyMeasures = [
  ...requestMeasures,
  'estimated_requests',
  'tokens_cached_write_1h',
  'tokens_audio_in',
  'tokens_audio_out',
  'tokens_image_in',
  'tokens_image_out',
  'images',
  'audio_ms',
  'characters',
  'searches',
] as const

export type HourlyMeasure = (typeof hourlyMeasures)[number]

/** Sums of the requests of one hour that share every key. All measures are additive. */
export type HourlyRow = {
  hour: number
  tenant_id: string
  user_id: string
  key_id: string
  provider_id: string
  model_asked: string
  model_served: string
  endpoint: string
  outcome: Outcome
  is_synthetic: number
} & Record<HourlyMeasure, number>

/**
 * One version of one price. Rates are nano-USD per million tokens; where one is null, those tokens cost what the input
 * or the output costs. Prices of a unit are nano-USD; where one is null, that unit has no known price.
 */
export type PriceRow = {
  id: string
  /** '' for any. */
  provider_type: string
  /** An exact name, or a prefix followed by `*`. */
  model: string
  /** Applies to calls with more input tokens than this; 0 for all. */
  above_tokens_in: number
  input: number
  output: number
  cached_read: number | null
  cached_write: number | null
  effective_from: number
  /** Holds for calls served under that tier of service only; '' for the usual one. */
  service_tier: ServiceTier
  /** Not null: this row has no rates of its own, tokens cost so many percent of the usual tier's. */
  percent: number | null
  /** `cached_write` is for five minutes; null: the same. */
  cached_write_hour: number | null
  audio_in: number | null
  audio_out: number | null
  image_in: number | null
  image_out: number | null
  per_image: number | null
  per_audio_minute: number | null
  per_million_characters: number | null
  per_search: number | null
  per_request: number | null
  origin: 'book' | 'operator'
  source: string
  created_at: number
}

/** The columns of `request_logs` in the order in which rows are written. */
export const logColumns = columnsOf<RequestLogRow>({
  id: 0,
  started_at: 0,
  tenant_id: 0,
  user_id: 0,
  key_id: 0,
  key_name: 0,
  endpoint: 0,
  protocol: 0,
  model_asked: 0,
  model_served: 0,
  provider_id: 0,
  provider_name: 0,
  provider_type: 0,
  status: 0,
  outcome: 0,
  error_code: 0,
  error_message: 0,
  stream: 0,
  tokens_in: 0,
  tokens_out: 0,
  tokens_cached_read: 0,
  tokens_cached_write: 0,
  tokens_reasoning: 0,
  usage_source: 0,
  cost_nano_usd: 0,
  price_id: 0,
  first_token_ms: 0,
  latency_ms: 0,
  attempts: 0,
  attempt_log: 0,
  trace_id: 0,
  client_ip: 0,
  user_agent: 0,
  finish_reason: 0,
  is_synthetic: 0,
  service_tier: 0,
  usage_details: 0,
  provider_key_id: 0,
  session_id: 0,
  tags: 0,
  route_log: 0,
  cache_hit: 0,
  mirror_of: 0,
  wasted_nano_usd: 0,
  abort_policy: 0,
  agent: 0,
  service: 0,
})

/** The columns of a row in one fixed order; the compiler refuses a list that lacks one. */
export function columnsOf<Row>(columns: Record<keyof Row, 0>): (keyof Row & string)[] {
  return Object.keys(columns) as (keyof Row & string)[]
}

/** A price that has rates of text and of cached text alone. */
export const noOtherRates: Pick<
  PriceRow,
  | 'service_tier'
  | 'percent'
  | 'cached_write_hour'
  | 'audio_in'
  | 'audio_out'
  | 'image_in'
  | 'image_out'
  | 'per_image'
  | 'per_audio_minute'
  | 'per_million_characters'
  | 'per_search'
  | 'per_request'
> = {
  service_tier: '',
  percent: null,
  cached_write_hour: null,
  audio_in: null,
  audio_out: null,
  image_in: null,
  image_out: null,
  per_image: null,
  per_audio_minute: null,
  per_million_characters: null,
  per_search: null,
  per_request: null,
}
