import { type Context, emptySeries, type Series } from './context.ts'
import { labelOf, without } from './labels.ts'

type Bucket = { bound: number; count: number }

/** `histogram_quantile` over classic buckets: series that differ in nothing but `le` are one histogram. */
export function histogramQuantile(context: Context, quantiles: Float64Array, series: readonly Series[]): Series[] {
  const histograms = new Map<string, { result: Series; members: { bound: number; series: Series }[] }>()
  for (const each of series) {
    const bound = readBound(labelOf(each.labels, 'le'))
    if (bound === null) continue
    const key = without(each.labels, ['le']).key
    const known = histograms.get(key)
    const member = { bound, series: each }
    if (known !== undefined) known.members.push(member)
    else {
      const labels = without(each.labels, ['le', '__name__'])
      histograms.set(key, { result: emptySeries(labels, context.steps), members: [member] })
    }
  }
  for (const { result, members } of histograms.values()) {
    members.sort((a, b) => a.bound - b.bound)
    for (let step = 0; step < context.steps; step++) {
      const buckets = members.flatMap(({ bound, series: { has, values } }) =>
        has[step] === 1 ? [{ bound, count: values[step]! }] : [],
      )
      context.meter.take(buckets.length)
      if (buckets.length === 0) continue
      result.has[step] = 1
      result.values[step] = quantileOfBuckets(quantiles[step]!, buckets)
    }
  }
  return [...histograms.values()].map(({ result }) => result)
}

function readBound(text: string): number | null {
  if (/^[+]?inf$/i.test(text)) return Number.POSITIVE_INFINITY
  if (/^-inf$/i.test(text)) return Number.NEGATIVE_INFINITY
  return text === '' || Number.isNaN(Number(text)) ? null : Number(text)
}

function quantileOfBuckets(q: number, sorted: readonly Bucket[]): number {
  if (Number.isNaN(q)) return Number.NaN
  if (q < 0) return Number.NEGATIVE_INFINITY
  if (q > 1) return Number.POSITIVE_INFINITY
  if (sorted.at(-1)!.bound !== Number.POSITIVE_INFINITY) return Number.NaN
  const buckets = makeCumulative(sorted)
  if (buckets.length < 2) return Number.NaN
  const observations = buckets.at(-1)!.count
  if (observations === 0) return Number.NaN
  let rank = q * observations
  const last = buckets.length - 1
  let at = 0
  while (at < last && !(buckets[at]!.count >= rank)) at++
  if (at === last) return buckets[last - 1]!.bound
  if (at === 0 && buckets[0]!.bound <= 0) return buckets[0]!.bound
  let { count } = buckets[at]!
  let start = 0
  if (at > 0) {
    start = buckets[at - 1]!.bound
    count -= buckets[at - 1]!.count
    rank -= buckets[at - 1]!.count
  }
  return start + (buckets[at]!.bound - start) * (rank / count)
}

/** Buckets of one bound are one; a count below that of a smaller bucket is an artefact of scraping, and is lifted. */
function makeCumulative(sorted: readonly Bucket[]): Bucket[] {
  const buckets: Bucket[] = []
  for (const bucket of sorted) {
    const before = buckets.at(-1)
    if (before?.bound === bucket.bound) before.count += bucket.count
    else buckets.push({ ...bucket })
  }
  let most = buckets[0]!.count
  for (const bucket of buckets) {
    if (bucket.count > most) most = bucket.count
    else if (bucket.count < most) bucket.count = most
  }
  return buckets
}
