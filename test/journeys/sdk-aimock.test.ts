import { LLMock } from '@copilotkit/aimock'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { startFakeProvider } from '../fake-providers/index.ts'
import { startHub, type TestHub } from '../harness/hub.ts'
import { sdkDrivers } from './sdk-drivers.ts'

/** Providers written by others, so that our fakes and our translators cannot share a misunderstanding. */
const surfaces = [
  { type: 'openai', path: '/v1', model: 'gpt-4.1' },
  { type: 'anthropic', path: '', model: 'claude-sonnet-4-5' },
  { type: 'gemini', path: '', model: 'gemini-2.5-flash' },
]
const usage = {
  ...{ prompt_tokens: 31, completion_tokens: 7, total_tokens: 38 },
  ...{ input_tokens: 31, output_tokens: 7 },
  ...{ promptTokenCount: 31, candidatesTokenCount: 7, totalTokenCount: 38 },
}
const tools = [
  {
    type: 'function' as const,
    function: { name: 'weather', parameters: { type: 'object', properties: { city: { type: 'string' } } } },
  },
]
const weatherCalls = [
  { name: 'weather', arguments: '{"city":"Rome"}' },
  { name: 'weather', arguments: '{"city":"Oslo"}' },
]

const mock = new LLMock({ port: 0, chunkSize: 5 })
let hub: TestHub
let apiKey: string

beforeAll(async () => {
  mock.onMessage('hello', { content: 'Hello from afar, 你好 👋', usage })
  mock.on({ userMessage: 'weather', hasToolResult: false }, { toolCalls: weatherCalls, usage })
  mock.on({ userMessage: 'weather', hasToolResult: true }, { content: 'Sunny and snowy.', usage })
  await mock.start()
  hub = await startHub()
  apiKey = await hub.createKey()
  for (const { type, path, model } of surfaces) {
    const provider = { type, base_url: mock.url + path, max_retries: 0, priority: 200 }
    await hub.serve(`mock-${type}`, provider, { provider_model: model })
  }
})

afterAll(async () => {
  await hub?.stop()
  await mock.stop()
})

afterEach(() => {
  mock.clearChaos()
})

const say = (content: string) => ({ messages: [{ role: 'user' as const, content }] })
const targetFor = (type: string) => ({ baseUrl: `${hub.url}/v1`, apiKey, model: `mock-${type}` })

describe.each(sdkDrivers)('$name', (driver) => {
  describe.each(surfaces)('through aimock as $type', ({ type }) => {
    test.each([false, true])('a plain question is answered, streamed: %s', async (isStreamed) => {
      const { answer } = await driver.ask(targetFor(type), say('hello'), { isStreamed })
      expect(answer).toMatchObject({
        text: 'Hello from afar, 你好 👋',
        finish: 'stop',
        usage: { tokensIn: 31, tokensOut: 7 },
      })
    })

    test.each([false, true])(
      'parallel tools are called and their results understood, streamed: %s',
      async (isStreamed) => {
        const call = { ...say('weather'), tools }
        const first = await driver.ask(targetFor(type), call, { isStreamed })
        expect(first.answer).toMatchObject({
          finish: 'tool_calls',
          toolCalls: [
            { name: 'weather', arguments: { city: 'Rome' } },
            { name: 'weather', arguments: { city: 'Oslo' } },
          ],
        })
        const messages = first.withToolResults({ weather: 'fine' })
        const second = await driver.ask(targetFor(type), { ...call, messages }, { isStreamed })
        expect(second.answer).toMatchObject({ text: 'Sunny and snowy.', finish: 'stop', toolCalls: [] })
      },
    )
  })
})

describe.each(surfaces)('aimock as $type in chaos', ({ type }) => {
  const [driver] = sdkDrivers as [(typeof sdkDrivers)[number]]

  test.each([false, true])(
    'each of its faults is the caller’s error of that kind, streamed: %s',
    async (isStreamed) => {
      const ask = () => driver.ask(targetFor(type), say('hello'), { isStreamed })
      mock.setChaos({ dropRate: 1 })
      await expect(ask()).rejects.toMatchObject({ status: 500 })
      mock.setChaos({ rateLimitRate: 1 })
      await expect(ask()).rejects.toMatchObject({ status: 429 })
      mock.setChaos({ malformedRate: 1 })
      await expect(ask()).rejects.toMatchObject({ status: 502 })
      mock.setChaos({ disconnectRate: 1 })
      await expect(ask()).rejects.toMatchObject({ status: 502 })
    },
  )

  test('each of its faults is healed by a second provider', async () => {
    const spare = await startFakeProvider({ kind: 'openai' })
    spare.behave({ answer: { text: 'From the spare.' } })
    try {
      const provider = { type: 'openai', base_url: spare.baseUrl, api_key: spare.apiKey, priority: 1 }
      await hub.serve(`mock-${type}`, provider)
      for (const chaos of [{ dropRate: 1 }, { rateLimitRate: 1 }, { malformedRate: 1 }, { disconnectRate: 1 }]) {
        mock.setChaos(chaos)
        for (const isStreamed of [false, true]) {
          const { answer } = await driver.ask(targetFor(type), say('hello'), { isStreamed })
          expect({ chaos, isStreamed, text: answer.text }).toEqual({ chaos, isStreamed, text: 'From the spare.' })
        }
      }
    } finally {
      await spare.close()
    }
  })
})
