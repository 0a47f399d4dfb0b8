import { type Buckets, type Segment, segmentsOf } from './buckets.ts'
import type { Shape } from './pieces-store.ts'
import { type Grain, grainMs } from './schema.ts'

/** What retention deletes, each at an age of its own; the sums of whole days last. */
export const agedKinds = ['rows', 'quarter', 'hour', 'latency', 'day'] as const
export type AgedKind = (typeof agedKinds)[number]

/** Up to when each was deleted, epoch ms; 0 where nothing was. */
export type DeletedBefore = Record<AgedKind, number>

/** Finest first. */
const grainsOf = {
  facet: ['quarter', 'hour', 'day'],
  cube: ['quarter', 'day'],
  latency: ['hour', 'day'],
  durations: ['hour', 'day'],
  rows: [],
} as const satisfies Record<Shape['kind'], readonly Grain[]>

export type Covered = {
  segments: Segment[]
  /** False where sums of whole quarters, hours or days stand for their parts, because what was finer is gone. */
  isExact: boolean
  /** What was asked can be told from here on only; null: of all of the range. */
  completeFrom: number | null
}

/**
 * The segments of a range, without any that are gone: where rows or finer sums were deleted the next coarser ones stand for
 * them, whole, and no moment is ever in two segments.
 */
export function cover(
  { from, to, buckets }: { from: number; to: number; buckets: Buckets },
  shape: Shape,
  deleted: DeletedBefore,
): Covered {
  const grains: readonly Grain[] = grainsOf[shape.kind]
  const covered: Covered = { segments: [], isExact: true, completeFrom: null }
  // From each of these times on there is something finer; a time lies between two sums of what is there before it.
  const levels: { grain: Grain | 'rows'; wholeFrom: number }[] = []
  for (const grain of [...grains].reverse()) {
    levels.push({ grain, wholeFrom: deleted[shape.kind === 'latency' ? 'latency' : grain] })
  }
  levels.push({ grain: 'rows', wholeFrom: deleted.rows })
  for (const [index, level] of levels.entries()) {
    const coarser = levels[index - 1]
    const grain = coarser?.grain ?? level.grain
    if (grain === 'rows') continue
    const size = grainMs[grain]
    level.wholeFrom = Math.max(coarser?.wholeFrom ?? 0, Math.ceil(level.wholeFrom / size) * size)
  }
  const first = levels[0]!
  if (from < first.wholeFrom) covered.completeFrom = Math.min(first.wholeFrom, to)

  for (const [index, { grain, wholeFrom }] of levels.entries()) {
    const [start, end] = [Math.max(from, wholeFrom), Math.min(to, levels[index + 1]?.wholeFrom ?? to)]
    if (start >= end) continue
    if (grain === 'rows') {
      covered.segments.push(...segmentsOf(start, end, buckets, grains))
      continue
    }
    const size = grainMs[grain]
    const [whole, past] = [Math.floor(start / size) * size, Math.ceil(end / size) * size]
    const there = grains.slice(grains.indexOf(grain))
    for (const segment of segmentsOf(whole, past, buckets, there)) {
      // Buckets finer than anything that is left: a sum counts in the one that it begins in.
      if (segment.grain === 'rows') covered.isExact = false
      covered.segments.push(segment.grain === 'rows' ? { ...segment, grain } : segment)
    }
    if (whole < start || past > end) covered.isExact = false
  }
  return covered
}
