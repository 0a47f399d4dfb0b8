import { type Context, createMeter, type Series, timeOf, type Value } from './context.ts'
import { evaluate, lookAt, type RangedSeries, readRange, runSubquery } from './evaluate.ts'
import { compareLabels } from './labels.ts'
import { parse } from './parse.ts'
import type { Source } from './source.ts'
import { type At, type Generation, QueryError, unwrap } from './syntax.ts'
import { typeOf } from './types.ts'

export type Engine = {
  source: Source
  /** Milliseconds that never go back. */
  now(): number
  /** Called now and then while a query runs. */
  breathe?: () => void
  generation?: Generation
  lookbackMs?: number
  intervalMs?: number
}

export type Bounds = { maxSamples: number; timeoutMs: number }

export const maxSteps = 11_000

/** The result of a query at one moment. */
export type Instant =
  | { type: 'vector'; series: { labels: Series['labels']; value: number }[]; atMs: number }
  | { type: 'matrix'; series: Ranged[] }
  | { type: 'scalar'; value: number; atMs: number }
  | { type: 'string'; value: string; atMs: number }

export type Ranged = { labels: Series['labels']; times: Float64Array; values: Float64Array }

/** The value of `text` at `atMs`; throws QueryError. */
export function queryInstant(engine: Engine, text: string, atMs: number, bounds: Bounds): Instant {
  const expr = parse(text, engine.generation)
  const context = createContext(engine, { startMs: atMs, endMs: atMs, stepMs: 1 }, bounds)
  const inner = unwrap(expr)
  if (inner.kind === 'range')
    return readMatrix(readRange(context, inner, 'last'), context, inner.selector, inner.rangeMs)
  if (inner.kind === 'subquery') return readMatrix(runSubquery(context, inner), context, inner, inner.rangeMs)
  const value = evaluate(context, expr)
  if (value.kind === 'string') return { type: 'string', value: value.value, atMs }
  if (value.kind === 'scalar') return { type: 'scalar', value: value.values[0]!, atMs }
  const series = value.series.flatMap(({ labels, values, has }) =>
    has[0] === 1 ? [{ labels, value: values[0]! }] : [],
  )
  return { type: 'vector', series, atMs }
}

/** The value of `text` at every step from `startMs` to `endMs`, by labels; throws QueryError. */
export function queryRange(
  engine: Engine,
  text: string,
  { startMs, endMs, stepMs }: { startMs: number; endMs: number; stepMs: number },
  bounds: Bounds,
): Ranged[] {
  if (!(stepMs > 0)) {
    throw new QueryError(
      'bad_data',
      'zero or negative query resolution step widths are not accepted. Try a positive integer',
    )
  }
  if (endMs < startMs)
    throw new QueryError('bad_data', 'invalid parameter "end": end timestamp must not be before start time')
  if ((endMs - startMs) / stepMs > maxSteps) {
    throw new QueryError(
      'bad_data',
      'exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)',
    )
  }
  const expr = parse(text, engine.generation)
  const type = typeOf(expr)
  if (type !== 'scalar' && type !== 'vector') {
    const name = type === 'matrix' ? 'range vector' : type
    throw new QueryError(
      'bad_data',
      `invalid expression type ${JSON.stringify(name)} for range query, must be Scalar or instant Vector`,
    )
  }
  const context = createContext(engine, { startMs, endMs, stepMs }, bounds)
  return toRanged(context, evaluate(context, expr))
}

function createContext(
  engine: Engine,
  { startMs, endMs, stepMs }: { startMs: number; endMs: number; stepMs: number },
  { maxSamples, timeoutMs }: Bounds,
): Context {
  const { source, now, breathe = () => {}, generation = 3, lookbackMs = 300_000, intervalMs = 60_000 } = engine
  return {
    ...{ source, generation, lookbackMs, intervalMs, startMs, stepMs },
    meter: createMeter({ maxSamples, timeoutMs, deadline: now() + timeoutMs }, now, breathe),
    steps: Math.floor((endMs - startMs) / stepMs) + 1,
    queryStartMs: startMs,
    queryEndMs: endMs,
  }
}

/** The samples of a range themselves. */
function readMatrix(
  series: readonly RangedSeries[],
  context: Context,
  place: { at: At; offsetMs: number },
  rangeMs: number,
): Instant {
  const to = lookAt(context, place, context.startMs)
  const from = to - rangeMs + (context.generation >= 3 ? 1 : 0)
  const kept = series.map(({ labels, times, values }) => {
    const isIn = (_: number, i: number) => times[i]! >= from && times[i]! <= to
    return { labels, times: times.filter(isIn), values: values.filter(isIn) }
  })
  return { type: 'matrix', series: kept.filter(({ times }) => times.length > 0) }
}

function toRanged(context: Context, value: Value): Ranged[] {
  if (value.kind === 'string') throw new QueryError('internal', 'a string has no range')
  const series: readonly Series[] =
    value.kind === 'vector'
      ? value.series
      : [{ labels: { pairs: [], key: '' }, values: value.values, has: new Uint8Array(context.steps).fill(1) }]
  return series
    .map(({ labels, values, has }) => {
      const kept = Array.from(has.keys()).filter((step) => has[step] === 1)
      return {
        labels,
        times: Float64Array.from(kept, (step) => timeOf(context, step)),
        values: Float64Array.from(kept, (step) => values[step]!),
      }
    })
    .filter(({ times }) => times.length > 0)
    .sort((a, b) => compareLabels(a.labels, b.labels))
}
