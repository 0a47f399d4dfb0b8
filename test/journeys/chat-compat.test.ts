import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Behaviour, defaultText, type VendorName } from '../fake-providers/index.ts'
import { type Json, openStage, type Stage, vendors } from './stage.ts'

let stage: Stage

beforeAll(async () => {
  stage = await openStage()
})

afterAll(() => stage?.close())

const counts = { tokensIn: 2048, tokensOut: 40, tokensCachedRead: 1920, tokensReasoning: 25 }
const weather = { name: 'weather', arguments: { city: 'Zürich' }, pieces: 4 }
const clock = { name: 'clock', arguments: {} }
const tools = ['weather', 'clock'].map((name) => ({
  type: 'function',
  function: { name, parameters: { type: 'object', properties: {} } },
}))

/** What the provider was asked last. */
async function asked(vendor: VendorName, body: Json, behaviour: Behaviour = {}): Promise<Json> {
  const { fake, model } = await stage.shared(vendor, behaviour)
  const reply = await stage.ask({ model, ...body })
  expect(reply.status, reply.text).toBe(200)
  return { ...fake.requests.at(-1)!.json, dropped: reply.headers.get('x-gatehouse-dropped-params') }
}

describe.each(vendors)('a stream of %s', (vendor) => {
  const usage = { usage: counts }

  test('5.2.11 usage comes in one chunk of its own to who asked, and null before', async () => {
    const { model } = await stage.shared(vendor, { answer: usage })
    const { events, isDone } = await stage.ask({ model, stream: true, stream_options: { include_usage: true } })
    const chunks = events.slice(0, -1)
    expect(isDone).toBe(true)
    expect(chunks.at(-1)).toMatchObject({
      choices: [],
      usage: { prompt_tokens: 2048, completion_tokens: 40, total_tokens: 2088 },
    })
    for (const chunk of chunks.slice(0, -1)) expect(chunk.usage).toBeNull()
  })

  test.each([{}, { stream_options: { include_usage: false } }, { stream_options: null }])(
    '5.2.11 who did not ask (%o) sees none of it, and it is metered',
    async (options) => {
      const { fake, model } = await stage.shared(vendor, { answer: usage })
      const { text, events } = await stage.ask({ model, stream: true, ...options })
      expect(text).not.toContain('usage')
      expect(events.slice(0, -1).every((chunk) => chunk.choices.length > 0)).toBe(true)
      if (vendor === 'openai')
        expect(fake.requests.at(-1)!.json).toMatchObject({ stream_options: { include_usage: true } })
      expect(await stage.row(model)).toMatchObject({ tokens_in: 2048, tokens_out: 40, usage_source: 'upstream' })
    },
  )

  test('5.2.12 every chunk has what clients require, id and created never change, the role comes first', async () => {
    const { model } = await stage.shared(vendor)
    const { events } = await stage.ask({ model, stream: true, stream_options: { include_usage: true } })
    const chunks = events.slice(0, -1)
    const first = chunks[0] as Json
    for (const chunk of chunks) {
      expect(chunk).toMatchObject({ id: first.id, created: first.created, model, object: 'chat.completion.chunk' })
      for (const choice of chunk.choices) {
        expect(choice).toMatchObject({ index: 0, delta: expect.any(Object) })
        expect(choice).toHaveProperty('finish_reason')
      }
    }
    expect(first.id).toMatch(/\S/)
    expect(first.created).toBeGreaterThan(1_600_000_000)
    expect(first.choices[0].delta.role).toBe('assistant')
    expect(chunks.filter((chunk) => chunk.choices[0]?.delta.role).length).toBe(1)
  })

  test('5.2.13 tool calls are named once and then grow, also interleaved, and are the same unstreamed', async () => {
    const answer = { toolCalls: [weather, clock], areToolCallsInterleaved: true, text: '' }
    const { model } = await stage.shared(vendor, { answer })
    const streamed = await stage.ask({ model, tools, stream: true })
    const gathered: { id: string; type: string; name: string; arguments: string }[] = []
    for (const delta of streamed.events.flatMap((chunk) => chunk.choices?.[0]?.delta.tool_calls ?? [])) {
      expect(delta.index).toEqual(expect.any(Number))
      const known = gathered[delta.index]
      if (known) expect([delta.id, delta.type, delta.function.name]).toEqual([undefined, undefined, undefined])
      else gathered[delta.index] = { id: delta.id, type: delta.type, name: delta.function.name, arguments: '' }
      gathered[delta.index]!.arguments += delta.function.arguments
    }
    expect(streamed.finish).toBe('tool_calls')
    expect(gathered).toMatchObject([
      { type: 'function', name: 'weather', arguments: '{"city":"Zürich"}' },
      { type: 'function', name: 'clock', arguments: '{}' },
    ])
    expect(new Set(gathered.map(({ id }) => id)).size).toBe(2)
    const { json } = await stage.ask({ model, tools })
    expect(json.choices[0]).toMatchObject({
      finish_reason: 'tool_calls',
      message: {
        role: 'assistant',
        content: null,
        tool_calls: gathered.map(({ type, name, arguments: text }) => ({ type, function: { name, arguments: text } })),
      },
    })
  })

  test.each([
    ['stop', 'stop'],
    ['length', 'length'],
    ['content_filter', 'content_filter'],
  ])('5.2.14 %s is told as %s, streamed or not', async (finish, told) => {
    const { model } = await stage.shared(vendor, { answer: { finish } })
    expect((await stage.ask({ model, stream: true })).finish).toBe(told)
    expect((await stage.ask({ model })).json.choices[0].finish_reason).toBe(told)
    // A refusal is one kind of filtering to OpenAI's clients, and a word of its own in the ledger.
    expect((await stage.row(model)).finish_reason).toMatch(
      told === 'content_filter' ? /^(content_filter|refusal)$/ : told,
    )
  })

  test('5.2.20 counts have every detail, the prompt includes what was cached, and both ways agree', async () => {
    const behaviour: Behaviour = { answer: { usage: counts, reasoning: 'Hm.' } }
    const { model } = await stage.shared(vendor, behaviour)
    const whole = (await stage.ask({ model })).json.usage
    const streamed = await stage.ask({ model, stream: true, stream_options: { include_usage: true } })
    expect(whole).toMatchObject({
      ...{ prompt_tokens: 2048, completion_tokens: 40, total_tokens: 2088 },
      prompt_tokens_details: { cached_tokens: 1920 },
    })
    expect(streamed.events.at(-2)!.usage).toEqual(whole)
    // Anthropic counts its thinking within the output and does not say how much it was.
    const tokensReasoning = vendor === 'anthropic' ? 0 : 25
    expect(whole.completion_tokens_details?.reasoning_tokens ?? 0).toBe(tokensReasoning)
    expect(await stage.row(model)).toMatchObject({
      ...{ tokens_in: 2048, tokens_out: 40, tokens_cached_read: 1920, tokens_reasoning: tokensReasoning },
    })
  })

  test('5.2.22 reasoning is reasoning_content, streamed or not', async () => {
    const { model } = await stage.shared(vendor, { answer: { reasoning: 'Two and two …', text: 'Four' } })
    const { events, content } = await stage.ask({ model, stream: true })
    expect(content).toBe('Four')
    expect(events.map((chunk) => chunk.choices?.[0]?.delta.reasoning_content ?? '').join('')).toBe('Two and two …')
    expect((await stage.ask({ model })).json.choices[0].message).toMatchObject({
      content: 'Four',
      reasoning_content: 'Two and two …',
    })
  })
})

describe('5.2.15 two answers', () => {
  test.each(['openai', 'gemini'] as const)('of %s come by index', async (vendor) => {
    const { model } = await stage.shared(vendor)
    const { json } = await stage.ask({ model, n: 2 })
    expect(json.choices.map((choice: Json) => [choice.index, choice.finish_reason])).toEqual([
      [0, 'stop'],
      [1, 'stop'],
    ])
  })

  test('are streamed by index', async () => {
    const { model } = await stage.shared('openai')
    const { events, isDone } = await stage.ask({ model, n: 2, stream: true })
    const second = events.flatMap((chunk) => chunk.choices ?? []).filter((choice: Json) => choice.index === 1)
    expect(second.map((choice: Json) => choice.delta.content ?? '').join('')).toBe(defaultText)
    expect([second.at(-1).finish_reason, isDone]).toEqual(['stop', true])
  })
})

describe('what a provider cannot do', () => {
  test.each([
    ['5.2.15', { n: 2 }, 'n'],
    ['5.2.16', { logprobs: true, top_logprobs: 3 }, 'logprobs'],
    [
      '5.2.19',
      {
        messages: [{ role: 'user', content: [{ type: 'input_audio', input_audio: { data: 'AAAA', format: 'wav' } }] }],
      },
      'input_audio',
    ],
  ])('%s is refused by name, and asked of another that can', async (_, body, param) => {
    const anthropic = await stage.upstream('anthropic')
    const model = await stage.serve(anthropic)
    for (const stream of [false, true]) {
      const reply = await stage.ask({ model, stream, ...body })
      expect(reply).toMatchObject({ status: 400, json: { error: { code: 'unsupported_parameter' } } })
      expect(reply.json.error.param).toMatch(new RegExp(`^${param}`))
    }
    const openai = await stage.upstream('openai')
    await stage.serve(openai, { model, provider: { priority: 1 } })
    expect((await stage.ask({ model, ...body })).status).toBe(200)
    expect([anthropic.requests.length, openai.requests.length]).toEqual([0, 1])
    expect(openai.requests[0]!.json).toMatchObject(body)
  })

  test('5.2.16 what only shades the answer is left out and told, streamed or not', async () => {
    const { model } = await stage.shared('anthropic')
    const shades = { seed: 7, presence_penalty: 0.5, logit_bias: { 50256: -100 } }
    for (const stream of [false, true]) {
      const { headers } = await stage.ask({ model, stream, ...shades })
      expect(headers.get('x-gatehouse-dropped-params')!.split(',').sort()).toEqual([
        'logit_bias',
        'presence_penalty',
        'seed',
      ])
    }
    expect((await asked('openai', shades)).dropped).toBeNull()
    expect((await asked('anthropic', {})).dropped).toBeNull()
  })

  test('5.2.23 what only OpenAI knows is told too, and odd names are no header', async () => {
    const body = { prompt_cache_key: 'k', store: true, verbosity: null, of_tomorrow: 1, 'x\r\ny: z': 1, 温度: 1 }
    for (const vendor of ['anthropic', 'gemini'] as const) {
      const { dropped } = await asked(vendor, body)
      expect(dropped.split(',').sort()).toEqual(['of_tomorrow', 'prompt_cache_key', 'store'])
    }
  })
})

describe('parameters', () => {
  test('5.2.13 one tool call at a time is asked for in each provider’s words', async () => {
    const body = { tools, parallel_tool_calls: false }
    expect(await asked('openai', body)).toMatchObject({ parallel_tool_calls: false })
    expect(await asked('anthropic', body)).toMatchObject({ tool_choice: { disable_parallel_tool_use: true } })
    expect((await asked('gemini', body)).dropped).toContain('parallel_tool_calls')
  })

  test('5.2.17 the output limit has a name for each, and Anthropic gets one in any case', async () => {
    for (const body of [{ max_tokens: 77 }, { max_completion_tokens: 77 }]) {
      expect(await asked('openai', body)).toMatchObject(body)
      expect(await asked('anthropic', body)).toMatchObject({ max_tokens: 77 })
      expect(await asked('gemini', body)).toMatchObject({ generationConfig: { maxOutputTokens: 77 } })
    }
    expect(await asked('anthropic', {})).toMatchObject({ max_tokens: 4096 })
    expect((await asked('gemini', {})).generationConfig?.maxOutputTokens).toBeUndefined()
    const fake = await stage.upstream('anthropic')
    const model = await stage.serve(fake, { settings: { max_output_tokens: 555 } })
    await stage.ask({ model })
    expect(fake.requests[0]!.json).toMatchObject({ max_tokens: 555 })
  })

  test('5.2.18 a strict schema arrives with its strictness, and Gemini gets none of the words it refuses', async () => {
    const schema = {
      type: 'object',
      properties: { a: { type: 'string' } },
      required: ['a'],
      additionalProperties: false,
    }
    const response_format = { type: 'json_schema', json_schema: { name: 'x', strict: true, schema } }
    expect(await asked('openai', { response_format })).toMatchObject({ response_format })
    expect(JSON.stringify(await asked('anthropic', { response_format }))).toContain('"a":{"type":"string"}')
    const { generationConfig } = await asked('gemini', { response_format })
    expect(generationConfig).toMatchObject({ responseMimeType: 'application/json' })
    expect(JSON.stringify(generationConfig)).toMatch(/"a":\{"type":"(string|STRING)"\}/)
  })

  test('5.2.22 effort is asked for in each provider’s words', async () => {
    const body = { reasoning_effort: 'low', max_completion_tokens: 9000 }
    expect(await asked('openai', body)).toMatchObject(body)
    expect(JSON.stringify(await asked('anthropic', body))).toMatch(/"thinking":\{"type":"(enabled|adaptive)"|"effort"/)
    const fake = await stage.upstream('gemini')
    const model = await stage.serve(fake, { link: { provider_model: 'gemini-2.5-flash' } })
    await stage.ask({ model, ...body })
    expect(fake.requests[0]!.json).toMatchObject({ generationConfig: { thinkingConfig: expect.any(Object) } })
  })

  test('5.2.23 members of tomorrow reach a provider of the same protocol, byte for byte', async () => {
    const { fake, model } = await stage.shared('openai')
    const text = `{ "model" : ${JSON.stringify(model)},"messages":[{"role":"user","content":"\\u00e9 1.0"}],"prompt_cache_key":"k","safety_identifier":"s","service_tier":"flex","verbosity":"low","metadata":{"a":"b"},"store":false,"of_tomorrow":{"deep":[1.50,1e2]},"temperature":1.0 }`
    const response = await fetch(`${stage.hub.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${stage.apiKey}` },
      body: text,
    })
    expect(response.status).toBe(200)
    expect(fake.requests.at(-1)!.body).toBe(text)
    expect((await response.json()) as Json).toMatchObject({ service_tier: 'default', system_fingerprint: 'fp_fake' })
  })

  test('5.2.12 include_obfuscation stays beside the usage we ask for', async () => {
    const options = { include_obfuscation: false }
    expect(await asked('openai', { stream: true, stream_options: options })).toMatchObject({
      stream_options: { include_obfuscation: false, include_usage: true },
    })
  })
})
