import type { ChunkFile } from '../../platform/chunk-file.ts'
import type { Labels } from '../promql/labels.ts'
import {
  addToBucket,
  type Bucket,
  closeBucket,
  grains,
  hours,
  type Kind,
  minutes,
  openBucket,
  push,
  raw,
  widthOf,
  windowOf,
} from './grains.ts'
import { createPoints, type Points, pack, unpack } from './pack.ts'

const maxSealed = 24
/** How far the sample before the open window is looked for. */
const wakeBackMs = 12 * 3_600_000

type Head = { window: number; points: Points }
type Sealed = { grain: number; window: number; bytes: Uint8Array }

/** What of a series is in memory because samples still come: the open window of each grain. */
export type Live = {
  heads: Head[]
  /** By grain; raw has none. */
  buckets: (Bucket | null)[]
  /** Closed windows that are not in the file yet. */
  sealed: Sealed[]
  /** The raw window before the open one: what queries of the last minutes often need. */
  previous: Sealed | null
  newest: { at: number; value: number } | null
  isChanged: boolean
}

export type Series = { id: number; labels: Labels; kind: Kind; lastAt: number; live: Live | null }

/** Takes up a series where the file left it, for samples from `at` on. */
export function wake(file: ChunkFile, series: Series, at: number): Live {
  const heads = grains.map((_, grain) => {
    const window = windowOf(grain, at)
    const kept = file.read(series.id, grain, window, window)[0]
    return { window, points: kept === undefined ? createPoints(widthOf(grain, series.kind)) : unpack(kept.bytes) }
  })
  // What came before the open window: the buckets that were open reach back into it, and so may the last reset.
  const rawWindow = heads[raw]!.window
  const earlier = file.read(series.id, raw, rawWindow - wakeBackMs, rawWindow - 1).slice(-2)
  const previous = earlier.find(({ window }) => window === rawWindow - grains[raw].windowMs)
  const live: Live = {
    heads,
    buckets: [null, null, null],
    sealed: [],
    previous: previous === undefined ? null : { grain: raw, ...previous },
    newest: null,
    isChanged: false,
  }
  for (const { bytes } of earlier) replay(series, live, unpack(bytes))
  replay(series, live, heads[raw]!.points)
  return live
}

/** Rebuilds the buckets that were open from the raw samples in them; those that were closed are in their windows. */
function replay({ kind }: Series, live: Live, points: Points): void {
  const ended = new Set(points.stale)
  for (const [i, at] of points.times.entries()) {
    for (const grain of [minutes, hours]) {
      const bucket = bucketAt(live, grain, at)
      if (ended.has(i)) bucket.endedAt = at
      else addToBucket(bucket, kind, at, points.columns[0]![i]!, live.newest)
    }
    if (!ended.has(i)) live.newest = { at, value: points.columns[0]![i]! }
  }
}

function bucketAt(live: Live, grain: number, at: number): Bucket {
  const { bucketMs } = grains[grain]!
  const start = Math.floor(at / bucketMs) * bucketMs
  const open = live.buckets[grain]
  if (open?.start === start) return open
  const bucket = openBucket(start)
  live.buckets[grain] = bucket
  return bucket
}

/** A sample, or the end of the series (`value` null), later than all before it. */
export function addSample(series: Series, live: Live, at: number, value: number | null): void {
  const { kind } = series
  closeBuckets(series, live, at)
  roll(series, live, raw, at)
  const { points } = live.heads[raw]!
  if (value === null) points.stale.push(points.times.length)
  push(points, at, [value ?? 0])
  for (const grain of [minutes, hours]) {
    const bucket = bucketAt(live, grain, at)
    if (value === null) bucket.endedAt = at
    else addToBucket(bucket, kind, at, value, live.newest)
  }
  if (value !== null) live.newest = { at, value }
  series.lastAt = at
  live.isChanged = true
}

/** Closes what ended before `at`. */
export function closeBuckets(series: Series, live: Live, at: number): void {
  for (const grain of [minutes, hours]) {
    const bucket = live.buckets[grain]
    if (bucket === null || bucket === undefined || bucket.start + grains[grain]!.bucketMs > at) continue
    roll(series, live, grain, bucket.start)
    const { window, points } = live.heads[grain]!
    // What was closed before a restart is in the file already.
    if (bucket.start >= window && bucket.lastAt > (points.times.at(-1) ?? -1)) closeBucket(bucket, series.kind, points)
    live.buckets[grain] = null
    live.isChanged = true
  }
}

/** Seals the open window of a grain when `at` lies in a later one. */
function roll({ kind }: Series, live: Live, grain: number, at: number): void {
  const head = live.heads[grain]!
  const window = windowOf(grain, at)
  if (window <= head.window) return
  if (head.points.times.length > 0) {
    const sealed = { grain, window: head.window, bytes: pack(head.points) }
    live.sealed.push(sealed)
    // Only a disk that refuses for half a day lets them pile up.
    if (live.sealed.length > maxSealed) live.sealed.shift()
    if (grain === raw) live.previous = sealed
  }
  live.heads[grain] = { window, points: createPoints(widthOf(grain, kind)) }
}

/** The samples of one grain from `from` to `to`, from memory where they are there and from the file else. */
export function readPoints(file: ChunkFile, series: Series, grain: number, from: number, to: number): Points[] {
  const { live } = series
  const found = new Map<number, () => Points>()
  const [first, last] = [windowOf(grain, from), windowOf(grain, to)]
  const isIn = (window: number) => window >= first && window <= last
  const head = live?.heads[grain]
  for (const sealed of live?.sealed ?? []) {
    if (sealed.grain === grain && isIn(sealed.window)) found.set(sealed.window, () => unpack(sealed.bytes))
  }
  const previous = grain === raw ? (live?.previous ?? null) : null
  if (previous !== null && isIn(previous.window)) found.set(previous.window, () => unpack(previous.bytes))
  if (head !== undefined && isIn(head.window)) found.set(head.window, () => head.points)
  const inMemory = (last - first) / grains[grain]!.windowMs + 1
  if (found.size < inMemory && !(head !== undefined && first >= head.window)) {
    for (const { window, bytes } of file.read(series.id, grain, first, last)) {
      if (!found.has(window)) found.set(window, () => unpack(bytes))
    }
  }
  return [...found.keys()].sort((a, b) => a - b).map((window) => found.get(window)!())
}
