import { aggregate } from './aggregate.ts'
import { combineSets, scalarWithScalar, vectorWithScalar, vectorWithVector } from './binary.ts'
import { type Context, emptySeries, relabel, type Series, sameLabels, timeOf, type Value } from './context.ts'
import { histogramQuantile } from './histogram.ts'
import { dateFunctions, elementFunctions } from './instant-functions.ts'
import { joinLabels, replaceLabel } from './label-functions.ts'
import { labelsOf, metricName, noLabels, withoutName } from './labels.ts'
import { nanFirst } from './numbers.ts'
import { rangeFunctions } from './range-functions.ts'
import type { Column, StoredSeries } from './source.ts'
import {
  type At,
  type Call,
  type Expr,
  QueryError,
  type Range,
  type Selector,
  type Subquery,
  setOperators,
  unwrap,
} from './syntax.ts'

/** The value of an expression at every step of the context; throws QueryError. */
export function evaluate(context: Context, expr: Expr): Value {
  context.meter.check()
  switch (expr.kind) {
    case 'number':
      return { kind: 'scalar', values: new Float64Array(context.steps).fill(expr.value) }
    case 'string':
      return { kind: 'string', value: expr.value }
    case 'paren':
      return evaluate(context, expr.expr)
    case 'selector':
      return vector(select(context, expr, (series, i) => series.values[i]!))
    case 'unary':
      return negate(context, expr)
    case 'aggregate':
      return evaluateAggregate(context, expr)
    case 'binary':
      return evaluateBinary(context, expr)
    case 'call':
      return evaluateCall(context, expr)
    case 'range':
    case 'subquery':
      throw new QueryError('execution', 'a range of samples is no result by itself: give it to a function')
  }
}

function vector(series: Series[]): Value {
  return { kind: 'vector', series: series.filter(({ has }) => has.includes(1)) }
}

function evaluateVector(context: Context, expr: Expr): Series[] {
  const value = evaluate(context, expr)
  if (value.kind !== 'vector') throw new QueryError('internal', `an instant vector was expected, not a ${value.kind}`)
  return value.series
}

function evaluateScalar(context: Context, expr: Expr): Float64Array {
  const value = evaluate(context, expr)
  if (value.kind !== 'scalar') throw new QueryError('internal', `a scalar was expected, not a ${value.kind}`)
  return value.values
}

function stringOf(expr: Expr): string {
  const inner = unwrap(expr)
  if (inner.kind !== 'string') throw new QueryError('internal', 'a string was expected')
  return inner.value
}

/** The moment a selector looks at when the step is `timeMs`. */
export function lookAt(context: Context, { at, offsetMs }: { at: At; offsetMs: number }, timeMs: number): number {
  const fixed = at === 'start' ? context.queryStartMs : at === 'end' ? context.queryEndMs : at
  return (fixed ?? timeMs) - offsetMs
}

function span(context: Context, node: { at: At; offsetMs: number }): { from: number; to: number } {
  return {
    from: lookAt(context, node, context.startMs),
    to: lookAt(context, node, timeOf(context, context.steps - 1)),
  }
}

/** The newest sample of each series at each step, if it is no older than the look-back and the series has not ended. */
function select(context: Context, node: Selector, read: (series: StoredSeries, i: number) => number): Series[] {
  const { from, to } = span(context, node)
  const isLeftOpen = context.generation >= 3
  const stored = context.source.select(node.matchers, from - context.lookbackMs, to, 'last', context.meter.take)
  return stored.map((series) => {
    const { times, stale, hourlyBefore } = series
    context.meter.take(context.steps)
    const result = emptySeries(series.labels, context.steps)
    let i = -1
    for (let step = 0; step < context.steps; step++) {
      const wanted = lookAt(context, node, timeOf(context, step))
      while (i + 1 < times.length && times[i + 1]! <= wanted) i++
      if (i < 0 || stale?.[i] === 1) continue
      const oldest = wanted - context.lookbackMs - (times[i]! < hourlyBefore ? 3_600_000 : 0)
      if (times[i]! < oldest || (isLeftOpen && times[i] === oldest)) continue
      result.has[step] = 1
      result.values[step] = read(series, i)
    }
    return result
  })
}

function negate(context: Context, { op, expr }: Expr & { kind: 'unary' }): Value {
  const value = evaluate(context, expr)
  if (op === '+' || value.kind === 'string') return value
  if (value.kind === 'scalar') return { kind: 'scalar', values: value.values.map((each) => -each) }
  const negated = value.series.map((series) => ({ ...series, values: series.values.map((each) => -each) }))
  return { kind: 'vector', series: relabelStrictly(negated) }
}

/** Without the metric's name; series that become the same are refused even if they never meet. */
function relabelStrictly(series: readonly Series[]): Series[] {
  const seen = new Set<string>()
  return series.map((each) => {
    const labels = withoutName(each.labels)
    if (seen.has(labels.key)) throw sameLabels()
    seen.add(labels.key)
    return { ...each, labels }
  })
}

function evaluateAggregate(context: Context, node: Expr & { kind: 'aggregate' }): Value {
  const params =
    node.param === null ? null : node.op === 'count_values' ? stringOf(node.param) : evaluateScalar(context, node.param)
  return vector(aggregate(context, node, evaluateVector(context, node.expr), params))
}

function evaluateBinary(context: Context, node: Expr & { kind: 'binary' }): Value {
  const [left, right] = [evaluate(context, node.left), evaluate(context, node.right)]
  if (left.kind === 'string' || right.kind === 'string') throw new QueryError('internal', 'a string has no arithmetic')
  if (left.kind === 'scalar') {
    return right.kind === 'scalar'
      ? { kind: 'scalar', values: scalarWithScalar(node.op, left.values, right.values) }
      : vector(vectorWithScalar(context, node, right.series, left.values, true))
  }
  if (right.kind === 'scalar') return vector(vectorWithScalar(context, node, left.series, right.values, false))
  return vector(
    setOperators.has(node.op)
      ? combineSets(context, node, left.series, right.series)
      : vectorWithVector(context, node, left.series, right.series),
  )
}

function evaluateCall(context: Context, call: Call): Value {
  const { name, args } = call
  if (rangeFunctions[name] !== undefined) return vector(overRange(context, call))
  if (elementFunctions[name] !== undefined) return vector(perElement(context, call))
  if (dateFunctions[name] !== undefined) return vector(ofDate(context, call))
  switch (name) {
    case 'time':
      return { kind: 'scalar', values: times(context) }
    case 'pi':
      return { kind: 'scalar', values: new Float64Array(context.steps).fill(Math.PI) }
    case 'scalar':
      return { kind: 'scalar', values: toScalar(context, evaluateVector(context, args[0]!)) }
    case 'vector':
      return vector([
        {
          labels: noLabels,
          values: evaluateScalar(context, args[0]!),
          has: new Uint8Array(context.steps).fill(1),
        },
      ])
    case 'timestamp':
      return vector(timestamps(context, unwrap(args[0]!)))
    case 'absent':
      return vector([absent(context, args[0]!, evaluateVector(context, args[0]!))])
    case 'sort':
    case 'sort_desc':
      return vector(sort(context, evaluateVector(context, args[0]!), name === 'sort_desc'))
    case 'histogram_quantile':
      return vector(histogramQuantile(context, evaluateScalar(context, args[0]!), evaluateVector(context, args[1]!)))
    case 'label_replace': {
      const [to, replacement, from, pattern] = args.slice(1).map(stringOf) as [string, string, string, string]
      return vector(replaceLabel(context, evaluateVector(context, args[0]!), { to, replacement, from, pattern }))
    }
    case 'label_join': {
      const [to, separator, ...from] = args.slice(1).map(stringOf) as [string, string, ...string[]]
      return vector(joinLabels(evaluateVector(context, args[0]!), { to, separator, from }))
    }
    default:
      throw new QueryError('internal', `the function ${name} has no meaning here`)
  }
}

function times(context: Context): Float64Array {
  return Float64Array.from({ length: context.steps }, (_, step) => timeOf(context, step) / 1000)
}

function perElement(context: Context, { name, args }: Call): Series[] {
  const compute = elementFunctions[name]!
  const series = evaluateVector(context, args[0]!)
  const isRound = name === 'round' && args.length === 1
  const [first, second] = args.slice(1).map((arg) => evaluateScalar(context, arg))
  const results = series.map((each) => {
    const result = emptySeries(each.labels, context.steps)
    context.meter.take(context.steps)
    for (let step = 0; step < context.steps; step++) {
      if (each.has[step] === 0) continue
      const [a, b] = [isRound ? 1 : (first?.[step] ?? 0), second?.[step] ?? 0]
      // A clamp between bounds that are the wrong way round has no result.
      if (name === 'clamp' && b < a) continue
      result.has[step] = 1
      result.values[step] = compute(each.values[step]!, a, b)
    }
    return result
  })
  return relabel(results, withoutName)
}

function ofDate(context: Context, { name, args }: Call): Series[] {
  const part = dateFunctions[name]!
  if (args.length === 0) {
    const has = new Uint8Array(context.steps).fill(1)
    return [{ labels: noLabels, values: times(context).map((seconds) => part(Math.floor(seconds))), has }]
  }
  const series = evaluateVector(context, args[0]!)
  return relabel(
    series.map((each) => ({ ...each, values: each.values.map(part) })),
    withoutName,
  )
}

function toScalar(context: Context, series: readonly Series[]): Float64Array {
  const values = new Float64Array(context.steps).fill(Number.NaN)
  for (let step = 0; step < context.steps; step++) {
    const present = series.filter(({ has }) => has[step] === 1)
    if (present.length === 1) values[step] = present[0]!.values[step]!
  }
  return values
}

/** When the sample was taken for a plain selector; the time of the evaluation for anything else. */
function timestamps(context: Context, arg: Expr): Series[] {
  if (arg.kind === 'selector') {
    return relabel(
      select(context, arg, (series, i) => series.times[i]! / 1000),
      withoutName,
    )
  }
  const now = times(context)
  return relabel(
    evaluateVector(context, arg).map((series) => ({ ...series, values: now })),
    withoutName,
  )
}

/** 1 wherever none of the series is, under the labels that the selector asked for. */
function absent(context: Context, arg: Expr, series: readonly Series[]): Series {
  const inner = unwrap(arg)
  const selector = inner.kind === 'selector' ? inner : inner.kind === 'range' ? inner.selector : null
  const wanted: Record<string, string> = {}
  const seen = new Set<string>()
  for (const { name, op, value } of selector?.matchers ?? []) {
    if (name === metricName) continue
    if (op === '=' && !seen.has(name)) {
      wanted[name] = value
      seen.add(name)
    } else delete wanted[name]
  }
  const result = emptySeries(labelsOf(wanted), context.steps)
  for (let step = 0; step < context.steps; step++) {
    if (series.some(({ has }) => has[step] === 1)) continue
    result.has[step] = 1
    result.values[step] = 1
  }
  return result
}

function sort(context: Context, series: Series[], isDescending: boolean): Series[] {
  if (context.steps !== 1) return series
  const present = series.filter(({ has }) => has[0] === 1)
  const order = (a: number, b: number) => {
    if (Number.isNaN(a) || Number.isNaN(b)) return -nanFirst(a, b)
    return isDescending ? b - a : a - b
  }
  return present.sort((a, b) => order(a.values[0]!, b.values[0]!))
}

export type RangedSeries = Omit<StoredSeries, 'stale' | 'hourlyBefore'>

const columns: Readonly<Record<string, Column>> = {
  ...{ min_over_time: 'min', max_over_time: 'max' },
  ...{ sum_over_time: 'sum', avg_over_time: 'sum', count_over_time: 'sum' },
}

function overRange(context: Context, call: Call): Series[] {
  const { name, args } = call
  const at = args.findIndex((arg) => ['range', 'subquery'].includes(unwrap(arg).kind))
  const ranged = unwrap(args[at]!) as Range | Subquery
  const other = args.find((_, i) => i !== at)
  const params = other === undefined ? null : evaluateScalar(context, other)
  const place = ranged.kind === 'range' ? ranged.selector : ranged
  const series =
    ranged.kind === 'range' ? readRange(context, ranged, columns[name] ?? 'last') : runSubquery(context, ranged)
  const results = series.map((each) => applyOver(context, name, each, place, ranged.rangeMs, params))
  if (name === 'absent_over_time') return [absent(context, args[0]!, results)]
  const present = results.filter(({ has }) => has.includes(1))
  return name === 'last_over_time' ? present : relabelStrictly(present)
}

/** Moves the range over one series, step by step. */
function applyOver(
  context: Context,
  name: string,
  { labels, times: sampleTimes, values, counts }: RangedSeries,
  place: { at: At; offsetMs: number },
  rangeMs: number,
  params: Float64Array | null,
): Series {
  const compute = rangeFunctions[name]!
  const isLeftOpen = context.generation >= 3
  const result = emptySeries(labels, context.steps)
  let [low, high] = [0, 0]
  for (let step = 0; step < context.steps; step++) {
    const atMs = timeOf(context, step)
    const endMs = lookAt(context, place, atMs)
    const startMs = endMs - rangeMs
    while (high < sampleTimes.length && sampleTimes[high]! <= endMs) high++
    while (low < high && (sampleTimes[low]! < startMs || (isLeftOpen && sampleTimes[low] === startMs))) low++
    if (low === high) continue
    context.meter.take(high - low)
    const { generation } = context
    const param = params?.[step] ?? 0
    const value = compute({ times: sampleTimes, values, counts, low, high, startMs, endMs, atMs, generation, param })
    if (value === undefined) continue
    result.has[step] = 1
    result.values[step] = value
  }
  return result
}

export function readRange(context: Context, { selector, rangeMs }: Range, column: Column): RangedSeries[] {
  const { from, to } = span(context, selector)
  const stored = context.source.select(selector.matchers, from - rangeMs, to, column, context.meter.take)
  return stored.map((series) => (series.stale === null ? series : withoutStale(series, series.stale)))
}

function withoutStale({ labels, times: all, values, counts }: StoredSeries, stale: Uint8Array): RangedSeries {
  const isKept = (_: number, i: number) => stale[i] === 0
  return { labels, times: all.filter(isKept), values: values.filter(isKept), counts: counts?.filter(isKept) ?? null }
}

/** The inner expression at whole multiples of the step that lie in any of the ranges. */
export function runSubquery(context: Context, node: Subquery): RangedSeries[] {
  const { from, to } = span(context, node)
  const stepMs = node.stepMs ?? context.intervalMs
  const earliest = from - node.rangeMs
  let startMs = Math.trunc(earliest / stepMs) * stepMs
  if (startMs < earliest || (context.generation >= 3 && startMs === earliest)) startMs += stepMs
  const steps = Math.max(0, Math.floor((to - startMs) / stepMs) + 1)
  context.meter.take(steps)
  if (steps === 0) return []
  const series = evaluateVector({ ...context, startMs, stepMs, steps }, node.expr)
  return series.map(({ labels, values, has }) => {
    const kept = Array.from(has.keys()).filter((step) => has[step] === 1)
    return {
      labels,
      times: Float64Array.from(kept, (step) => startMs + step * stepMs),
      values: Float64Array.from(kept, (step) => values[step]!),
      counts: null,
    }
  })
}
