import Anthropic from '@anthropic-ai/sdk'
import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type FakeProvider, startFakeProvider } from '../fake-providers/index.ts'
import { createAzure } from '../fake-providers/vendors/azure.ts'
import { startHub, type TestHub } from '../harness/hub.ts'
import type { Json } from './stage.ts'

/** Providers of OpenAI's models that are asked by Responses, whatever the caller speaks. The SDKs' tables run there too. */

let hub: TestHub
let openai: OpenAI
let anthropic: Anthropic
let fake: FakeProvider
const messages = [{ role: 'user' as const, content: 'Hello' }]

beforeAll(async () => {
  hub = await startHub()
  const apiKey = await hub.createKey()
  openai = new OpenAI({ apiKey, baseURL: `${hub.url}/v1`, maxRetries: 0 })
  anthropic = new Anthropic({ apiKey, baseURL: hub.url, maxRetries: 0 })
  fake = await startFakeProvider({ kind: 'openai' })
  const provider = { type: 'openai', base_url: fake.baseUrl, api_key: fake.apiKey, max_retries: 0 }
  for (const model of ['o3-pro', 'gpt-5-codex', 'gpt-5.2', 'gpt-4.1']) await hub.serve(model, provider)
  await hub.serve('always', { ...provider, options: { api: 'responses' } }, { provider_model: 'gpt-5.2' })
  await hub.serve('never', { ...provider, options: { api: 'chat' } }, { provider_model: 'o3-pro' })
})

afterAll(async () => {
  await hub?.stop()
  await fake?.close()
})

const lastBody = () => fake.requests.at(-1)!.json as Json

describe('which of the two is asked', () => {
  test.each([
    ['o3-pro', '/v1/responses'],
    ['gpt-5-codex', '/v1/responses'],
    ['always', '/v1/responses'],
    ['gpt-5.2', '/v1/chat/completions'],
    ['gpt-4.1', '/v1/chat/completions'],
    ['never', '/v1/chat/completions'],
  ])('%s is asked at %s by callers of chat and of Messages', async (model, path) => {
    fake.behave({ answer: { text: 'Hi.' } })
    const answer = await openai.chat.completions.create({ model, messages })
    expect(answer).toMatchObject({ model, object: 'chat.completion', choices: [{ message: { content: 'Hi.' } }] })
    expect(fake.requests.at(-1)!.path).toBe(path)
    expect((await anthropic.messages.create({ model, messages, max_tokens: 99 })).content[0]).toMatchObject({
      text: 'Hi.',
    })
    expect(fake.requests.at(-1)!.path).toBe(path)
  })

  test('callers of Responses pass in either case, byte for byte', async () => {
    for (const model of ['never', 'always']) {
      await openai.responses.create({ model, input: 'Hello', store: true })
      expect(fake.requests.at(-1)).toMatchObject({ path: '/v1/responses', json: { store: true, input: 'Hello' } })
    }
  })

  test('one row each, with the tokens the provider counted', async () => {
    fake.behave({ answer: { text: 'Hi.', usage: { tokensIn: 50, tokensOut: 30, tokensReasoning: 20 } } })
    const before = (await hub.logs('&model=always')).length
    const stream = await openai.chat.completions.create({ model: 'always', messages, stream: true })
    for await (const _ of stream);
    const rows = await hub.logs('&model=always')
    expect(rows.length).toBe(before + 1)
    expect(rows[0]).toMatchObject({ outcome: 'success', tokens_in: 50, tokens_out: 30, tokens_reasoning: 20 })
  })
})

describe('what a chat request becomes', () => {
  test('nothing of it is kept at the provider, and what both know goes along unnamed', async () => {
    fake.behave({})
    const { response } = await openai.chat.completions
      .create({
        ...{ model: 'always', messages, verbosity: 'low', prompt_cache_key: 'k', service_tier: 'flex' },
        ...{ metadata: { team: 'x' }, safety_identifier: 'u' },
      })
      .withResponse()
    expect(lastBody()).toMatchObject({
      ...{ store: false, include: ['reasoning.encrypted_content'], text: { verbosity: 'low' } },
      ...{ prompt_cache_key: 'k', service_tier: 'flex', metadata: { team: 'x' }, safety_identifier: 'u' },
    })
    expect(response.headers.get('x-gatehouse-dropped-params')).toBeNull()
  })

  test('what Responses has no word for is named', async () => {
    fake.behave({})
    const { response } = await openai.chat.completions
      .create({ model: 'always', messages, stop: ['END'], seed: 7, max_completion_tokens: 5 })
      .withResponse()
    expect(response.headers.get('x-gatehouse-dropped-params')!.split(',').toSorted()).toEqual([
      'max_tokens',
      'seed',
      'stop',
    ])
    expect(lastBody().max_output_tokens).toBe(16)
  })

  test('5.2.15 several answers at once are refused by name, not silently one', async () => {
    const seen = fake.requests.length
    await expect(openai.chat.completions.create({ model: 'always', messages, n: 2 })).rejects.toMatchObject({
      ...{ status: 400, param: 'n' },
    })
    expect(fake.requests.length).toBe(seen)
  })

  test('5.2.16 log probabilities come with a whole answer, and a stream says that it has none', async () => {
    fake.behave({ answer: { text: 'Hi' } })
    const call = { model: 'always', messages, logprobs: true, top_logprobs: 2 }
    const whole = await openai.chat.completions.create(call)
    expect(whole.choices[0]!.logprobs!.content![0]).toMatchObject({ token: 'Hi', logprob: -0.1 })
    expect(lastBody()).toMatchObject({
      top_logprobs: 2,
      include: expect.arrayContaining(['message.output_text.logprobs']),
    })
    const { data, response } = await openai.chat.completions.create({ ...call, stream: true }).withResponse()
    for await (const _ of data);
    expect(response.headers.get('x-gatehouse-dropped-params')).toBe('logprobs')
  })
})

test.each([false, true])('thinking goes back to OpenAI sealed as it came, streamed: %s', async (isStreamed) => {
  const tools = [{ name: 'clock', input_schema: { type: 'object' as const } }]
  const thinking = { type: 'enabled' as const, budget_tokens: 1024 }
  const call = { model: 'always', max_tokens: 4000, tools, thinking }
  const ask = (history: Anthropic.MessageParam[]) =>
    isStreamed
      ? anthropic.messages.stream({ ...call, messages: history }).finalMessage()
      : anthropic.messages.create({ ...call, messages: history })
  fake.behave({ answer: { reasoning: 'I must look.', toolCalls: [{ name: 'clock', arguments: {} }] } }, {})
  const first = await ask(messages)
  const use = first.content.find(({ type }) => type === 'tool_use') as Anthropic.ToolUseBlock
  await ask([
    ...messages,
    { role: 'assistant', content: first.content as Anthropic.ContentBlockParam[] },
    { role: 'user', content: [{ type: 'tool_result', tool_use_id: use.id, content: '12:00' }] },
  ])
  expect(lastBody().input).toMatchObject([
    { role: 'user' },
    { type: 'reasoning', encrypted_content: 'gAAAAABfake', summary: [{ text: 'I must look.' }] },
    { type: 'function_call', name: 'clock' },
    { type: 'function_call_output', output: '12:00' },
  ])
})

test.each([
  ['v1', null, '/openai/v1/responses'],
  ['dated', '2025-04-01-preview', '/openai/responses?api-version=2025-04-01-preview'],
])('Azure (%s) is asked there under the name of the deployment', async (name, apiVersion, path) => {
  const azure = await startFakeProvider({ kind: 'openai', vendor: createAzure({ apiVersion, apiKey: 'azure-key' }) })
  try {
    const options = { api: 'responses', api_version: apiVersion, deployment_names: 'without_dots' }
    const provider = { type: 'azure-openai', base_url: azure.baseUrl, api_key: 'azure-key', options }
    await hub.serve(`azure-${name}`, provider, { provider_model: 'gpt-5.2' })
    const answer = await openai.chat.completions.create({ model: `azure-${name}`, messages })
    expect(answer.choices[0]!.finish_reason).toBe('stop')
    expect(azure.requests.at(-1)).toMatchObject({ path, json: { model: 'gpt-52', store: false } })
  } finally {
    await azure.close()
  }
})

test('a caller that leaves ends the stream at the provider', async () => {
  fake.behave({ holdAt: 5, answer: { pieceLength: 4 } })
  const seen = fake.requests.length
  const abort = new AbortController()
  const asking = openai.chat.completions
    .create({ model: 'always', messages, stream: true }, { signal: abort.signal })
    .then(async (stream) => {
      for await (const _ of stream);
    })
    .catch(() => 'left')
  const request = await fake.arrival(seen + 1)
  abort.abort()
  await request.aborted
  await asking
  expect((await hub.logs('&model=always'))[0]).toMatchObject({ outcome: 'aborted' })
})
