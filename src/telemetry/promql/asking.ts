import type { QueryResult, RangeSeries } from '../schema.ts'
import { toRecord } from './labels.ts'
import { type Bounds, type Engine, queryInstant, queryRange, type Ranged } from './query.ts'

/** For whoever asks in this thread, where nobody else waits. */
const bounds: Bounds = { maxSamples: 50_000_000, timeoutMs: 60_000 }

/** The value of an expression at a moment, as other rooms read it; throws QueryError. */
export function askInstant(engine: Engine, expression: string, atMs: number): QueryResult {
  const result = queryInstant(engine, expression, atMs, bounds)
  if (result.type === 'vector') {
    return { type: 'vector', series: result.series.map(({ labels, value }) => ({ labels: toRecord(labels), value })) }
  }
  return result.type === 'matrix' ? { type: 'matrix', series: result.series.map(toPoints) } : result
}

/** Its values at each step; throws QueryError. */
export function askRange(
  engine: Engine,
  expression: string,
  range: { startMs: number; endMs: number; stepMs: number },
): RangeSeries[] {
  return queryRange(engine, expression, range, bounds).map(toPoints)
}

function toPoints({ labels, times, values }: Ranged): RangeSeries {
  return { labels: toRecord(labels), points: Array.from(times, (at, i) => [at, values[i]!] as const) }
}
