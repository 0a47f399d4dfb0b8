import { Cron } from 'croner'

/** Time in which nobody is told: once, or again and again by a cron expression in a time zone. */
export type Window =
  | { kind: 'cron'; cron: string; zone: string; minutes: number }
  | { kind: 'once'; from: string; to: string }

/** When the window that `atMs` lies in ends; null when it lies in none. */
export function windowEnd(windows: readonly Window[], atMs: number): number | null {
  let end: number | null = null
  for (const each of windows) {
    const found = each.kind === 'once' ? endOnce(each, atMs) : endOfCron(each, atMs)
    if (found !== null) end = Math.max(end ?? 0, found)
  }
  return end
}

function endOnce({ from, to }: Extract<Window, { kind: 'once' }>, atMs: number): number | null {
  const end = Date.parse(to)
  return Date.parse(from) <= atMs && atMs < end ? end : null
}

function endOfCron({ cron, zone, minutes }: Extract<Window, { kind: 'cron' }>, atMs: number): number | null {
  const lengthMs = minutes * 60_000
  // The first beginning after the last moment from which a window would be over by now.
  const start = new Cron(cron, { timezone: zone, paused: true }).nextRun(new Date(atMs - lengthMs))?.getTime()
  return start !== undefined && start <= atMs ? start + lengthMs : null
}

export function isCron(text: string): boolean {
  if (text.trim() === '') return false
  try {
    new Cron(text, { paused: true })
    return true
  } catch {
    return false
  }
}

export function isZone(text: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: text })
    return true
  } catch {
    return false
  }
}
