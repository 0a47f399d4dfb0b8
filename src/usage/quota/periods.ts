import type { BudgetPeriod } from './scopes.ts'

export type Period = { startsAt: number; endsAt: number }

export function isZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name })
    return true
  } catch {
    return false
  }
}

/**
 * Days and months as the people of a zone have them: days of 23 and 25 hours, months that begin at their own midnight.
 * The last answer for each zone and period is kept, so asking again within it costs a comparison.
 */
export function createPeriods(): (period: BudgetPeriod, zone: string, at: number) => Period {
  const clocks = new Map<string, WallClock>()
  const last = new Map<string, Period>()
  return (period, zone, at) => {
    const key = `${period} ${zone}`
    const known = last.get(key)
    if (known !== undefined && known.startsAt <= at && at < known.endsAt) return known
    const clock = clocks.get(zone) ?? createWallClock(zone)
    clocks.set(zone, clock)
    const { year, month, day } = clock(at)
    const found =
      period === 'day'
        ? { startsAt: firstInstantOf(year, month, day, clock), endsAt: firstInstantOf(year, month, day + 1, clock) }
        : { startsAt: firstInstantOf(year, month, 1, clock), endsAt: firstInstantOf(year, month + 1, 1, clock) }
    last.set(key, found)
    return found
  }
}

type Wall = { year: number; month: number; day: number; offsetMs: number }
type WallClock = (at: number) => Wall

const dayMs = 86_400_000

function createWallClock(zone: string): WallClock {
  const format = new Intl.DateTimeFormat('en-US', {
    ...({ timeZone: zone, hourCycle: 'h23', year: 'numeric', month: 'numeric', day: 'numeric' } as const),
    ...({ hour: 'numeric', minute: 'numeric', second: 'numeric' } as const),
  })
  return (at) => {
    const parts = Object.fromEntries(format.formatToParts(at).map(({ type, value }) => [type, Number(value)]))
    const { year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0 } = parts
    const shown = Date.UTC(year, month - 1, day, hour, minute, second)
    return { year, month: month - 1, day, offsetMs: shown - Math.floor(at / 1000) * 1000 }
  }
}

/**
 * The first moment whose date in the zone is this one; months and days beyond the calendar roll over. Midnight itself
 * may not exist, or come twice: both offsets around it are tried and the earlier moment that shows the date is taken.
 */
function firstInstantOf(year: number, month: number, day: number, clock: WallClock): number {
  const midnight = Date.UTC(year, month, day)
  const wanted = new Date(midnight)
  const shows = (at: number) => {
    const wall = clock(at)
    return wall.day === wanted.getUTCDate() && wall.month === wanted.getUTCMonth()
  }
  const candidates = [midnight - dayMs, midnight + dayMs]
    .map((around) => midnight - clock(around).offsetMs)
    .sort((a, b) => a - b)
  return candidates.find(shows) ?? candidates[1]!
}
