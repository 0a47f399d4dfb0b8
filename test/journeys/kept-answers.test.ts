import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import type { VendorName } from '../fake-providers/index.ts'
import { startFakePlatform } from '../fake-providers/platform/index.ts'
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

describe('beyond conversations', () => {
  const messages = undefined

  test('an embedding is kept, in OpenAI’s words and in Gemini’s, each for itself', async () => {
    const platform = await startFakePlatform()
    onTestFinished(() => platform.close())
    const { baseUrl: base_url, apiKey: api_key } = platform
    await stage.hub.serve('vectors', { type: 'openai', base_url, api_key, max_retries: 0 })
    const content = { parts: [{ text: 'a' }] }
    const asks: [string, object][] = [
      ['/v1/embeddings', { model: 'vectors', input: 'a', messages }],
      ['/v1/embeddings', { model: 'vectors', input: 'b', messages }],
      ['/v1/embeddings', { model: 'vectors', input: 'a', dimensions: 2, messages }],
      ['/v1beta/models/vectors:embedContent', { content, messages }],
      ['/v1beta/models/vectors:batchEmbedContents', { requests: [{ model: 'models/vectors', content }], messages }],
    ]
    for (const [i, [path, body]] of asks.entries()) {
      const [first, again] = [await stage.ask(body, { path }), await stage.ask(body, { path })]
      expect([first.status, first.headers.get('x-gatehouse-cache')]).toEqual([200, 'miss'])
      expect(again.headers.get('x-gatehouse-cache')).toBe('hit')
      expect(again.text).toBe(first.text)
      expect(platform.requests).toHaveLength(i + 1)
    }
    expect(await stage.row('vectors')).toMatchObject({ cache_hit: 'exact', tokens_in: 0, cost_nano_usd: 0 })
    // What is no embedding is asked for each time.
    const moderation = { model: 'vectors', input: 'a', messages }
    for (let i = 0; i < 2; i++) await stage.ask(moderation, { path: '/v1/moderations' })
    expect(platform.requests).toHaveLength(asks.length + 2)
  })

  const path = '/v1/responses'
  const tools = [{ type: 'function', name: 'clock', parameters: { type: 'object', properties: {} } }]

  test.each<[VendorName, boolean]>([
    ['openai', false],
    ['openai', true],
    ['anthropic', false],
    ['anthropic', true],
  ])('a response of %s that nobody stores is kept, streamed: %s', async (vendor, stream) => {
    const fake = await stage.upstream(vendor)
    const model = await stage.serve(fake)
    const body = { model, stream, input: 'Hello', store: false, tools, messages }
    const [first, again] = [await stage.ask(body, { path }), await stage.ask(body, { path })]
    expect([first.status, again.headers.get('x-gatehouse-cache')]).toEqual([200, 'hit'])
    expect(again.text).toBe(first.text)
    expect(fake.requests).toHaveLength(1)
    const other = await stage.ask(body, { path, apiKey: await stage.hub.createKey() })
    expect(other.headers.get('x-gatehouse-cache')).toBe('miss')
  })

  test.each<[string, object]>([
    ['is stored', { store: true }],
    ['does not say', {}],
    ['goes by a prompt that the provider keeps', { store: false, prompt: { id: 'pmpt_1' } }],
    ['has tools that the provider runs', { store: false, tools: [...tools, { type: 'web_search' }] }],
  ])('a response that %s is asked for each time', async (_, more) => {
    const fake = await stage.upstream('openai')
    const model = await stage.serve(fake)
    for (let i = 0; i < 2; i++) {
      const reply = await stage.ask({ model, input: 'Hello', ...more, messages }, { path })
      expect([reply.status, reply.headers.get('x-gatehouse-cache')]).toEqual([200, null])
    }
    expect(fake.requests).toHaveLength(2)
  })

  test('a response that goes on from another is asked for each time', async () => {
    const fake = await stage.upstream('openai')
    const model = await stage.serve(fake)
    const { json } = await stage.ask({ model, input: 'Hello', messages }, { path })
    const next = { model, input: 'And?', previous_response_id: json.id, store: false, messages }
    for (let i = 0; i < 2; i++) expect((await stage.ask(next, { path })).headers.get('x-gatehouse-cache')).toBeNull()
    expect(fake.requests).toHaveLength(3)
  })
})
