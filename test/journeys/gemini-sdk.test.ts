import type { Content } from '@google/genai'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { FakeProvider } from '../fake-providers/index.ts'
import { startHub, type TestHub } from '../harness/hub.ts'
import { type GeminiDriver, geminiDrivers } from './gemini-drivers.ts'
import { type GeminiScenario, scenarios, user } from './gemini-scenarios.ts'
import { viewOf } from './sdk-wire-views.ts'
import { chatsOf, type ServedVendor, sayable, servedClouds, serveVendors, throughResponses } from './serve-vendors.ts'

/** Names as the vendors have them: what a model can do is read from its name. */
const vendors: ServedVendor[] = [
  { name: 'openai', vendor: 'openai', model: 'gpt-4.1' },
  { name: 'anthropic', vendor: 'anthropic', model: 'claude-sonnet-4-5' },
  { name: 'gemini', vendor: 'gemini', model: 'gemini-3-pro' },
]
const upstreams = [...vendors, throughResponses, ...servedClouds('gpt-4.1')]
/** What stands behind the hub is the same to both versions of the client: one walks it all. */
const upstreamsOf = (driver: GeminiDriver) => (driver === geminiDrivers[0] ? upstreams : vendors)

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

const targetFor = (name: string) => ({ baseUrl: hub.url, apiKey, model: `the-${name}` })

describe.each(geminiDrivers)('$name', (driver) => {
  describe.each(upstreamsOf(driver))('through $name', ({ name, vendor, model, seenModel = model, unsaid }) => {
    describe.each([{ isStreamed: false }, { isStreamed: true }])('streamed: $isStreamed', ({ isStreamed }) => {
      test.each(scenarios)('$name', async (scenario) => {
        const fake = fakes.get(name) as FakeProvider
        fake.behave(...scenario.upstream)
        const seen = chatsOf(fake).length
        await play(scenario, driver, name, isStreamed)
        const request = fake.requests.at(-1)
        expect(chatsOf(fake).length - seen).toBe(scenario.upstream.length)
        expect(request?.model).toBe(seenModel)
        if (vendor === 'gemini') expect(request?.body).not.toContain('skip_thought_signature_validator')
        if (scenario.asked) expect(viewOf(vendor, request?.json)).toMatchObject(sayable(scenario.asked, unsaid))
      })
    })
  })
})

describe.each(geminiDrivers)('$name', (driver) => {
  describe.each(upstreamsOf(driver).filter(({ vendor }) => vendor !== 'openai'))(
    'through $name',
    ({ name, vendor }) => {
      test.each([{ isStreamed: false }, { isStreamed: true }])(
        'thinking is asked for, shown apart and counted apart, streamed: $isStreamed',
        async ({ isStreamed }) => {
          const fake = fakes.get(name) as FakeProvider
          const usage = { tokensIn: 30, tokensOut: 50, tokensReasoning: vendor === 'gemini' ? 40 : 0 }
          fake.behave({ answer: { reasoning: 'Let me think about it.', text: 'Four.', usage } })
          const call = {
            contents: [user('2+2?')],
            config: { thinkingConfig: { includeThoughts: true, thinkingBudget: 2048 } },
          }
          const { answer } = await driver.ask(targetFor(name), call, { isStreamed })
          expect(answer).toMatchObject({ thoughts: 'Let me think about it.', text: 'Four.' })
          expect(answer.usage).toMatchObject({
            thoughts: usage.tokensReasoning,
            candidates: 50 - usage.tokensReasoning,
          })
          expect(viewOf(vendor, fake.requests.at(-1)?.json).thinks).toBe(true)
        },
      )
    },
  )
})

/** The history a client's own `chats` keeps: what came, as it came. */
async function play(scenario: GeminiScenario, driver: GeminiDriver, name: string, isStreamed: boolean) {
  const { call, toolResults } = scenario
  const target = targetFor(name)
  let turn = await driver.ask(target, call, { isStreamed })
  if (toolResults) {
    expect(turn.answer).toMatchObject(scenario.firstAnswer ?? {})
    const calls = turn.contents.flatMap(({ parts = [] }) => parts.flatMap((part) => part.functionCall ?? []))
    const results: Content = {
      role: 'user',
      parts: calls.map(({ id, name = '' }) => ({
        functionResponse: { ...(id === undefined ? {} : { id }), name, response: toolResults[name] ?? {} },
      })),
    }
    turn = await driver.ask(
      target,
      { ...call, contents: [...call.contents, ...turn.contents, results] },
      { isStreamed },
    )
  }
  expect(turn.answer).toMatchObject(scenario.answer)
  expect(turn.model).toBe(target.model)
}

describe.each([{ isStreamed: false }, { isStreamed: true }])(
  'three turns with tools, streamed: $isStreamed',
  ({ isStreamed }) => {
    test.each(geminiDrivers)(
      '4.5.21 $name through Anthropic: the thinking returns with its signature',
      async (driver) => {
        const fake = fakes.get('anthropic') as FakeProvider
        const weather = (city: string) => ({ name: 'weather', arguments: { city } })
        fake.behave(
          { answer: { reasoning: 'First Rome.', toolCalls: [weather('Rome')] } },
          { answer: { reasoning: 'Then Oslo.', text: 'Now Oslo.', toolCalls: [weather('Oslo')] } },
          { answer: { text: 'Sunny and rainy.' } },
        )
        const [{ call }] = scenarios.filter(({ toolResults }) => toolResults) as [GeminiScenario]
        const config = { ...call.config, thinkingConfig: { includeThoughts: true, thinkingBudget: 2048 } }
        const target = targetFor('anthropic')
        const chat = driver.client(target).chats.create({ model: target.model, config })
        const send = async (message: Parameters<typeof chat.sendMessage>[0]['message']) => {
          if (!isStreamed) return (await chat.sendMessage({ message })).functionCalls ?? []
          const calls = []
          for await (const chunk of await chat.sendMessageStream({ message }))
            calls.push(...(chunk.functionCalls ?? []))
          return calls
        }
        let calls = await send('Weather in Rome and Oslo?')
        for (const sky of ['sunny', 'rainy']) {
          expect(calls).toHaveLength(1)
          const [{ id, name } = {}] = calls
          calls = await send([{ functionResponse: { id: id ?? '', name: name ?? '', response: { output: sky } } }])
        }
        expect(calls).toEqual([])
        const asked = fake.requests.at(-1)?.json as { messages: { content: Record<string, unknown>[] }[] }
        const thinking = asked.messages.flatMap(({ content }) => content).filter(({ type }) => type === 'thinking')
        expect(thinking.map(({ thinking }) => thinking)).toEqual(['First Rome.', 'Then Oslo.'])
        expect(
          chat
            .getHistory()
            .at(-1)
            ?.parts?.some(({ text }) => text !== undefined),
        ).toBe(true)
      },
    )
  },
)
