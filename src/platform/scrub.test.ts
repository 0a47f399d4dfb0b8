import { describe, expect, test } from 'vitest'
import { createScrubber, scrub } from './scrub.ts'

describe('a credential is masked by its shape', () => {
  test.each([
    ['an OpenAI key', 'Incorrect API key provided: sk-proj-AbC_123-def456', 'AbC_123'],
    ['an Anthropic key', 'x sk-ant-api03-abcdefghij', 'abcdefghij'],
    ['one of our keys', 'sk-gh-0123456789abcdef', '0123456789abcdef'],
    ['a Google key', 'AIzaSyA1234567890abcdefghijk', '1234567890'],
    ['a bearer token', 'authorization: Bearer abc.def-123456', 'abc.def'],
    ['a basic credential', 'Authorization: Basic dXNlcjpwYXNzd29yZA==', 'dXNlcjpwYXNzd29yZA'],
    ['a JWT', 'token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ1In0.c2lnbmF0dXJl', 'c2lnbmF0dXJl'],
    ['a key in a query', 'GET https://h/v1beta/models?alt=sse&key=abcDEF123', 'abcDEF123'],
    ['an api_key in a query', 'https://h/?api_key=abcDEF123&x=1', 'abcDEF123'],
    ['a token in a query', 'https://h/?token=abcDEF123', 'abcDEF123'],
    ['a header in JSON', '{"x-api-key":"abcDEF123"}', 'abcDEF123'],
    ['a password in JSON', '{"password": "hunter2hunter2"}', 'hunter2'],
    ['a password in a database URL', 'connect postgres://hub:s3cr3t@db:5432/x', 's3cr3t'],
    ['a password with @ in it', 'redis://:p@ss@word@h:6379', 'p@ss'],
    ['a token as a user name', 'https://ghp_x@github.com/a', 'ghp_x'],
    ['an access key of AWS', 'AKIAABCDEFGHIJKLMNOP', 'ABCDEFGHIJKLMNOP'],
    ['a Groq key', 'gsk_abcdefghijklmnopqrstuv', 'abcdefghij'],
  ])('%s', (_what, text, secret) => {
    expect(scrub(text)).not.toContain(secret)
    expect(scrub(text)).toContain('[masked]')
  })

  test('what operators need stays: host, user, other parameters, ids', () => {
    expect(scrub('postgres://hub:s3cr3t@db:5432/x')).toBe('postgres://hub:[masked]@db:5432/x')
    expect(scrub('https://h/p?alt=sse&key=abc&x=1')).toBe('https://h/p?alt=sse&key=[masked]&x=1')
    const harmless =
      'key_01jabcdef req_01jabcdef gpt-4o-mini http://127.0.0.1:8000/v1/models disk-almost-full task-12345678'
    expect(scrub(harmless)).toBe(harmless)
  })

  test('a long text without credentials takes no time worth noticing', () => {
    const text = `${'a'.repeat(100_000)} ${'://'.repeat(10_000)} ${'eyJ'.repeat(10_000)} ${'x-api-'.repeat(10_000)}`
    expect(scrub(text)).toBe(text)
  }, 2000)
})

describe('a registered secret', () => {
  test('is masked whatever its shape, also URL-encoded and inside JSON', () => {
    const scrubber = createScrubber()
    const secret = 'p"ss wörd+/='
    scrubber.add(secret)
    const text = `${secret} ${encodeURIComponent(secret)} ${JSON.stringify({ secret })}`
    expect(scrubber.scrub(text)).toBe('[masked] [masked] {"secret":"[masked]"}')
  })

  test('that begins another leaves nothing of the longer one', () => {
    const scrubber = createScrubber()
    scrubber.add('correct-horse')
    scrubber.add('correct-horse-battery')
    expect(scrubber.scrub('correct-horse-battery correct-horse')).toBe('[masked] [masked]')
  })

  test('too short to be one is not taken for a secret', () => {
    const scrubber = createScrubber()
    scrubber.add('admin')
    expect(scrubber.scrub('admin')).toBe('admin')
  })
})
