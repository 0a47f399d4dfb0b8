/** A date and a time of day as a zone's clocks show them. */
export type Wall = { year: number; month: number; day: number; minutes: number; weekday: number; date: string }

/**
 * A zone's calendar. Dates are `YYYY-MM-DD`, weekdays as ISO has them (Monday 1 … Sunday 7), moments epoch ms.
 */
export type Zone = {
  name: string
  wallOf(at: number): Wall
  /**
   * The first moment at which the zone's clocks show `minutes` after midnight of `date`, or later: a time that daylight
   * saving leaves out is the moment of the change, one that comes twice is its first. Grows with `minutes`, so that spans
   * of a day never overlap.
   */
  instantOf(date: string, minutes: number): number
}

const minuteMs = 60_000
const dayMs = 1440 * minuteMs

export function isZoneName(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name })
    return true
  } catch {
    return false
  }
}

/** `date`, so many days later. */
export function addDays(date: string, days: number): string {
  return new Date(Date.parse(`${date}T00:00:00Z`) + days * dayMs).toISOString().slice(0, 10)
}

/** Days since 1970-01-01. */
export function dayNumber(date: string): number {
  return Math.round(Date.parse(`${date}T00:00:00Z`) / dayMs)
}

/** ISO: Monday 1 … Sunday 7. */
export function weekdayOf(date: string): number {
  return ((dayNumber(date) + 3) % 7) + 1
}

/** `HH:MM` as minutes after midnight. */
export function readMinutes(text: string): number {
  return Number(text.slice(0, 2)) * 60 + Number(text.slice(3, 5))
}

export function openZone(name: string): Zone {
  const format = new Intl.DateTimeFormat('en-US', {
    ...({ timeZone: name, hourCycle: 'h23', year: 'numeric', month: 'numeric', day: 'numeric' } as const),
    ...({ hour: 'numeric', minute: 'numeric', second: 'numeric' } as const),
  })
  const known = new Map<string, number>()

  /** What the clocks show, as if they were those of UTC. */
  function shownAt(at: number): number {
    const parts = Object.fromEntries(format.formatToParts(at).map(({ type, value }) => [type, Number(value)]))
    const { year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0 } = parts
    return Date.UTC(year, month - 1, day, hour, minute, second) + (((at % 1000) + 1000) % 1000)
  }

  function find(wanted: number): number {
    const candidates = [wanted - dayMs, wanted + dayMs]
      .map((around) => wanted - (shownAt(around) - around))
      .sort((a, b) => a - b) as [number, number]
    const exact = candidates.find((at) => shownAt(at) === wanted)
    if (exact !== undefined) return exact
    // In the gap: the clocks jump over it somewhere between the two.
    let [low, high] = candidates
    while (high - low > 1) {
      const middle = Math.floor((low + high) / 2)
      if (shownAt(middle) >= wanted) high = middle
      else low = middle
    }
    return high
  }

  return {
    name,
    wallOf(at) {
      const shown = new Date(shownAt(at))
      const date = shown.toISOString().slice(0, 10)
      return {
        ...{ year: shown.getUTCFullYear(), month: shown.getUTCMonth() + 1, day: shown.getUTCDate(), date },
        ...{ minutes: shown.getUTCHours() * 60 + shown.getUTCMinutes(), weekday: weekdayOf(date) },
      }
    },
    instantOf(date, minutes) {
      const key = `${date} ${minutes}`
      const found = known.get(key)
      if (found !== undefined) return found
      const made = find(Date.parse(`${date}T00:00:00Z`) + minutes * minuteMs)
      if (known.size > 5000) known.clear()
      known.set(key, made)
      return made
    },
  }
}

/** `2026-03-02 09:30:00`, as the zone's clocks show it. */
export function writeWall(zone: Zone, at: number): string {
  const { date, minutes } = zone.wallOf(at)
  const two = (value: number) => String(value).padStart(2, '0')
  // No zone has been off by parts of a minute since 1972.
  return `${date} ${two(Math.floor(minutes / 60))}:${two(minutes % 60)}:${two(Math.floor(at / 1000) % 60)}`
}
