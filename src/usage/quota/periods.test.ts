import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createPeriods, isZone } from './periods.ts'

const at = (text: string) => Date.parse(text)
const shown = ({ startsAt, endsAt }: { startsAt: number; endsAt: number }) =>
  [startsAt, endsAt].map((ms) => new Date(ms).toISOString().replace(':00.000Z', 'Z'))

describe('4.7.32 budgets begin anew when the people of their zone say so', () => {
  test.each([
    ['UTC', 'day', '2026-11-25T23:59:59Z', '2026-11-25T00:00Z', '2026-11-26T00:00Z'],
    ['UTC', 'month', '2026-12-31T23:59:59Z', '2026-12-01T00:00Z', '2027-01-01T00:00Z'],
    ['UTC', 'month', '2028-02-29T12:00:00Z', '2028-02-01T00:00Z', '2028-03-01T00:00Z'],
    // Clocks went forward: a day of 23 hours; and back: one of 25.
    ['Europe/Berlin', 'day', '2026-03-29T12:00:00Z', '2026-03-28T23:00Z', '2026-03-29T22:00Z'],
    ['Europe/Berlin', 'day', '2026-10-25T12:00:00Z', '2026-10-24T22:00Z', '2026-10-25T23:00Z'],
    ['Europe/Berlin', 'month', '2026-03-15T12:00:00Z', '2026-02-28T23:00Z', '2026-03-31T22:00Z'],
    // Still the last day of the month there, already the first here.
    ['America/Los_Angeles', 'month', '2026-12-01T07:59:59Z', '2026-11-01T07:00Z', '2026-12-01T08:00Z'],
    ['Asia/Kolkata', 'day', '2026-11-25T18:29:59Z', '2026-11-24T18:30Z', '2026-11-25T18:30Z'],
    // There was no midnight: 23:59 was followed by 01:00.
    ['America/Sao_Paulo', 'day', '2018-11-04T12:00:00Z', '2018-11-04T03:00Z', '2018-11-05T02:00Z'],
    // Midnight came twice.
    ['America/Havana', 'day', '2026-11-01T12:00:00Z', '2026-11-01T04:00Z', '2026-11-02T05:00Z'],
    ['Pacific/Apia', 'day', '2011-12-31T02:00:00Z', '2011-12-30T10:00Z', '2011-12-31T10:00Z'],
  ] as const)('%s, %s of %s', (zone, period, now, startsAt, endsAt) => {
    expect(shown(createPeriods()(period, zone, at(now)))).toEqual([startsAt, endsAt])
  })

  test('every moment is in exactly one period, and periods follow each other without a gap', () => {
    const zones = ['UTC', 'Europe/Berlin', 'America/Havana', 'Asia/Kolkata', 'Australia/Lord_Howe', 'Asia/Beirut']
    const moment = fc.integer({ min: at('2015-01-01T00:00:00Z'), max: at('2035-01-01T00:00:00Z') })
    fc.assert(
      fc.property(fc.constantFrom(...zones), fc.constantFrom('day', 'month'), moment, (zone, period, now) => {
        const periodOf = createPeriods()
        const one = periodOf(period, zone, now)
        expect(one.startsAt).toBeLessThanOrEqual(now)
        expect(one.endsAt).toBeGreaterThan(now)
        expect(periodOf(period, zone, one.endsAt).startsAt).toBe(one.endsAt)
        expect(periodOf(period, zone, one.startsAt - 1).endsAt).toBe(one.startsAt)
        expect(periodOf(period, zone, one.startsAt)).toEqual(one)
      }),
    )
  })
})

test('a zone is one of the IANA list', () => {
  expect(['UTC', 'Europe/Berlin', 'Asia/Shanghai'].every(isZone)).toBe(true)
  expect(['', 'Nowhere/Land', '+25:00'].some(isZone)).toBe(false)
})
