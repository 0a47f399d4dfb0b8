import { z } from 'zod'
import { isZone } from '../../kernel/windows.ts'

const weekdays = ['sunday', 'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday']
const months = [
  ...['january', 'february', 'march', 'april', 'may', 'june'],
  ...['july', 'august', 'september', 'october', 'november', 'december'],
]

type Range = readonly [from: number, to: number]
const clockTime = /^(?:([01]\d|2[0-3]):([0-5]\d)|24:00)$/

const time = z.string().regex(clockTime, { error: 'write a time as 09:00, the end of a day as 24:00' })
const texts = (read: (text: string) => Range | null, how: string) =>
  z.array(z.coerce.string().refine((text) => read(text) !== null, { error: `write ${how}` })).max(100)

/** Alertmanager's: https://prometheus.io/docs/alerting/latest/configuration/#time_interval */
export const timeIntervalSchema = z.strictObject({
  times: z
    .array(
      z
        .strictObject({ start_time: time, end_time: time })
        .refine(({ start_time, end_time }) => minutesOf(start_time) < minutesOf(end_time), {
          error: 'start_time comes before end_time: write a night as two ranges',
        }),
    )
    .max(100)
    .optional(),
  weekdays: texts((text) => readNamed(text, weekdays, 0), 'days as monday:friday').optional(),
  days_of_month: texts(readDays, 'days as 1:5, the last three as -3:-1').optional(),
  months: texts((text) => readNamed(text, months, 1), 'months as january:march or 1:3').optional(),
  years: texts((text) => readNumbers(text, 1970, 9999), 'years as 2026:2027').optional(),
  location: z.string().max(64).refine(isZone, { error: 'is no time zone: write one as Asia/Shanghai' }).optional(),
})

export const namedIntervalsSchema = z.strictObject({
  name: z.string().min(1).max(100),
  time_intervals: z.array(timeIntervalSchema).max(100),
})

export type TimeInterval = z.infer<typeof timeIntervalSchema>

/** What is not named does not matter; of each list one entry must hold. */
export function holdsAt(interval: TimeInterval, atMs: number): boolean {
  const at = placeOf(atMs, interval.location ?? 'UTC')
  const isIn = (list: readonly string[] | undefined, read: (text: string) => Range | null, value: number) =>
    list === undefined ||
    list.length === 0 ||
    list.some((text) => {
      const [from, to] = read(text)!
      return from <= value && value <= to
    })
  const isTime =
    interval.times === undefined ||
    interval.times.length === 0 ||
    interval.times.some(
      ({ start_time, end_time }) => minutesOf(start_time) <= at.minute && at.minute < minutesOf(end_time),
    )
  return (
    isTime &&
    isIn(interval.weekdays, (text) => readNamed(text, weekdays, 0), at.weekday) &&
    isDay(interval.days_of_month, at) &&
    isIn(interval.months, (text) => readNamed(text, months, 1), at.month) &&
    isIn(interval.years, (text) => readNumbers(text, 1970, 9999), at.year)
  )
}

type Place = { year: number; month: number; day: number; weekday: number; minute: number }

function isDay(list: readonly string[] | undefined, { year, month, day }: Place): boolean {
  if (list === undefined || list.length === 0) return true
  const last = new Date(Date.UTC(year, month, 0)).getUTCDate()
  // From the end of a shorter month nothing reaches into the one before.
  const place = (written: number) => (written > 0 ? written : Math.max(1, last + 1 + written))
  return list.some((text) => {
    const [from, to] = readDays(text)!
    // -31:-30 of a month with 28 days is no day at all.
    if (to < 0 && last + 1 + to < 1) return false
    return place(from) <= day && day <= place(to)
  })
}

function placeOf(atMs: number, zone: string): Place {
  const parts = Object.fromEntries(
    new Intl.DateTimeFormat('en-US', {
      ...{ timeZone: zone, hourCycle: 'h23', weekday: 'long', year: 'numeric', month: 'numeric', day: 'numeric' },
      ...{ hour: 'numeric', minute: 'numeric' },
    })
      .formatToParts(atMs)
      .map(({ type, value }) => [type, value]),
  )
  return {
    ...{ year: Number(parts.year), month: Number(parts.month), day: Number(parts.day) },
    weekday: weekdays.indexOf(parts.weekday!.toLowerCase()),
    minute: Number(parts.hour) * 60 + Number(parts.minute),
  }
}

function minutesOf(text: string): number {
  return Number(text.slice(0, 2)) * 60 + Number(text.slice(3))
}

function readRange(text: string, read: (word: string) => number | null): Range | null {
  const words = text.trim().toLowerCase().split(':')
  if (words.length > 2) return null
  const [from, to = from] = words.map((word) => read(word.trim()))
  return from === null || to === null || from === undefined || to === undefined || from > to ? null : [from, to]
}

function readNamed(text: string, names: readonly string[], first: number): Range | null {
  return readRange(text, (word) => {
    const index = names.indexOf(word)
    if (index >= 0) return index + first
    const isMonth = first === 1 && /^\d{1,2}$/.test(word) && Number(word) >= 1 && Number(word) <= 12
    return isMonth ? Number(word) : null
  })
}

function readDays(text: string): Range | null {
  const read = (word: string) =>
    /^-?\d{1,2}$/.test(word) && Number(word) !== 0 && Math.abs(Number(word)) <= 31 ? Number(word) : null
  const words = text.trim().split(':')
  if (words.length > 2) return null
  const [from, to = from] = words.map((word) => read(word.trim()))
  if (from === null || to === null || from === undefined || to === undefined) return null
  if (from < 0 && to > 0) return null
  return Math.sign(from) === Math.sign(to) && from > to ? null : [from, to]
}

function readNumbers(text: string, least: number, most: number): Range | null {
  return readRange(text, (word) =>
    /^\d+$/.test(word) && Number(word) >= least && Number(word) <= most ? Number(word) : null,
  )
}
