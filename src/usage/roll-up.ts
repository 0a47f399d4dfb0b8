import { countDetails } from './details.ts'
import { addRequest } from './measures.ts'
import { type HourlyMeasure, type HourlyRow, hourlyKeys, hourlyMeasures, type SummedRow } from './rows.ts'

export const hourMs = 3_600_000

/**
 * Sums rows by hour and by every key. The result is in the order of its keys: writers that meet in PostgreSQL then lock
 * rows in the same order and never deadlock.
 */
export function rollUp(rows: readonly SummedRow[]): HourlyRow[] {
  const sums = new Map<string, HourlyRow>()
  for (const row of rows) {
    const key = rowKey(row)
    let sum = sums.get(key)
    if (sum === undefined) {
      sum = startSum(row)
      sums.set(key, sum)
    }
    add(sum, row)
  }
  return inOrder(sums)
}

/** Every measure of `a` less that of `b`, in the order of `rollUp`; keys whose measures are all equal are left out. */
export function differenceOf(a: readonly HourlyRow[], b: readonly HourlyRow[]): HourlyRow[] {
  const differences = new Map<string, HourlyRow>(a.map((sum) => [sumKey(sum), { ...sum }]))
  for (const sum of b) {
    const key = sumKey(sum)
    const from = differences.get(key) ?? { ...sum, ...noMeasures }
    for (const measure of hourlyMeasures) from[measure] -= sum[measure]
    differences.set(key, from)
  }
  return inOrder(differences).filter((sum) => hourlyMeasures.some((measure) => sum[measure] !== 0))
}

const noMeasures = Object.fromEntries(hourlyMeasures.map((measure) => [measure, 0])) as Record<HourlyMeasure, number>

// No text of a row holds a NUL.
function sumKey(sum: HourlyRow): string {
  return hourlyKeys.map((name) => sum[name]).join('\0')
}

/** The key that `startSum` of the row has, written out: this runs for every row on the thread that serves. */
function rowKey(row: SummedRow): string {
  const { tenant_id, user_id, key_id, provider_id, model_served, endpoint, outcome, is_synthetic } = row
  const who = `${hourOf(row)}\0${tenant_id}\0${user_id}\0${key_id}`
  return `${who}\0${provider_id}\0${askedOf(row)}\0${model_served}\0${endpoint}\0${outcome}\0${is_synthetic}`
}

function inOrder(sums: ReadonlyMap<string, HourlyRow>): HourlyRow[] {
  return [...sums].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, sum]) => sum)
}

function hourOf(row: SummedRow): number {
  return row.started_at - (row.started_at % hourMs)
}

/** What was refused was asked for under names of the callers' invention: a row each would have no end. */
function askedOf(row: SummedRow): string {
  return row.outcome === 'refused' ? '' : row.model_asked
}

function startSum(row: SummedRow): HourlyRow {
  return {
    hour: hourOf(row),
    tenant_id: row.tenant_id,
    user_id: row.user_id,
    key_id: row.key_id,
    provider_id: row.provider_id,
    model_asked: askedOf(row),
    model_served: row.model_served,
    endpoint: row.endpoint,
    outcome: row.outcome,
    is_synthetic: row.is_synthetic,
    ...noMeasures,
  }
}

function add(sum: HourlyRow, row: SummedRow): void {
  addRequest(sum, row)
  if (row.usage_source === 'estimated') sum.estimated_requests++
  if (row.usage_details !== '') addDetails(sum, row.usage_details)
}

function addDetails(sum: HourlyRow, text: string): void {
  const details = countDetails(text)
  sum.tokens_cached_write_1h += details.tokens_cached_write_1h
  sum.tokens_audio_in += details.tokens_audio_in
  sum.tokens_audio_out += details.tokens_audio_out
  sum.tokens_image_in += details.tokens_image_in
  sum.tokens_image_out += details.tokens_image_out
  sum.images += details.images
  sum.audio_ms += details.audio_ms
  sum.characters += details.characters
  sum.searches += details.searches
}
