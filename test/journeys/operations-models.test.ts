import OpenAI, { toFile } from 'openai'
import OpenAI6 from 'openai6'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { startFakeProvider } from '../fake-providers/index.ts'
import { type FakePlatform, picture, soundPieces, startFakePlatform } from '../fake-providers/platform/index.ts'
import { startHub, type TestHub } from '../harness/hub.ts'

/** What models do beside conversations, through the official clients. */
let hub: TestHub
let platform: FakePlatform
let apiKey: string
let rowsOf: (model: string) => Promise<Record<string, unknown>[]>

beforeAll(async () => {
  hub = await startHub({ settings: { 'gateway.max_retry_wait_seconds': 1 } })
  platform = await startFakePlatform()
  apiKey = await hub.createKey()
  await hub.serve('the-model', provider(platform), { provider_model: 'real-model' })
  rowsOf = (model) => hub.logs(`&model=${encodeURIComponent(model)}`)
})

afterAll(async () => {
  await hub?.stop()
  await platform?.close()
})

const provider = ({ baseUrl, apiKey: key }: FakePlatform) => ({
  type: 'openai',
  base_url: baseUrl,
  api_key: key,
  max_retries: 0,
})

const clients = [
  { major: 7, create: () => new OpenAI({ apiKey, baseURL: `${hub.url}/v1`, maxRetries: 0 }) },
  { major: 6, create: () => new OpenAI6({ apiKey, baseURL: `${hub.url}/v1`, maxRetries: 0 }) as unknown as OpenAI },
]

const last = () => platform.requests.at(-1)!
const newest = async () => (await rowsOf('the-model'))[0]!
const sound = Buffer.alloc(50_000, 3)

describe.each(clients)('openai $major', ({ create }) => {
  test('5.6.47 embeddings stay base64 on the wire, and are numbers to the caller', async () => {
    const answer = await create().embeddings.create({ model: 'the-model', input: ['a', 'bc'], dimensions: 3 })
    expect(answer.data.map(({ embedding }) => embedding)).toEqual([
      [0.1875, 0.25, 0.3125],
      [0.25, 0.3125, 0.375],
    ])
    expect(answer.model).toBe('the-model')
    expect(last().json).toEqual({ model: 'real-model', input: ['a', 'bc'], dimensions: 3, encoding_format: 'base64' })
    expect(await newest()).toMatchObject({
      ...{ endpoint: '/v1/embeddings', outcome: 'success', tokens_in: 8, tokens_out: 0, usage_source: 'upstream' },
      ...{ protocol: 'openai', stream: false },
    })
  })

  test('5.6.47 floats and token arrays pass as they are', async () => {
    const client = create()
    const floats = await client.embeddings.create({ model: 'the-model', input: 'a', encoding_format: 'float' })
    expect(floats.data[0]?.embedding).toHaveLength(8)
    await client.embeddings.create({ model: 'the-model', input: [[1, 2], [3]], encoding_format: 'float' })
    expect(last().json?.input).toEqual([[1, 2], [3]])
  })

  test('moderations go to a model even when none is named', async () => {
    const answer = await create().moderations.create({ model: 'the-model', input: 'hello' })
    expect(answer).toMatchObject({ model: 'the-model', results: [{ flagged: false }] })
    await expect(create().moderations.create({ input: 'hello' })).rejects.toMatchObject({
      status: 404,
      message: expect.stringContaining('omni-moderation-latest'),
    })
  })

  test('5.6.47 pictures of base64 pass whole, with their tokens counted', async () => {
    const answer = await create().images.generate({ model: 'the-model', prompt: 'a cat', n: 2 })
    expect(answer.data?.map(({ b64_json }) => b64_json)).toEqual([picture, picture])
    expect(await newest()).toMatchObject({ endpoint: '/v1/images/generations', tokens_in: 50, tokens_out: 200 })
  })

  test('partial pictures are streamed', async () => {
    const stream = await create().images.generate({
      model: 'the-model',
      prompt: 'a cat',
      stream: true,
      partial_images: 2,
    })
    const types: string[] = []
    for await (const event of stream) types.push(event.type)
    expect(types).toEqual([
      'image_generation.partial_image',
      'image_generation.partial_image',
      'image_generation.completed',
    ])
    expect(await newest()).toMatchObject({ stream: true, outcome: 'success', tokens_in: 50, tokens_out: 200 })
  })

  test('pictures are edited and varied by uploads', async () => {
    const image = await toFile(Buffer.alloc(1000, 9), 'cat.png', { type: 'image/png' })
    const edited = await create().images.edit({ model: 'the-model', image, prompt: 'a hat' })
    expect(edited.data).toHaveLength(1)
    expect(last().form).toMatchObject({
      model: { text: 'real-model' },
      prompt: { text: 'a hat' },
      image: { size: 1000 },
    })
    expect((await create().images.createVariation({ model: 'the-model', image })).data).toHaveLength(1)
  })

  test('speech is streamed as it comes', async () => {
    const response = await create().audio.speech.create({ model: 'the-model', input: 'Grüße 👋', voice: 'alloy' })
    expect(response.headers.get('content-type')).toBe('audio/mpeg')
    expect(Buffer.from(await response.arrayBuffer()).equals(Buffer.concat(soundPieces))).toBe(true)
    expect(await newest()).toMatchObject({
      endpoint: '/v1/audio/speech',
      outcome: 'success',
      usage_source: 'estimated',
      tokens_out: 0,
    })
  })

  test('speech comes in events when asked so', async () => {
    const asked = { model: 'the-model', input: 'Hello', voice: 'alloy', stream_format: 'sse' as const }
    const text = await (await create().audio.speech.create(asked)).text()
    expect(text.match(/"type":"speech.audio.delta"/g)).toHaveLength(soundPieces.length)
    expect(text).toContain('speech.audio.done')
    expect(await newest()).toMatchObject({ tokens_in: 6, tokens_out: 90, usage_source: 'upstream', stream: true })
  })

  test.each(['json', 'text', 'srt', 'vtt', 'verbose_json'] as const)('a transcription comes as %s', async (format) => {
    const file = await toFile(sound, 'speech.mp3')
    const answer = await create().audio.transcriptions.create({ file, model: 'the-model', response_format: format })
    const text = typeof answer === 'string' ? answer : (answer as { text: string }).text
    expect(text).toContain('I heard 50000 bytes.')
    expect(await newest()).toMatchObject({ endpoint: '/v1/audio/transcriptions', outcome: 'success' })
  })

  test('a transcription is streamed', async () => {
    const file = await toFile(sound, 'speech.mp3')
    const stream = await create().audio.transcriptions.create({ file, model: 'the-model', stream: true })
    const types: string[] = []
    for await (const event of stream) types.push(event.type)
    expect(types).toEqual(['transcript.text.delta', 'transcript.text.delta', 'transcript.text.done'])
    expect(await newest()).toMatchObject({ tokens_in: 14, tokens_out: 45, stream: true })
  })

  test('speech is translated', async () => {
    const answer = await create().audio.translations.create({ file: await toFile(sound, 'a.wav'), model: 'the-model' })
    expect(answer.text).toContain('50000')
  })
})

describe('when something goes wrong', () => {
  const embed = (body: object) => post('/v1/embeddings', JSON.stringify(body), 'application/json')
  const post = async (path: string, body: string | FormData, type?: string, signal?: AbortSignal) => {
    const response = await fetch(hub.url + path, {
      method: 'POST',
      headers: { authorization: `Bearer ${apiKey}`, ...(type && { 'content-type': type }) },
      body,
      ...(signal && { signal }),
    })
    return { status: response.status, headers: response.headers, text: await response.text() }
  }

  test('the next provider answers, with the same upload', async () => {
    const second = await startFakePlatform()
    onTestFinished(() => second.close())
    await hub.serve('two', { ...provider(platform), priority: 200 })
    await hub.serve('two', provider(second))
    platform.behave({ status: 503 })
    const client = new OpenAI({ apiKey, baseURL: `${hub.url}/v1`, maxRetries: 0 })
    const file = await toFile(Buffer.alloc(600_000, 5), 'long.mp3')
    expect((await client.audio.transcriptions.create({ file, model: 'two' })).text).toContain('600000')
    expect((await rowsOf('two'))[0]).toMatchObject({ attempts: 2, outcome: 'success' })
    platform.behave({ status: 500 })
    expect((await client.embeddings.create({ model: 'two', input: 'a' })).data).toHaveLength(1)
  })

  test('what is missing is named, and nobody is asked', async () => {
    const seen = platform.requests.length
    for (const [body, param] of [
      [{ input: 'a' }, 'model'],
      [{ model: 'the-model' }, 'input'],
    ] as const) {
      const { status, text } = await embed(body)
      expect({ status, param: JSON.parse(text).error.param }).toEqual({ status: 400, param })
    }
    const wrongType = await post('/v1/audio/transcriptions', '{"model":"the-model"}', 'application/json')
    expect(wrongType.status).toBe(415)
    expect(platform.requests).toHaveLength(seen)
  })

  test('a second model in an upload is refused: no key may be used for what it may not', async () => {
    const form = new FormData()
    form.append('model', 'the-model')
    form.append('file', new Blob([sound]), 'a.mp3')
    form.append('model', 'another')
    expect(await post('/v1/audio/transcriptions', form)).toMatchObject({
      status: 400,
      text: expect.stringContaining('twice'),
    })
  })

  test('5.6.44 a page of HTML under status 200 is a failure', async () => {
    platform.behave({ body: '<html>', headers: { 'content-type': 'text/html' } })
    expect((await embed({ model: 'the-model', input: 'a' })).status).toBe(502)
    platform.behave({ body: '<html>', headers: { 'content-type': 'text/html' } })
    const asked = JSON.stringify({ model: 'the-model', input: 'a', voice: 'alloy' })
    expect((await post('/v1/audio/speech', asked, 'application/json')).status).toBe(502)
  })

  test('sound that breaks off breaks off for the caller too', async () => {
    platform.behave({ cutAfter: 5 })
    const asked = JSON.stringify({ model: 'the-model', input: 'a', voice: 'alloy' })
    await expect(post('/v1/audio/speech', asked, 'application/json')).rejects.toThrow()
    expect(await newest()).toMatchObject({ outcome: 'truncated', status: 200 })
  })

  test('a stream of pictures that breaks off ends with an error event', async () => {
    platform.behave({ cutAfter: 1 })
    const asked = JSON.stringify({ model: 'the-model', prompt: 'a cat', stream: true })
    const { text } = await post('/v1/images/generations', asked, 'application/json')
    expect(text).toContain('event: error')
    expect(text).not.toContain('completed')
    expect(await newest()).toMatchObject({ outcome: 'truncated' })
  })

  test('5.1.8 a caller that leaves ends the call at the provider', async () => {
    platform.behave({ holdAfter: 2 })
    const stop = new AbortController()
    const asked = JSON.stringify({ model: 'the-model', input: 'a', voice: 'alloy' })
    const seen = platform.requests.length
    const call = post('/v1/audio/speech', asked, 'application/json', stop.signal).catch(() => {})
    while (platform.requests.length === seen) await new Promise((resolve) => setTimeout(resolve, 5))
    stop.abort()
    await call
    await last().aborted
    expect(await newest()).toMatchObject({ outcome: 'aborted' })
  })

  test('embeddings are translated for Gemini, and what it cannot is refused by name', async () => {
    const gemini = await startFakeProvider({ kind: 'gemini' })
    onTestFinished(() => gemini.close())
    await hub.serve('pictures', { type: 'gemini', base_url: gemini.baseUrl, api_key: gemini.apiKey, max_retries: 0 })
    const asked = JSON.stringify({ model: 'pictures', prompt: 'a cat' })
    const { status, text } = await post('/v1/images/generations', asked, 'application/json')
    expect(status).toBe(400)
    expect(text).toContain('does not serve /v1/images/generations')
    expect(await embed({ model: 'pictures', input: [[1, 2]] })).toMatchObject({
      status: 400,
      text: expect.stringContaining('tokens'),
    })
  })
})
