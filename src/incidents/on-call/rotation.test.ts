import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { nextTurns, onCallAt, type Schedule, scheduleSchema } from './rotation.ts'

const hourMs = 3_600_000
const at = (text: string) => Date.parse(text)
const members = ['ann', 'bob', 'cem'].map((name) => ({ name, channels: [`phone-${name}`] }))
const schedule = (wish: Partial<Schedule> = {}): Schedule =>
  scheduleSchema.parse({ zone: 'Europe/Berlin', members, starts_on: '2026-03-23', ...wish })
const nameAt = (of: Schedule, moment: string) => onCallAt(of, at(moment))?.member.name ?? null

describe('who is on call', () => {
  test('turns go round by the week, handed over at the hour of the wall, in winter as in summer', () => {
    const weekly = schedule()
    expect(nameAt(weekly, '2026-03-23T08:59:59+01:00')).toBe(null)
    expect(nameAt(weekly, '2026-03-23T09:00:00+01:00')).toBe('ann')
    // The clocks go forward on the 29th: the handoff stays at nine.
    expect(nameAt(weekly, '2026-03-30T08:59:59+02:00')).toBe('ann')
    expect(nameAt(weekly, '2026-03-30T09:00:00+02:00')).toBe('bob')
    expect(nameAt(weekly, '2026-04-13T09:00:00+02:00')).toBe('ann')
    const turn = onCallAt(weekly, at('2026-03-25T00:00:00Z'))!
    expect((turn.until - turn.from) / hourMs).toBe(7 * 24 - 1)
  })

  test('a day of a daily turn has 23 or 25 hours when the clocks change, and a zone without summer has none', () => {
    const daily = schedule({ every: 'day', starts_on: '2026-10-24' })
    const hours = (of: Schedule, moment: string) => {
      const { from, until } = onCallAt(of, at(moment))!
      return (until - from) / hourMs
    }
    expect(hours(daily, '2026-10-24T12:00:00Z')).toBe(25)
    expect(hours(daily, '2026-10-26T12:00:00Z')).toBe(24)
    expect(hours(schedule({ every: 'day', zone: 'Asia/Shanghai' }), '2026-10-24T12:00:00Z')).toBe(24)
  })

  test('somebody stands in for a while; the last override that holds counts, and then it is as it was', () => {
    const of = schedule({
      overrides: [
        { from: '2026-03-24T12:00:00Z', to: '2026-03-25T12:00:00Z', member: members[2]! },
        { from: '2026-03-24T18:00:00Z', to: '2026-03-24T20:00:00Z', member: members[1]! },
        // Before the rotation begins as well.
        { from: '2026-03-20T00:00:00Z', to: '2026-03-21T00:00:00Z', member: members[1]! },
      ],
    })
    expect(nameAt(of, '2026-03-24T11:59:59Z')).toBe('ann')
    expect(nameAt(of, '2026-03-24T12:00:00Z')).toBe('cem')
    expect(nameAt(of, '2026-03-24T19:00:00Z')).toBe('bob')
    expect(nameAt(of, '2026-03-24T20:00:00Z')).toBe('cem')
    expect(nameAt(of, '2026-03-25T12:00:00Z')).toBe('ann')
    expect(nameAt(of, '2026-03-20T12:00:00Z')).toBe('bob')
    expect(onCallAt(of, at('2026-03-24T10:00:00Z'))!.until).toBe(at('2026-03-24T12:00:00Z'))
    expect(onCallAt(of, at('2026-03-26T10:00:00Z'))!.from).toBe(at('2026-03-25T12:00:00Z'))
  })

  test('what is wrong is refused: an override that ends before it begins, a zone that is none', () => {
    const wrong = { from: '2026-03-25T12:00:00Z', to: '2026-03-24T12:00:00Z', member: members[0]! }
    expect(scheduleSchema.safeParse({ members, starts_on: '2026-03-23', overrides: [wrong] }).success).toBe(false)
    expect(scheduleSchema.safeParse({ members, starts_on: '2026-03-23', zone: 'Mars/Base' }).success).toBe(false)
  })

  test('in every zone somebody has each moment, and turns follow one another without a gap', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe', 'Asia/Shanghai', 'UTC'),
        fc.constantFrom('day' as const, 'week' as const),
        fc.integer({ min: 1, max: 3 }),
        fc.integer({ min: 0, max: 23 }),
        fc.integer({ min: 0, max: 400 * 24 }),
        (zone, every, turns_of, hour, hours) => {
          const of = schedule({ zone, every, turns_of, handoff: `${String(hour).padStart(2, '0')}:30` })
          const moment = at('2026-03-25T00:00:00Z') + hours * hourMs
          const turns = nextTurns(of, moment, 4)
          expect(turns).toHaveLength(4)
          expect(turns[0]!.from <= moment && moment < turns[0]!.until).toBe(true)
          for (const [index, turn] of turns.slice(1).entries()) {
            expect(turn.from).toBe(turns[index]!.until)
            expect(turn.member.name).not.toBe(turns[index]!.member.name)
          }
        },
      ),
      { numRuns: 200 },
    )
  })
})
