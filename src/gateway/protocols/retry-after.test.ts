import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseDuration, readRetryAfter } from './retry-after.ts'

const nowMs = Date.UTC(2026, 10, 23, 6, 0, 0)
const wait = (headers: Record<string, string | string[]>, status = 429) => readRetryAfter(headers, status, nowMs)

test('5.6.42 Retry-After in seconds, whole or not, and as an HTTP-date', () => {
  expect(wait({ 'retry-after': '7' })).toBe(7000)
  expect(wait({ 'retry-after': '0.25' })).toBe(250)
  expect(wait({ 'retry-after': 'Mon, 23 Nov 2026 06:00:09 GMT' })).toBe(9000)
})

test('5.6.42 the millisecond headers win over the coarse one', () => {
  expect(wait({ 'retry-after-ms': '1500', 'retry-after': '60' })).toBe(1500)
  expect(wait({ 'x-ms-retry-after-ms': '40', 'retry-after': '60' })).toBe(40)
})

test('5.6.42 OpenAI durations count on 429, for the limits that are used up, the longest of them', () => {
  expect(wait({ 'x-ratelimit-remaining-requests': '0', 'x-ratelimit-reset-requests': '1m30s' })).toBe(90_000)
  expect(
    wait({
      'x-ratelimit-remaining-requests': '0',
      'x-ratelimit-reset-requests': '20ms',
      'x-ratelimit-remaining-tokens': '0',
      'x-ratelimit-reset-tokens': '6.5s',
    }),
  ).toBe(6500)
  expect(wait({ 'x-ratelimit-remaining-requests': '99', 'x-ratelimit-reset-requests': '1m30s' })).toBeNull()
  expect(wait({ 'x-ratelimit-remaining-requests': '0', 'x-ratelimit-reset-requests': '1m30s' }, 500)).toBeNull()
})

test('5.6.42 a reset given as a point in time is read as one', () => {
  expect(wait({ 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': String(nowMs + 3000) })).toBe(3000)
  expect(wait({ 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': String(nowMs / 1000 + 4) })).toBe(4000)
  expect(wait({ 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '5' })).toBe(5000)
})

test('5.6.42 waits are clamped: the past is now, a day is ten minutes', () => {
  expect(wait({ 'retry-after': 'Mon, 23 Nov 2026 05:00:00 GMT' })).toBe(0)
  expect(wait({ 'retry-after': '86400' })).toBe(600_000)
})

test('5.6.42 nonsense is no wait', () => {
  for (const text of ['', 'soon', '-5', '1e3', 'NaN', '5 apples', 'Mon, nonsense'])
    expect(wait({ 'retry-after': text })).toBeNull()
  expect(wait({})).toBeNull()
  expect(wait({ 'retry-after': ['3', '9'] })).toBe(3000)
})

test('whatever a provider sends, the wait is a whole number within bounds or null', () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), (a, b) => {
      const ms = wait({ 'retry-after': a, 'retry-after-ms': b, 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': a })
      expect(ms === null || (Number.isInteger(ms) && ms >= 0 && ms <= 600_000)).toBe(true)
    }),
  )
})

test('durations of several units add up', () => {
  expect(parseDuration('1h2m3.5s')).toBe(3_723_500)
  expect(parseDuration('39s')).toBe(39_000)
  expect(parseDuration('1m30')).toBeNull()
  expect(parseDuration('')).toBeNull()
})
