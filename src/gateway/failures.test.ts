import { expect, test } from 'vitest'
import { failure, toCallerError } from './failures.ts'

test.each(['authentication', 'permission', 'server_error', 'invalid_request'] as const)(
  'a 401 of a provider is never a 401 of ours, even one that says %s: the key it refuses is not the caller’s',
  (code) => {
    expect(toCallerError(failure(code, 401, 'no')).status).not.toBe(401)
  },
)

test('other statuses of a provider stay as they are', () => {
  expect(toCallerError(failure('server_error', 500, 'no')).status).toBe(500)
  expect(toCallerError(failure('rate_limited', 429, 'no')).status).toBe(429)
})
