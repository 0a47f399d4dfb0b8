import { afterAll, beforeAll, expect, test } from 'vitest'
import { openStage, type Stage } from './stage.ts'

let stage: Stage

beforeAll(async () => {
  stage = await openStage({ 'gateway.cache': 'key' })
})

afterAll(() => stage?.close())

test.each([false, true])(
  'the very same request gets the same bytes again, no provider asked, streamed: %s',
  async (stream) => {
    const fake = await stage.upstream('openai')
    const model = await stage.serve(fake)
    const body = { model, stream, messages: [{ role: 'user', content: 'Hello' }] }
    const first = await stage.ask(body)
    const again = await stage.ask(body)
    expect(first.status).toBe(200)
    expect(again.status).toBe(200)
    expect(first.headers.get('x-gatehouse-cache')).toBe('miss')
    expect(again.headers.get('x-gatehouse-cache')).toBe('hit')
    expect(again.headers.get('content-type')).toBe(first.headers.get('content-type'))
    expect(again.text).toBe(first.text)
    expect(fake.requests).toHaveLength(1)
    expect(first.text).not.toBe('')
    expect(await stage.row(model)).toMatchObject({
      cache_hit: 'exact',
      outcome: 'success',
      tokens_in: 0,
      tokens_out: 0,
      usage_source: 'none',
      cost_nano_usd: 0,
    })
    const other = await stage.ask(body, { apiKey: await stage.hub.createKey() })
    expect(other.headers.get('x-gatehouse-cache')).toBe('miss')
    expect(fake.requests).toHaveLength(2)
    const refused = await stage.ask(body, { headers: { 'x-gatehouse-cache': 'off' } })
    expect(refused.headers.get('x-gatehouse-cache')).toBeNull()
    expect(fake.requests).toHaveLength(3)
  },
)

test('every protocol gets its own answer back, and an array that came piece by piece comes as one', async () => {
  const fake = await stage.upstream('anthropic')
  const model = await stage.serve(fake)
  const contents = [{ role: 'user', parts: [{ text: 'Hello' }] }]
  const asks: [string, object][] = [
    ['/v1/messages', { model, max_tokens: 50, stream: true, messages: [{ role: 'user', content: 'Hello' }] }],
    [`/v1beta/models/${model}:streamGenerateContent`, { contents }],
    [`/v1beta/models/${model}:streamGenerateContent?alt=sse`, { contents }],
  ]
  for (const [i, [path, body]] of asks.entries()) {
    const [first, again] = [await stage.ask(body, { path }), await stage.ask(body, { path })]
    expect([first.status, again.headers.get('x-gatehouse-cache')]).toEqual([200, 'hit'])
    expect(again.text).toBe(first.text)
    expect(fake.requests).toHaveLength(i + 1)
  }
})

test('what failed or was cut is not kept, and what is kept can be forgotten', async () => {
  const fake = await stage.upstream('openai', { error: { status: 500 } }, { cut: { at: 3, how: 'eof' } }, {})
  const model = await stage.serve(fake)
  const body = { model, stream: true, messages: [{ role: 'user', content: 'Again' }] }
  for (let i = 0; i < 3; i++) await stage.ask(body)
  expect(fake.requests).toHaveLength(3)
  await stage.ask(body)
  expect(fake.requests).toHaveLength(3)
  expect((await stage.hub.admin('DELETE', '/api/cache')).cleared).toBeGreaterThan(0)
  await stage.ask(body)
  expect(fake.requests).toHaveLength(4)
})
