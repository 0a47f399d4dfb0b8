import { describe, expect, test } from 'vitest'
import { createDice } from '../../kernel/dice.ts'
import { fingerprintOf } from '../fingerprint.ts'
import { parseMatchers, showLabels, showMatchers } from './matchers.ts'
import { compileRouting, groupKeyOf, groupLabelsOf, readRouting } from './routing.ts'
import { holdsAt, timeIntervalSchema } from './time-intervals.ts'

describe('fingerprints', () => {
  test("are Alertmanager's", () => {
    expect(fingerprintOf({})).toBe('cbf29ce484222325')
    const upstream = { name: 'garland, briggs', fear: 'love is not enough' }
    expect(BigInt(`0x${fingerprintOf(upstream)}`)).toBe(5799056148416392346n)
    expect(fingerprintOf({ alertname: 'HighCPU', instance: 'a:1' })).toBe('8cd513d87f30ef2f')
  })

  test('are those of the book for a thousand sets of labels', () => {
    const dice = createDice(7)
    const word = () =>
      Array.from({ length: 1 + dice() * 12 }, () => String.fromCodePoint(32 + Math.floor(dice() * 40_000))).join('')
    for (let i = 0; i < 1000; i++) {
      const labels = Object.fromEntries(Array.from({ length: dice() * 6 }, () => [word(), word()]))
      let hash = 0xcbf29ce484222325n
      const add = (byte: number) => {
        hash = ((hash ^ BigInt(byte)) * 0x100000001b3n) & 0xffffffffffffffffn
      }
      for (const name of Object.keys(labels).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))) {
        for (const text of [name, labels[name]!]) {
          for (const byte of Buffer.from(text.toWellFormed())) add(byte)
          add(0xff)
        }
      }
      expect(fingerprintOf(labels)).toBe(hash.toString(16).padStart(16, '0'))
    }
  })
})

describe('matchers', () => {
  test.each([
    ['{a="b"}', '{a="b"}'],
    ['a=b', '{a="b"}'],
    ['{c!~"d|e", a=~"x.*",}', '{a=~"x.*",c!~"d|e"}'],
    ['{"a name"="with \\"quotes\\" and \\\\"}', '{"a name"="with \\"quotes\\" and \\\\"}'],
    ['中=值', '{"中"="值"}'],
    ['', '{}'],
  ])('%s is read', (text, shown) => expect(showMatchers(parseMatchers(text))).toBe(shown))

  test.each(['{a="b"', 'a', 'a=', '=b', 'a="b', 'a=~"("', 'a=b c=d', 'a="\\q"'])('%s is refused and says why', (text) =>
    expect(() => parseMatchers(text)).toThrow(/matchers|pattern/),
  )

  test('a label that is absent is an empty one, and a pattern matches the whole value', () => {
    const holds = (text: string, labels: Record<string, string>) =>
      parseMatchers(text).every((each) => each.matches(labels))
    expect(holds('a=""', {})).toBe(true)
    expect(holds('a!=b', {})).toBe(true)
    expect(holds('a=~"b"', { a: 'abc' })).toBe(false)
    expect(holds('a=~".*b.*"', { a: 'abc' })).toBe(true)
  })
})

describe('routing', () => {
  const routing = compileRouting(
    readRouting({
      route: {
        ...{ receiver: 'root', group_by: ['alertname'], group_wait: '10s' },
        routes: [
          {
            receiver: 'x',
            matchers: ['team="x"'],
            continue: true,
            routes: [{ receiver: 'xc', matchers: ['severity=critical'] }],
          },
          { receiver: 'all', matchers: ['team=~"x|y"'], group_by: ['...'], group_wait: '1s' },
        ],
      },
    }),
  )
  const told = (labels: Record<string, string>) => routing.find(labels).map(({ node }) => node.receiver)

  test('the first that matches wins unless it continues, the deepest of each branch', () => {
    expect(told({ team: 'x', severity: 'critical' })).toEqual(['xc', 'all'])
    expect(told({ team: 'x' })).toEqual(['x', 'all'])
    expect(told({ team: 'y' })).toEqual(['all'])
    expect(told({})).toEqual(['root'])
  })

  test("children inherit, and keys of groups are Alertmanager's", () => {
    const labels = { alertname: 'X', team: 'x', severity: 'critical' }
    const { node } = routing.find(labels)[0]!
    expect(node.waitMs).toBe(10_000)
    expect(groupKeyOf(node, groupLabelsOf(node, labels, ''))).toBe(
      '{}/{team="x"}/{severity="critical"}:{alertname="X"}',
    )
    expect(groupKeyOf(node, groupLabelsOf(node, labels, 'ten_1'))).toContain('tenant_id="ten_1"')
    expect(showLabels(groupLabelsOf(routing.find(labels)[1]!.node, labels, ''))).toBe(
      '{alertname="X", severity="critical", team="x"}',
    )
  })

  test('a child inherits that each alert is a group of its own, as in Alertmanager: it had been one group of all', () => {
    const of = compileRouting(
      readRouting({
        route: {
          ...{ receiver: 'root', group_by: ['...'] },
          routes: [{ receiver: 'x', matchers: ['team="x"'], routes: [{ matchers: ['deep="1"'] }] }],
        },
      }),
    )
    for (const labels of [{ team: 'x', i: '1' }, { team: 'x', deep: '1' }, { i: '1' }]) {
      const { node } = of.find(labels)[0]!
      expect(groupLabelsOf(node, labels, '')).toEqual(labels)
    }
  })

  test.each([
    [{ group_by: ['a'] }, /root needs a receiver/],
    [{ receiver: 'r', matchers: ['a=b'] }, /root takes all alerts/],
    [{ receiver: 'r', routes: [{ matchers: ['a=~"("'] }] }, /route\.routes\[0\]/],
    [{ receiver: 'r', routes: [{ mute_time_intervals: ['night'] }] }, /no time interval night/],
    [{ receiver: 'r', group_wait: '10' }, /route\.group_wait/],
    [{ receiver: 'r', group_by: ['...', 'a'] }, /stands alone/],
    [{ receiver: 'r', color: 'red' }, /route/],
  ])('%j is refused by its place', (route, message) =>
    expect(() => compileRouting(readRouting({ route }))).toThrow(message),
  )
})

describe('time intervals', () => {
  const at = (interval: object, iso: string) => holdsAt(timeIntervalSchema.parse(interval), Date.parse(iso))
  test.each([
    [{ times: [{ start_time: '09:00', end_time: '17:00' }] }, '2026-03-02T09:00:00Z', true],
    [{ times: [{ start_time: '09:00', end_time: '17:00' }] }, '2026-03-02T17:00:00Z', false],
    [{ times: [{ start_time: '09:00', end_time: '24:00' }], location: 'Asia/Shanghai' }, '2026-03-02T15:59:00Z', true],
    [{ weekdays: ['monday:friday'] }, '2026-03-01T12:00:00Z', false],
    [{ weekdays: ['saturday', 'sunday'], location: 'Asia/Shanghai' }, '2026-02-27T16:00:00Z', true],
    [{ days_of_month: ['-3:-1'] }, '2026-02-26T12:00:00Z', true],
    [{ days_of_month: ['-3:-1'] }, '2026-02-25T12:00:00Z', false],
    [{ days_of_month: ['29:31'] }, '2026-02-28T12:00:00Z', false],
    [{ months: ['january:march', '12'] }, '2026-12-01T00:00:00Z', true],
    [{ years: ['2027'] }, '2026-12-01T00:00:00Z', false],
    // 02:30 comes twice where clocks go back, and never where they go forward.
    [{ times: [{ start_time: '02:00', end_time: '03:00' }], location: 'Europe/Berlin' }, '2026-10-25T01:30:00Z', true],
    [{ times: [{ start_time: '02:00', end_time: '03:00' }], location: 'Europe/Berlin' }, '2026-03-29T01:00:00Z', false],
  ])('%j at %s: %s', (interval, iso, expected) => expect(at(interval, iso)).toBe(expected))

  test.each([
    { weekdays: ['friday:monday'] },
    { times: [{ start_time: '22:00', end_time: '06:00' }] },
    { months: ['13'] },
    { location: 'Mars' },
  ])('%j is refused', (interval) => expect(timeIntervalSchema.safeParse(interval).success).toBe(false))
})
