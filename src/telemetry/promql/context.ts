import type { Labels } from './labels.ts'
import type { Source } from './source.ts'
import { type Generation, QueryError } from './syntax.ts'

/** One series of a result: a value for each step at which it has one. */
export type Series = { labels: Labels; values: Float64Array; has: Uint8Array }

export type Value =
  | { kind: 'scalar'; values: Float64Array }
  | { kind: 'vector'; series: Series[] }
  | { kind: 'string'; value: string }

export type Limits = {
  /** Samples that one query may look at, and values that it may make. */
  maxSamples: number
  /** On the clock of `now`. */
  deadline: number
  timeoutMs: number
}

/** Counts what a query costs, and ends it when it costs too much. */
export type Meter = {
  take(samples: number): void
  /** Ends the query when its time is over, and lets others have a turn. */
  check(): void
  taken(): number
}

export type Context = {
  source: Source
  meter: Meter
  generation: Generation
  lookbackMs: number
  /** Step of subqueries that name none. */
  intervalMs: number
  startMs: number
  stepMs: number
  steps: number
  /** The ends of the whole query, for `@ start()` and `@ end()`. */
  queryStartMs: number
  queryEndMs: number
}

export function createMeter(
  { maxSamples, deadline, timeoutMs }: Limits,
  now: () => number,
  breathe: () => void,
): Meter {
  let taken = 0
  let sinceCheck = 0
  const check = () => {
    sinceCheck = 0
    breathe()
    if (now() > deadline) throw new QueryError('timeout', `query timed out after ${timeoutMs / 1000} s`)
  }
  return {
    check,
    taken: () => taken,
    take(samples) {
      taken += samples
      sinceCheck += samples
      if (taken > maxSamples) {
        throw new QueryError(
          'execution',
          `query processing would load too many samples into memory in query execution (more than ${maxSamples})`,
        )
      }
      if (sinceCheck > 50_000) check()
    },
  }
}

export function timeOf(context: Context, step: number): number {
  return context.startMs + step * context.stepMs
}

export function emptySeries(labels: Labels, steps: number): Series {
  return { labels, values: new Float64Array(steps), has: new Uint8Array(steps) }
}

/** The same values under other labels; several that become the same are joined, and may not meet at any step. */
export function relabel(series: readonly Series[], toLabels: (labels: Labels) => Labels): Series[] {
  const byKey = new Map<string, Series>()
  for (const each of series) {
    const labels = toLabels(each.labels)
    const known = byKey.get(labels.key)
    byKey.set(labels.key, known === undefined ? { ...each, labels } : join(known, each))
  }
  return [...byKey.values()]
}

function join(a: Series, b: Series): Series {
  const joined = { labels: a.labels, values: a.values.slice(), has: a.has.slice() }
  for (let step = 0; step < b.has.length; step++) {
    if (b.has[step] === 0) continue
    if (joined.has[step] === 1) throw sameLabels()
    joined.has[step] = 1
    joined.values[step] = b.values[step]!
  }
  return joined
}

export function sameLabels(): QueryError {
  return new QueryError('execution', 'vector cannot contain metrics with the same labelset')
}
