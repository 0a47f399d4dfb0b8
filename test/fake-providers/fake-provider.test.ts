import { request as httpRequest } from 'node:http'
import OpenAI from 'openai'
import { describe, expect, onTestFinished, test } from 'vitest'
import { type Behaviour, defaultText, type FakeProviderOptions, misbehaviours, startFakeProvider } from './index.ts'

async function start(options: FakeProviderOptions) {
  const provider = await startFakeProvider(options)
  onTestFinished(() => provider.close())
  return provider
}

async function startForSdk(...behaviours: Behaviour[]) {
  const provider = await start({ kind: 'openai' })
  provider.behave(...behaviours)
  const client = new OpenAI({ apiKey: provider.apiKey as string, baseURL: provider.baseUrl, maxRetries: 0 })
  return { provider, client }
}

const weather = { name: 'weather', arguments: { city: 'Zürich' } }
const clock = { name: 'clock', arguments: {} }
const hello = { model: 'fake-large', messages: [{ role: 'user' as const, content: 'Hello' }] }
const streamed = { ...hello, stream: true as const, stream_options: { include_usage: true } }

describe('openai, driven by its own SDK', () => {
  test('answers, lists models and records what came', async () => {
    const { provider, client } = await startForSdk({ answer: { echo: true } })
    const answer = await client.chat.completions.create(hello)
    expect(answer.choices[0]).toMatchObject({ message: { content: 'Hello' }, finish_reason: 'stop' })
    expect(answer.usage).toMatchObject({ prompt_tokens: 21, completion_tokens: 9, total_tokens: 30 })
    expect((await client.models.list()).data.map((model) => model.id)).toContain('fake-small')
    expect(provider.requests.map(({ method, path }) => `${method} ${path}`)).toEqual([
      'POST /v1/chat/completions',
      'GET /v1/models',
    ])
    expect(provider.requests[0]).toMatchObject({ model: 'fake-large', json: hello, connection: 1 })
  })

  test('streams parallel tool calls in interleaved pieces that the SDK puts together', async () => {
    const toolCalls = [weather, clock]
    const { client } = await startForSdk({ answer: { toolCalls, areToolCallsInterleaved: true } })
    const message = await client.chat.completions.stream(streamed).finalMessage()
    expect(message.tool_calls?.map((call) => call.type === 'function' && call.function)).toMatchObject([
      { name: 'weather', arguments: '{"city":"Zürich"}' },
      { name: 'clock', arguments: '{}' },
    ])
  })

  test.each<[string, Behaviour]>([
    ['CRLF', { framing: { newline: '\r\n' } }],
    ['CR', { framing: { newline: '\r' } }],
    ['comments and no space', { framing: { comments: true, spaceAfterColon: false } }],
    ['one byte a write', { framing: { writes: 1, newline: '\r\n', multilineData: true } }],
    ['everything in one write, gzip', { framing: { writes: 'whole' }, encoding: 'gzip' }],
    ['brotli', { encoding: 'br' }],
    ['lower-case header names', { headerNames: 'lower' }],
  ])('a stream framed with %s is whole', async (_, behaviour) => {
    const { client } = await startForSdk(behaviour)
    const completion = await client.chat.completions.stream(streamed).finalChatCompletion()
    expect(completion.choices[0]?.message.content).toBe(defaultText)
    expect(completion.usage?.total_tokens).toBe(30)
  })

  test('fails in the middle of a stream with the vendor’s own error event', async () => {
    const { client } = await startForSdk({ error: { status: 503, afterChunks: 2, message: 'overloaded' } })
    await expect(client.chat.completions.stream(streamed).finalMessage()).rejects.toThrow('overloaded')
  })

  test('goes through its behaviours call by call and stays at the last', async () => {
    const retryAfter = { ms: 90_000, form: 'x-ratelimit-reset' as const }
    const { provider, client } = await startForSdk({ error: { status: 429, retryAfter } }, misbehaviours.html, {})
    provider.behaveFor('-teapot', { status: 418, body: 'no' })
    await expect(client.chat.completions.create(hello)).rejects.toMatchObject({
      status: 429,
      code: 'rate_limit_exceeded',
    })
    await expect(client.chat.completions.create({ ...hello, model: 'a-teapot' })).rejects.toMatchObject({ status: 418 })
    await expect(client.chat.completions.create(hello)).rejects.toMatchObject({ status: 502 })
    for (const _ of [1, 2]) expect((await client.chat.completions.create(hello)).object).toBe('chat.completion')
  })

  test('repeats the key it received when told to', async () => {
    const { provider, client } = await startForSdk(misbehaviours.echoesKey)
    await expect(client.chat.completions.create(hello)).rejects.toThrow(provider.apiKey as string)
  })

  test('takes no other key than its own', async () => {
    const { provider } = await startForSdk()
    const client = new OpenAI({ apiKey: 'sk-other', baseURL: provider.baseUrl, maxRetries: 0 })
    await expect(client.chat.completions.create(hello)).rejects.toMatchObject({ status: 401 })
  })

  test('tells when its caller hung up, and only then', async () => {
    const { provider, client } = await startForSdk({ holdAt: 1 }, { cut: { at: 1, how: 'reset' } })
    const abort = new AbortController()
    const stream = await client.chat.completions.create(streamed, { signal: abort.signal })
    await stream[Symbol.asyncIterator]().next()
    abort.abort()
    await provider.requests[0]?.aborted

    await expect(client.chat.completions.stream(streamed).finalMessage()).rejects.toThrow()
    let isAborted = false
    void provider.requests[1]?.aborted.then(() => {
      isAborted = true
    })
    await provider.close()
    expect(isAborted).toBe(false)
  })

  test('goes on with a held call when released', async () => {
    const { provider, client } = await startForSdk({ holdAt: 'head' })
    const answer = client.chat.completions.create(hello)
    const request = await provider.arrival(1)
    request.release()
    expect((await answer).choices[0]?.message.content).toBe(defaultText)
  })
})

/** One call over a bare socket-level client, so that nothing is decoded or repaired on the way. */
async function call(url: string, headers: Record<string, string>, body?: unknown) {
  return await new Promise<{ status: number; headers: NodeJS.Dict<string | string[]>; text: string; error?: string }>(
    (resolve) => {
      const sent = httpRequest(url, { method: body ? 'POST' : 'GET', headers, agent: false }, (response) => {
        let text = ''
        const done = (error?: Error) =>
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            text,
            ...(error && { error: error.message }),
          })
        response.setEncoding('utf8')
        response.on('data', (piece) => {
          text += piece
        })
        response.on('end', () => done())
        response.on('error', done)
      })
      sent.on('error', (error) => resolve({ status: 0, headers: {}, text: '', error: error.message }))
      sent.end(body ? JSON.stringify(body) : undefined)
    },
  )
}

describe('anthropic', () => {
  const question = { model: 'fake-large', max_tokens: 64, messages: [{ role: 'user', content: 'Hello' }] }

  async function startAnthropic(options: Partial<FakeProviderOptions> = {}) {
    const provider = await start({ kind: 'anthropic', ...options })
    const headers = { 'x-api-key': provider.apiKey as string, 'anthropic-version': '2023-06-01' }
    return { provider, ask: (body: object) => call(`${provider.url}/v1/messages`, headers, body), headers }
  }

  test('streams its blocks in the vendor’s order and ends with message_stop', async () => {
    const { provider, ask } = await startAnthropic()
    provider.behave({
      answer: { reasoning: 'Hm.', text: 'Yes.', toolCalls: [weather], usage: { tokensCachedRead: 5 } },
    })
    const { text } = await ask({ ...question, stream: true })
    const data = [...text.matchAll(/^data: (.*)$/gm)].map((match) => JSON.parse(match[1] as string))
    expect(data.map((event) => event.type)).toEqual([
      ...['message_start', 'ping'],
      ...['content_block_start', 'content_block_delta', 'content_block_delta', 'content_block_stop'],
      ...['content_block_start', 'content_block_delta', 'content_block_stop'],
      ...['content_block_start', ...Array(4).fill('content_block_delta'), 'content_block_stop'],
      ...['message_delta', 'message_stop'],
    ])
    expect(data.at(-2)).toMatchObject({
      delta: { stop_reason: 'tool_use' },
      usage: { input_tokens: 16, cache_read_input_tokens: 5, output_tokens: 9 },
    })
  })

  test('refuses what the vendor refuses', async () => {
    const { ask } = await startAnthropic({ areSignaturesEnforced: true })
    const assistant = (block: object) => ({ role: 'assistant', content: [block] })
    const refused = [
      { ...question, max_tokens: undefined },
      { ...question, stream_options: {} },
      { ...question, messages: [{ role: 'system', content: 'Be brief.' }] },
      {
        ...question,
        messages: [
          ...question.messages,
          assistant({ type: 'tool_use', id: 'a', name: 'b', input: {} }),
          ...question.messages,
        ],
      },
      {
        ...question,
        messages: [...question.messages, assistant({ type: 'thinking', thinking: 'x', signature: 'forged' })],
      },
    ]
    for (const body of refused) {
      const answer = await ask(body)
      expect(answer).toMatchObject({ status: 400 })
      expect(JSON.parse(answer.text)).toMatchObject({ type: 'error', error: { type: 'invalid_request_error' } })
    }
  })

  test('lists its models in pages', async () => {
    const { provider, headers } = await startAnthropic()
    const first = JSON.parse((await call(`${provider.url}/v1/models`, headers)).text)
    expect(first).toMatchObject({ has_more: true, last_id: 'fake-small' })
    const second = JSON.parse((await call(`${provider.url}/v1/models?after_id=fake-small`, headers)).text)
    expect(second).toMatchObject({ has_more: false, data: [{ id: 'org/fake-tiny:free' }] })
  })
})

describe('gemini', () => {
  async function startGemini(options: Partial<FakeProviderOptions> = {}) {
    const provider = await start({ kind: 'gemini', ...options })
    const ask = (verb: string, body: object) =>
      call(`${provider.url}/v1beta/models/fake-large:${verb}`, { 'x-goog-api-key': provider.apiKey as string }, body)
    return { provider, ask }
  }
  const user = (text: string) => ({ role: 'user', parts: [{ text }] })

  test('streams events with alt=sse and a JSON array without', async () => {
    const { provider, ask } = await startGemini()
    provider.behave({ answer: { text: 'Short.', usage: { tokensReasoning: 4 } } })
    const sse = await ask('streamGenerateContent?alt=sse', { contents: [user('Hi')] })
    const last = JSON.parse([...sse.text.matchAll(/^data: (.*)$/gm)].at(-1)?.[1] as string)
    expect(last).toMatchObject({
      candidates: [{ finishReason: 'STOP' }],
      usageMetadata: { candidatesTokenCount: 5, thoughtsTokenCount: 4, totalTokenCount: 30 },
    })
    const array = await ask('streamGenerateContent', { contents: [user('Hi')] })
    expect(JSON.parse(array.text)).toHaveLength(2)
  })

  test('takes a tool result back only with the signature it gave', async () => {
    const { provider, ask } = await startGemini({ areSignaturesEnforced: true })
    provider.behave({ answer: { toolCalls: [weather] } }, {})
    const answer = JSON.parse((await ask('generateContent', { contents: [user('Hi')] })).text)
    const turn = answer.candidates[0].content
    const result = { role: 'user', parts: [{ functionResponse: { name: 'weather', response: { sky: 'blue' } } }] }
    const unsigned = { ...turn, parts: [{ functionCall: turn.parts[0].functionCall }] }
    expect(await ask('generateContent', { contents: [user('Hi'), unsigned, result] })).toMatchObject({ status: 400 })
    expect(await ask('generateContent', { contents: [user('Hi'), turn, result] })).toMatchObject({ status: 200 })
  })

  test('says how long to wait in the body of its error', async () => {
    const { provider, ask } = await startGemini()
    provider.behave({ error: { status: 429, retryAfter: { ms: 1500, form: 'retry-info' } } })
    const { text } = await ask('generateContent', { contents: [user('Hi')] })
    expect(JSON.parse(text).error).toMatchObject({
      status: 'RESOURCE_EXHAUSTED',
      details: [{}, { retryDelay: '1.5s' }],
    })
  })
})

describe('on the wire', () => {
  const chat = async (behaviour: Behaviour, body: object = hello) => {
    const provider = await start({ kind: 'openai', apiKey: null })
    provider.behave(behaviour)
    return await call(`${provider.baseUrl}/chat/completions`, {}, body)
  }

  test('sends along what no caller may see', async () => {
    expect((await chat({})).headers).toMatchObject({
      server: 'fake-edge',
      'set-cookie': [expect.stringContaining('fake-cookie-canary')],
      'openai-organization': 'fake-organization',
    })
  })

  test('ends a stream cleanly without its terminal event, or breaks it, as told', async () => {
    const eof = await chat({ cut: { at: 2, how: 'eof' } }, streamed)
    expect(eof.error).toBeUndefined()
    expect(eof.text.match(/^data: /gm)).toHaveLength(2)
    const closed = await chat({ cut: { at: 2, how: 'close' } }, streamed)
    expect(closed.error).toBe('aborted')
    const lacking = await chat({ framing: { lacksTerminator: true } }, streamed)
    expect(lacking.text).toContain('"finish_reason":"stop"')
    expect(lacking.text).not.toContain('[DONE]')
  })

  test('breaks before the head, inside a whole answer and against its own Content-Length', async () => {
    expect(await chat({ cut: { at: 'head', how: 'reset' } })).toMatchObject({ status: 0 })
    const half = await chat({ cut: { at: 1, how: 'close' } })
    expect(half.error).toBe('aborted')
    expect(half.text).not.toBe('')
    expect((await chat({ contentLength: 'too-long' })).error).toBe('aborted')
    const short = await chat({ contentLength: 'too-short' })
    expect(() => JSON.parse(short.text)).toThrow()
  })

  test('leaves the last event open and begins with a byte order mark, as told', async () => {
    const { text } = await chat({ framing: { lacksFinalBlankLine: true, byteOrderMark: true } }, streamed)
    expect(text.endsWith('data: [DONE]')).toBe(true)
    expect(text.codePointAt(0)).toBe(0xfeff)
  })

  test.each(['emptyBody', 'invalidJson', 'notJson', 'html'] as const)('%s is no JSON', async (name) => {
    const { text } = await chat(misbehaviours[name])
    expect(() => JSON.parse(text)).toThrow()
  })

  test('a redirect points where nobody may follow', async () => {
    expect(await chat(misbehaviours.redirect)).toMatchObject({
      status: 307,
      headers: { location: expect.stringContaining('169.254.169.254') },
    })
  })
})
