import { addRequest } from '../measures.ts'
import type { SummedRow } from '../rows.ts'
import {
  type CubeKey,
  type CubeRow,
  cubeKeys,
  type DurationRow,
  dayMs,
  demoSource,
  dimensionColumns,
  durationFacets,
  type FacetRow,
  facets,
  hourMs,
  type LatencyRow,
  type Measures,
  measures,
  quarterMs,
  type UsageFact,
} from './schema.ts'
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

/** The rows to add to each table, in the order of their keys: writers that meet in PostgreSQL then never deadlock. */
export type RollUps = {
  usage_facets_quarter: FacetRow[]
  usage_facets_hour: FacetRow[]
  usage_facets_day: FacetRow[]
  usage_cube_quarter: CubeRow[]
  usage_cube_day: CubeRow[]
  usage_latency_hour: LatencyRow[]
  usage_latency_day: LatencyRow[]
  usage_durations_hour: DurationRow[]
  usage_durations_day: DurationRow[]
}

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
  for (const fact of facts) {
    const slot = fact.at - (fact.at % quarterMs)
    const keys = Object.fromEntries(cubeKeys.map((name) => [name, fact.keys[name] ?? ''])) as Record<CubeKey, string>
    const tags = [...new Set(fact.tags ?? [])]
    const key = JSON.stringify([slot, keys, tags])
    let cell = cells.get(key)
    if (cell === undefined) {
      cell = { slot, source, tags, latencies: new Map(), firstTokens: new Map(), ...keys, ...noMeasures }
      cells.set(key, cell)
    }
    for (const name of measures) cell[name] += fact.measures[name] ?? 0
    for (const ms of fact.latenciesMs ?? []) count(cell.latencies, bucketOf(ms), 1)
    for (const ms of fact.firstTokensMs ?? []) count(cell.firstTokens, bucketOf(ms), 1)
  }
}

/** What every table is to be given of the cells. Sums that come to nothing are left out. */
export function spread(cells: Iterable<Cell>): RollUps {
  const all = [...cells]
  const cubeOf = (grain: number) => sumUp(all, (cell) => [cubeRow(cell, grain)])
  const facetsOf = (grain: number) => sumUp(all, (cell) => facetRows(cell, grain))
  const [latencyHour, latencyDay] = [latencyRows(all, hourMs), latencyRows(all, dayMs)]
  return {
    usage_facets_quarter: facetsOf(quarterMs),
    usage_facets_hour: facetsOf(hourMs),
    usage_facets_day: facetsOf(dayMs),
    usage_cube_quarter: cubeOf(quarterMs),
    usage_cube_day: cubeOf(dayMs),
    usage_latency_hour: latencyHour,
    usage_latency_day: latencyDay,
    usage_durations_hour: durationRows(latencyHour),
    usage_durations_day: durationRows(latencyDay),
  }
}

/** Of the finest grains alone: the others are added up of them where they are stored. */
export function spreadFinest(cells: Iterable<Cell>): RollUps {
  const all = [...cells]
  const latencies = latencyRows(all, hourMs)
  return {
    usage_facets_quarter: sumUp(all, (cell) => facetRows(cell, quarterMs)),
    usage_cube_quarter: sumUp(all, (cell) => [cubeRow(cell, quarterMs)]),
    usage_latency_hour: latencies,
    usage_durations_hour: durationRows(latencies),
    ...{ usage_facets_hour: [], usage_facets_day: [], usage_cube_day: [] },
    ...{ usage_latency_day: [], usage_durations_day: [] },
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

function cubeRow(cell: Cell, grain: number): { key: string; row: CubeRow } {
  const slot = cell.slot - (cell.slot % grain)
  const keys = Object.fromEntries(cubeKeys.map((name) => [name, cell[name]])) as Record<CubeKey, string>
  const key = `${slot}\0${cell.source}\0${Object.values(keys).join('\0')}`
  return { key, row: { slot, source: cell.source, ...keys, ...noMeasures } }
}

function facetRows(cell: Cell, grain: number): { key: string; row: FacetRow }[] {
  const slot = cell.slot - (cell.slot % grain)
  const { source, tenant_id } = cell
  const values = [
    ['', ''] as const,
    ...facets.map((facet) => [facet, cell[dimensionColumns[facet]]] as const),
    ...(cell.tags.length === 0 ? [''] : cell.tags).map((tag) => ['tag', tag] as const),
  ]
  return values.map(([facet, value]) => ({
    key: `${slot}\0${source}\0${tenant_id}\0${facet}\0${value}`,
    row: { slot, source, facet, value, tenant_id, ...noMeasures },
  }))
}

function sumUp<Row extends Measures>(
  cells: readonly Cell[],
  rowsOf: (cell: Cell) => readonly { key: string; row: Row }[],
): Row[] {
  const sums = new Map<string, Row>()
  for (const cell of cells) {
    for (const { key, row } of rowsOf(cell)) {
      const sum: Measures = sums.get(key) ?? row
      if (sum === row) sums.set(key, row)
      for (const name of measures) sum[name] += cell[name]
    }
  }
  return inOrder(sums).filter((row) => measures.some((name) => row[name] !== 0))
}

function latencyRows(cells: readonly Cell[], grain: number): LatencyRow[] {
  const sums = new Map<string, LatencyRow>()
  for (const cell of cells) {
    const slot = cell.slot - (cell.slot % grain)
    const { source, tenant_id, model_served, provider_id } = cell
    for (const [kind, buckets] of [['latency', cell.latencies] as const, ['first_token', cell.firstTokens] as const]) {
      for (const [bucket, amount] of buckets) {
        const key = `${slot}\0${source}\0${kind}\0${tenant_id}\0${model_served}\0${provider_id}\0${bucket}`
        const sum = sums.get(key)
        if (sum !== undefined) sum.amount += amount
        else sums.set(key, { slot, source, kind, tenant_id, model_served, provider_id, bucket, amount })
      }
    }
  }
  return inOrder(sums).filter(({ amount }) => amount !== 0)
}

/** The same counts whatever the model and provider. */
function durationRows(rows: readonly LatencyRow[]): DurationRow[] {
  const sums = new Map<string, DurationRow>()
  for (const { slot, source, kind, tenant_id, bucket, amount } of rows) {
    const values = { '': '', tenant: tenant_id }
    for (const facet of durationFacets) {
      const value = values[facet]
      const key = `${facet}\0${kind}\0${slot}\0${source}\0${value}\0${bucket}`
      const sum = sums.get(key)
      if (sum !== undefined) sum.amount += amount
      else sums.set(key, { facet, slot, source, kind, value, bucket, amount })
    }
  }
  return inOrder(sums).filter(({ amount }) => amount !== 0)
}

function inOrder<Row>(sums: ReadonlyMap<string, Row>): Row[] {
  return [...sums].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, row]) => row)
}
