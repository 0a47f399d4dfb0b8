import { expect, test } from 'vitest'
import { failure } from '../failures.ts'
import { blameFor, Suspicion } from './attribution.ts'

const broken = failure('server_error', 500, 'x')
const late = failure('timeout', 0, 'x')

function judge(held: [string, typeof broken][], wasAnswered: boolean): Record<string, boolean> {
  const suspicion = new Suspicion<string>()
  for (const [id, failed] of held) suspicion.add(id, id, failed)
  const told: Record<string, boolean> = {}
  suspicion.judge(wasAnswered, (id, isProviders) => {
    told[id] = isProviders
  })
  return told
}

test.each([
  ['invalid_request', 400, 'caller'],
  ['content_filter', 400, 'caller'],
  ['context_too_long', 400, 'caller'],
  ['server_error', 413, 'caller'],
  ['server_error', 422, 'caller'],
  ['authentication', 401, 'key'],
  ['permission', 403, 'key'],
  ['rate_limited', 429, 'key'],
  ['insufficient_quota', 429, 'key'],
  ['forbidden_address', 0, 'hub'],
  ['server_error', 500, 'provider'],
  ['overloaded', 529, 'provider'],
  ['timeout', 0, 'provider'],
  ['not_found', 404, 'provider'],
] as const)('%s with status %i is put down to: %s', (code, status, blame) => {
  expect(blameFor(failure(code, status, 'x'))).toBe(blame)
})

test('4.8.33 a request that fails the same way at two candidates is taken to be the cause', () => {
  expect(
    judge(
      [
        ['a', broken],
        ['b', broken],
      ],
      false,
    ),
  ).toEqual({ a: false, b: false })
})

test('4.8.33 two ways to fail, another who answers, or one candidate alone: it was the provider', () => {
  expect(
    judge(
      [
        ['a', broken],
        ['b', late],
      ],
      false,
    ),
  ).toEqual({ a: true, b: true })
  expect(
    judge(
      [
        ['a', broken],
        ['b', broken],
      ],
      true,
    ),
  ).toEqual({ a: true, b: true })
  expect(
    judge(
      [
        ['a', broken],
        ['a', broken],
      ],
      false,
    ),
  ).toEqual({ a: true })
})
