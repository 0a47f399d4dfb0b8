import type { LabelSet, QueryResult, RangeSeries } from '../schema.ts'
import { askInstant, askRange } from './asking.ts'
import { fromPairs, type Labels, labelOf, labelsOf } from './labels.ts'
import type { Engine } from './query.ts'
import type { Source, StoredSeries } from './source.ts'
import type { Generation } from './syntax.ts'

/** Samples in memory, asked as the store is: for tests of rules. */
export type SampleBench = {
  /** Adds samples of one moment; moments of a series only go forward. `value` null says that it ended. */
  append(samples: readonly { labels: LabelSet; value: number | null }[], atMs: number): void
  /** Throws QueryError. */
  query(expression: string, atMs: number): QueryResult
  queryRange(expression: string, range: { startMs: number; endMs: number; stepMs: number }): RangeSeries[]
}

type Kept = { labels: Labels; times: number[]; values: number[]; stale: number[] }

export function createSampleBench({
  generation = 3,
  lookbackMs,
  intervalMs,
}: {
  generation?: Generation
  lookbackMs?: number
  /** Of subqueries that name no step. */
  intervalMs?: number
} = {}): SampleBench {
  const all = new Map<string, Kept>()
  const byName = new Map<string, Kept[]>()

  const source: Source = {
    select(matchers, from, to, _column, take) {
      const name = matchers.find((matcher) => matcher.name === '__name__' && matcher.op === '=')
      const found: StoredSeries[] = []
      for (const { labels, times, values, stale } of name === undefined
        ? all.values()
        : (byName.get(name.value) ?? [])) {
        if (!matchers.every((matcher) => matcher.matches(labelOf(labels, matcher.name)))) continue
        const [first, end] = [lowerBound(times, from), lowerBound(times, to + 1)]
        take(end - first)
        if (end === first) continue
        found.push({
          labels,
          times: Float64Array.from(times.slice(first, end)),
          values: Float64Array.from(values.slice(first, end)),
          stale: Uint8Array.from(stale.slice(first, end)),
          ...{ counts: null, hourlyBefore: Number.NEGATIVE_INFINITY },
        })
      }
      return found.sort((a, b) => (a.labels.key < b.labels.key ? -1 : 1))
    },
  }
  const engine: Engine = {
    ...{ source, generation, now: () => performance.now() },
    ...(lookbackMs === undefined ? {} : { lookbackMs }),
    ...(intervalMs === undefined ? {} : { intervalMs }),
  }

  function keep(labels: LabelSet): Kept {
    const whole = labelsOf(labels)
    const known = all.get(whole.key)
    if (known !== undefined) return known
    const made = { labels: fromPairs(whole.pairs), times: [], values: [], stale: [] }
    all.set(whole.key, made)
    const name = labelOf(whole, '__name__')
    const others = byName.get(name)
    if (others === undefined) byName.set(name, [made])
    else others.push(made)
    return made
  }

  return {
    append(samples, atMs) {
      for (const { labels, value } of samples) {
        const series = keep(labels)
        if (atMs <= (series.times.at(-1) ?? Number.NEGATIVE_INFINITY)) continue
        series.times.push(atMs)
        series.values.push(value ?? Number.NaN)
        series.stale.push(value === null ? 1 : 0)
      }
    },
    query: (expression, atMs) => askInstant(engine, expression, atMs),
    queryRange: (expression, range) => askRange(engine, expression, range),
  }
}

/** The first place whose time is not before `at`. */
function lowerBound(times: readonly number[], at: number): number {
  let [low, high] = [0, times.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if (times[middle]! < at) low = middle + 1
    else high = middle
  }
  return low
}
