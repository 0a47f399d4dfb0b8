import OpenAI from 'openai'
import OpenAI6 from 'openai6'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type FakeProvider, startFakeProvider, type VendorName } from '../fake-providers/index.ts'
import { type FakePlatform, startFakePlatform } from '../fake-providers/platform/index.ts'
import { startHub, type TestHub } from '../harness/hub.ts'

/** Legacy completions: passed on where the provider speaks them, else held as a conversation. */
let hub: TestHub
let platform: FakePlatform
let apiKey: string
const fakes = new Map<VendorName, FakeProvider>()
const vendors: VendorName[] = ['openai', 'anthropic', 'gemini']

beforeAll(async () => {
  hub = await startHub()
  apiKey = await hub.createKey()
  platform = await startFakePlatform()
  const native = { base_url: platform.baseUrl, api_key: platform.apiKey, max_retries: 0 }
  await hub.serve('native', { type: 'openai-compatible', ...native }, { provider_model: 'base' })
  await hub.serve('instruct', { type: 'openai', ...native }, { provider_model: 'gpt-3.5-turbo-instruct' })
  for (const vendor of vendors) {
    const fake = await startFakeProvider({ kind: vendor })
    fakes.set(vendor, fake)
    await hub.serve(`the-${vendor}`, { type: vendor, base_url: fake.baseUrl, api_key: fake.apiKey, max_retries: 0 })
  }
})

afterAll(async () => {
  await hub?.stop()
  await platform?.close()
  for (const fake of fakes.values()) await fake.close()
})

const clients = [
  { major: 7, create: () => new OpenAI({ apiKey, baseURL: `${hub.url}/v1`, maxRetries: 0 }) },
  { major: 6, create: () => new OpenAI6({ apiKey, baseURL: `${hub.url}/v1`, maxRetries: 0 }) as unknown as OpenAI },
]
const row = async (model: string) => (await hub.logs(`&model=${model}`))[0]!

async function read(stream: AsyncIterable<OpenAI.Completion>) {
  const chunks: OpenAI.Completion[] = []
  for await (const chunk of stream) chunks.push(chunk)
  const choices = chunks.flatMap((chunk) => chunk.choices)
  return {
    chunks,
    text: choices.map(({ text }) => text).join(''),
    finish: choices.findLast(({ finish_reason }) => finish_reason)?.finish_reason,
    usage: chunks.findLast(({ usage }) => usage)?.usage,
  }
}

describe.each(clients)('openai $major', ({ create }) => {
  test('a provider that speaks them gets them as they are, parameters of their own included', async () => {
    const asked = { model: 'native', prompt: ['Once', 'Twice'], echo: true, suffix: '!', logprobs: 2, best_of: 3 }
    const answer = await create().completions.create(asked)
    expect(answer.choices.map(({ text }) => text)).toEqual(['Once there was a fake.', 'Twice there was a fake.'])
    expect(answer.model).toBe('native')
    expect(platform.requests.at(-1)).toMatchObject({ path: '/v1/completions', json: { ...asked, model: 'base' } })
    expect(await row('native')).toMatchObject({ endpoint: '/v1/completions', tokens_in: 4, tokens_out: 5 })
    await create().completions.create({ model: 'instruct', prompt: 'Once' })
    expect(platform.requests.at(-1)!.path).toBe('/v1/completions')
  })

  test('a relayed stream is whole, and its usage is counted whether the caller asks or not', async () => {
    const asked = { model: 'native', prompt: 'Once', stream: true as const }
    const plain = await read(await create().completions.create(asked))
    expect(plain).toMatchObject({ text: ' there was a fake.', finish: 'stop', usage: undefined })
    expect(await row('native')).toMatchObject({ tokens_in: 4, tokens_out: 5, stream: true, outcome: 'success' })
    const asking = await read(await create().completions.create({ ...asked, stream_options: { include_usage: true } }))
    expect(asking.usage).toMatchObject({ total_tokens: 9 })
    expect(new Set(asking.chunks.map(({ model }) => model))).toEqual(new Set(['native']))
  })

  test.each(vendors)('%s is asked as in a conversation', async (vendor) => {
    fakes.get(vendor)!.behave({ answer: { text: 'a time.' } })
    const model = `the-${vendor}`
    const answer = await create().completions.create({ model, prompt: 'Once upon', max_tokens: 20 })
    expect(answer).toMatchObject({
      ...{ object: 'text_completion', model, id: expect.stringMatching(/^cmpl-/) },
      choices: [{ text: 'a time.', index: 0, finish_reason: 'stop', logprobs: null }],
      usage: { prompt_tokens: 21, completion_tokens: 9, total_tokens: 30 },
    })
    const asked = { model, prompt: ['Once upon'], stream: true as const, stream_options: { include_usage: true } }
    const streamed = await read(await create().completions.create(asked))
    expect(streamed).toMatchObject({ text: 'a time.', finish: 'stop', usage: { total_tokens: 30 } })
    expect(await row(model)).toMatchObject({
      endpoint: '/v1/completions',
      protocol: 'openai-completions',
      tokens_out: 9,
    })
  })

  test.each([
    ['suffix', { suffix: 'the end' }],
    ['echo', { echo: true }],
    ['logprobs', { logprobs: 1 }],
    ['best_of', { best_of: 2 }],
    ['prompt', { prompt: ['a', 'b'] }],
    ['prompt', { prompt: [1, 2, 3] }],
  ])('%s is refused by name where only conversations are held', async (param, more) => {
    const seen = fakes.get('anthropic')!.requests.length
    await expect(create().completions.create({ model: 'the-anthropic', prompt: 'a', ...more })).rejects.toMatchObject({
      ...{ status: 400, param, code: 'unsupported_parameter' },
    })
    expect(fakes.get('anthropic')!.requests).toHaveLength(seen)
  })

  test('a stream that breaks off says so', async () => {
    platform.behave({ cutAfter: 2 })
    const stream = await create().completions.create({ model: 'native', prompt: 'Once', stream: true })
    await expect(read(stream)).rejects.toThrow()
    expect(await row('native')).toMatchObject({ outcome: 'truncated' })
  })
})
