import Anthropic from '@anthropic-ai/sdk'
import type { Message, MessageParam } from '@anthropic-ai/sdk/resources/messages'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Behaviour, FakeProvider } from '../fake-providers/index.ts'
import { startHub, type TestHub } from '../harness/hub.ts'
import { type AnthropicAnswer, type AnthropicCall, scenarios, tools } from './anthropic-scenarios.ts'
import { viewOf } from './sdk-wire-views.ts'
import { chatsOf, type ServedVendor, sayable, servedClouds, serveVendors, throughResponses } from './serve-vendors.ts'

/** Names as the vendors have them: what a model can do is read from its name. */
const vendors: ServedVendor[] = [
  { name: 'openai', vendor: 'openai', model: 'gpt-5' },
  { name: 'anthropic', vendor: 'anthropic', model: 'claude-sonnet-4-5' },
  { name: 'gemini', vendor: 'gemini', model: 'gemini-3-pro' },
]
const upstreams = [...vendors, throughResponses, ...servedClouds('gpt-5')]

let hub: TestHub
let client: Anthropic
let fakes = new Map<string, FakeProvider>()

beforeAll(async () => {
  hub = await startHub({ settings: { 'gateway.keep_alive_seconds': 1 } })
  client = new Anthropic({ apiKey: await hub.createKey(), baseURL: hub.url, maxRetries: 0 })
  fakes = await serveVendors(hub, upstreams)
})

afterAll(async () => {
  await hub?.stop()
  for (const fake of fakes.values()) await fake.close()
})

function prepare(name: string, ...behaviours: Behaviour[]): FakeProvider {
  const fake = fakes.get(name)!
  fake.behave(...behaviours)
  return fake
}

const question: AnthropicCall = { max_tokens: 8000, messages: [{ role: 'user', content: 'Hello' }] }

async function ask(model: string, call: Partial<AnthropicCall>, isStreamed: boolean, signal?: AbortSignal) {
  const body = { ...question, ...call, model }
  const options = signal ? { signal } : {}
  return isStreamed
    ? await client.messages.stream(body, options).finalMessage()
    : await client.messages.create(body, options)
}

function read({ content, stop_reason, usage }: Message): AnthropicAnswer {
  const textOf = (type: string, member: string) =>
    content
      .filter((block) => block.type === type)
      .map((block) => (block as unknown as Record<string, string>)[member])
      .join('')
  return {
    text: textOf('text', 'text'),
    thinking: textOf('thinking', 'thinking'),
    toolCalls: content.flatMap((block) =>
      block.type === 'tool_use' ? [{ name: block.name, input: block.input }] : [],
    ),
    stopReason: stop_reason,
    usage: {
      tokensIn: usage.input_tokens,
      tokensOut: usage.output_tokens,
      tokensCachedRead: usage.cache_read_input_tokens ?? 0,
    },
  }
}

/** The conversation as the SDK's guides continue it: the message goes back as it came, results follow. */
function withResults(messages: MessageParam[], message: Message, results: Record<string, string>): MessageParam[] {
  const answers = message.content.flatMap((block) =>
    block.type === 'tool_use'
      ? [{ type: 'tool_result' as const, tool_use_id: block.id, content: results[block.name] ?? '' }]
      : [],
  )
  return [
    ...messages,
    { role: 'assistant', content: message.content as MessageParam['content'] },
    { role: 'user', content: answers },
  ]
}

describe.each(upstreams)('@anthropic-ai/sdk through $name', ({ name, vendor, model, seenModel = model, unsaid }) => {
  describe.each([{ isStreamed: false }, { isStreamed: true }])('streamed: $isStreamed', ({ isStreamed }) => {
    test.each(scenarios)('$name', async ({ call, upstream, answer, asked, toolResults }) => {
      const fake = prepare(name, ...upstream)
      const seen = chatsOf(fake).length
      let message = await ask(`the-${name}`, call, isStreamed)
      let messages = call.messages ?? question.messages
      for (let turn = 1; turn < upstream.length; turn++) {
        messages = withResults(messages, message, toolResults ?? {})
        message = await ask(`the-${name}`, { ...call, messages }, isStreamed)
      }
      expect(read(message)).toMatchObject(answer)
      expect(message).toMatchObject({ type: 'message', role: 'assistant', model: `the-${name}` })
      expect(chatsOf(fake).length - seen).toBe(upstream.length)
      const request = fake.requests.at(-1)!
      expect(request.model).toBe(seenModel)
      // The proof of each turn has come back, so nobody needs the vendor's word for a lost one.
      expect(request.body).not.toContain('skip_thought_signature_validator')
      if (asked) expect(viewOf(vendor, request.json)).toMatchObject(sayable(asked, unsaid))
    })

    test.each([
      ['a bad request', { error: { status: 400, message: 'too hot' } }, 400, 'invalid_request_error'],
      ['a limit of the provider', { error: { status: 429 } }, 429, 'rate_limit_error'],
      ['a failure of the provider', { error: { status: 500 } }, 500, 'api_error'],
      ['an overloaded provider', { error: { status: 529 } }, 503, 'overloaded_error'],
      ["a rejected key of the hub's", { error: { status: 401 } }, 424, 'api_error'],
    ] as [string, Behaviour, number, string][])(
      '5.4.34 %s is told in their envelope',
      async (_, behaviour, status, type) => {
        prepare(name, behaviour)
        const error = await ask(`the-${name}`, {}, isStreamed).catch((thrown) => thrown)
        expect(error).toBeInstanceOf(Anthropic.APIError)
        expect(error).toMatchObject({ status, error: { type: 'error', error: { type, message: expect.any(String) } } })
        expect(error.requestID).toMatch(/^req_/)
        expect(error.error.request_id).toBe(error.requestID)
      },
    )

    test('a caller that gives up is entered as aborted, and the provider stops', async () => {
      const fake = prepare(name, { holdAt: isStreamed ? 4 : 'head', answer: { pieceLength: 4 } })
      const abort = new AbortController()
      const seen = fake.requests.length
      const asking = ask(`the-${name}`, {}, isStreamed, abort.signal).catch((thrown) => thrown)
      const request = await fake.arrival(seen + 1)
      abort.abort()
      await request.aborted
      expect(await asking).toBeInstanceOf(Anthropic.APIUserAbortError)
      const [row] = await hub.logs()
      expect(row).toMatchObject({ outcome: 'aborted', model_asked: `the-${name}` })
    })
  })

  test('4.5.22 message_start usage is never 0/0', async () => {
    prepare(name, { answer: { text: 'Hi.' } })
    const stream = await client.messages.create({ ...question, model: `the-${name}`, stream: true })
    const starts = []
    for await (const event of stream) if (event.type === 'message_start') starts.push(event.message.usage)
    expect(starts).toHaveLength(1)
    expect(starts[0]!.input_tokens).toBeGreaterThan(0)
    expect(starts[0]!.output_tokens).toBeGreaterThan(0)
  })

  test.each<[string, Behaviour]>([
    ['ends without its terminal event', { cut: { at: 5, how: 'eof' }, answer: { pieceLength: 4 } }],
    ['is cut', { cut: { at: 5, how: 'close' }, answer: { pieceLength: 4 } }],
    ['reports an error on the way', { error: { status: 529, afterChunks: 5 }, answer: { pieceLength: 4 } }],
  ])('5.1.6 a stream that %s is an error, never a short answer', async (_, behaviour) => {
    prepare(name, behaviour)
    const error = await ask(`the-${name}`, {}, true).catch((thrown) => thrown)
    expect(error).toBeInstanceOf(Anthropic.APIError)
    expect(error.error).toMatchObject({ type: 'error', error: { type: expect.stringMatching(/_error$/) } })
    const [row] = await hub.logs()
    expect(row).toMatchObject({ outcome: 'truncated' })
  })
})

test.each(vendors)(
  '5.1.4 a caller of $name that waits for content gets the head and pings that its client skips',
  async ({ name }) => {
    const fake = prepare(name, { holdAt: 0, answer: { text: 'At last.' } })
    const seen = fake.requests.length
    const { data: stream } = await client.messages
      .create({ ...question, model: `the-${name}`, stream: true })
      .withResponse()
    // The head has come with the first ping: nothing else was there to send.
    ;(await fake.arrival(seen + 1)).release()
    const types: string[] = []
    for await (const event of stream) types.push(event.type)
    expect(types[0]).toBe('message_start')
    expect(types.at(-1)).toBe('message_stop')
  },
)

describe('what Anthropic alone can do', () => {
  test('5.2.23 members nobody knows reach an Anthropic provider as sent', async () => {
    const fake = prepare('anthropic', {})
    const call = { metadata: { user_id: 'u' }, service_tier: 'auto', system: [{ type: 'text', text: 'x' }] } as const
    await ask('the-anthropic', { ...call, system: [...call.system] }, false)
    expect(fake.requests.at(-1)!.json).toMatchObject(call)
  })

  test('5.4.34 version and features of the caller reach an Anthropic provider, credentials do not', async () => {
    const fake = prepare('anthropic', {})
    // A version decides which members of a request are known, so it must be the caller's.
    for (const version of ['2023-06-01', '2026-10-21']) {
      const headers = { 'anthropic-version': version, 'anthropic-beta': 'context-1m-2025-08-07,oauth-2025-04-20' }
      await client.messages.create({ ...question, model: 'the-anthropic' }, { headers })
      expect(fake.requests.at(-1)!.headers).toMatchObject({
        'anthropic-beta': 'context-1m-2025-08-07',
        'anthropic-version': version,
        'x-api-key': fake.apiKey,
      })
    }
    expect(fake.requests.at(-1)!.rawHeaders.filter((name) => name === 'anthropic-version')).toHaveLength(1)
  })

  test('what others have no place for is named', async () => {
    prepare('openai', {})
    const search = { type: 'web_search_20250305' as const, name: 'web_search' as const }
    const { response } = await client.messages
      .create({ ...question, model: 'the-openai', tools: [...tools, search], ...{ top_k: 5 } })
      .withResponse()
    expect(response.headers.get('x-gatehouse-dropped-params')?.split(',')).toEqual(
      expect.arrayContaining(['top_k', 'tools']),
    )
  })
})

describe('5.4.35 counting tokens', () => {
  test('a provider that can is asked', async () => {
    const fake = prepare('anthropic', { body: '{"input_tokens":14}' })
    const { data, response } = await client.messages
      .countTokens({ model: 'the-anthropic', messages: question.messages })
      .withResponse()
    expect(data.input_tokens).toBe(14)
    expect(response.headers.get('x-gatehouse-estimated')).toBeNull()
    expect(fake.requests.at(-1)).toMatchObject({
      path: '/v1/messages/count_tokens',
      json: { model: 'claude-sonnet-4-5' },
    })
  })

  test.each(['openai', 'gemini'] as const)('for %s it is estimated and says so', async (vendor) => {
    const fake = prepare(vendor)
    const seen = fake.requests.length
    const content = 'The quick brown fox jumps over the lazy dog. '.repeat(100)
    const { data, response } = await client.messages
      .countTokens({ model: `the-${vendor}`, messages: [{ role: 'user', content }], tools })
      .withResponse()
    expect(data.input_tokens).toBeGreaterThan(800)
    expect(data.input_tokens).toBeLessThan(1300)
    expect(response.headers.get('x-gatehouse-estimated')).toBe('true')
    expect(fake.requests.length).toBe(seen)
  })

  test('it is in the ledger as a request that cost nothing', async () => {
    for (const vendor of ['anthropic', 'openai'] as const) {
      prepare(vendor, { body: '{"input_tokens":14}' })
      await client.messages.countTokens({ model: `the-${vendor}`, messages: question.messages })
      const [row] = await hub.logs()
      const whole = await hub.admin('GET', `/api/logs/${row!.id}`)
      expect(whole).toMatchObject({
        endpoint: '/v1/messages/count_tokens',
        outcome: 'success',
        usage_source: 'none',
        tokens_in: 0,
        tokens_out: 0,
      })
    }
  })

  test('an unknown model is 404, and a refusal of the provider is told', async () => {
    const unknown = client.messages.countTokens({ model: 'no-such', messages: question.messages })
    await expect(unknown).rejects.toMatchObject({ status: 404, error: { error: { type: 'not_found_error' } } })
    prepare('anthropic', { error: { status: 400, message: 'no' } })
    const refused = client.messages.countTokens({ model: 'the-anthropic', messages: question.messages })
    await expect(refused).rejects.toMatchObject({ status: 400 })
  })
})

describe('models', () => {
  test('are listed and found as Anthropic lists them, page by page', async () => {
    const ids: string[] = []
    for await (const model of client.models.list({ limit: 2 })) {
      expect(model).toMatchObject({ type: 'model', display_name: model.id, created_at: expect.any(String) })
      ids.push(model.id)
    }
    expect(ids.toSorted()).toEqual(upstreams.map(({ name }) => `the-${name}`).toSorted())
    expect((await client.models.retrieve('the-gemini')).id).toBe('the-gemini')
    await expect(client.models.retrieve('no-such')).rejects.toMatchObject({
      status: 404,
      error: { type: 'error', error: { type: 'not_found_error' } },
    })
    await expect(client.models.list({ limit: 0 })).rejects.toMatchObject({ status: 400 })
  })
})

test('a wrong key is 401 in their envelope', async () => {
  const stranger = new Anthropic({
    apiKey: 'sk-gh-no-such-key-000000000000000000000000',
    baseURL: hub.url,
    maxRetries: 0,
  })
  await expect(stranger.messages.create({ ...question, model: 'the-openai' })).rejects.toMatchObject({
    status: 401,
    error: { type: 'error', error: { type: 'authentication_error' } },
  })
})
