import { createPoints, type Points } from './pack.ts'

export type Kind = 'counter' | 'gauge'

/**
 * How finely samples are kept, and for how long. A window is what is packed together: a whole number of buckets, so that
 * grains can follow each other without overlap.
 */
export const grains = [
  { name: 'raw', bucketMs: 0, windowMs: 30 * 60_000 },
  { name: '1m', bucketMs: 60_000, windowMs: 2 * 3_600_000 },
  { name: '1h', bucketMs: 3_600_000, windowMs: 4 * 86_400_000 },
] as const

export const raw = 0
export const minutes = 1
export const hours = 2

export function windowOf(grain: number, timeMs: number): number {
  const { windowMs } = grains[grain]!
  return Math.floor(timeMs / windowMs) * windowMs
}

/** Raw samples and counters have one column; a gauge's bucket is told by five. */
export function widthOf(grain: number, kind: Kind): number {
  return grain === raw || kind === 'counter' ? 1 : 5
}

/**
 * One series' samples on their way to a coarser grain.
 *
 * A bucket gives its last sample, at the time it was taken. A counter gives also the samples on both sides of each reset,
 * so that what it grew by stays exact whatever happened within the bucket. A gauge gives the least, the greatest, the sum
 * and the number of its samples too. An end of the series (a stale marker) is kept when nothing follows it in its bucket.
 */
export type Bucket = {
  start: number
  lastAt: number
  last: number
  min: number
  max: number
  sum: number
  count: number
  /** Samples around resets. */
  edges: Points | null
  endedAt: number
}

export function openBucket(start: number): Bucket {
  return { start, lastAt: -1, last: 0, min: 0, max: 0, sum: 0, count: 0, edges: null, endedAt: -1 }
}

/** `before` is the newest sample before this one, wherever it lies; null when there was none. */
export function addToBucket(
  bucket: Bucket,
  kind: Kind,
  at: number,
  value: number,
  before: { at: number; value: number } | null,
): void {
  if (kind === 'counter') {
    // When nobody knows what was before, as after long silence, it may have been a reset.
    if (before === null || value < before.value) keepReset(bucket, before, at, value)
  } else if (bucket.count === 0) {
    bucket.min = value
    bucket.max = value
    bucket.sum = value
  } else {
    if (value < bucket.min || Number.isNaN(bucket.min)) bucket.min = value
    if (value > bucket.max || Number.isNaN(bucket.max)) bucket.max = value
    bucket.sum += value
  }
  bucket.count++
  bucket.last = value
  bucket.lastAt = at
  bucket.endedAt = -1
}

function keepReset(bucket: Bucket, before: { at: number; value: number } | null, at: number, value: number): void {
  bucket.edges ??= createPoints(1)
  const { times, columns } = bucket.edges
  const newest = times.at(-1) ?? -1
  // Before the bucket's start it is the last of its own bucket, and kept there.
  if (before !== null && before.at >= bucket.start && before.at > newest) {
    times.push(before.at)
    columns[0]!.push(before.value)
  }
  times.push(at)
  columns[0]!.push(value)
}

/** Writes what the bucket came to behind `points`. */
export function closeBucket(bucket: Bucket, kind: Kind, points: Points): void {
  for (const [i, at] of (bucket.edges?.times ?? []).entries()) {
    if (at < bucket.lastAt) push(points, at, [bucket.edges!.columns[0]![i]!])
  }
  if (bucket.count > 0) {
    const { last, min, max, sum, count } = bucket
    push(points, bucket.lastAt, kind === 'counter' ? [last] : [last, min, max, sum, count])
  }
  if (bucket.endedAt >= 0) {
    points.stale.push(points.times.length)
    push(points, bucket.endedAt, Array<number>(points.columns.length).fill(0))
  }
}

export function push(points: Points, at: number, values: readonly number[]): void {
  points.times.push(at)
  for (const [i, value] of values.entries()) points.columns[i]!.push(value)
}
