import { addLatencies, addLatency, type Latencies, quantileOf, readLatencies, writeLatencies } from './latency.ts'
import type { ResultRow, SumRow } from './store.ts'

export const minuteMs = 60_000
export const hourMs = 3_600_000

/** What results came to, in milliseconds that they stand for. Sums of any two spans add up. */
export type Sum = {
  upMs: number
  downMs: number
  unknownMs: number
  maintenanceUpMs: number
  maintenanceDownMs: number
  results: number
  latencies: Latencies
}

export function emptySum(): Sum {
  return {
    upMs: 0,
    downMs: 0,
    unknownMs: 0,
    maintenanceUpMs: 0,
    maintenanceDownMs: 0,
    results: 0,
    latencies: new Map(),
  }
}

/** A failure that is not settled yet counts as down: it was. Latencies are those of answers. */
export function addResult(
  sum: Sum,
  { state, span_ms: spanMs, in_maintenance: inMaintenance, latency_ms }: ResultRow,
): void {
  sum.results++
  if (state === 'inconclusive') sum.unknownMs += spanMs
  else if (state === 'up') {
    if (inMaintenance) sum.maintenanceUpMs += spanMs
    else sum.upMs += spanMs
    addLatency(sum.latencies, latency_ms)
  } else if (inMaintenance) sum.maintenanceDownMs += spanMs
  else sum.downMs += spanMs
}

export function addSum(sum: Sum, row: SumRow): void {
  sum.upMs += row.up_ms
  sum.downMs += row.down_ms
  sum.unknownMs += row.unknown_ms
  sum.maintenanceUpMs += row.maintenance_up_ms
  sum.maintenanceDownMs += row.maintenance_down_ms
  sum.results += row.results
  addLatencies(sum.latencies, readLatencies(row.latencies))
}

export function toSumRow(grainMs: number, checkId: string, at: number, sum: Sum): SumRow {
  return {
    ...{ grain_ms: grainMs, check_id: checkId, at, up_ms: sum.upMs, down_ms: sum.downMs, unknown_ms: sum.unknownMs },
    ...{ maintenance_up_ms: sum.maintenanceUpMs, maintenance_down_ms: sum.maintenanceDownMs, results: sum.results },
    latencies: writeLatencies(sum.latencies),
  }
}

export function describeSum(sum: Sum) {
  const { upMs, downMs, unknownMs, maintenanceUpMs, maintenanceDownMs, results, latencies } = sum
  const allUpMs = upMs + maintenanceUpMs
  const allMs = allUpMs + downMs + maintenanceDownMs
  return {
    uptime: upMs + downMs === 0 ? null : upMs / (upMs + downMs),
    uptime_with_maintenance: allMs === 0 ? null : allUpMs / allMs,
    up_seconds: allUpMs / 1000,
    down_seconds: (downMs + maintenanceDownMs) / 1000,
    inconclusive_seconds: unknownMs / 1000,
    maintenance_seconds: (maintenanceUpMs + maintenanceDownMs) / 1000,
    results,
    p50_ms: quantileOf(latencies, 0.5),
    p95_ms: quantileOf(latencies, 0.95),
  }
}
