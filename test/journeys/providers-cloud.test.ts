import { readFileSync } from 'node:fs'
import OpenAI, { APIError } from 'openai'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { presets, providerTypes } from '../../src/gateway/providers/index.ts'
import { quirksSchema } from '../../src/gateway/providers/quirks.ts'
import { type Behaviour, defaultText, type FakeProvider, startFakeProvider } from '../fake-providers/index.ts'
import { createBedrock } from '../fake-providers/vendors/bedrock.ts'
import { createVertex } from '../fake-providers/vendors/vertex.ts'
import { startHub, type TestHub } from '../harness/hub.ts'
import { application, aws, type Cloud, createClouds, place } from './clouds.ts'
import { chatsOf } from './serve-vendors.ts'
import type { Json } from './stage.ts'

/** Callers with OpenAI's SDK, models at other people's clouds: address, credentials and framing are all theirs. */

const clouds = createClouds()
const cloudOf = (name: string) => clouds.find((cloud) => cloud.name === name)!

let hub: TestHub
let client: OpenAI
const fakes = new Map<string, FakeProvider>()

beforeAll(async () => {
  hub = await startHub({ settings: { 'gateway.max_retry_wait_seconds': 1 } })
  client = new OpenAI({ apiKey: await hub.createKey(), baseURL: `${hub.url}/v1`, maxRetries: 0 })
  for (const cloud of clouds) {
    const fake = await startFakeProvider({ kind: cloud.kind, vendor: cloud.vendor })
    fakes.set(cloud.name, fake)
    await hub.serve(
      cloud.name,
      {
        ...{ name: cloud.name, type: cloud.type, base_url: fake.baseUrl, max_retries: 0 },
        ...{ options: cloud.options(fake.url), api_key: cloud.apiKey(fake.url) },
      },
      { provider_model: cloud.providerModel },
    )
  }
})

afterAll(async () => {
  await hub.stop()
  for (const fake of fakes.values()) await fake.close()
})

function fakeOf({ name }: Cloud, ...behaviours: Behaviour[]): FakeProvider {
  const fake = fakes.get(name)!
  fake.behave(...behaviours)
  return fake
}

const messages = [{ role: 'user' as const, content: 'Hello' }]
const weather = {
  type: 'function' as const,
  function: { name: 'weather', parameters: { type: 'object', properties: { city: { type: 'string' } } } },
}

async function failureOf(work: Promise<unknown>): Promise<APIError> {
  return work.then(
    () => expect.fail('the call should have failed'),
    (error) => {
      expect(error).toBeInstanceOf(APIError)
      return error as APIError
    },
  )
}

describe.each(clouds)('$name', (cloud) => {
  test('a whole answer, at the address the vendor asks for', async () => {
    const fake = fakeOf(cloud)
    const answer = await client.chat.completions.create({ model: cloud.name, messages })
    expect(answer.choices[0]).toMatchObject({ message: { content: defaultText }, finish_reason: 'stop' })
    expect(answer.usage).toMatchObject({ prompt_tokens: 21, completion_tokens: 9 })
    expect(answer.model).toBe(cloud.name)
    expect(chatsOf(fake).at(-1)!.path).toBe(cloud.paths[0])
    expect((await hub.logs(`&model=${cloud.name}`))[0]).toMatchObject({
      ...{ outcome: 'success', provider_type: cloud.type, tokens_in: 21, tokens_out: 9 },
    })
  })

  test.each([1, 7, 'event', 'whole'] as const)('a streamed answer, in pieces of %s', async (writes) => {
    const fake = fakeOf(cloud, { framing: { writes } })
    const stream = await client.chat.completions.create({
      ...{ model: cloud.name, messages, stream: true, stream_options: { include_usage: true } },
    })
    let text = ''
    let usage: unknown
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? ''
      usage = chunk.usage ?? usage
    }
    expect(text).toBe(defaultText)
    expect(usage).toMatchObject({ prompt_tokens: 21, completion_tokens: 9 })
    expect(chatsOf(fake).at(-1)!.path).toBe(cloud.paths[1])
  })

  test('tools there and back', async () => {
    const call = { name: 'weather', arguments: { city: 'Ulm' } }
    fakeOf(cloud, { answer: { toolCalls: [call] } }, { answer: { toolCalls: [call] } }, {})
    const first = await client.chat.completions.create({ model: cloud.name, messages, tools: [weather] })
    const asked = first.choices[0]!.message
    expect(first.choices[0]!.finish_reason).toBe('tool_calls')
    const streamed = await client.chat.completions
      .stream({ model: cloud.name, messages, tools: [weather] })
      .finalChatCompletion()
    expect(streamed.choices[0]!.message.tool_calls![0]).toMatchObject({
      function: { name: 'weather', arguments: '{"city":"Ulm"}' },
    })
    const result = { role: 'tool' as const, tool_call_id: asked.tool_calls![0]!.id, content: 'rain' }
    const last = await client.chat.completions.create({
      ...{ model: cloud.name, messages: [...messages, asked, result], tools: [weather] },
    })
    expect(last.choices[0]!.message.content).toBe(defaultText)
  })

  test.each([
    [400, 400],
    [404, 404],
    [429, 429],
    [503, 503],
  ])('an error %i before the answer', async (status, seen) => {
    fakeOf(cloud, { error: { status, message: 'the fake says no' } })
    const error = await failureOf(client.chat.completions.create({ model: cloud.name, messages }))
    expect(error.status).toBe(seen)
    expect(error.message).toContain('the fake says no')
  })

  test('an error inside the stream is an error, not an end', async () => {
    fakeOf(cloud, { error: { status: 503, message: 'broken inside', afterChunks: 4 }, framing: { writes: 5 } })
    const stream = await client.chat.completions.create({ model: cloud.name, messages, stream: true })
    const error = await failureOf(
      (async () => {
        for await (const _ of stream);
      })(),
    )
    expect(error.message).toContain('broken inside')
  })

  test('its list of models', async () => {
    expect(await hub.admin('GET', `/api/providers/${cloud.name}/models`)).toMatchObject({
      models: ['fake-large', 'fake-small', 'org/fake-tiny:free'],
    })
  })

  test('no secret of the key is in any log line or control reply', async () => {
    const shown = JSON.stringify(await hub.admin('GET', '/api/providers')) + hub.lines.join('\n')
    for (const secret of [
      aws.secretAccessKey,
      application.client_secret,
      'PRIVATE KEY',
      'azure-key-canary',
      'ya29.fake',
    ]) {
      expect(shown).not.toContain(secret)
    }
  })
})

describe('tokens that are fetched', () => {
  test.each([cloudOf('vertex-gemini'), cloudOf('azure-v1-entra')])(
    'one that $name no longer takes is replaced within the call, once',
    async (cloud) => {
      const { vendor } = cloud
      const fake = fakeOf(cloud)
      await client.chat.completions.create({ model: cloud.name, messages })
      const before = fake.requests.length
      vendor.revokeTokens!()
      const stream = await client.chat.completions.create({ model: cloud.name, messages, stream: true })
      let text = ''
      for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? ''
      expect(text).toBe(defaultText)
      // Refused, a new token, accepted.
      expect(fake.requests.length - before).toBe(3)

      vendor.revokeTokens!()
      const error = await failureOf(client.chat.completions.create({ model: cloud.name, messages }))
      expect(error.status).toBe(424)
      expect(error.message).not.toMatch(/ya29|eyJfake/)
      expect(fake.requests.length - before).toBe(4)
    },
  )

  test('many calls at once wait for one token', async () => {
    const vendor = createVertex('google', place)
    const fake = await startFakeProvider({ kind: 'gemini', vendor })
    try {
      const options = {
        type: 'vertex-gemini',
        base_url: fake.url,
        options: place,
        api_key: vendor.accountFile(fake.url),
      }
      await hub.serve('vertex-storm', options, { provider_model: 'gemini-2.5-flash' })
      await Promise.all(
        Array.from({ length: 20 }, () => client.chat.completions.create({ model: 'vertex-storm', messages })),
      )
      expect(vendor.tokensGiven()).toBe(1)
    } finally {
      await fake.close()
    }
  })

  test('a key that the token endpoint refuses is 424, and no word of the endpoint reaches the caller', async () => {
    const [mine, theirs] = [createVertex('google', place), createVertex('google', place)]
    const fake = await startFakeProvider({ kind: 'gemini', vendor: theirs })
    try {
      const options = { type: 'vertex-gemini', base_url: fake.url, options: place, api_key: mine.accountFile(fake.url) }
      await hub.serve('vertex-stranger', options, { provider_model: 'gemini-2.5-flash' })
      const error = await failureOf(client.chat.completions.create({ model: 'vertex-stranger', messages }))
      expect(error.status).toBe(424)
      expect(error.message).toContain(
        "Google's token service gives no access token for the key this hub uses (invalid_grant)",
      )
      expect(error.message).not.toMatch(/Bad|eyJ/)
    } finally {
      await fake.close()
    }
  })
})

describe('a stream of Bedrock that is damaged', () => {
  const bedrock = cloudOf('bedrock')
  const frames = bedrock.vendor.frame!(
    [
      {
        type: 'message_start',
        message: { id: 'm', role: 'assistant', content: [], usage: { input_tokens: 1, output_tokens: 1 } },
      },
      { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
      { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'half an ' } },
      { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'answer' } },
    ].map((data) => ({ event: data.type, data })),
  ).frames
  const headers = { 'content-type': 'application/vnd.amazon.eventstream' }

  async function read(body: Buffer): Promise<{ text: string; error: APIError }> {
    fakeOf(bedrock, { body, headers })
    let text = ''
    const error = await failureOf(
      (async () => {
        const stream = await client.chat.completions.create({ model: 'bedrock', messages, stream: true })
        for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? ''
      })(),
    )
    return { text, error }
  }

  test('in a frame is an error, and nothing of that frame or after it is shown', async () => {
    const body = Buffer.concat(frames)
    body[body.length - 3]! ^= 1
    const { text, error } = await read(body)
    expect(error.message).toContain('wrong checksum')
    expect(['', 'half an ']).toContain(text)
  })

  test('by an end in the middle is an error', async () => {
    const { text, error } = await read(Buffer.concat(frames.slice(0, 3)))
    expect(text).toBe('half an ')
    expect(error.message).toContain('ended its stream')
    expect((await hub.logs('&model=bedrock'))[0]).toMatchObject({ outcome: 'truncated' })
  })
})

describe('keys and options', () => {
  test('a Bedrock API key is sent as a bearer token', async () => {
    const fake = await startFakeProvider({
      kind: 'anthropic',
      vendor: createBedrock({ ...aws, bearer: 'ABSKfake-bearer' }),
    })
    try {
      const options = {
        type: 'bedrock',
        base_url: fake.url,
        options: { region: aws.region },
        api_key: 'ABSKfake-bearer',
      }
      await hub.serve('bedrock-bearer', options)
      const answer = await client.chat.completions.create({ model: 'bedrock-bearer', messages })
      expect(answer.choices[0]!.message.content).toBe(defaultText)
    } finally {
      await fake.close()
    }
  })

  test('a wrong secret at Bedrock is 424: the caller did nothing wrong', async () => {
    const fake = await startFakeProvider({ kind: 'anthropic', vendor: createBedrock(aws) })
    try {
      const api_key = JSON.stringify({ access_key_id: aws.accessKeyId, secret_access_key: 'another' })
      await hub.serve('bedrock-wrong', {
        type: 'bedrock',
        base_url: fake.url,
        options: { region: aws.region },
        api_key,
      })
      const error = await failureOf(client.chat.completions.create({ model: 'bedrock-wrong', messages }))
      expect(error).toMatchObject({ status: 424, code: 'upstream_unauthorized' })
    } finally {
      await fake.close()
    }
  })

  test.each([
    ['bedrock', { options: {} }, 'options.region'],
    ['bedrock', { options: { region: 'us-east-1', nonsense: 1 } }, 'options'],
    ['bedrock', { options: { region: 'us-east-1' }, api_key: '{"access_key_id":' }, 'api_key'],
    ['vertex-gemini', { options: place, api_key: '{"type":"authorized_user"}' }, 'api_key'],
    ['vertex-anthropic', { options: { ...place, location: '../x' } }, 'options.location'],
    ['azure-openai', {}, 'base_url'],
    ['openai', { api_key: 'some-secret-canary\r\nx-header: 1' }, 'api_key'],
    [
      'openai-compatible',
      { options: { quirks: { headers: { Authorization: 'x' } } } },
      'options.quirks.headers.Authorization',
    ],
  ])('%s with wrong settings is refused by name', async (type, change, param) => {
    const response = await fetch(`${hub.url}/api/providers`, {
      method: 'POST',
      headers: { 'x-admin-key': hub.adminKey, 'content-type': 'application/json' },
      body: JSON.stringify({ name: 'wrong', type, api_key: 'some-secret-canary', ...change }),
    })
    const text = await response.text()
    expect(response.status).toBe(400)
    expect(text).toContain(param)
    expect(text).not.toContain('some-secret-canary')
  })

  test('types tell their options as JSON Schema, presets their addresses', async () => {
    const { types, presets } = await hub.admin('GET', '/api/provider-types')
    expect(types.find(({ type }: Json) => type === 'bedrock')).toMatchObject({
      ...{ protocols: ['anthropic-messages'], needs_key: true, base_url: null },
      options: { type: 'object', properties: { region: { zh: expect.any(String) } }, required: ['region'] },
    })
    expect(presets.find(({ id }: Json) => id === 'deepseek')).toMatchObject({ base_url: 'https://api.deepseek.com' })
  })
})

describe('quirks of an OpenAI-compatible vendor', () => {
  test('are applied to bytes that pass, and the caller is told what went', async () => {
    const fake = await startFakeProvider({ kind: 'openai' })
    try {
      const quirks = { headers: { 'X-Title': 'hub' }, stream_options: false, drop: ['seed'] }
      await hub.serve('quirky', {
        ...{ type: 'openai-compatible', base_url: fake.baseUrl, api_key: fake.apiKey },
        options: { preset: 'deepseek', quirks },
      })
      const { data, response } = await client.chat.completions
        .create({
          ...{ model: 'quirky', seed: 7, n: 2, max_completion_tokens: 50, stream: true },
          messages: [{ role: 'developer', content: 'Be brief.' }, ...messages],
        })
        .withResponse()
      let text = ''
      for await (const chunk of data) text += chunk.choices[0]?.delta.content ?? ''
      expect(text).toBe(defaultText)
      expect(response.headers.get('x-gatehouse-dropped-params')).toBe('n,seed')
      expect(fake.requests[0]!.headers['x-title']).toBe('hub')
      expect(fake.requests[0]!.json).toEqual({
        ...{ model: 'quirky', max_tokens: 50, stream: true },
        messages: [{ role: 'system', content: 'Be brief.' }, ...messages],
      })
    } finally {
      await fake.close()
    }
  })

  test('a vendor without a list of models says so', async () => {
    const options = { preset: 'zhipu' }
    await hub.admin('POST', '/api/providers', { name: 'listless', type: 'openai-compatible', api_key: 'x', options })
    await expect(hub.admin('GET', '/api/providers/listless/models')).rejects.toThrow(/has no list of models/)
  })
})

describe('changes of a provider', () => {
  test('options that are given replace the old ones, others keep them, and another type forgets them', async () => {
    const made = { name: 'changing', type: 'bedrock', api_key: 'ABSKfake', options: { region: 'us-east-1' } }
    await hub.admin('POST', '/api/providers', made)
    const patch = (body: Json) => hub.admin('PATCH', '/api/providers/changing', body)
    expect(await patch({ priority: 7 })).toMatchObject({ options: { region: 'us-east-1' } })
    expect(await patch({ options: { region: 'eu-west-1' } })).toMatchObject({ options: { region: 'eu-west-1' } })
    expect(await patch({ type: 'openai' })).toMatchObject({ type: 'openai', options: {} })
    await expect(patch({ type: 'vertex-gemini' })).rejects.toThrow(/options.project/)
  })
})

describe.each(['docs/guide/providers.md', 'docs/guide/zh-CN/providers.md'])('%s', (file) => {
  const examples = [...readFileSync(file, 'utf8').matchAll(/^```json\n([\s\S]*?)^```/gm)].map(([, text]) =>
    JSON.parse(text!),
  )

  test('shows every type', () => {
    const types = new Set(examples.map(({ type }: Json) => type))
    expect([...types].sort()).toEqual([...providerTypes].sort())
  })

  test.each(examples.map((example: Json) => [example.name, example] as const))(
    'the example %s is accepted',
    async (_, example) => {
      // A key in a guide is no key.
      const isAccount = String(example.api_key).includes('service_account')
      const api_key = isAccount ? cloudOf('vertex-gemini').apiKey('https://oauth2.example.com') : example.api_key
      const body = { ...example, api_key, name: `guide ${example.name}`, enabled: false }
      const made = await hub.admin('POST', '/api/providers', body)
      expect(made).toMatchObject({ type: example.type, options: example.options ?? {} })
      await hub.admin('DELETE', `/api/providers/${made.id}`)
    },
  )
})

test('the guide names every preset and every quirk', () => {
  const guide = readFileSync('docs/guide/providers.md', 'utf8')
  const missing = [...presets.map(({ id }) => id), ...Object.keys(quirksSchema.shape)].filter(
    (name) => !guide.includes(`\`${name}\``),
  )
  expect(missing).toEqual([])
})
