import { expect, test } from 'vitest'
import { failure, networkFailure, toCallerError } from './failures.ts'

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

test.each([
  ['UND_ERR_CONNECT_TIMEOUT', false, 'connect_timeout', 'upstream_connect_timeout'],
  ['UND_ERR_CONNECT_TIMEOUT', true, 'connect_timeout', 'upstream_connect_timeout'],
  ['ETIMEDOUT', false, 'connect_timeout', 'upstream_connect_timeout'],
  ['UND_ERR_HEADERS_TIMEOUT', false, 'timeout', 'upstream_timeout'],
  ['UND_ERR_HEADERS_TIMEOUT', true, 'first_token_timeout', 'upstream_first_token_timeout'],
  ['UND_ERR_BODY_TIMEOUT', false, 'timeout', 'upstream_timeout'],
  ['UND_ERR_BODY_TIMEOUT', true, 'idle_timeout', 'upstream_idle_timeout'],
  ['ECONNRESET', true, 'server_error', 'upstream_unreachable'],
])('5.1.10 %s of a stream (%s) says which clock ran out: %s', (code, isStreamed, kind, told) => {
  const failed = networkFailure(Object.assign(new Error('x'), { code }), isStreamed)
  expect(failed.code).toBe(kind)
  expect(toCallerError(failed)).toMatchObject({ code: told, status: told === 'upstream_unreachable' ? 502 : 504 })
})
