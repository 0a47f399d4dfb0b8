import fc from 'fast-check'
import { expect, test } from 'vitest'
import { failure } from '../failures.ts'
import { KeyLadder } from './key-ladder.ts'

const limited = (retryAfterMs: number | null = null) => failure('rate_limited', 429, 'x', retryAfterMs)
const refused = failure('authentication', 401, 'x')

test('4.8.33 a limit rests the key for as long as the provider says, never shorter, with jitter on top', () => {
  for (const draw of [0, 0.5, 0.999]) {
    const key = new KeyLadder(() => draw)
    key.failed(limited(3000), 0)
    expect(key.state(2999)).toBe('resting')
    expect(key.state(3601)).toBe('ready')
  }
})

test('4.8.33 limits in a row rest it longer each time, up to five minutes, and one success forgives all', () => {
  const key = new KeyLadder(() => 0)
  let now = 0
  const rests: number[] = []
  for (let turn = 0; turn < 12; turn++) {
    key.failed(limited(), now)
    rests.push(key.restMs(now))
    now += key.restMs(now)
  }
  expect(rests.slice(0, 4)).toEqual([1000, 2000, 4000, 8000])
  expect(rests.at(-1)).toBe(300_000)
  key.succeeded()
  key.failed(limited(), now)
  expect(key.restMs(now)).toBe(1000)
})

test('calls that were under way together are one story, not many', () => {
  const key = new KeyLadder(() => 0)
  for (let call = 0; call < 50; call++) key.failed(limited(), call)
  expect(key.restMs(50)).toBeLessThanOrEqual(2000)
})

test('an empty purse wakes at the time the provider names, else it is looked at once a minute and ever more seldom', () => {
  const named = new KeyLadder(() => 0)
  named.failed(failure('insufficient_quota', 429, 'x', 7_200_000), 0)
  expect([named.state(7_199_999), named.state(7_200_000)]).toEqual(['resting', 'ready'])
  const unnamed = new KeyLadder(() => 0)
  unnamed.failed(failure('insufficient_quota', 429, 'x'), 0)
  expect(unnamed.restMs(0)).toBe(60_000)
  expect(unnamed.restReason(0)).toBe('insufficient_quota')
})

test('a key dies of two refusals in a row and not of one; only a person revives it', () => {
  const key = new KeyLadder(() => 0)
  expect(key.failed(refused, 0)).toBe(false)
  key.succeeded()
  expect(key.failed(refused, 10_000)).toBe(false)
  expect(key.failed(refused, 20_000)).toBe(true)
  expect(key.state(1e12)).toBe('dead')
  expect(key.failed(refused, 30_000)).toBe(false)
})

test('a provider in trouble says nothing of its key', () => {
  const key = new KeyLadder(() => 0)
  for (const code of ['server_error', 'timeout', 'overloaded', 'invalid_request'] as const) {
    key.failed(failure(code, 500, 'x'), 0)
  }
  expect(key.state(0)).toBe('ready')
})

test('no rest is endless, whatever comes', () => {
  const failures = fc.constantFrom('rate_limited', 'insufficient_quota', 'permission', 'server_error')
  fc.assert(
    fc.property(
      fc.array(fc.tuple(failures, fc.option(fc.nat({ max: 2 ** 40 })), fc.nat({ max: 60_000 })), { maxLength: 60 }),
      fc.double({ min: 0, max: 0.999, noNaN: true }),
      (steps, draw) => {
        const key = new KeyLadder(() => draw)
        let now = 0
        for (const [code, retryAfterMs, passed] of steps) {
          now += passed
          key.failed(failure(code, 429, 'x', retryAfterMs), now)
          expect(key.restMs(now)).toBeLessThanOrEqual(1.2 * 24 * 3_600_000)
        }
        expect(key.state(now + 2 * 24 * 3_600_000)).toBe('ready')
      },
    ),
  )
})
