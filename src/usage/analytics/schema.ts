import { requestMeasures } from '../measures.ts'

/** What the sums are kept of, as rows and replies name it. */
export const measures = [...requestMeasures, 'generation_ms_sum', 'generation_tokens'] as const

export type Measure = (typeof measures)[number]
export type Measures = Record<Measure, number>

/** The columns that the full sums are kept by, besides time and source; '' where there is none. */
export const cubeKeys = [
  'tenant_id',
  'user_id',
  'key_id',
  'agent',
  'model_asked',
  'model_served',
  'provider_id',
  'provider_key_id',
  'endpoint',
  'status_class',
  'error_kind',
  'cache_hit',
  'stream',
  'service',
] as const

export type CubeKey = (typeof cubeKeys)[number]

/** What reports may be grouped and narrowed by, and the column it stands in. */
export const dimensionColumns = {
  tenant: 'tenant_id',
  user: 'user_id',
  key: 'key_id',
  agent: 'agent',
  model_asked: 'model_asked',
  model: 'model_served',
  provider: 'provider_id',
  provider_key: 'provider_key_id',
  endpoint: 'endpoint',
  status_class: 'status_class',
  error_kind: 'error_kind',
  cache_hit: 'cache_hit',
  stream: 'stream',
  service: 'service',
  source: 'source',
  tag: 'tag',
} as const

export type Dimension = keyof typeof dimensionColumns
export const dimensions = Object.keys(dimensionColumns) as [Dimension, ...Dimension[]]

/** Dimensions that have narrow sums of their own; each row is the whole traffic once more, cut along one of them. */
export const facets = [
  ...(['user', 'key', 'agent', 'model_asked', 'model', 'provider', 'endpoint', 'error_kind', 'service'] as const),
] as const
/** Facets that are no partition: everything at once, and tags, of which a request may have several. */
export type Facet = (typeof facets)[number] | '' | 'tag'

/** Whose durations have narrow counts: everybody's at once, and each tenant's. */
export const durationFacets = ['', 'tenant'] as const
export type DurationFacet = (typeof durationFacets)[number]

/** The source of what `--demo` makes up; '' is our own traffic, any other name a foreign gateway. */
export const demoSource = 'demo'
export const ownSources = ['', demoSource] as const
/** Our own traffic as people write it; `*` is every source there is. Nobody else may be called so. */
export const hubSource = 'hub'
export const everySource = '*'

export const quarterMs = 900_000
export const hourMs = 3_600_000
export const dayMs = 86_400_000
export const grainMs = { quarter: quarterMs, hour: hourMs, day: dayMs } as const
export type Grain = keyof typeof grainMs

/**
 * Sums of what somebody else counted: facts of one quarter of an hour (or of one request) that share every key. Absent
 * keys are '', absent measures 0; `requests` is to be said.
 */
export type UsageFact = {
  /** Epoch ms UTC, any moment in the quarter of an hour. */
  at: number
  keys: Partial<Record<CubeKey, string>>
  tags?: readonly string[]
  measures: Partial<Measures> & Pick<Measures, 'requests'>
  /** Of single requests, for percentiles. */
  latenciesMs?: readonly number[]
  firstTokensMs?: readonly number[]
}

export type FacetRow = { slot: number; source: string; facet: string; value: string; tenant_id: string } & Measures
export type CubeRow = { slot: number; source: string } & Record<CubeKey, string> & Measures
export type LatencyRow = {
  slot: number
  source: string
  kind: string
  tenant_id: string
  model_served: string
  provider_id: string
  bucket: number
  amount: number
}

export type DurationRow = {
  facet: string
  slot: number
  source: string
  kind: string
  value: string
  bucket: number
  amount: number
}

/** The tables of this room, one grain each. */
export type AnalyticsTables = {
  usage_facets_quarter: FacetRow
  usage_facets_hour: FacetRow
  usage_facets_day: FacetRow
  usage_cube_quarter: CubeRow
  usage_cube_day: CubeRow
  usage_latency_hour: LatencyRow
  usage_latency_day: LatencyRow
  usage_durations_hour: DurationRow
  usage_durations_day: DurationRow
  /** Moves whenever sums of the day do. */
  usage_day_versions: { day: number; version: number }
  usage_analytics_state: { name: string; value: number }
}
