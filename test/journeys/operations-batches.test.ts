import OpenAI, { toFile } from 'openai'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type FakePlatform, startFakePlatform } from '../fake-providers/platform/index.ts'
import { until } from '../harness/control.ts'
import { startHub, type TestHub } from '../harness/hub.ts'

/** Batches that end while nobody asks about them. */
let hub: TestHub
let platform: FakePlatform
let client: OpenAI

beforeAll(async () => {
  hub = await startHub({ settings: { 'gateway.batch_poll_seconds': 1 } })
  platform = await startFakePlatform()
  const { baseUrl: base_url, apiKey: api_key } = platform
  await hub.serve('the-model', { type: 'openai', base_url, api_key, max_retries: 0 }, { provider_model: 'real-model' })
  client = new OpenAI({ apiKey: await hub.createKey({ name: 'batcher' }), baseURL: `${hub.url}/v1`, maxRetries: 0 })
})

afterAll(async () => {
  await hub?.stop()
  await platform?.close()
})

async function startBatch(): Promise<string> {
  const line = {
    custom_id: 'a',
    method: 'POST',
    url: '/v1/chat/completions',
    body: { model: 'the-model', messages: [] },
  }
  const file = await client.files.create({
    file: await toFile(Buffer.from(`${JSON.stringify(line)}\n`), 'in.jsonl'),
    purpose: 'batch',
  })
  const asked = { input_file_id: file.id, endpoint: '/v1/chat/completions', completion_window: '24h' } as const
  return (await client.batches.create(asked)).id
}

const rows = () => hub.logs('&model=the-model')

test('one that ends unasked has its row, once, and what it made is its caller’s', async () => {
  const id = await startBatch()
  platform.completeBatch(id)
  await until('the batch has a row', async () => (await rows()).length > 0)
  expect(await rows()).toMatchObject([
    {
      ...{ endpoint: '/v1/batches', outcome: 'success', tokens_in: 11, tokens_out: 7, service_tier: 'batch' },
      ...{ model_served: 'real-model', key_name: 'batcher' },
    },
  ])
  await until('its output is listed', async () =>
    (await client.files.list()).data.some(({ filename }) => filename === 'output.jsonl'),
  )
  const done = await client.batches.retrieve(id)
  expect((await client.files.content(done.output_file_id!)).status).toBe(200)
  expect(await rows()).toHaveLength(1)
})

test('a provider that fails when it is asked is asked again, and one that still works is left alone', async () => {
  const before = (await rows()).length
  const id = await startBatch()
  platform.behave({ status: 500, body: '{"error":{"message":"not now"}}' })
  await until('the failure is told', async () => hub.lines.some((line) => line.includes('could not be looked at')))
  expect(await rows()).toHaveLength(before)
  platform.completeBatch(id)
  await until('the batch has a row', async () => (await rows()).length === before + 1)
})
