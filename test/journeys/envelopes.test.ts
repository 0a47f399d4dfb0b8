import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startFakePlatform } from '../fake-providers/platform/index.ts'
import { openStage, type Stage } from './stage.ts'

/** What callers of each protocol are told beside answers: envelopes, members, headers, lists. */
let stage: Stage

beforeAll(async () => {
  stage = await openStage()
})

afterAll(() => stage?.close())

const get = (path: string, headers: Record<string, string>, method = 'GET') =>
  fetch(stage.hub.url + path, { method, headers: { authorization: `Bearer ${stage.apiKey}`, ...headers } })

describe('whose envelope an error has', () => {
  const anthropics = { 'anthropic-version': '2023-06-01' }
  const googles = { 'x-goog-api-client': 'google-genai-sdk/3' }
  const wrong = { authorization: 'Bearer sk-gh-wrong' }

  test.each<[string, string, Record<string, string>, number, string]>([
    ['GET', '/v1/models', { ...anthropics, ...wrong }, 401, 'anthropic'],
    ['GET', '/v1/models/none', anthropics, 404, 'anthropic'],
    ['POST', '/v1/models', anthropics, 405, 'anthropic'],
    ['GET', '/v1/messages', {}, 405, 'anthropic'],
    ['POST', '/v1/messages/unknown', {}, 404, 'anthropic'],
    ['GET', '/v1/unknown', anthropics, 404, 'anthropic'],
    ['GET', '/v1/models', { ...googles, ...wrong }, 401, 'google'],
    ['POST', '/v1/models', googles, 405, 'google'],
    ['GET', '/v1beta/unknown', {}, 404, 'google'],
    ['GET', '/v1/models', wrong, 401, 'openai'],
    ['POST', '/v1/models', {}, 405, 'openai'],
    ['GET', '/v1/unknown', {}, 404, 'openai'],
  ])('%s %s with %o is %i in the words of %4$s', async (method, path, headers, status, whose) => {
    const response = await get(path, headers, method)
    const body = (await response.json()) as { type?: string; error: Record<string, unknown> }
    expect(response.status).toBe(status)
    if (status === 405) expect(response.headers.get('allow')).toBeTruthy()
    if (whose === 'anthropic') {
      expect(body).toMatchObject({ type: 'error', error: { type: expect.stringMatching(/_error$/) } })
      expect(response.headers.get('request-id')).toMatch(/^req_/)
    } else if (whose === 'google') {
      expect(body.error).toMatchObject({ code: status, status: expect.stringMatching(/^[A-Z_]+$/) })
    } else expect(Object.keys(body.error).toSorted()).toEqual(['code', 'message', 'param', 'type'])
  })
})

test('an empty purse of the caller’s is insufficient_quota to clients of OpenAI', async () => {
  const model = await stage.serve(await stage.upstream(), { model: 'gpt-4.1' })
  const { key, id } = await stage.hub.admin('POST', '/api/keys', { name: 'poor' })
  const budget = { scope: 'key', scope_id: id, period: 'month', limit_usd: '0.000001' }
  await stage.hub.admin('POST', '/api/budgets', budget)
  const reply = await stage.ask({ model }, { apiKey: key })
  expect(reply.status).toBe(402)
  expect(reply.json.error).toMatchObject({ type: 'insufficient_quota', code: 'budget_exhausted' })
  expect(reply.headers.get('x-should-retry')).toBe('false')
})

test('a limit’s reset is never said to be later than Retry-After', async () => {
  const model = await stage.serve(await stage.upstream())
  const apiKey = await stage.hub.createKey({ rate_limit: 1 })
  await stage.ask({ model }, { apiKey })
  const refused = await stage.ask({ model }, { apiKey })
  expect(refused.status).toBe(429)
  const reset = Number.parseInt(refused.headers.get('x-ratelimit-reset-requests')!, 10)
  expect(reset).toBeLessThanOrEqual(Number(refused.headers.get('retry-after')))
})

test('a model is listed for Google’s clients with what it can do', async () => {
  const platform = await startFakePlatform()
  try {
    const { baseUrl: base_url, apiKey: api_key } = platform
    const provider = { type: 'openai', base_url, api_key }
    await stage.hub.serve('talks', provider, { provider_model: 'gpt-4.1' })
    await stage.hub.serve('embeds', provider, { provider_model: 'text-embedding-3-small' })
    await stage.hub.serve('cannot-embed', { type: 'anthropic', api_key, base_url }, { provider_model: 'bge-large' })
    const methodsOf = async (name: string) =>
      ((await (await get(`/v1beta/models/${name}`, {})).json()) as Record<string, unknown>).supportedGenerationMethods
    expect(await methodsOf('talks')).toEqual(['generateContent', 'countTokens'])
    expect(await methodsOf('embeds')).toEqual(['countTokens', 'embedContent', 'batchEmbedContents'])
    expect(await methodsOf('cannot-embed')).toEqual(['countTokens'])
  } finally {
    await platform.close()
  }
})

test.each<[string, string, object, string]>([
  [
    'Gemini',
    '/v1beta/models/{model}:generateContent',
    {
      contents: [
        {
          role: 'user',
          parts: [{ text: 'Hm?' }, { fileData: { fileUri: 'https://a.example/b.pdf', mimeType: 'application/pdf' } }],
        },
      ],
    },
    'contents[0].parts[1].fileData',
  ],
  [
    'Responses',
    '/v1/responses',
    { input: [{ role: 'user', content: [{ type: 'input_file', file_url: 'https://a.example/b.pdf' }] }] },
    'input[0].content[0].file_url',
  ],
  [
    'Messages',
    '/v1/messages',
    {
      max_tokens: 9,
      messages: [
        { role: 'user', content: [{ type: 'document', source: { type: 'url', url: 'https://a.example/b.pdf' } }] },
      ],
    },
    'messages.0.content.0.source',
  ],
])('a file by address that nobody takes is named as callers of %s named it', async (_, path, body, member) => {
  const fake = await stage.upstream('openai')
  const model = await stage.serve(fake, { provider: { type: 'openai-compatible' } })
  const reply = await stage.ask({ model, messages: undefined, ...body }, { path: path.replace('{model}', model) })
  expect(reply.status).toBe(400)
  expect(reply.text).toContain(member)
  expect(fake.requests).toHaveLength(0)
})

test('a conversation that nobody can compact is refused for its model', async () => {
  const model = await stage.serve(await stage.upstream('anthropic'))
  const reply = await stage.ask({ model, input: 'x', messages: undefined }, { path: '/v1/responses/compact' })
  expect(reply).toMatchObject({ status: 400, json: { error: { param: 'model' } } })
})
