import { addSums } from '../measures.ts'
import { type Cell, noMeasures } from './fold.ts'
import {
  type CubeRow,
  type DurationRow,
  dayMs,
  dimensionColumns,
  durationFacets,
  type FacetRow,
  facets,
  hourMs,
  type LatencyRow,
  type Measures,
  measures,
  quarterMs,
} from './schema.ts'

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

export const noRollUps: RollUps = {
  ...{ usage_facets_quarter: [], usage_facets_hour: [], usage_facets_day: [] },
  ...{ usage_cube_quarter: [], usage_cube_day: [], usage_latency_hour: [], usage_latency_day: [] },
  ...{ usage_durations_hour: [], usage_durations_day: [] },
}

/** What every table is to be given of the cells. Sums that come to nothing are left out. */
export function spread(cells: Iterable<Cell>): RollUps {
  const all = [...cells]
  const [latencyHour, latencyDay] = [latencyRows(all, hourMs), latencyRows(all, dayMs)]
  return {
    usage_facets_quarter: facetRows(all, quarterMs),
    usage_facets_hour: facetRows(all, hourMs),
    usage_facets_day: facetRows(all, dayMs),
    usage_cube_quarter: cubeRows(all, quarterMs),
    usage_cube_day: cubeRows(all, dayMs),
    usage_latency_hour: latencyHour,
    usage_latency_day: latencyDay,
    usage_durations_hour: durationRows(latencyHour),
    usage_durations_day: durationRows(latencyDay),
  }
}

/** Measures by the quarter alone: those of hours and days are added up of them where they are stored. */
export function spreadQuarters(cells: readonly Cell[]): RollUps {
  return {
    ...noRollUps,
    usage_facets_quarter: facetRows(cells, quarterMs),
    usage_cube_quarter: cubeRows(cells, quarterMs),
  }
}

/** Durations by the hour alone, the finest there is of them. */
export function spreadDurations(cells: readonly Cell[]): RollUps {
  const latencies = latencyRows(cells, hourMs)
  return { ...noRollUps, usage_latency_hour: latencies, usage_durations_hour: durationRows(latencies) }
}

/** Written out, as are all sums here: a report's worth of cells is added up on the thread that serves. */
function cubeRows(cells: readonly Cell[], grain: number): CubeRow[] {
  const sums = new Map<string, CubeRow>()
  for (const cell of cells) {
    const { source, tenant_id, user_id, key_id, agent, model_asked, model_served, provider_id, provider_key_id } = cell
    const { endpoint, status_class, error_kind, cache_hit, stream, service } = cell
    const slot = cell.slot - (cell.slot % grain)
    const who = `${slot}\0${source}\0${tenant_id}\0${user_id}\0${key_id}\0${agent}\0${model_asked}\0${model_served}`
    const how = `${provider_id}\0${provider_key_id}\0${endpoint}\0${status_class}\0${error_kind}\0${cache_hit}`
    const key = `${who}\0${how}\0${stream}\0${service}`
    let row = sums.get(key)
    if (row === undefined) {
      row = {
        ...{ slot, source, tenant_id, user_id, key_id, agent, model_asked, model_served, provider_id },
        ...{ provider_key_id, endpoint, status_class, error_kind, cache_hit, stream, service, ...noMeasures },
      }
      sums.set(key, row)
    }
    addMeasures(row, cell)
  }
  return inOrder(sums).filter(isSomething)
}

type Facets = { slot: number; source: string; tenantId: string; rows: Map<string, FacetRow>[] }

const allFacets = ['', ...facets, 'tag'] as const
const facetColumns = facets.map((facet) => dimensionColumns[facet])
const untagged = ['']

/** A cell has a dozen of them: each is looked up by its value alone, among those of its time and tenant. */
function facetRows(cells: readonly Cell[], grain: number): FacetRow[] {
  const groups = new Map<string, Facets>()
  for (const cell of cells) {
    const { source, tenant_id: tenantId, tags } = cell
    const slot = cell.slot - (cell.slot % grain)
    const key = `${slot}\0${source}\0${tenantId}`
    let group = groups.get(key)
    if (group === undefined) {
      group = { slot, source, tenantId, rows: allFacets.map(() => new Map()) }
      groups.set(key, group)
    }
    addFacet(group, 0, '', cell)
    for (let at = 0; at < facetColumns.length; at++) addFacet(group, at + 1, cell[facetColumns[at]!], cell)
    for (const tag of tags.length === 0 ? untagged : tags) addFacet(group, allFacets.length - 1, tag, cell)
  }
  const sums = new Map<string, FacetRow>()
  for (const [key, { rows }] of groups) {
    for (const [at, facet] of allFacets.entries()) {
      for (const [value, row] of rows[at]!) sums.set(`${key}\0${facet}\0${value}`, row)
    }
  }
  return inOrder(sums).filter(isSomething)
}

function addFacet({ slot, source, tenantId, rows }: Facets, at: number, value: string, cell: Cell): void {
  let row = rows[at]!.get(value)
  if (row === undefined) {
    row = { slot, source, facet: allFacets[at]!, value, tenant_id: tenantId, ...noMeasures }
    rows[at]!.set(value, row)
  }
  addMeasures(row, cell)
}

function addMeasures(sum: Measures, cell: Cell): void {
  addSums(sum, cell)
  sum.generation_ms_sum += cell.generation_ms_sum
  sum.generation_tokens += cell.generation_tokens
}

function isSomething(row: Measures): boolean {
  return measures.some((name) => row[name] !== 0)
}

type Durations = {
  of: Omit<LatencyRow, 'kind' | 'bucket' | 'amount'>
  kinds: Record<DurationKind, Map<number, number>>
}
type DurationKind = (typeof durationKinds)[number]

const durationKinds = ['latency', 'first_token'] as const

function latencyRows(cells: readonly Cell[], grain: number): LatencyRow[] {
  const groups = new Map<string, Durations>()
  for (const { slot: quarter, source, tenant_id, model_served, provider_id, latencies, firstTokens } of cells) {
    const slot = quarter - (quarter % grain)
    const key = `${slot}\0${source}\0${tenant_id}\0${model_served}\0${provider_id}`
    let group = groups.get(key)
    if (group === undefined) {
      const of = { slot, source, tenant_id, model_served, provider_id }
      group = { of, kinds: { latency: new Map(), first_token: new Map() } }
      groups.set(key, group)
    }
    addCounts(group.kinds.latency, latencies)
    addCounts(group.kinds.first_token, firstTokens)
  }
  const sums = new Map<string, LatencyRow>()
  for (const { of, kinds } of groups.values()) {
    for (const kind of durationKinds) {
      const key = `${of.slot}\0${of.source}\0${kind}\0${of.tenant_id}\0${of.model_served}\0${of.provider_id}`
      for (const [bucket, amount] of kinds[kind]) {
        if (amount !== 0) sums.set(`${key}\0${bucket}`, { ...of, kind, bucket, amount })
      }
    }
  }
  return inOrder(sums)
}

function addCounts(sum: Map<number, number>, more: ReadonlyMap<number, number>): void {
  for (const [bucket, amount] of more) sum.set(bucket, (sum.get(bucket) ?? 0) + amount)
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
