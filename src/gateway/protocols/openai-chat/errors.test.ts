import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type ErrorCode, errorCatalogue, fail } from '../../../kernel/errors.ts'
import { readError, writeError } from './errors.ts'

const written = (code: ErrorCode, options = {}) =>
  writeError(fail(code, 'm', options), 'req_1').error as Record<string, unknown>
const openai = (error: Record<string, unknown>) => JSON.stringify({ error })

describe('to callers', () => {
  test('5.2.21 every error has all four keys', () => {
    for (const code of Object.keys(errorCatalogue) as ErrorCode[]) {
      const error = written(code)
      expect(Object.keys(error)).toEqual(['message', 'type', 'param', 'code'])
      expect(typeof error.message).toBe('string')
      expect(typeof error.type).toBe('string')
    }
  })

  test('5.2.21 codes that clients switch on', () => {
    expect(written('invalid_request', { param: 'n' })).toEqual({
      message: 'm',
      type: 'invalid_request_error',
      param: 'n',
      code: null,
    })
    expect(written('invalid_api_key')).toMatchObject({ type: 'invalid_request_error', code: 'invalid_api_key' })
    expect(written('unauthenticated')).toMatchObject({ type: 'invalid_request_error', code: 'invalid_api_key' })
    expect(written('model_not_found')).toMatchObject({ type: 'invalid_request_error', code: 'model_not_found' })
    expect(written('unsupported_parameter')).toMatchObject({ code: 'unsupported_parameter' })
    expect(written('rate_limited')).toMatchObject({ type: 'rate_limit_error', code: 'rate_limit_exceeded' })
    expect(written('no_provider')).toMatchObject({ type: 'server_error', code: 'no_provider' })
    expect(written('internal')).toMatchObject({ type: 'server_error', message: 'm (request id req_1)' })
  })

  test("a provider's words are kept where OpenAI's clients know them", () => {
    const vendor = (type: string | null, code: string | null) => ({ vendor: { type, code } })
    expect(written('upstream_refused', vendor('invalid_request_error', 'context_length_exceeded'))).toMatchObject({
      type: 'invalid_request_error',
      code: 'context_length_exceeded',
    })
    expect(written('upstream_rate_limited', vendor('tokens', 'rate_limit_exceeded'))).toMatchObject({ type: 'tokens' })
    expect(written('upstream_rate_limited', vendor(null, 'insufficient_quota'))).toMatchObject({
      type: 'insufficient_quota',
      code: 'insufficient_quota',
    })
    expect(written('upstream_overloaded', vendor('overloaded_error', 'RESOURCE_EXHAUSTED'))).toMatchObject({
      type: 'server_error',
      code: 'upstream_overloaded',
    })
    expect(written('upstream_unauthorized', vendor('invalid_request_error', 'invalid_api_key'))).toMatchObject({
      code: 'upstream_unauthorized',
    })
  })
})

describe('from providers', () => {
  const read = (status: number, body: string, headers = {}) => readError(status, headers, body)

  test('5.6.44 the kind of failure follows from code, type and status', () => {
    const cases: [status: number, error: Record<string, unknown>, code: string][] = [
      [400, { message: 'bad', type: 'invalid_request_error', param: 'n', code: null }, 'invalid_request'],
      [400, { message: 'x', type: 'invalid_request_error', code: 'context_length_exceeded' }, 'context_too_long'],
      [400, { message: "This model's maximum context length is 8192 tokens", code: null }, 'context_too_long'],
      [400, { message: 'x', code: 'content_filter' }, 'content_filter'],
      [401, { message: 'x', type: 'invalid_request_error', code: 'invalid_api_key' }, 'authentication'],
      [402, { message: 'Insufficient Balance' }, 'insufficient_quota'],
      [403, { message: 'Country not supported', code: 'unsupported_country_region_territory' }, 'permission'],
      [404, { message: 'x', type: 'invalid_request_error', code: 'model_not_found' }, 'not_found'],
      [429, { message: 'x', type: 'requests', code: 'rate_limit_exceeded' }, 'rate_limited'],
      [429, { message: 'x', type: 'insufficient_quota', code: 'insufficient_quota' }, 'insufficient_quota'],
      [429, { message: 'You exceeded your current quota, please check your plan' }, 'insufficient_quota'],
      [499, { message: 'x' }, 'server_error'],
      [500, { message: 'x', type: 'server_error' }, 'server_error'],
      [503, { message: 'x', type: 'server_error' }, 'overloaded'],
      [504, { message: 'x' }, 'timeout'],
      [529, { message: 'x', type: 'overloaded_error' }, 'overloaded'],
    ]
    for (const [status, error, code] of cases)
      expect([status, read(status, openai(error)).code]).toEqual([status, code])
  })

  test('5.6.44 status, type, code and param are kept', () => {
    const body = openai({ message: 'bad', type: 'invalid_request_error', param: 'messages', code: 'invalid_type' })
    expect(read(400, body)).toEqual({
      code: 'invalid_request',
      status: 400,
      message: 'bad',
      vendorType: 'invalid_request_error',
      vendorCode: 'invalid_type',
      param: 'messages',
      retryAfterMs: null,
    })
  })

  test('5.6.44 errors of other shapes give their message', () => {
    for (const body of [
      '{"error":"m"}',
      '{"message":"m"}',
      '{"detail":"m"}',
      '[{"error":{"message":"m"}}]',
      'm',
      ' m\n',
    ]) {
      expect(read(400, body).message).toBe('m')
    }
  })

  test('5.6.44 HTML, nothing and nonsense become a sentence', () => {
    expect(read(502, '<html><h1>Bad Gateway at 10.0.0.3</h1>')).toMatchObject({
      code: 'server_error',
      status: 502,
      message: 'The provider answered 502 with an HTML page',
    })
    expect(read(500, '').message).toBe('The provider answered 500 without a body')
    expect(read(500, '{"cut":').message).toBe('The provider answered 500')
  })

  test('5.6.44 an error under a good status stands for the status it means', () => {
    expect(read(200, openai({ message: 'x', code: 'rate_limit_exceeded' }))).toMatchObject({
      code: 'rate_limited',
      status: 429,
    })
    expect(read(200, openai({ message: 'x', code: 402 }))).toMatchObject({ code: 'insufficient_quota', status: 402 })
    expect(read(200, openai({ message: 'x' }))).toMatchObject({ code: 'server_error', status: 500 })
  })

  test('5.6.42 the wait that a provider asks for is read', () => {
    expect(read(429, '', { 'retry-after': '2' }).retryAfterMs).toBe(2000)
    expect(
      read(429, '', { 'x-ratelimit-remaining-tokens': '0', 'x-ratelimit-reset-tokens': '1m30s' }).retryAfterMs,
    ).toBe(90_000)
  })

  test('5.6.44 whatever a provider answers, reading it never throws and never repeats a key', () => {
    const secret = 'sk-proj-CANARY0123456789'
    const shape = fc.constantFrom<(text: string) => string>(
      (text) => openai({ message: text }),
      (text) => openai({ message: { deep: text }, code: [text], type: 1 }),
      (text) => JSON.stringify({ error: text }),
      (text) => text,
      (text) => `[${JSON.stringify(text)}]`,
    )
    fc.assert(
      fc.property(fc.integer({ min: 100, max: 999 }), shape, fc.string(), (status, wrap, noise) => {
        const failed = read(status, wrap(`${noise} ${secret} ${noise}`))
        expect(failed.message).not.toContain('CANARY')
        expect(failed.message.length).toBeGreaterThan(0)
        expect(failed.status).toBeGreaterThanOrEqual(400)
      }),
    )
  })
})
