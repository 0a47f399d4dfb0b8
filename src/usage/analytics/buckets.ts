import { fail } from '../../kernel/errors.ts'
import { createPeriods } from '../quota/periods.ts'
import { dayMs, type Grain, grainMs, hourMs } from './schema.ts'

export const granularities = ['minute', '5m', '15m', '30m', 'hour', 'day', 'week', 'month'] as const
export type Granularity = (typeof granularities)[number]

/** How moments fall into buckets: one for all, equal ones from `shift` on, or those that begin at `starts`. */
export type Buckets =
  | { kind: 'one' }
  | { kind: 'equal'; sizeMs: number; shiftMs: number; starts: number[] }
  | { kind: 'at'; starts: number[] }

/** Sums of `grain`, or single rows, of a part of the time asked for. `to` is exclusive. */
export type Segment = { grain: Grain | 'rows'; from: number; to: number }

const mostBuckets = 20_000
/** A list of edges is written into the query. */
const mostEdges = 1500

/**
 * The buckets that `from` to `to` touches, none before and none after. Days, weeks and months are those of the zone, of 23
 * or 25 hours where its clocks change; weeks begin on Monday.
 */
export function bucketsOf(from: number, to: number, granularity: Granularity, zone: string): Buckets {
  const sizes = { minute: 60_000, '5m': 300_000, '15m': 900_000, '30m': 1_800_000, hour: hourMs } as const
  if (granularity !== 'day' && granularity !== 'week' && granularity !== 'month') {
    return ofHours(from, to, sizes[granularity], zone)
  }
  const period = createPeriods()
  const starts: number[] = []
  let start = period(granularity === 'month' ? 'month' : 'day', zone, from).startsAt
  if (granularity === 'week') {
    // Noon of a day is in that day whatever its clocks do.
    while (weekdayOf(start + dayMs / 2, zone) !== 1) start = period('day', zone, start - 1).startsAt
  }
  while (start < to) {
    starts.push(start)
    if (starts.length > mostEdges) throw tooMany()
    if (granularity === 'week') for (let i = 0; i < 7; i++) start = period('day', zone, start).endsAt
    else start = period(granularity, zone, start).endsAt
  }
  return { kind: 'at', starts }
}

/** Equal buckets of UTC, as programs ask for them by a number of seconds. */
export function equalBuckets(from: number, to: number, sizeMs: number, shiftMs = 0): Buckets {
  const first = from - ((((from - shiftMs) % sizeMs) + sizeMs) % sizeMs)
  const number = Math.ceil((to - first) / sizeMs)
  if (number > mostBuckets) throw tooMany()
  return { kind: 'equal', sizeMs, shiftMs, starts: Array.from({ length: number }, (_, i) => first + i * sizeMs) }
}

function ofHours(from: number, to: number, sizeMs: number, zone: string): Buckets {
  const offsetOf = createOffsets(zone)
  const shiftOf = (at: number) => ((-offsetOf(at) % sizeMs) + sizeMs) % sizeMs
  const shiftMs = shiftOf(from)
  const buckets = equalBuckets(from, to, sizeMs, shiftMs)
  // Nearly every zone changes its clocks by whole hours; where it does not, the buckets on both sides do not line up.
  const changes = buckets.kind === 'equal' ? buckets.starts.filter((start) => shiftOf(start) !== shiftMs) : []
  if (changes.length === 0) return buckets
  const starts: number[] = []
  for (let at = from; at < to; ) {
    const shift = shiftOf(at)
    const start = at - ((((at - shift) % sizeMs) + sizeMs) % sizeMs)
    starts.push(starts.length > 0 ? at : start)
    if (starts.length > mostEdges) throw tooMany()
    let next = start + sizeMs
    while (shiftOf(next) !== shiftOf(at) && next - 900_000 > at && shiftOf(next - 900_000) === shiftOf(next))
      next -= 900_000
    at = next
  }
  return { kind: 'at', starts }
}

/**
 * Covers `from` to `to` with the coarsest sums that fit whole, finer ones at both ends, and single rows for what is left:
 * a month costs some thirty days, two days' worth of finer sums and two quarters of an hour of rows.
 */
export function segmentsOf(from: number, to: number, buckets: Buckets, grains: readonly Grain[]): Segment[] {
  const fits = (grain: Grain) => {
    const size = grainMs[grain]
    if (buckets.kind === 'one') return true
    if (buckets.kind === 'equal') return buckets.sizeMs % size === 0 && buckets.shiftMs % size === 0
    return buckets.starts.every((start) => start % size === 0)
  }
  return split(
    from,
    to,
    grains.filter(fits).sort((a, b) => grainMs[b] - grainMs[a]),
  )
}

function split(from: number, to: number, grains: readonly Grain[]): Segment[] {
  if (from >= to) return []
  const [grain, ...finer] = grains
  if (grain === undefined) return [{ grain: 'rows', from, to }]
  const size = grainMs[grain]
  const [first, last] = [Math.ceil(from / size) * size, Math.floor(to / size) * size]
  if (first >= last) return split(from, to, finer)
  return [...split(from, first, finer), { grain, from: first, to: last }, ...split(last, to, finer)]
}

/** Monday is 1, Sunday 7; hours of the day as the zone's clocks show them. */
export function createWallHours(zone: string): (at: number) => { weekday: number; hour: number } {
  const offsetOf = createOffsets(zone)
  return (at) => {
    const wall = new Date(at + offsetOf(at))
    return { weekday: wall.getUTCDay() === 0 ? 7 : wall.getUTCDay(), hour: wall.getUTCHours() }
  }
}

function weekdayOf(at: number, zone: string): number {
  return createWallHours(zone)(at).weekday
}

/** ms to add to UTC for the zone's wall clock. Asked once a quarter of an hour at most: clocks change on those only. */
function createOffsets(zone: string): (at: number) => number {
  const format = new Intl.DateTimeFormat('en-US', {
    ...({ timeZone: zone, hourCycle: 'h23', year: 'numeric', month: 'numeric', day: 'numeric' } as const),
    ...({ hour: 'numeric', minute: 'numeric', second: 'numeric' } as const),
  })
  const known = new Map<number, number>()
  const exact = (at: number) => {
    const kept = known.get(at)
    if (kept !== undefined) return kept
    const parts = Object.fromEntries(format.formatToParts(at).map(({ type, value }) => [type, Number(value)]))
    const { year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0 } = parts
    const offset = Date.UTC(year, month - 1, day, hour, minute, second) - Math.floor(at / 1000) * 1000
    known.set(at, offset)
    return offset
  }
  return (at) => {
    // Where a day begins and ends with one offset it has that one throughout: one look-up for most of a long range.
    const day = Math.floor(at / dayMs) * dayMs
    const [first, last] = [exact(day), exact(day + dayMs)]
    return first === last ? first : exact(Math.floor(at / 900_000) * 900_000)
  }
}

function tooMany() {
  return fail(
    'invalid_request',
    'That many buckets are of no use to anybody: ask for a shorter range or a longer slot',
    {
      param: 'granularity',
    },
  )
}
