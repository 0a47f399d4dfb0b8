import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Severity } from '../schema.ts'
import { openZone } from '../zone.ts'
import { alwaysCalendar, createWorkingCalendar, type Span } from './calendar.ts'
import {
  beginClocks,
  changeSeverity,
  continueClocks,
  pauseClocks,
  readClock,
  resumeClocks,
  type SlaFacts,
  settleClocks,
  stopClock,
} from './clocks.ts'
import { type SlaClock, slaClocks } from './targets.ts'

const minute = 60_000
const hour = 60 * minute
const day = 24 * hour
const shanghai = openZone('Asia/Shanghai')
/** The holidays and make-up days of 2026, as the State Council told them. */
const chinese = {
  holidays: [
    ...['2026-01-01', '2026-01-02', '2026-01-03', '2026-02-15', '2026-02-16', '2026-02-17', '2026-02-18', '2026-02-19'],
    ...['2026-02-20', '2026-02-21', '2026-02-22', '2026-02-23', '2026-04-04', '2026-04-05', '2026-04-06', '2026-05-01'],
    ...['2026-05-02', '2026-05-03', '2026-05-04', '2026-05-05', '2026-06-19', '2026-06-20', '2026-06-21', '2026-09-25'],
    ...['2026-09-26', '2026-09-27', '2026-10-01', '2026-10-02', '2026-10-03', '2026-10-04', '2026-10-05', '2026-10-06'],
    '2026-10-07',
  ],
  makeUpDays: ['2026-01-04', '2026-02-14', '2026-02-28', '2026-05-09', '2026-09-20', '2026-10-10'],
}
const office = { zone: shanghai, days: [1, 2, 3, 4, 5], hours: ['09:00-18:00'], ...chinese }
const working = createWorkingCalendar(office)
const calendars = { always: alwaysCalendar, working }
const at = (text: string) => Date.parse(text.includes('Z') ? text : `${text.replace(' ', 'T')}:00+08:00`)

function dueOf(severity: Severity, clock: SlaClock, declared: string): number | null {
  const facts = beginClocks(at(declared), severity)
  return readClock(facts, clock, facts.declaredAt, calendars).dueAt
}

describe("the seed's table, word for word", () => {
  // Declared on a Tuesday at ten, so that working days are not in the way.
  test.each([
    ['P0', 'response', '2026-03-03 10:15'],
    ['P0', 'handling', '2026-03-03 12:00'],
    ['P0', 'recovery', '2026-03-03 14:00'],
    ['P1', 'response', '2026-03-03 10:30'],
    ['P1', 'handling', '2026-03-03 14:00'],
    ['P1', 'recovery', '2026-03-03 18:00'],
    ['P2', 'response', '2026-03-03 12:00'],
    ['P2', 'handling', '2026-03-04 10:00'],
    ['P2', 'recovery', '2026-03-05 10:00'],
    ['P3', 'response', '2026-03-04 10:00'],
    ['P3', 'handling', '2026-03-05 10:00'],
    ['P3', 'recovery', '2026-03-10 10:00'],
  ] as const)('%s %s is due at %s', (severity, clock, due) => {
    expect(dueOf(severity, clock, '2026-03-03 10:00')).toBe(at(due))
  })

  test('P0 and P1 know no night and no holiday', () => {
    expect(dueOf('P0', 'response', '2026-10-01 03:00')).toBe(at('2026-10-01 03:15'))
    expect(dueOf('P1', 'recovery', '2026-02-17 23:00')).toBe(at('2026-02-18 07:00'))
  })

  test('P2 on a Friday evening is due on Monday', () => {
    expect(dueOf('P2', 'response', '2026-03-06 17:00')).toBe(at('2026-03-09 10:00'))
    expect(dueOf('P2', 'handling', '2026-03-06 20:00')).toBe(at('2026-03-09 18:00'))
  })

  test('nobody works in the Spring Festival, and everybody does on the Saturday that makes up for it', () => {
    // Friday the 13th; Saturday the 14th is worked; the 15th to the 23rd are not; Saturday the 28th is.
    expect(dueOf('P2', 'handling', '2026-02-13 15:00')).toBe(at('2026-02-14 15:00'))
    expect(dueOf('P2', 'handling', '2026-02-14 15:00')).toBe(at('2026-02-24 15:00'))
    expect(dueOf('P3', 'recovery', '2026-02-24 09:00')).toBe(at('2026-02-28 18:00'))
  })

  test('a lunch break does not count, and a working day is as long as its hours', () => {
    const lunch = createWorkingCalendar({ ...office, hours: ['09:00-12:00', '13:00-18:00'] })
    expect(lunch.add(at('2026-03-03 11:00'), { ms: 2 * hour })).toBe(at('2026-03-03 14:00'))
    expect(lunch.add(at('2026-03-03 11:00'), { workingDays: 1 })).toBe(at('2026-03-04 11:00'))
  })
})

describe('a working calendar', () => {
  const zones = ['Asia/Shanghai', 'Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe', 'UTC']
  const settings = fc.record({
    zone: fc.constantFrom(...zones),
    days: fc.uniqueArray(fc.integer({ min: 1, max: 7 }), { minLength: 1, maxLength: 7 }),
    hours: fc.constantFrom(
      ['09:00-18:00'],
      ['09:00-12:00', '13:00-17:30'],
      ['00:00-24:00'],
      ['01:30-02:45', '22:00-23:15'],
    ),
    holidays: fc.uniqueArray(fc.integer({ min: 0, max: 40 }), { maxLength: 12 }),
    makeUp: fc.uniqueArray(fc.integer({ min: 0, max: 40 }), { maxLength: 6 }),
    // Around both changes of the clocks, in both hemispheres.
    base: fc.constantFrom('2026-03-01', '2026-03-20', '2026-09-25', '2026-10-20'),
    start: fc.integer({ min: 0, max: 12 * 24 * 60 }),
    gaps: fc.array(fc.tuple(fc.integer({ min: 0, max: 20_000 }), fc.integer({ min: 0, max: 3000 })), { maxLength: 5 }),
    minutes: fc.integer({ min: 1, max: 3000 }),
  })
  const dateOf = (base: string, days: number) => new Date(Date.parse(base) + days * day).toISOString().slice(0, 10)

  test('agrees with a minute hand that walks through the days', () => {
    fc.assert(
      fc.property(settings, ({ zone: name, days, hours, holidays, makeUp, base, start, gaps, minutes }) => {
        const zone = openZone(name)
        const [off, extra] = [holidays.map((n) => dateOf(base, n)), makeUp.map((n) => dateOf(base, n))]
        const calendar = createWorkingCalendar({ zone, days, hours, holidays: off, makeUpDays: extra })
        const from = Date.parse(base) + start * minute
        const cut: Span[] = gaps.map(([a, length]) => ({
          from: from + a * minute,
          to: from + (a + length) * minute,
        }))
        const until = from + minutes * 3 * minute
        let worked = 0
        for (let now = from; now < until; now += minute) {
          const { date, weekday, minutes: shown } = zone.wallOf(now)
          const isOpen = hours.some((text) => {
            const [a, b] = text.split('-').map((each) => Number(each.slice(0, 2)) * 60 + Number(each.slice(3)))
            return shown >= a! && shown < b!
          })
          const works = extra.includes(date) || (days.includes(weekday) && !off.includes(date))
          if (works && isOpen && !cut.some((gap) => gap.from <= now && now < gap.to)) worked++
        }
        // Where an hour comes twice the hand sees it twice, and spans end at its first coming: those times are left out.
        const doubles = hours.some((text) => text.startsWith('01:30'))
        if (!doubles) expect(calendar.count(from, until, cut).ms).toBe(worked * minute)
      }),
      { numRuns: 60 },
    )
  })

  test('a deadline is the moment at which exactly the target is used up, whatever gaps there are', () => {
    fc.assert(
      fc.property(
        settings,
        fc.boolean(),
        ({ zone, days, hours, holidays, makeUp, base, start, gaps, minutes }, inDays) => {
          const calendar = createWorkingCalendar({
            ...{ zone: openZone(zone), days, hours, holidays: holidays.map((n) => dateOf(base, n)) },
            makeUpDays: makeUp.map((n) => dateOf(base, n)),
          })
          const from = Date.parse(base) + start * minute
          const cut = gaps.map(([a, length]) => ({ from: from + a * minute, to: from + (a + length) * minute }))
          const amount = inDays ? { workingDays: (minutes % 5) + 1 } : { ms: minutes * minute }
          const due = calendar.add(from, amount, cut)
          const used = calendar.count(from, due, cut)
          if ('ms' in amount) expect(used.ms).toBe(amount.ms)
          else expect(used.workingDays).toBeCloseTo(amount.workingDays, 6)
          // Nothing counted in the last millisecond before would be a deadline too late.
          expect(calendar.count(due - 1, due, cut).ms).toBe(1)
          expect(calendar.add(from, amount, [...cut, { from: due + day, to: due + 2 * day }])).toBe(due)
        },
      ),
      { numRuns: 100 },
    )
  })

  test('a night shift is an hour shorter when the clocks go forward and longer when they go back', () => {
    const night = (date: string) => {
      const all = createWorkingCalendar({
        ...{ zone: openZone('Europe/Berlin'), days: [1, 2, 3, 4, 5, 6, 7], hours: ['00:00-06:00'] },
        ...{ holidays: [], makeUpDays: [] },
      })
      const from = openZone('Europe/Berlin').instantOf(date, 0)
      return all.count(from, from + 12 * hour)
    }
    expect(night('2026-03-28')).toEqual({ ms: 6 * hour, workingDays: 1 })
    expect(night('2026-03-29')).toEqual({ ms: 5 * hour, workingDays: 1 })
    expect(night('2026-10-25')).toEqual({ ms: 7 * hour, workingDays: 1 })
  })

  test('one in which nobody ever works is an error and no endless search', () => {
    const never = createWorkingCalendar({ ...office, days: [1], holidays: [], hours: [] })
    expect(() => never.add(at('2026-03-03 10:00'), { ms: 1 })).toThrow('working time')
  })
})

describe('clocks', () => {
  type Step = { after: number; kind: 'pause' | 'resume' | 'severity'; severity: Severity }
  const steps = fc.array(
    fc.record({
      after: fc.integer({ min: 1, max: 40 * 60 }),
      kind: fc.constantFrom<Step['kind']>('pause', 'resume', 'severity'),
      severity: fc.constantFrom<Severity>('P0', 'P1', 'P2', 'P3'),
    }),
    { maxLength: 8 },
  )
  const severity = fc.constantFrom<Severity>('P0', 'P1', 'P2', 'P3')
  const isOpen = (facts: SlaFacts) => facts.gaps.some(({ to }) => to === null)

  function play(first: Severity, list: readonly Step[]) {
    let facts = beginClocks(at('2026-02-12 16:00'), first)
    let now = facts.declaredAt
    for (const { after, kind, severity } of list) {
      now += after * minute
      ;[facts] = settleClocks(facts, now, calendars)
      if (kind === 'pause' && !isOpen(facts)) facts = pauseClocks(facts, now, 'waits', 'somebody')
      if (kind === 'resume') facts = resumeClocks(facts, now)
      if (kind === 'severity') [facts] = changeSeverity(facts, severity, now, calendars)
    }
    return { facts, now }
  }

  test('paused time never counts, and a pause never makes anything due earlier', () => {
    fc.assert(
      fc.property(severity, steps, fc.integer({ min: 1, max: 5000 }), (first, list, length) => {
        const { facts: before, now } = play(first, list)
        const facts = resumeClocks(before, now)
        const later = now + length * minute
        const paused = resumeClocks(pauseClocks(facts, now, 'waits', 'x'), later)
        for (const clock of slaClocks) {
          const [without, within] = [facts, paused].map((each) => readClock(each, clock, later, calendars))
          expect(within!.dueAt!).toBeGreaterThanOrEqual(without!.dueAt!)
          expect(within!.netMs).toBe(readClock(facts, clock, now, calendars).netMs)
          expect(within!.grossMs).toBe(without!.grossMs)
          expect(within!.netMs).toBeLessThanOrEqual(within!.grossMs)
        }
      }),
      { numRuns: 150 },
    )
  })

  test('what was missed stays missed, whatever becomes of the severity', () => {
    fc.assert(
      fc.property(severity, steps, severity, (first, list, last) => {
        const { facts, now } = play(first, list)
        const late = slaClocks.filter((clock) => facts.breaches[clock] !== undefined)
        const [changed] = changeSeverity(facts, last, now + minute, calendars)
        for (const clock of late) {
          expect(changed.breaches[clock]).toEqual(facts.breaches[clock])
          expect(readClock(changed, clock, now + minute, calendars).state).toBe('breached')
        }
      }),
      { numRuns: 150 },
    )
  })

  test('a change of severity keeps the time that was paused', () => {
    const declared = at('2026-03-03 10:00')
    let facts = beginClocks(declared, 'P1')
    facts = resumeClocks(pauseClocks(facts, declared + hour, 'waiting on the provider', 'ann'), declared + 2 * hour)
    ;[facts] = changeSeverity(facts, 'P0', declared + 2 * hour, calendars)
    expect(readClock(facts, 'handling', declared + 2 * hour, calendars)).toMatchObject({
      ...{ dueAt: declared + 3 * hour, netMs: hour, grossMs: 2 * hour, share: 0.5 },
    })
  })

  test('raised too late is missed at once, and says why; the moment is that of the change', () => {
    const declared = at('2026-03-03 10:00')
    const [facts, news] = changeSeverity(beginClocks(declared, 'P2'), 'P0', declared + hour, calendars)
    expect(news).toEqual([{ kind: 'breached', clock: 'response', at: declared + hour, reason: 'severity raised' }])
    expect(readClock(facts, 'response', declared + hour, calendars)).toMatchObject({
      ...{ state: 'breached', breachedAt: declared + hour, reason: 'severity raised' },
    })
  })

  test('it is at risk when four fifths are used up, told once, and missed after the last millisecond', () => {
    const declared = at('2026-03-03 10:00')
    const facts = beginClocks(declared, 'P0')
    const state = (ms: number) => readClock(facts, 'response', declared + ms, calendars).state
    expect([state(12 * minute - 1), state(12 * minute), state(15 * minute), state(15 * minute + 1)]).toEqual([
      ...['running', 'at_risk', 'at_risk', 'breached'],
    ])
    const [warned, news] = settleClocks(facts, declared + 12 * minute, calendars)
    expect(news).toEqual([{ kind: 'at_risk', clock: 'response', at: declared + 12 * minute, reason: '' }])
    expect(settleClocks(warned, declared + 13 * minute, calendars)[1]).toEqual([])
    // Looked at much later, it was missed when it was, not when somebody looked.
    expect(settleClocks(warned, declared + 30 * minute, calendars)[1]).toEqual([
      { kind: 'breached', clock: 'response', at: declared + 15 * minute, reason: '' },
    ])
  })

  test('stopped in time is met for good; while it waits nobody knows when it is due', () => {
    const declared = at('2026-03-03 10:00')
    const met = stopClock(beginClocks(declared, 'P0'), 'response', declared + 15 * minute)
    expect(readClock(met, 'response', declared + day, calendars)).toMatchObject({ state: 'met', share: 1 })
    const paused = pauseClocks(met, declared + hour, 'waits', 'ann')
    expect(readClock(paused, 'handling', declared + day, calendars)).toMatchObject({ state: 'paused', dueAt: null })
    expect(readClock(paused, 'response', declared + day, calendars).state).toBe('met')
  })

  test('what is opened again runs on, and the time in which it was over is not counted', () => {
    const declared = at('2026-03-03 10:00')
    const stopped = stopClock(beginClocks(declared, 'P1'), 'recovery', declared + hour)
    const again = continueClocks(stopped, ['recovery'], declared + hour + 20 * minute, 'reopened')
    expect(readClock(again, 'recovery', declared + 2 * hour, calendars)).toMatchObject({
      ...{ state: 'running', netMs: 100 * minute, grossMs: 120 * minute, dueAt: declared + 8 * hour + 20 * minute },
    })
  })
})
