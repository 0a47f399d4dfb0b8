import { createGoogleGenerativeAI } from '@ai-sdk/google'
import { generateText, jsonSchema, type ModelMessage, Output, stepCountIs, streamText, tool } from 'ai'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { FakeProvider } from '../fake-providers/index.ts'
import { startHub, type TestHub } from '../harness/hub.ts'
import { png } from './sdk-scenarios.ts'
import { viewOf } from './sdk-wire-views.ts'
import { type ServedVendor, servedClouds, serveVendors, throughResponses } from './serve-vendors.ts'

const vendors: ServedVendor[] = [
  { name: 'openai', vendor: 'openai', model: 'gpt-4.1' },
  { name: 'anthropic', vendor: 'anthropic', model: 'claude-sonnet-4-5' },
  { name: 'gemini', vendor: 'gemini', model: 'gemini-3-pro' },
]
const upstreams = [...vendors, throughResponses, ...servedClouds('gpt-4.1')]

let hub: TestHub
let apiKey: string
let fakes = new Map<string, FakeProvider>()

beforeAll(async () => {
  hub = await startHub()
  apiKey = await hub.createKey()
  fakes = await serveVendors(hub, upstreams)
})

afterAll(async () => {
  await hub?.stop()
  for (const fake of fakes.values()) await fake.close()
})

const modelFor = (name: string, key = apiKey) =>
  createGoogleGenerativeAI({ apiKey: key, baseURL: `${hub.url}/v1beta` })(`the-${name}`)

const user = (content: string): ModelMessage => ({ role: 'user', content })

describe.each(upstreams)('@ai-sdk/google through $name', ({ name, vendor }) => {
  const prepare = (...behaviours: Parameters<FakeProvider['behave']>) => {
    const fake = fakes.get(name) as FakeProvider
    fake.behave(...behaviours)
    return fake
  }
  const last = (fake: FakeProvider) => viewOf(vendor, fake.requests.at(-1)?.json)

  describe.each([{ isStreamed: false }, { isStreamed: true }])('streamed: $isStreamed', ({ isStreamed }) => {
    type Call = Parameters<typeof generateText>[0]
    const ask = async (call: Omit<Call, 'model'>) => {
      const whole = { ...call, model: modelFor(name), maxRetries: 0 } as Call
      if (!isStreamed) return await generateText(whole)
      const stream = streamText(whole as Parameters<typeof streamText>[0])
      await stream.consumeStream()
      const [text, finishReason, usage, reasoningText, steps] = await Promise.all([
        stream.text,
        stream.finishReason,
        stream.totalUsage,
        stream.reasoningText,
        stream.steps,
      ])
      return { text, finishReason, usage, reasoningText, steps }
    }

    test('a question with a system message is answered and counted', async () => {
      const fake = prepare({ answer: { text: 'Hello! 你好', usage: { tokensIn: 21, tokensOut: 9 } } })
      const { text, finishReason, usage } = await ask({ system: 'Be brief.', messages: [user('Hi')] })
      expect([text, finishReason]).toEqual(['Hello! 你好', 'stop'])
      expect(usage).toMatchObject({ inputTokens: 21, outputTokens: 9, totalTokens: 30 })
      expect(last(fake).system).toEqual(['Be brief.'])
    })

    test('4.5.21 tools are called over three turns, and every vendor gets back what it signed', async () => {
      const weather = (city: string) => ({ name: 'weather', arguments: { city } })
      const reasoning = vendor === 'openai' ? {} : { reasoning: 'Let me look.' }
      const fake = prepare(
        { answer: { ...reasoning, toolCalls: [weather('Rome'), weather('Oslo')] } },
        { answer: { toolCalls: [weather('Bern')] } },
        { answer: { text: 'Sunny.' } },
      )
      const asked: string[] = []
      const { text, steps } = await ask({
        messages: [user('Weather?')],
        tools: {
          weather: tool({
            inputSchema: jsonSchema<{ city: string }>({ type: 'object', properties: { city: { type: 'string' } } }),
            execute: ({ city }) => {
              asked.push(city)
              return { sky: 'sunny' }
            },
          }),
        },
        stopWhen: stepCountIs(5),
        ...(vendor === 'openai'
          ? {}
          : { providerOptions: { google: { thinkingConfig: { thinkingBudget: 2048, includeThoughts: true } } } }),
      })
      expect(text).toBe('Sunny.')
      expect(steps).toHaveLength(3)
      expect(asked.toSorted()).toEqual(['Bern', 'Oslo', 'Rome'])
      expect(last(fake).toolResults).toHaveLength(3)
      if (vendor === 'gemini') expect(fake.requests.at(-1)?.body).not.toContain('skip_thought_signature_validator')
    })

    test('an image arrives', async () => {
      const fake = prepare({ answer: { text: 'A red pixel.' } })
      const image = { type: 'file' as const, data: png, mediaType: 'image/png' }
      const { text } = await ask({ messages: [{ role: 'user', content: [{ type: 'text', text: 'What?' }, image] }] })
      expect(text).toBe('A red pixel.')
      expect(last(fake).images).toEqual([{ mediaType: 'image/png', base64: png }])
    })

    test('an answer cut by the output limit says so', async () => {
      prepare({ answer: { text: 'Once', finish: 'length' } })
      const { finishReason } = await ask({ messages: [user('All.')], maxOutputTokens: 16 })
      expect(finishReason).toBe('length')
    })
  })

  test('an answer follows a schema', async () => {
    const fake = prepare({ answer: { text: '{"name":"Ada","age":36}' } })
    const schema = jsonSchema<{ name: string; age: number }>({
      type: 'object',
      properties: { name: { type: 'string' }, age: { type: 'integer' } },
      required: ['name', 'age'],
      additionalProperties: false,
    })
    const { output } = await generateText({
      model: modelFor(name),
      prompt: 'Who?',
      output: Output.object({ schema }),
    })
    expect(output).toEqual({ name: 'Ada', age: 36 })
    expect(last(fake).schemaProperties).toEqual(['name', 'age'])
  })

  test('errors keep their status and their words', async () => {
    prepare({ error: { status: 400, message: 'temperature: too hot' } })
    await expect(generateText({ model: modelFor(name), prompt: 'x', maxRetries: 0 })).rejects.toMatchObject({
      statusCode: 400,
      message: expect.stringContaining('too hot'),
    })
    await expect(
      generateText({ model: modelFor(name, 'sk-gh-wrong'), prompt: 'x', maxRetries: 0 }),
    ).rejects.toMatchObject({ statusCode: 401 })
  })
})
