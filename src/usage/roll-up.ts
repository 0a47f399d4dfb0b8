import { countDetails } from './details.ts'
import { type HourlyMeasure, type HourlyRow, hourlyKeys, hourlyMeasures, type SummedRow } from './rows.ts'

export const hourMs = 3_600_000

/**
 * Sums rows by hour and by every key. The result is in the order of its keys: writers that meet in PostgreSQL then lock
 * rows in the same order and never deadlock.
 */
export function rollUp(rows: readonly SummedRow[]): HourlyRow[] {
  const sums = new Map<string, HourlyRow>()
  for (const row of rows) {
    const one = hourlyOf(row)
    const key = hourKey(one)
    const sum = sums.get(key)
    if (sum === undefined) sums.set(key, one)
    else for (const measure of hourlyMeasures) sum[measure] += one[measure]
  }
  return [...sums].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, sum]) => sum)
}

/** Tells sums apart by all their keys. No text of a row holds a NUL. */
export function hourKey(sum: HourlyRow): string {
  return hourlyKeys.map((name) => sum[name]).join('\0')
}

/** Every measure of `a` less that of `b`, in the order of `rollUp`; keys whose measures are all equal are left out. */
export function differenceOf(a: readonly HourlyRow[], b: readonly HourlyRow[]): HourlyRow[] {
  const differences = new Map<string, HourlyRow>(a.map((sum) => [hourKey(sum), { ...sum }]))
  for (const sum of b) {
    const key = hourKey(sum)
    const from = differences.get(key) ?? { ...sum, ...noMeasures }
    for (const measure of hourlyMeasures) from[measure] -= sum[measure]
    differences.set(key, from)
  }
  return [...differences]
    .filter(([, sum]) => hourlyMeasures.some((measure) => sum[measure] !== 0))
    .sort(([x], [y]) => (x < y ? -1 : 1))
    .map(([, sum]) => sum)
}

const noMeasures = Object.fromEntries(hourlyMeasures.map((measure) => [measure, 0])) as Record<HourlyMeasure, number>

function hourlyOf(row: SummedRow): HourlyRow {
  const when = (yes: boolean) => (yes ? 1 : 0)
  const details = countDetails(row.usage_details)
  return {
    hour: row.started_at - (row.started_at % hourMs),
    tenant_id: row.tenant_id,
    user_id: row.user_id,
    key_id: row.key_id,
    provider_id: row.provider_id,
    // What was refused was asked for under names of the callers' invention: a row each would have no end.
    model_asked: row.outcome === 'refused' ? '' : row.model_asked,
    model_served: row.model_served,
    endpoint: row.endpoint,
    outcome: row.outcome,
    is_synthetic: row.is_synthetic,
    requests: 1,
    successes: when(row.outcome === 'success'),
    failures: when(row.outcome === 'failure'),
    aborted: when(row.outcome === 'aborted'),
    truncated: when(row.outcome === 'truncated'),
    refused: when(row.outcome === 'refused'),
    attempts: row.attempts,
    tokens_in: row.tokens_in,
    tokens_out: row.tokens_out,
    tokens_cached_read: row.tokens_cached_read,
    tokens_cached_write: row.tokens_cached_write,
    tokens_reasoning: row.tokens_reasoning,
    cost_nano_usd: row.cost_nano_usd ?? 0,
    unpriced_requests: when(row.cost_nano_usd === null),
    estimated_requests: when(row.usage_source === 'estimated'),
    latency_ms_sum: row.latency_ms,
    first_token_ms_sum: row.first_token_ms ?? 0,
    first_token_count: when(row.first_token_ms !== null),
    tokens_cached_write_1h: details.tokens_cached_write_1h,
    tokens_audio_in: details.tokens_audio_in,
    tokens_audio_out: details.tokens_audio_out,
    tokens_image_in: details.tokens_image_in,
    tokens_image_out: details.tokens_image_out,
    images: details.images,
    audio_ms: details.audio_ms,
    characters: details.characters,
    searches: details.searches,
    cache_hits: when(row.cache_hit !== ''),
    wasted_nano_usd: row.wasted_nano_usd ?? 0,
    unpriced_wasted: when(row.wasted_nano_usd === null),
  }
}
