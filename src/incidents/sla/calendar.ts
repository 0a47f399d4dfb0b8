import { addDays, readMinutes, weekdayOf, type Zone } from '../zone.ts'

/** What a clock may use up: so many milliseconds, or so many working days. */
export type Amount = { ms: number } | { workingDays: number }

/** From inclusive, to exclusive; epoch ms. */
export type Span = { from: number; to: number }

/** When time counts. */
export type Calendar = {
  name: '24x7' | 'working'
  /** The moment at which `amount` is used up by the time that counts from `start` on, but for what lies in `gaps`. */
  add(start: number, amount: Amount, gaps?: readonly Span[]): number
  /** How much counts between two moments, but for `gaps`: milliseconds, and working days as parts of each day's hours. */
  count(from: number, to: number, gaps?: readonly Span[]): { ms: number; workingDays: number }
}

export type WorkingTime = {
  zone: Zone
  /** ISO weekdays, Monday 1. */
  days: readonly number[]
  /** `09:00-18:00`, in order, not overlapping; `24:00` ends a day. */
  hours: readonly string[]
  /** Dates on which nobody works, and dates on which everybody does after all. */
  holidays: readonly string[]
  makeUpDays: readonly string[]
}

const dayMs = 86_400_000
/** No deadline lies further away: whoever says that no day is a working day shall get an error, not a loop without end. */
const mostDays = 3660

/** Every moment counts. A working day is a day here. */
export const alwaysCalendar: Calendar = {
  name: '24x7',
  add(start, amount, gaps = []) {
    let left = 'ms' in amount ? amount.ms : amount.workingDays * dayMs
    let at = start
    for (const gap of inOrder(gaps)) {
      if (gap.to <= at) continue
      const open = Math.max(0, gap.from - at)
      if (left <= open) break
      left -= open
      at = gap.to
    }
    return Math.round(at + left)
  },
  count(from, to, gaps = []) {
    const ms = Math.max(0, to - from) - overlap({ from, to }, inOrder(gaps))
    return { ms, workingDays: ms / dayMs }
  },
}

/**
 * Only working hours count. A working day is the whole of one day's hours, whatever their length: what is left of a day
 * is that part of a working day, so "one working day" from 14:00 ends at 14:00 of the next one.
 */
export function createWorkingCalendar(time: WorkingTime): Calendar {
  const { zone } = time
  const hours = time.hours.map((text) => [readMinutes(text.slice(0, 5)), readMinutes(text.slice(6))] as const)
  const [holidays, makeUpDays] = [new Set(time.holidays), new Set(time.makeUpDays)]
  const days = new Map<string, Span[]>()

  /** The hours of a date; [] for a day off. A make-up day is one even in a holiday. */
  function hoursOf(date: string): Span[] {
    const known = days.get(date)
    if (known !== undefined) return known
    const works = makeUpDays.has(date) || (time.days.includes(weekdayOf(date)) && !holidays.has(date))
    const made = works
      ? hours
          .map(([from, to]) => ({ from: zone.instantOf(date, from), to: zone.instantOf(date, to) }))
          .filter(({ from, to }) => to > from)
      : []
    if (days.size > 5000) days.clear()
    days.set(date, made)
    return made
  }

  /** Pieces of working time from `start` on, each with how long its day's hours are in all. */
  function* pieces(start: number, gaps: readonly Span[]): Generator<Span & { dayMs: number }> {
    const cut = inOrder(gaps)
    let date = zone.wallOf(start).date
    for (let day = 0; day <= mostDays; day++, date = addDays(date, 1)) {
      const open = hoursOf(date)
      const length = open.reduce((sum, { from, to }) => sum + to - from, 0)
      for (const span of open) {
        for (const { from, to } of without({ from: Math.max(span.from, start), to: span.to }, cut)) {
          yield { from, to, dayMs: length }
        }
      }
    }
  }

  return {
    name: 'working',
    add(start, amount, gaps = []) {
      let left = 'ms' in amount ? amount.ms : amount.workingDays
      const unit = (piece: { dayMs: number }) => ('ms' in amount ? 1 : piece.dayMs)
      for (const piece of pieces(start, gaps)) {
        const worth = (piece.to - piece.from) / unit(piece)
        // A rounding error of a day's part is no reason to wait for the next day.
        if (worth >= left - 1e-9) return Math.round(piece.from + left * unit(piece))
        left -= worth
      }
      throw new RangeError(`the working time of incidents has no ${mostDays} days in which this ends`)
    },
    count(from, to, gaps = []) {
      let [ms, workingDays] = [0, 0]
      for (const piece of pieces(from, gaps)) {
        if (piece.from >= to) break
        const length = Math.min(piece.to, to) - piece.from
        ms += length
        workingDays += length / piece.dayMs
      }
      return { ms, workingDays }
    },
  }
}

/** Spans in order, those that touch made one. */
export function inOrder(spans: readonly Span[]): Span[] {
  const joined: Span[] = []
  for (const span of [...spans].filter(({ from, to }) => to > from).sort((a, b) => a.from - b.from)) {
    const last = joined.at(-1)
    if (last !== undefined && span.from <= last.to) last.to = Math.max(last.to, span.to)
    else joined.push({ ...span })
  }
  return joined
}

/** What of `span` no gap covers; `gaps` in order. */
function without(span: Span, gaps: readonly Span[]): Span[] {
  const left: Span[] = []
  let from = span.from
  for (const gap of gaps) {
    if (gap.to <= from) continue
    if (gap.from >= span.to) break
    if (gap.from > from) left.push({ from, to: gap.from })
    from = gap.to
  }
  if (from < span.to) left.push({ from, to: span.to })
  return left
}

function overlap(span: Span, gaps: readonly Span[]): number {
  return gaps.reduce((sum, gap) => sum + Math.max(0, Math.min(gap.to, span.to) - Math.max(gap.from, span.from)), 0)
}
