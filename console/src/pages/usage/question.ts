import type { Operations } from '../../operations.ts'

type Body = Operations['POST /api/stats/query']['body']
export type Dimension = NonNullable<Body['dimensions']>[number]
export type Figure = NonNullable<Body['measures']>[number]
export type Granularity = NonNullable<Body['granularity']>
type Filters = NonNullable<Body['filters']>

export const dimensions = [
  ...(['model', 'provider', 'user', 'key', 'agent', 'tenant', 'service', 'endpoint', 'tag', 'source'] as const),
  ...(['model_asked', 'provider_key', 'status_class', 'error_kind', 'cache_hit', 'stream'] as const),
] satisfies Dimension[]

export const figures = [
  ...(['requests', 'successes', 'failures', 'success_rate', 'tokens', 'tokens_in', 'tokens_out'] as const),
  ...(['tokens_cached_read', 'cost_nano_usd', 'wasted_nano_usd', 'latency_ms_avg', 'latency_ms_p50'] as const),
  ...(['latency_ms_p95', 'latency_ms_p99', 'first_token_ms_avg', 'first_token_ms_p95', 'tokens_per_second'] as const),
  ...(['distinct_users', 'distinct_keys', 'distinct_ips'] as const),
] satisfies Figure[]

export const granularities = [
  ...(['minute', '5m', '15m', '30m', 'hour', 'day', 'week', 'month'] as const),
] satisfies Granularity[]

/** Questions that people begin with, as they stand in the address. */
export const presets = {
  agentChat: { by: 'agent,model', in: 'tokens_in,tokens_out,tokens,requests', each: 'day', range: '7d' },
  cost: { by: 'model', in: 'cost_nano_usd,tokens,requests', each: 'day', range: '30d' },
  people: { by: 'user', in: 'cost_nano_usd,requests,tokens', each: '', range: '30d' },
  errors: { by: 'provider,error_kind', in: 'failures,requests,success_rate', each: '', range: '7d' },
  speed: {
    by: 'model',
    in: 'latency_ms_p50,latency_ms_p95,first_token_ms_p95,tokens_per_second',
    each: '',
    range: '7d',
  },
  tags: { by: 'tag', in: 'cost_nano_usd,requests', each: 'month', range: '30d' },
} as const

export const pick = <T extends string>(text: string, known: readonly T[]): T[] =>
  text.split(',').filter((one): one is T => (known as readonly string[]).includes(one))

/** `model=gpt-4o` and the like, several of one dimension as any of them; `bad` is the first that is not. */
export function readFilters(texts: readonly string[]): { filters: Filters; bad: string | null } {
  const filters: Record<string, string[]> = {}
  for (const text of texts) {
    const at = text.indexOf('=')
    const name = text.slice(0, at).trim()
    if (at < 1 || !(dimensions as readonly string[]).includes(name)) return { filters: {}, bad: text }
    filters[name] = [...(filters[name] ?? []), text.slice(at + 1).trim()]
  }
  return { filters: filters as Filters, bad: null }
}
