import { z } from 'zod'
import { addDays, dayNumber, isZoneName, openZone, readMinutes, type Zone } from '../zone.ts'

const name = z.string().trim().min(1).max(100)
const date = z.iso.date()
const timeOfDay = z.string().regex(/^([01]\d|2[0-3]):[0-5]\d$/, 'Write HH:MM')
const moment = z.iso.datetime({ offset: true })

/** Somebody who can be called, and by which channels of ours. */
const member = z.strictObject({ name, channels: z.array(name).min(1).max(10) })

/** Who is called when. Handoffs are at a time of day of the zone, so that summer and winter have the same. */
export const scheduleSchema = z
  .strictObject({
    zone: z.string().max(100).refine(isZoneName, 'Write a time zone such as Asia/Shanghai').default('UTC'),
    members: z.array(member).min(1).max(50).describe('In the order of their turns.'),
    every: z.enum(['day', 'week']).default('week'),
    /** How many of these a turn lasts. */
    turns_of: z.int().min(1).max(52).default(1),
    handoff: timeOfDay.default('09:00'),
    starts_on: date.describe('Date of the first handoff, to the first member; with weeks it also says the weekday.'),
    overrides: z
      .array(z.strictObject({ from: moment, to: moment, member }))
      .max(200)
      .default([])
      .describe('Somebody else for a while. The last one that holds counts.'),
  })
  .refine(({ overrides }) => overrides.every(({ from, to }) => Date.parse(from) < Date.parse(to)), {
    message: 'An override ends after it begins',
    path: ['overrides'],
  })
export type Schedule = z.infer<typeof scheduleSchema>
export type Member = z.infer<typeof member>

export type OnCall = { member: Member; from: number; until: number; isOverride: boolean }

/** Who is on call at `at` and until when; nobody before the rotation began, unless an override says so. */
export function onCallAt(schedule: Schedule, at: number, openedZone: Zone = openZone(schedule.zone)): OnCall | null {
  const spans = schedule.overrides.map((each) => ({
    ...{ from: Date.parse(each.from), to: Date.parse(each.to), member: each.member },
  }))
  const override = spans.filter(({ from, to }) => from <= at && at < to).at(-1)
  if (override !== undefined) {
    return { member: override.member, from: override.from, until: override.to, isOverride: true }
  }
  const regular = turnAt(schedule, at, openedZone)
  if (regular === null) return null
  // An override may begin before the handoff, or have ended after it.
  const nextFrom = spans.filter(({ from }) => from > at).map(({ from }) => from)
  const lastTo = spans.filter(({ to }) => to <= at).map(({ to }) => to)
  return {
    ...{ member: regular.member, isOverride: false },
    from: Math.max(regular.from, ...lastTo),
    until: Math.min(regular.until, ...nextFrom),
  }
}

function turnAt(schedule: Schedule, at: number, zone: Zone): { member: Member; from: number; until: number } | null {
  const { members, starts_on: startsOn } = schedule
  const minutes = readMinutes(schedule.handoff)
  const lengthDays = (schedule.every === 'week' ? 7 : 1) * schedule.turns_of
  if (at < zone.instantOf(startsOn, minutes)) return null
  const today = zone.wallOf(at).date
  // Before today's handoff it is still yesterday's turn.
  const date = at < zone.instantOf(today, minutes) ? addDays(today, -1) : today
  const turn = Math.floor((dayNumber(date) - dayNumber(startsOn)) / lengthDays)
  const begins = addDays(startsOn, turn * lengthDays)
  return {
    member: members[turn % members.length]!,
    from: zone.instantOf(begins, minutes),
    until: zone.instantOf(addDays(begins, lengthDays), minutes),
  }
}

/** The next turns from `at` on, for people who want to know theirs. */
export function nextTurns(schedule: Schedule, at: number, count: number): OnCall[] {
  const found: OnCall[] = []
  const zone = openZone(schedule.zone)
  let moment = Math.max(at, zone.instantOf(schedule.starts_on, readMinutes(schedule.handoff)))
  while (found.length < count) {
    const turn = onCallAt(schedule, moment, zone)
    if (turn === null || turn.until <= moment) break
    found.push(turn)
    moment = turn.until
  }
  return found
}
