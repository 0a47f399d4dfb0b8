import { expect, test } from 'vitest'
import { readError } from './errors.ts'

const body = (code: number, status: string, message = 'm', details: object[] = []) =>
  JSON.stringify({ error: { code, message, status, details } })
const codeOf = (code: number, status: string, message?: string, details?: object[]) =>
  readError(code, {}, body(code, status, message, details)).code

test('each kind of error has its code and keeps its status', () => {
  expect(codeOf(400, 'INVALID_ARGUMENT')).toBe('invalid_request')
  expect(codeOf(401, 'UNAUTHENTICATED')).toBe('authentication')
  expect(codeOf(403, 'PERMISSION_DENIED')).toBe('permission')
  expect(codeOf(404, 'NOT_FOUND')).toBe('not_found')
  expect(codeOf(429, 'RESOURCE_EXHAUSTED')).toBe('rate_limited')
  expect(codeOf(500, 'INTERNAL')).toBe('server_error')
  expect(codeOf(503, 'UNAVAILABLE')).toBe('overloaded')
  expect(codeOf(504, 'DEADLINE_EXCEEDED')).toBe('timeout')
})

test('a bad key is not the caller’s fault, whatever status it comes with', () => {
  const reason = [{ '@type': 'type.googleapis.com/google.rpc.ErrorInfo', reason: 'API_KEY_INVALID' }]
  const text = 'API key not valid. Please pass a valid API key.'
  expect(readError(400, {}, body(400, 'INVALID_ARGUMENT', text, reason))).toMatchObject({
    code: 'authentication',
    status: 400,
    vendorType: 'INVALID_ARGUMENT',
    vendorCode: 'API_KEY_INVALID',
  })
})

test('causes that share a status are told apart', () => {
  const long = 'The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).'
  expect(codeOf(400, 'INVALID_ARGUMENT', long)).toBe('context_too_long')
  const quota = (quotaId: string) => [
    { '@type': 'type.googleapis.com/google.rpc.QuotaFailure', violations: [{ quotaId }] },
  ]
  expect(codeOf(429, 'RESOURCE_EXHAUSTED', 'x', quota('GenerateRequestsPerDayPerProjectPerModel'))).toBe(
    'insufficient_quota',
  )
  expect(codeOf(429, 'RESOURCE_EXHAUSTED', 'x', quota('GenerateRequestsPerMinutePerProjectPerModel'))).toBe(
    'rate_limited',
  )
})

test('RetryInfo is obeyed where no header says more', () => {
  const details = [{ '@type': 'type.googleapis.com/google.rpc.RetryInfo', retryDelay: '34.07s' }]
  const text = body(429, 'RESOURCE_EXHAUSTED', 'x', details)
  expect(readError(429, {}, text).retryAfterMs).toBe(34_070)
  expect(readError(429, {}, `[${text}]`).retryAfterMs).toBe(34_070)
  expect(readError(429, { 'retry-after': '2' }, text).retryAfterMs).toBe(2000)
})

test('HTML and nothing still say what the status says', () => {
  expect(readError(502, {}, '<html>')).toMatchObject({
    code: 'server_error',
    message: 'The provider answered 502 without saying why.',
  })
  expect(readError(429, {}, '').code).toBe('rate_limited')
  expect(readError(400, {}, '[]').code).toBe('invalid_request')
})

test('the key is never echoed', () => {
  for (const leak of ['bad request: ?key=canary-7f', 'key: canary-7f', 'AIzaSyCanary-7f_123 is unknown']) {
    expect(readError(400, {}, body(400, 'INVALID_ARGUMENT', leak)).message).not.toMatch(/canary/i)
  }
})
