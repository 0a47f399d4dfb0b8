import { Cron } from 'croner'
import type { Window } from '../kernel/windows.ts'

const hourMs = 3_600_000
const dayMs = 24 * hourMs
/** Looked back over in this order: what runs every minute is found in the first, what runs once a year in the last. */
const spans = [hourMs, dayMs, 8 * dayMs, 32 * dayMs, 367 * dayMs]

/** The next turn after `atMs`; null when there is none. */
export function nextTurn(cron: string, zone: string, atMs: number): number | null {
  return createCron(cron, zone).nextRun(new Date(atMs))?.getTime() ?? null
}

/** The last turn after `afterMs` and not after `atMs`; null when there was none. */
export function lastTurn(cron: string, zone: string, afterMs: number, atMs: number): number | null {
  const each = createCron(cron, zone)
  for (const span of spans) {
    let found: number | null = null
    for (
      let at = each.nextRun(new Date(Math.max(afterMs, atMs - span)))?.getTime();
      at !== undefined && at <= atMs;
      at = each.nextRun(new Date(at))?.getTime()
    )
      found = at
    if (found !== null || atMs - span <= afterMs) return found
  }
  return null
}

/** Turns in `from` ≤ t < `to`, the first `limit` of them. */
export function turnsBetween(cron: string, zone: string, from: number, to: number, limit: number): number[] {
  const each = createCron(cron, zone)
  const found: number[] = []
  // A millisecond earlier, so that a turn at `from` itself is one.
  for (
    let at = each.nextRun(new Date(from - 1))?.getTime();
    at !== undefined && at < to && found.length < limit;
    at = each.nextRun(new Date(at))?.getTime()
  )
    found.push(at)
  return found
}

/** When a window is open between `from` and `to`; one that began before is told from its beginning. */
export function openings(window: Window, from: number, to: number, limit: number): { from: number; to: number }[] {
  if (window.kind === 'once') {
    const [begin, end] = [Date.parse(window.from), Date.parse(window.to)]
    return begin < to && end > from ? [{ from: begin, to: end }] : []
  }
  const lengthMs = window.minutes * 60_000
  return turnsBetween(window.cron, window.zone, from - lengthMs + 1, to, limit).map((at) => ({
    from: at,
    to: at + lengthMs,
  }))
}

function createCron(cron: string, zone: string): Cron {
  return new Cron(cron, { timezone: zone, paused: true })
}
