import { createMean, createSum, createVariance, nanFirst, quantileOf } from './numbers.ts'
import type { Generation } from './syntax.ts'

/** The samples of one series in one range: those at `low` up to, not including, `high`. Never empty. */
export type Window = {
  times: Float64Array
  values: Float64Array
  counts: Float64Array | null
  low: number
  high: number
  /** The ends of the range, and the moment of the evaluation. */
  startMs: number
  endMs: number
  atMs: number
  generation: Generation
  /** The other argument of the function, where it takes one. */
  param: number
}

/** undefined when there is nothing to say of so few samples. */
type RangeFunction = (window: Window) => number | undefined

export const rangeFunctions: Readonly<Record<string, RangeFunction>> = {
  rate: (window) => extrapolate(window, { isCounter: true, isRate: true }),
  increase: (window) => extrapolate(window, { isCounter: true, isRate: false }),
  delta: (window) => extrapolate(window, { isCounter: false, isRate: false }),
  irate: (window) => lastChange(window, true),
  idelta: (window) => lastChange(window, false),
  deriv: (window) => (window.high - window.low < 2 ? undefined : regress(window, window.times[window.low]!).slope),
  predict_linear(window) {
    if (window.high - window.low < 2) return undefined
    const { slope, intercept } = regress(window, window.atMs)
    return slope * window.param + intercept
  },
  changes: (window) => countPairs(window, (a, b) => b !== a && !(Number.isNaN(a) && Number.isNaN(b))),
  resets: (window) => countPairs(window, (a, b) => b < a),
  avg_over_time: averageOf,
  sum_over_time: (window) => fold(window, createSum()),
  min_over_time: (window) => extreme(window, (value, best) => value < best),
  max_over_time: (window) => extreme(window, (value, best) => value > best),
  count_over_time: countOf,
  stdvar_over_time: (window) => fold(window, createVariance()),
  stddev_over_time: (window) => Math.sqrt(fold(window, createVariance())),
  last_over_time: ({ values, high }) => values[high - 1],
  present_over_time: () => 1,
  // Turned round by the evaluator: it tells where nothing is.
  absent_over_time: () => 1,
  quantile_over_time: (window) => quantileOf(window.param, valuesOf(window)),
  mad_over_time(window) {
    const middle = quantileOf(0.5, valuesOf(window))
    return quantileOf(
      0.5,
      valuesOf(window).map((value) => Math.abs(value - middle)),
    )
  },
}

function valuesOf({ values, low, high }: Window): number[] {
  return Array.from(values.subarray(low, high)).sort(nanFirst)
}

function fold({ values, low, high }: Window, into: { add(value: number): void; value(): number }): number {
  for (let i = low; i < high; i++) into.add(values[i]!)
  return into.value()
}

function countOf({ counts, low, high }: Window): number {
  if (counts === null) return high - low
  let count = 0
  for (let i = low; i < high; i++) count += counts[i]!
  return count
}

/** Down-sampled sums know how many samples they are of. */
function averageOf(window: Window): number {
  return window.counts === null ? fold(window, createMean()) : fold(window, createSum()) / countOf(window)
}

function extreme({ values, low, high }: Window, isBetter: (value: number, best: number) => boolean): number {
  let best = values[low]!
  for (let i = low + 1; i < high; i++) if (isBetter(values[i]!, best) || Number.isNaN(best)) best = values[i]!
  return best
}

function countPairs({ values, low, high }: Window, counts: (before: number, after: number) => boolean): number {
  let count = 0
  for (let i = low + 1; i < high; i++) if (counts(values[i - 1]!, values[i]!)) count++
  return count
}

function lastChange({ times, values, low, high }: Window, isRate: boolean): number | undefined {
  if (high - low < 2) return undefined
  const [before, after] = [values[high - 2]!, values[high - 1]!]
  const changed = isRate && after < before ? after : after - before
  const seconds = (times[high - 1]! - times[high - 2]!) / 1000
  if (seconds === 0) return undefined
  return isRate ? changed / seconds : changed
}

/**
 * What a counter or gauge changed by in the whole range, from the samples in it: the ends between the outermost samples
 * and the edges are filled in when they are near, and a counter is never taken to have been below zero.
 */
function extrapolate(window: Window, { isCounter, isRate }: { isCounter: boolean; isRate: boolean }) {
  const { times, values, low, high, startMs, endMs, generation } = window
  if (high - low < 2) return undefined
  let change = values[high - 1]! - values[low]!
  if (isCounter) {
    for (let i = low + 1; i < high; i++) if (values[i]! < values[i - 1]!) change += values[i - 1]!
  }
  const sampled = (times[high - 1]! - times[low]!) / 1000
  const between = sampled / (high - 1 - low)
  const isNear = (seconds: number) => seconds < between * 1.1
  let toStart = (times[low]! - startMs) / 1000
  const toEnd = (endMs - times[high - 1]!) / 1000
  const isCapped = isCounter && change > 0 && values[low]! >= 0
  const toZero = isCapped ? sampled * (values[low]! / change) : Number.POSITIVE_INFINITY
  if (generation >= 3) toStart = Math.min(isNear(toStart) ? toStart : between / 2, toZero)
  else {
    toStart = Math.min(toStart, toZero)
    if (!isNear(toStart)) toStart = between / 2
  }
  const factor = (sampled + toStart + (isNear(toEnd) ? toEnd : between / 2)) / sampled
  return change * (isRate ? factor / ((endMs - startMs) / 1000) : factor)
}

/** Least squares through the samples, with `interceptMs` as the origin of time. */
function regress({ times, values, low, high }: Window, interceptMs: number): { slope: number; intercept: number } {
  const first = values[low]!
  let isConstant = true
  const [sumX, sumY, sumXY, sumXX] = [createSum(), createSum(), createSum(), createSum()]
  for (let i = low; i < high; i++) {
    const [x, y] = [(times[i]! - interceptMs) / 1000, values[i]!]
    if (y !== first) isConstant = false
    sumX.add(x)
    sumY.add(y)
    sumXY.add(x * y)
    sumXX.add(x * x)
  }
  if (isConstant) {
    return Number.isFinite(first) ? { slope: 0, intercept: first } : { slope: Number.NaN, intercept: Number.NaN }
  }
  const n = high - low
  const covariance = sumXY.value() - (sumX.value() * sumY.value()) / n
  const variance = sumXX.value() - (sumX.value() * sumX.value()) / n
  const slope = covariance / variance
  return { slope, intercept: sumY.value() / n - (slope * sumX.value()) / n }
}
