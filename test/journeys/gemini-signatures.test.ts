import OpenAI from 'openai'
import type { ChatCompletionMessageParam, ChatCompletionTool } from 'openai/resources/chat/completions'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type FakeProvider, startFakeProvider } from '../fake-providers/index.ts'
import { startHub, type TestHub } from '../harness/hub.ts'
import { geminiDrivers } from './gemini-drivers.ts'
import { declarations } from './gemini-scenarios.ts'
import type { Json } from './stage.ts'

let hub: TestHub
let apiKey: string
let fake: FakeProvider
let other: FakeProvider

beforeAll(async () => {
  hub = await startHub()
  apiKey = await hub.createKey()
  fake = await startFakeProvider({ kind: 'gemini', areSignaturesEnforced: true })
  other = await startFakeProvider({ kind: 'anthropic', areSignaturesEnforced: true })
  const provider = { type: 'gemini', base_url: fake.baseUrl, api_key: fake.apiKey, max_retries: 0, priority: 1 }
  const anthropic = { type: 'anthropic', base_url: other.baseUrl, api_key: other.apiKey, max_retries: 0, priority: 100 }
  await hub.serve('signed', provider, { provider_model: 'gemini-3-pro' })
  await hub.serve('changing', anthropic, { provider_model: 'claude-sonnet-4-5' })
  await hub.serve('changing', provider, { provider_model: 'gemini-3-pro' })
})

afterAll(async () => {
  await hub?.stop()
  await fake?.close()
  await other?.close()
})

const weather = (city: string) => ({ name: 'weather', arguments: { city } })
const turns = [
  { answer: { reasoning: 'First Rome.', toolCalls: [weather('Rome')] } },
  { answer: { toolCalls: [weather('Oslo'), weather('Bern')] } },
  { answer: { text: 'Sunny, rainy and cold.' } },
  { answer: { text: 'Rome it is.' } },
]

/** Every signature of the last request, with the part it stands on. */
function signedParts(of: FakeProvider): Json[] {
  const { contents } = (of.requests.at(-1)?.json ?? {}) as { contents: { parts: Json[] }[] }
  return contents.flatMap(({ parts }) => parts).filter((part) => part.thoughtSignature !== undefined)
}

describe.each([{ isStreamed: false }, { isStreamed: true }])('streamed: $isStreamed', ({ isStreamed }) => {
  test('4.5.21 three turns with tools through an OpenAI client bring every signature back to its part', async () => {
    fake.behave(...turns)
    const client = new OpenAI({ apiKey, baseURL: `${hub.url}/v1`, maxRetries: 0 })
    const tools: ChatCompletionTool[] = [
      {
        type: 'function',
        function: { name: 'weather', parameters: { type: 'object', properties: { city: { type: 'string' } } } },
      },
    ]
    const messages: ChatCompletionMessageParam[] = [{ role: 'user', content: 'Weather in Rome, Oslo and Bern?' }]
    const ask = async () => {
      const call = { model: 'signed', messages, tools }
      const { choices } = isStreamed
        ? await client.chat.completions.stream({ ...call, stream: true }).finalChatCompletion()
        : await client.chat.completions.create(call)
      const message = choices[0]!.message
      messages.push(message as ChatCompletionMessageParam)
      for (const { id } of message.tool_calls ?? []) messages.push({ role: 'tool', tool_call_id: id, content: 'sunny' })
      return message
    }
    await ask()
    await ask()
    expect((await ask()).content).toBe('Sunny, rainy and cold.')
    messages.push({ role: 'user', content: 'And the warmest?' })
    expect((await ask()).content).toBe('Rome it is.')
    expect(fake.requests.at(-1)?.body).not.toContain('skip_thought_signature_validator')
    const signed = signedParts(fake)
    expect(signed.map((part) => part.functionCall?.args.city ?? part.text)).toEqual([
      'Rome',
      'Oslo',
      'Sunny, rainy and cold.',
    ])
  })

  test.each(geminiDrivers)('4.5.21 three turns through $name pass every signature as it came', async (driver) => {
    fake.behave(...turns)
    const client = driver.client({ apiKey, baseUrl: hub.url })
    const chat = client.chats.create({ model: 'signed', config: { tools: [{ functionDeclarations: declarations }] } })
    const given: string[] = []
    const send = async (message: Parameters<typeof chat.sendMessage>[0]['message']) => {
      const chunks = []
      if (isStreamed) for await (const chunk of await chat.sendMessageStream({ message })) chunks.push(chunk)
      else chunks.push(await chat.sendMessage({ message }))
      for (const { candidates } of chunks) {
        for (const part of candidates?.[0]?.content?.parts ?? []) {
          if (part.thoughtSignature) given.push(part.thoughtSignature)
        }
      }
      return chunks.flatMap(({ functionCalls }) => functionCalls ?? [])
    }
    let calls = await send('Weather in Rome, Oslo and Bern?')
    for (let turn = 0; turn < 2; turn++) {
      calls = await send(
        calls.map(({ name }) => ({ functionResponse: { name: name ?? '', response: { output: 'sunny' } } })),
      )
    }
    await send('And the warmest?')
    expect(signedParts(fake).map(({ thoughtSignature }) => thoughtSignature)).toEqual(given.slice(0, -1))
    expect(given).toHaveLength(4)
  })

  test.each(geminiDrivers)(
    '4.5.21 $name may change from Anthropic to Gemini and back between turns',
    async (driver) => {
      other.behave(
        { answer: { reasoning: 'First Rome.', toolCalls: [weather('Rome')] } },
        { error: { status: 529 } },
        { answer: { text: 'Done.' } },
      )
      fake.behave({ answer: { toolCalls: [weather('Oslo')] } })
      const client = driver.client({ apiKey, baseUrl: hub.url })
      const thinkingConfig = { includeThoughts: true, thinkingBudget: 2048 }
      const config = { tools: [{ functionDeclarations: declarations }], thinkingConfig }
      const chat = client.chats.create({ model: 'changing', config })
      const send = async (message: Parameters<typeof chat.sendMessage>[0]['message']) => {
        if (!isStreamed) return (await chat.sendMessage({ message })).functionCalls ?? []
        const calls = []
        for await (const chunk of await chat.sendMessageStream({ message })) calls.push(...(chunk.functionCalls ?? []))
        return calls
      }
      const answer = (calls: Awaited<ReturnType<typeof send>>) =>
        calls.map(({ id, name }) => ({
          functionResponse: { ...(id && { id }), name: name ?? '', response: { output: 'sunny' } },
        }))
      const first = await send('Weather in Rome and Oslo?')
      const second = await send(answer(first))
      expect(second.map(({ args }) => args)).toEqual([{ city: 'Oslo' }])
      // What Anthropic signed is not shown to Gemini, which would refuse it.
      expect(signedParts(fake).map(({ thoughtSignature }) => thoughtSignature)).toEqual([
        'skip_thought_signature_validator',
      ])
      expect(await send(answer(second))).toEqual([])
      const asked = (other.requests.at(-1)?.json ?? {}) as { messages: { content: Json[] }[] }
      const thinking = asked.messages.flatMap(({ content }) => content).filter(({ type }) => type === 'thinking')
      expect(thinking).toEqual([expect.objectContaining({ thinking: 'First Rome.', signature: expect.any(String) })])
    },
  )
})
