import { createAnthropic } from '@ai-sdk/anthropic'
import { generateText, isStepCount, jsonSchema, type ModelMessage, Output, streamText, tool } from 'ai'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Behaviour, FakeProvider } from '../fake-providers/index.ts'
import { startHub, type TestHub } from '../harness/hub.ts'
import { png } from './sdk-scenarios.ts'
import { viewOf } from './sdk-wire-views.ts'
import { type ServedVendor, servedClouds, serveVendors, throughResponses } from './serve-vendors.ts'

/** The `ai` package over its Anthropic provider, which has an accumulator and a tool loop of its own. */
const vendors: ServedVendor[] = [
  { name: 'openai', vendor: 'openai', model: 'gpt-5' },
  { name: 'anthropic', vendor: 'anthropic', model: 'claude-sonnet-4-5' },
  { name: 'gemini', vendor: 'gemini', model: 'gemini-3-pro' },
]
const upstreams = [...vendors, throughResponses, ...servedClouds('gpt-5')]

let hub: TestHub
let anthropic: ReturnType<typeof createAnthropic>
let fakes = new Map<string, FakeProvider>()

beforeAll(async () => {
  hub = await startHub()
  anthropic = createAnthropic({ apiKey: await hub.createKey(), baseURL: `${hub.url}/v1` })
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

const hello: ModelMessage[] = [{ role: 'user', content: 'Hello' }]
const thinking = { anthropic: { thinking: { type: 'enabled' as const, budgetTokens: 2048 } } }
const tools = {
  weather: tool({
    description: 'Tells the weather.',
    inputSchema: jsonSchema<{ city: string }>({ type: 'object', properties: { city: { type: 'string' } } }),
    execute: async ({ city }) => `sunny in ${city}`,
  }),
  clock: tool({
    description: 'Tells the time.',
    inputSchema: jsonSchema<object>({ type: 'object', properties: {} }),
    execute: async () => '12:00',
  }),
}

type Asked = Partial<Parameters<typeof generateText>[0]>

async function ask(name: string, isStreamed: boolean, more: Asked = {}) {
  const call = { model: anthropic(`the-${name}`), messages: hello, maxOutputTokens: 8000, maxRetries: 0, ...more }
  if (!isStreamed) return await generateText(call as Parameters<typeof generateText>[0])
  const errors: unknown[] = []
  const result = streamText({ ...call, onError: ({ error }) => void errors.push(error) } as Parameters<
    typeof streamText
  >[0])
  await result.consumeStream()
  if (errors.length > 0) throw errors[0]
  const { text, reasoningText, finishReason, usage } = result
  return { text: await text, reasoningText: await reasoningText, finishReason: await finishReason, usage: await usage }
}

describe.each(upstreams)('ai through $name', ({ name, vendor }) => {
  describe.each([{ isStreamed: false }, { isStreamed: true }])('streamed: $isStreamed', ({ isStreamed }) => {
    test('a question with a system text is answered and counted', async () => {
      const fake = prepare(name, { answer: { text: 'Hello! 你好' } })
      const answer = await ask(name, isStreamed, { instructions: 'Be brief.' })
      expect(answer).toMatchObject({ text: 'Hello! 你好', finishReason: 'stop' })
      expect(answer.usage).toMatchObject({ inputTokens: 21, outputTokens: 9 })
      expect(viewOf(vendor, fake.requests.at(-1)!.json).system).toEqual(['Be brief.'])
    })

    test('a loop of tools with thinking, three turns long', async () => {
      const fake = prepare(
        name,
        {
          answer: {
            reasoning: 'I must look.',
            toolCalls: [
              { name: 'weather', arguments: { city: 'Rome' } },
              { name: 'clock', arguments: {} },
            ],
            areToolCallsInterleaved: true,
          },
        },
        { answer: { reasoning: 'And there.', toolCalls: [{ name: 'weather', arguments: { city: 'Oslo' } }] } },
        { answer: { text: 'Sunny at noon.' } },
      )
      const answer = await ask(name, isStreamed, { tools, stopWhen: isStepCount(5), providerOptions: thinking })
      expect(answer.text).toBe('Sunny at noon.')
      const request = fake.requests.at(-1)!
      expect(viewOf(vendor, request.json).toolResults).toEqual(['sunny in Rome', '12:00', 'sunny in Oslo'])
      expect(request.body).not.toContain('skip_thought_signature_validator')
    })

    test('thinking is shown apart from the answer', async () => {
      prepare(name, { answer: { reasoning: 'Two and two …', text: '4' } })
      const answer = await ask(name, isStreamed, { providerOptions: thinking })
      expect(answer).toMatchObject({ text: '4', reasoningText: 'Two and two …' })
    })

    test('an image is seen, and an answer keeps to a schema', async () => {
      const schema = jsonSchema({
        type: 'object',
        properties: { name: { type: 'string' } },
        required: ['name'],
        additionalProperties: false,
      })
      const fake = prepare(name, { answer: { text: '{"name":"Ada"}' } })
      const content = [
        { type: 'text' as const, text: 'Who is this?' },
        { type: 'image' as const, image: png, mediaType: 'image/png' },
      ]
      const providerOptions = { anthropic: { structuredOutputMode: 'outputFormat' as const } }
      const messages: ModelMessage[] = [{ role: 'user', content }]
      const answer = await ask(name, isStreamed, { messages, output: Output.object({ schema }), providerOptions })
      expect(answer.text).toBe('{"name":"Ada"}')
      expect(viewOf(vendor, fake.requests.at(-1)!.json)).toMatchObject({
        images: [{ mediaType: 'image/png', base64: png }],
        schemaProperties: ['name'],
      })
    })

    test.each([
      [{ text: 'Once', finish: 'length' }, 'length'],
      [{ text: 'I', finish: 'content_filter' }, 'content-filter'],
    ] as const)('an answer that ended as %o says so', async (answer, finishReason) => {
      prepare(name, { answer })
      expect(await ask(name, isStreamed)).toMatchObject({ text: answer.text, finishReason })
    })

    test.each([
      [{ error: { status: 400, message: 'too hot' } }, 400],
      [{ error: { status: 429 } }, 429],
      [{ error: { status: 500 } }, 500],
    ])('a failure %o is an error of the call', async (behaviour, statusCode) => {
      prepare(name, behaviour)
      await expect(ask(name, isStreamed)).rejects.toMatchObject({ statusCode })
    })
  })

  test('5.1.6 a stream that breaks is an error, never a short answer', async () => {
    for (const how of ['eof', 'close'] as const) {
      prepare(name, { cut: { at: 5, how }, answer: { pieceLength: 4 } })
      await expect(ask(name, true)).rejects.toThrow()
    }
  })
})
