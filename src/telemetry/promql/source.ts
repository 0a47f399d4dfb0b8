import type { Labels } from './labels.ts'
import type { Matcher } from './syntax.ts'

/** Which number of a down-sampled interval a function needs; raw samples have the same in all of them. */
export type Column = 'last' | 'min' | 'max' | 'sum'

/** One series' samples in the order of their times. */
export type StoredSeries = {
  labels: Labels
  times: Float64Array
  values: Float64Array
  /** 1 where the series ended; null when it never did. */
  stale: Uint8Array | null
  /** With the column 'sum': how many samples are in each; null when all are single. */
  counts: Float64Array | null
  /** Samples before this moment stand for an hour each, and are looked back to for as long. */
  hourlyBefore: number
}

export type Source = {
  /**
   * Series that all matchers match, with their samples from `from` to `to`, both included, sorted by labels. `take` is
   * told the number of samples of each as it is read, and may throw when they become too many.
   */
  select(
    matchers: readonly Matcher[],
    from: number,
    to: number,
    column: Column,
    take: (samples: number) => void,
  ): StoredSeries[]
}
