import { addRequest } from '../measures.ts'
import type { SummedRow } from '../rows.ts'
import { type CubeKey, cubeKeys, demoSource, type Measures, measures, quarterMs, type UsageFact } from './schema.ts'
import { bucketOf } from './sketch.ts'

/** Everything of one quarter of an hour that shares every key and every tag. */
export type Cell = {
  slot: number
  source: string
  tags: readonly string[]
  latencies: Map<number, number>
  firstTokens: Map<number, number>
} & Record<CubeKey, string> &
  Measures

const noKeys = Object.fromEntries(cubeKeys.map((name) => [name, ''])) as Record<CubeKey, string>
export const noMeasures = Object.fromEntries(measures.map((name) => [name, 0])) as Measures

/**
 * Adds rows to `cells`, or takes them away with `sign` -1. One look-up a row, because this runs for every request on the
 * thread that serves; what the other tables need is made of the few cells afterwards.
 */
export function foldRows(cells: Map<string, Cell>, rows: readonly SummedRow[], sign: 1 | -1 = 1): void {
  for (const row of rows) {
    const slot = row.started_at - (row.started_at % quarterMs)
    const { tenant_id, user_id, key_id, provider_id, provider_key_id, model_served, endpoint, outcome, tags } = row
    const who = `${slot}\0${row.is_synthetic}\0${tenant_id}\0${user_id}\0${key_id}\0${tags}\0${endpoint}`
    const what = `${provider_id}\0${provider_key_id}\0${row.model_asked}\0${model_served}\0${outcome}`
    const key = `${who}\0${what}\0${row.status}\0${row.error_code}\0${row.cache_hit}\0${row.stream}\0${row.agent}\0${row.service}`
    let cell = cells.get(key)
    if (cell === undefined) {
      cell = startCell(row, slot)
      cells.set(key, cell)
    }
    add(cell, row, sign)
  }
}

/** What a foreign source counted, as cells. */
export function foldFacts(cells: Map<string, Cell>, facts: readonly UsageFact[], source: string): void {
  for (const { at, keys, tags = [], measures: added, latenciesMs = [], firstTokensMs = [] } of facts) {
    const slot = at - (at % quarterMs)
    let key = `${slot}\0${tags.length === 0 ? '' : JSON.stringify(tags)}`
    for (const name of cubeKeys) key += `\0${keys[name] ?? ''}`
    let cell = cells.get(key)
    if (cell === undefined) {
      cell = {
        slot,
        source,
        tags: [...new Set(tags)],
        latencies: new Map(),
        firstTokens: new Map(),
        ...noKeys,
        ...noMeasures,
      }
      for (const name of cubeKeys) cell[name] = keys[name] ?? ''
      cells.set(key, cell)
    }
    for (const name of measures) cell[name] += added[name] ?? 0
    for (const ms of latenciesMs) count(cell.latencies, bucketOf(ms), 1)
    for (const ms of firstTokensMs) count(cell.firstTokens, bucketOf(ms), 1)
  }
}

function startCell(row: SummedRow, slot: number): Cell {
  const tags = row.tags === '' ? [] : [...new Set(JSON.parse(row.tags) as string[])]
  return {
    slot,
    source: row.is_synthetic === 1 ? demoSource : '',
    tags,
    latencies: new Map(),
    firstTokens: new Map(),
    tenant_id: row.tenant_id,
    user_id: row.user_id,
    key_id: row.key_id,
    agent: row.agent === '' ? agentOf(tags) : row.agent,
    // What was refused was asked for under names of the callers' invention: a row each would have no end.
    model_asked: row.outcome === 'refused' ? '' : row.model_asked,
    model_served: row.model_served,
    provider_id: row.provider_id,
    provider_key_id: row.provider_key_id,
    endpoint: row.endpoint,
    status_class: `${Math.trunc(row.status / 100)}xx`,
    error_kind: row.error_code,
    cache_hit: row.cache_hit,
    stream: String(row.stream),
    service: row.service,
    ...noMeasures,
  }
}

/** A tag such as `agent:researcher` names the agent that called. */
export const agentTag = 'agent:'

/** The agent that a key's tags name, '' for none. */
export function agentOf(tags: readonly string[]): string {
  return tags.find((tag) => tag.startsWith(agentTag))?.slice(agentTag.length) ?? ''
}

function add(cell: Cell, row: SummedRow, sign: 1 | -1): void {
  addRequest(cell, row, sign)
  count(cell.latencies, bucketOf(row.latency_ms), sign)
  if (row.first_token_ms === null) return
  count(cell.firstTokens, bucketOf(row.first_token_ms), sign)
  if (row.stream === 1 && row.latency_ms > row.first_token_ms) {
    cell.generation_ms_sum += sign * (row.latency_ms - row.first_token_ms)
    cell.generation_tokens += sign * row.tokens_out
  }
}

function count(buckets: Map<number, number>, bucket: number, amount: number): void {
  buckets.set(bucket, (buckets.get(bucket) ?? 0) + amount)
}
