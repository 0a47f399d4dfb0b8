import { expect, test } from 'vitest'
import { readError } from './errors.ts'

const body = (type: string, message = 'm') =>
  JSON.stringify({ type: 'error', error: { type, message }, request_id: 'r' })
const codeOf = (status: number, text: string) => readError(status, {}, text).code

test('each kind of error has its code and keeps its status', () => {
  expect(codeOf(400, body('invalid_request_error'))).toBe('invalid_request')
  expect(codeOf(401, body('authentication_error'))).toBe('authentication')
  expect(codeOf(402, body('billing_error'))).toBe('insufficient_quota')
  expect(codeOf(403, body('permission_error'))).toBe('permission')
  expect(codeOf(404, body('not_found_error'))).toBe('not_found')
  expect(codeOf(413, body('request_too_large'))).toBe('invalid_request')
  expect(codeOf(429, body('rate_limit_error'))).toBe('rate_limited')
  expect(codeOf(500, body('api_error'))).toBe('server_error')
  expect(codeOf(504, body('timeout_error'))).toBe('timeout')
  expect(readError(529, {}, body('overloaded_error', 'Overloaded'))).toEqual({
    code: 'overloaded',
    status: 529,
    message: 'Overloaded',
    vendorType: 'overloaded_error',
    vendorCode: null,
    param: null,
    retryAfterMs: null,
  })
})

test('causes that share a type are told apart', () => {
  expect(codeOf(400, body('invalid_request_error', 'prompt is too long: 210000 tokens > 200000 maximum'))).toBe(
    'context_too_long',
  )
  expect(codeOf(400, body('invalid_request_error', 'Your credit balance is too low to access the API'))).toBe(
    'insufficient_quota',
  )
})

test('HTML, nothing and foreign envelopes still say what the status says', () => {
  expect(readError(502, {}, '<html><body>Bad gateway</body></html>')).toMatchObject({
    code: 'server_error',
    message: 'The provider answered 502 without saying why.',
  })
  expect(codeOf(529, '')).toBe('overloaded')
  expect(codeOf(429, '{"error":')).toBe('rate_limited')
  expect(codeOf(418, '"x"')).toBe('invalid_request')
  expect(readError(400, {}, '{"error":{"message":"elsewhere"}}').message).toBe('elsewhere')
})

test('retry-after is obeyed', () => {
  expect(readError(429, { 'retry-after': '7' }, body('rate_limit_error')).retryAfterMs).toBe(7000)
})

test('keys, accounts and addresses stay with us', () => {
  const leaky = 'key sk-ant-api03-canary1234567890 at https://internal.example/v1 is bad'
  const { message } = readError(400, {}, body('invalid_request_error', leaky))
  expect(message).not.toMatch(/canary|internal\.example/)
  const account = readError(401, {}, body('authentication_error', 'invalid x-api-key for Acme Inc'))
  expect(account.message).toBe('The provider did not accept the key this hub uses.')
})
