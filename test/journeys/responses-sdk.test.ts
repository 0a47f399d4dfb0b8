import { createOpenAI } from '@ai-sdk/openai'
import { generateText, stepCountIs, streamText, tool } from 'ai'
import OpenAI from 'openai'
import type { Response, ResponseInputItem } from 'openai/resources/responses/responses'
import OpenAI6 from 'openai6'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { type FakeProvider, startFakeProvider, type VendorName } from '../fake-providers/index.ts'
import { startHub, type TestHub } from '../harness/hub.ts'
import { type ResponsesAnswer, type ResponsesCall, responsesScenarios } from './responses-scenarios.ts'
import { viewOf } from './sdk-wire-views.ts'

type Upstream = { name: string; vendor: VendorName; type: string; model: string; isNative: boolean }

/** Names as the vendors have them: what a model can do is read from its name. */
const upstreams: Upstream[] = [
  { name: 'Responses', vendor: 'openai', type: 'openai', model: 'gpt-5.2', isNative: true },
  { name: 'chat', vendor: 'openai', type: 'openai-compatible', model: 'gpt-5.4', isNative: false },
  { name: 'Anthropic', vendor: 'anthropic', type: 'anthropic', model: 'claude-sonnet-4-5', isNative: false },
  { name: 'Gemini', vendor: 'gemini', type: 'gemini', model: 'gemini-3-pro', isNative: false },
]
const clients = [
  { client: 'openai 7', Client: OpenAI },
  { client: 'openai 6', Client: OpenAI6 as unknown as typeof OpenAI },
]

let hub: TestHub
let apiKey: string
const fakes = new Map<string, FakeProvider>()

beforeAll(async () => {
  hub = await startHub()
  apiKey = await hub.createKey()
  for (const { name, vendor, type, model } of upstreams) {
    const fake = await startFakeProvider({ kind: vendor, areSignaturesEnforced: vendor !== 'openai' })
    fakes.set(name, fake)
    const provider = { name, type, base_url: fake.baseUrl, api_key: fake.apiKey, max_retries: 0 }
    await hub.serve(`the-${name}`, provider, { provider_model: model })
  }
})

afterAll(async () => {
  await hub?.stop()
  for (const fake of fakes.values()) await fake.close()
})

async function ask(client: OpenAI, model: string, call: ResponsesCall, isStreamed: boolean): Promise<Response> {
  if (!isStreamed) return await client.responses.create({ ...call, model })
  const stream = client.responses.stream({ ...call, model } as Parameters<typeof client.responses.stream>[0])
  return (await stream.finalResponse()) as Response
}

function show(response: Response): ResponsesAnswer {
  const { output, usage } = response
  return {
    status: response.status ?? '',
    reason: response.incomplete_details?.reason ?? null,
    text: response.output_text,
    reasoning: output
      .flatMap((item) => (item.type === 'reasoning' ? item.summary.map(({ text }) => text) : []))
      .join(''),
    toolCalls: output.flatMap((item) =>
      item.type === 'function_call' ? [{ name: item.name, arguments: JSON.parse(item.arguments) }] : [],
    ),
    usage: {
      tokensIn: usage?.input_tokens ?? -1,
      tokensOut: usage?.output_tokens ?? -1,
      tokensCachedRead: usage?.input_tokens_details.cached_tokens ?? -1,
      tokensReasoning: usage?.output_tokens_details.reasoning_tokens ?? -1,
    },
  }
}

function resultsOf(response: Response, results: Record<string, string>): ResponseInputItem[] {
  return response.output.flatMap((item) =>
    item.type === 'function_call'
      ? [{ type: 'function_call_output', call_id: item.call_id, output: results[item.name] ?? '' }]
      : [],
  )
}

describe.each(clients)('$client', ({ Client }) => {
  describe.each(upstreams)('through $name', ({ name, vendor, isNative }) => {
    describe.each([{ isStreamed: false }, { isStreamed: true }])('streamed: $isStreamed', ({ isStreamed }) => {
      test.each(responsesScenarios)('$name', async ({ call, upstream, answer, asked, toolResults, firstAnswer }) => {
        const fake = fakes.get(name)!
        const client = new Client({ apiKey, baseURL: `${hub.url}/v1`, maxRetries: 0 })
        fake.behave(...upstream)
        let response = await ask(client, `the-${name}`, call, isStreamed)
        if (toolResults) {
          expect(show(response)).toMatchObject(firstAnswer ?? {})
          const input = [...(call.input as ResponseInputItem[]), ...(response.output as ResponseInputItem[])]
          const results = resultsOf(response, toolResults)
          response = await ask(client, `the-${name}`, { ...call, input: [...input, ...results] }, isStreamed)
        }
        expect(show(response)).toMatchObject(answer)
        expect(response.model).toBe(`the-${name}`)
        const request = fake.requests.at(-1)
        if (isNative) expect(request?.path).toBe('/v1/responses')
        else if (asked) expect(viewOf(vendor, request?.json)).toMatchObject(asked)
        expect(request?.body).not.toContain('skip_thought_signature_validator')
      })

      test('5.3.26 a tool loop of three turns goes on by previous_response_id alone', async () => {
        const fake = fakes.get(name)!
        const client = new Client({ apiKey, baseURL: `${hub.url}/v1`, maxRetries: 0 })
        const toolCalls = [{ name: 'clock', arguments: {} }]
        fake.behave(
          { answer: { reasoning: 'Look.', toolCalls } },
          { answer: { reasoning: 'Look again.', toolCalls } },
          { answer: { text: 'Noon.' } },
        )
        const call = {
          tools: [
            { type: 'function' as const, name: 'clock', strict: false, parameters: { type: 'object', properties: {} } },
          ],
          reasoning: { effort: 'low' as const },
          max_output_tokens: 8000,
        }
        const first = await ask(client, `the-${name}`, { ...call, input: 'Time?' }, isStreamed)
        let last = first
        for (let turn = 0; turn < 2; turn++) {
          const input = resultsOf(last, { clock: '12:00' })
          last = await ask(client, `the-${name}`, { ...call, input, previous_response_id: last.id }, isStreamed)
        }
        expect(last.output_text).toBe('Noon.')
        const request = fake.requests.at(-1)
        if (isNative) expect(request?.json?.previous_response_id).toMatch(/^resp_fake/)
        else expect(viewOf(vendor, request?.json)).toMatchObject({ toolResults: ['12:00', '12:00'] })
      })
    })
  })
})

describe.each(upstreams)('ai with @ai-sdk/openai through $name', ({ name, vendor, isNative }) => {
  const clock = tool({ description: 'Tells the time.', inputSchema: z.object({}), execute: async () => '12:00' })

  test.each([{ isStreamed: false }, { isStreamed: true }])(
    'runs a tool loop, its turns told by reference, streamed: $isStreamed',
    async ({ isStreamed }) => {
      const fake = fakes.get(name)!
      const seen = fake.requests.length
      fake.behave(
        { answer: { text: 'Let me look.', toolCalls: [{ name: 'clock', arguments: {} }] } },
        { answer: { text: 'It is noon.' } },
      )
      const openai = createOpenAI({ apiKey, baseURL: `${hub.url}/v1` })
      const options = {
        model: openai(`the-${name}`),
        prompt: 'Time?',
        tools: { clock },
        stopWhen: stepCountIs(3),
        maxRetries: 0,
      }
      const text = isStreamed ? await streamText(options).text : (await generateText(options)).text
      expect(text).toBe('It is noon.')
      expect(fake.requests.length - seen).toBe(2)
      const request = fake.requests.at(-1)
      if (!isNative) expect(viewOf(vendor, request?.json)).toMatchObject({ toolResults: ['12:00'] })
      else expect(request?.body).toContain('item_reference')
    },
  )
})
