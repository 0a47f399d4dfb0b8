import OpenAI, { toFile } from 'openai'
import OpenAI6 from 'openai6'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type FakePlatform, startFakePlatform } from '../fake-providers/platform/index.ts'
import { startHub, type TestHub } from '../harness/hub.ts'

/** Files and batches belong to the provider that holds them and to the key that made them. */
let hub: TestHub
let first: FakePlatform
let second: FakePlatform
let apiKey: string
let secondId: string

beforeAll(async () => {
  hub = await startHub()
  first = await startFakePlatform()
  second = await startFakePlatform({ apiKey: 'sk-fake-second-platform-0001' })
  const serve = (model: string, { baseUrl, apiKey: key }: FakePlatform, more: object, link = {}) =>
    hub.serve(model, { type: 'openai', base_url: baseUrl, api_key: key, max_retries: 0, ...more }, link)
  await serve('the-model', first, { priority: 200, name: 'first' }, { provider_model: 'real-model' })
  secondId = await serve('other-model', second, { priority: 50, name: 'second' }, { provider_model: 'second-model' })
})

beforeEach(async () => {
  apiKey = await hub.createKey()
})

afterAll(async () => {
  await hub?.stop()
  await first?.close()
  await second?.close()
})

const clients = [
  { major: 7, create: (key = apiKey) => new OpenAI({ apiKey: key, baseURL: `${hub.url}/v1`, maxRetries: 0 }) },
  {
    major: 6,
    create: (key = apiKey) =>
      new OpenAI6({ apiKey: key, baseURL: `${hub.url}/v1`, maxRetries: 0 }) as unknown as OpenAI,
  },
]

const line = (id: number, model: string) =>
  JSON.stringify({
    custom_id: `r${id}`,
    method: 'POST',
    url: '/v1/chat/completions',
    body: { model, messages: [{ role: 'user', content: 'é' }] },
  })
const batchFile = (...models: string[]) =>
  toFile(Buffer.from(models.map((model, i) => `${line(i, model)}\n`).join('')), 'in.jsonl')

describe.each(clients)('openai $major', ({ create }) => {
  test('a file lives at its provider: made, shown, read, listed, deleted', async () => {
    const client = create()
    const bytes = Buffer.alloc(700_000, 'xyz')
    const file = await client.files.create({ file: await toFile(bytes, 'notes.txt'), purpose: 'user_data' })
    expect(first.files.get(file.id)!.bytes.equals(bytes)).toBe(true)
    expect(await client.files.retrieve(file.id)).toMatchObject({ id: file.id, filename: 'notes.txt', bytes: 700_000 })
    const content = await client.files.content(file.id)
    expect(Buffer.from(await content.arrayBuffer()).equals(bytes)).toBe(true)
    expect(content.headers.get('set-cookie')).toBeNull()
    expect((await client.files.list()).data.map(({ id }) => id)).toEqual([file.id])
    expect(await client.files.delete(file.id)).toMatchObject({ deleted: true })
    expect((await client.files.list()).data).toEqual([])
    await expect(client.files.retrieve(file.id)).rejects.toMatchObject({ status: 404 })
  })

  test('a caller names the provider, and every later call goes there', async () => {
    const named = { headers: { 'x-gatehouse-provider': 'second' } }
    const file = await create().files.create(
      { file: await toFile(Buffer.from('a'), 'a.txt'), purpose: 'user_data' },
      named,
    )
    expect(second.files.has(file.id)).toBe(true)
    await create().files.retrieve(file.id)
    expect(second.requests.at(-1)).toMatchObject({ method: 'GET', path: `/v1/files/${file.id}` })
    const query = { query: { provider: secondId } }
    await create().files.create({ file: await toFile(Buffer.from('b'), 'b.txt'), purpose: 'user_data' }, query)
    expect(second.files.size).toBeGreaterThan(1)
    const nobody = { headers: { 'x-gatehouse-provider': 'nobody' } }
    await expect(
      create().files.create({ file: await toFile(Buffer.from('b'), 'b.txt'), purpose: 'user_data' }, nobody),
    ).rejects.toMatchObject({ status: 400, param: 'provider' })
  })

  test("another key's file and batch are as absent as none", async () => {
    const file = await create().files.create({ file: await batchFile('the-model'), purpose: 'batch' })
    const batch = await create().batches.create({
      input_file_id: file.id,
      endpoint: '/v1/chat/completions',
      completion_window: '24h',
    })
    const other = create(await hub.createKey())
    const seen = first.requests.length
    for (const call of [
      () => other.files.retrieve(file.id),
      () => other.files.content(file.id),
      () => other.files.delete(file.id),
      () => other.batches.retrieve(batch.id),
      () => other.batches.cancel(batch.id),
      () =>
        other.batches.create({ input_file_id: file.id, endpoint: '/v1/chat/completions', completion_window: '24h' }),
      () => other.files.retrieve('file-none'),
    ])
      await expect(call()).rejects.toMatchObject({ status: 404, code: 'not_found' })
    expect((await other.files.list()).data).toEqual([])
    expect((await other.batches.list()).data).toEqual([])
    expect(first.requests).toHaveLength(seen)
  })

  test('a batch goes where its model is served, under the name that provider knows', async () => {
    const client = create()
    const known = new Set((await hub.logs()).map(({ id }) => id))
    const isOwn = ({ id }: Record<string, unknown>) => !known.has(id)
    const file = await client.files.create({ file: await batchFile('other-model', 'other-model'), purpose: 'batch' })
    expect(second.files.get(file.id)!.bytes.toString()).toBe(`${line(0, 'second-model')}\n${line(1, 'second-model')}\n`)
    const batch = await client.batches.create({
      input_file_id: file.id,
      endpoint: '/v1/chat/completions',
      completion_window: '24h',
    })
    expect(second.batches.has(batch.id)).toBe(true)
    expect((await client.batches.retrieve(batch.id)).status).toBe('in_progress')
    expect((await hub.logs('&model=other-model')).filter(isOwn)).toEqual([])

    second.completeBatch(batch.id)
    const done = await client.batches.retrieve(batch.id)
    expect(done).toMatchObject({ status: 'completed', output_file_id: expect.any(String) })
    const output = await (await client.files.content(done.output_file_id!)).text()
    expect(output.trim().split('\n')).toHaveLength(2)
    await client.batches.retrieve(batch.id)
    await client.batches.list()
    expect((await hub.logs('&model=other-model')).filter(isOwn)).toMatchObject([
      {
        endpoint: '/v1/batches',
        tokens_in: 22,
        tokens_out: 14,
        usage_source: 'upstream',
        model_served: 'second-model',
        outcome: 'success',
      },
    ])
  })

  test('lists are paged, newest first, over all providers', async () => {
    const client = create()
    const ids: string[] = []
    for (let i = 0; i < 5; i++) {
      const where = { headers: { 'x-gatehouse-provider': i % 2 === 0 ? 'first' : 'second' } }
      const made = await client.files.create(
        { file: await toFile(Buffer.from(`${i}`), `${i}.txt`), purpose: 'user_data' },
        where,
      )
      ids.push(`${made.id} ${made.filename}`)
    }
    const listed: string[] = []
    for await (const file of client.files.list({ limit: 2 })) listed.push(`${file.id} ${file.filename}`)
    expect(listed).toHaveLength(5)
    expect(new Set(listed)).toEqual(new Set(ids))
  })

  test('a batch is cancelled', async () => {
    const client = create()
    const file = await client.files.create({ file: await batchFile('the-model'), purpose: 'batch' })
    const batch = await client.batches.create({
      input_file_id: file.id,
      endpoint: '/v1/chat/completions',
      completion_window: '24h',
    })
    expect((await client.batches.cancel(batch.id)).status).toBe('cancelling')
    expect((await client.batches.list()).data).toMatchObject([{ id: batch.id, status: 'cancelling' }])
  })
})

describe('what a batch may hold', () => {
  const client = () => new OpenAI({ apiKey, baseURL: `${hub.url}/v1`, maxRetries: 0 })

  test('a model that the key may not use is refused before anybody gets the file', async () => {
    const limited = new OpenAI({
      apiKey: await hub.createKey({ allowed_models: ['other-model'] }),
      baseURL: `${hub.url}/v1`,
      maxRetries: 0,
    })
    const seen = first.requests.length
    await expect(limited.files.create({ file: await batchFile('the-model'), purpose: 'batch' })).rejects.toMatchObject({
      ...{ status: 404, code: 'model_not_found' },
    })
    expect(first.requests).toHaveLength(seen)
  })

  test.each([
    ['two models', `${line(1, 'the-model')}\n${line(2, 'other-model')}\n`, 'one model'],
    ['no model', '{"custom_id":"a","body":{}}\n', 'names no model'],
    ['no JSON', 'hello\n', 'is not a JSON object'],
    ['nothing', '\n\n', 'no request'],
  ])('%s is refused, naming the line', async (_, text, message) => {
    const file = await toFile(Buffer.from(text), 'in.jsonl')
    await expect(client().files.create({ file, purpose: 'batch' })).rejects.toMatchObject({
      ...{ status: 400, message: expect.stringContaining(message) },
    })
  })

  test('a file for something else is no input: its requests were never looked at', async () => {
    const file = await client().files.create({ file: await batchFile('the-model'), purpose: 'user_data' })
    await expect(
      client().batches.create({ input_file_id: file.id, endpoint: '/v1/chat/completions', completion_window: '24h' }),
    ).rejects.toMatchObject({ status: 400, param: 'input_file_id' })
  })
})

test("a provider's refusal keeps its status, and its key stays unsaid", async () => {
  const client = new OpenAI({ apiKey, baseURL: `${hub.url}/v1`, maxRetries: 0 })
  first.behave({ status: 413, body: `{"error":{"message":"too big for ${first.apiKey}","code":"file_too_large"}}` })
  const error = await client.files
    .create({ file: await toFile(Buffer.from('a'), 'a.txt'), purpose: 'user_data' })
    .catch((e) => e)
  expect(error.status).toBe(413)
  expect(error.message).not.toContain(first.apiKey)
})

test('a download that breaks off breaks off for the caller too', async () => {
  const client = new OpenAI({ apiKey, baseURL: `${hub.url}/v1`, maxRetries: 0 })
  const file = await client.files.create({ file: await toFile(Buffer.alloc(300_000), 'a.bin'), purpose: 'user_data' })
  first.behave({ cutAfter: 2 })
  await expect(client.files.content(file.id).then((response) => response.arrayBuffer())).rejects.toThrow()
})
