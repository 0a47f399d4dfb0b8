import OpenAI from 'openai'
import type { ResponseStreamEvent } from 'openai/resources/responses/responses'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Behaviour, FakeProvider, VendorName } from '../fake-providers/index.ts'
import { until } from '../harness/control.ts'
import { type Json, openStage, readEvents, type Stage } from './stage.ts'

let stage: Stage
let client: OpenAI
beforeAll(async () => {
  stage = await openStage()
  client = new OpenAI({ apiKey: stage.apiKey, baseURL: `${stage.hub.url}/v1`, maxRetries: 0 })
})
afterAll(() => stage?.close())

/** Who keeps the state: the provider where it speaks Responses, else the hub. */
const upstreams = [
  { name: 'Responses', kind: 'openai' as VendorName, type: 'openai', isNative: true },
  { name: 'chat', kind: 'openai' as VendorName, type: 'openai-compatible', isNative: false },
  { name: 'Anthropic', kind: 'anthropic' as VendorName, type: 'anthropic', isNative: false },
  { name: 'Gemini', kind: 'gemini' as VendorName, type: 'gemini', isNative: false },
]
const [native, chat] = upstreams as [(typeof upstreams)[0], (typeof upstreams)[0]]

async function open(of: (typeof upstreams)[0], ...behaviours: Behaviour[]) {
  const fake = await stage.upstream(of.kind, ...behaviours)
  const model = await stage.serve(fake, { provider: { type: of.type } })
  return { fake, model }
}

async function call(
  method: string,
  path: string,
  { apiKey = stage.apiKey, body }: { apiKey?: string; body?: Json } = {},
) {
  const response = await fetch(`${stage.hub.url}/v1/responses${path}`, {
    method,
    headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' },
    ...(body && { body: JSON.stringify(body) }),
  })
  const text = await response.text()
  const isJson = response.headers.get('content-type') === 'application/json'
  return { status: response.status, headers: response.headers, text, json: (isJson ? JSON.parse(text) : {}) as Json }
}

const rowsOf = (model: string) => stage.hub.logs(`&model=${model}`)

async function ended(id: string, status: string) {
  await until(`${id} is ${status}`, async () => (await client.responses.retrieve(id)).status === status)
  return await client.responses.retrieve(id)
}

describe.each(upstreams)('through $name', (of) => {
  test.each([{ stream: false }, { stream: true }])(
    '4.1.2 and 5.3.27 one and only one row a request, relayed or bridged, streamed: $stream',
    async ({ stream }) => {
      const { model } = await open(of, { answer: { text: 'Hi.', usage: { tokensIn: 40, tokensOut: 4 } } })
      const { status } = await call('POST', '', { body: { model, input: 'Hello', stream } })
      expect(status).toBe(200)
      const rows = await rowsOf(model)
      expect(rows).toHaveLength(1)
      expect(rows[0]).toMatchObject({ outcome: 'success', tokens_in: 40, tokens_out: 4, stream })
      expect(rows[0]).toMatchObject({ endpoint: '/v1/responses' })
    },
  )

  test('a failure before the first event is a status in OpenAI’s envelope', async () => {
    const { model } = await open(of, { error: { status: 500 } })
    const { status, json } = await call('POST', '', { body: { model, input: 'Hello', stream: true } })
    expect(status).toBe(500)
    expect(json.error).toMatchObject({ type: 'server_error' })
    expect(await rowsOf(model)).toMatchObject([{ outcome: 'failure' }])
  })

  test('5.1.6 a failure inside a stream ends it as response.failed, and no response is kept', async () => {
    const { model } = await open(of, {
      cut: { at: 6, how: 'close' },
      answer: { text: 'Once upon a time there was. '.repeat(4) },
    })
    const { text } = await call('POST', '', { body: { model, input: 'Hello', stream: true } })
    const events = readEvents(text)
    expect(events.at(-1)).toMatchObject({ type: 'response.failed', response: { status: 'failed' } })
    expect(events.map((event) => event.sequence_number)).toEqual(events.map((_, i) => i))
    expect(await rowsOf(model)).toMatchObject([{ outcome: 'truncated' }])
    expect((await call('GET', `/${events[0]!.response.id}`)).status).toBe(404)
  })

  test('5.1.8 a caller that leaves ends the call to the provider within a second', async () => {
    const { fake, model } = await open(of, { holdAt: 5, answer: { text: 'A long answer, piece by piece. '.repeat(4) } })
    const leaving = new AbortController()
    const stream = await client.responses.create({ model, input: 'x', stream: true }, { signal: leaving.signal })
    await stream[Symbol.asyncIterator]().next()
    const left = performance.now()
    leaving.abort()
    expect((await fake.requests[0]!.aborted) - left).toBeLessThan(1000)
    await until('the row is there', async () => (await rowsOf(model)).length === 1)
    expect(await rowsOf(model)).toMatchObject([{ outcome: 'aborted' }])
  })

  test('5.3.26 a kept response can be read, listed and deleted by whose it is, and by nobody else', async () => {
    const { model } = await open(of, { answer: { text: 'Kept.' } })
    const { id } = await client.responses.create({ model, input: 'Keep this.' })
    const other = await stage.hub.createKey()
    for (const [method, rest] of [
      ['GET', ''],
      ['DELETE', ''],
      ['POST', '/cancel'],
      ['GET', '/input_items'],
    ]) {
      expect((await call(method!, `/${id}${rest}`, { apiKey: other })).status).toBe(404)
    }
    const going = { body: { model, input: 'x', previous_response_id: id } }
    const refused = await call('POST', '', { ...going, apiKey: other })
    expect(refused.status).toBe(404)
    expect(refused.json.error).toMatchObject({ code: 'previous_response_not_found', param: 'previous_response_id' })
    expect((await client.responses.retrieve(id)).model).toBe(model)
    if (!of.isNative) {
      expect((await client.responses.retrieve(id)).output_text).toBe('Kept.')
      const { data } = await client.responses.inputItems.list(id)
      expect(data).toMatchObject([{ role: 'user', content: [{ type: 'input_text', text: 'Keep this.' }] }])
    }
    expect((await call('POST', `/${id}/cancel`)).status).toBe(of.isNative ? 200 : 400)
    await client.responses.delete(id)
    expect((await call('GET', `/${id}`)).status).toBe(404)
  })

  test('store: false keeps nothing', async () => {
    const { model } = await open(of)
    const { id, store } = (await client.responses.create({ model, input: 'x', store: false })) as Json
    if (!of.isNative) expect(store).toBe(false)
    expect((await call('GET', `/${id}`)).status).toBe(404)
  })

  test('a response in the background is answered at once, runs on alone, and has one row', async () => {
    const { fake, model } = await open(of, {
      holdAt: 5,
      answer: { text: 'Done, and nobody waited for it at all. Really.' },
    })
    const { id, status } = await client.responses.create({ model, input: 'Work.', background: true })
    expect(status).toBe('queued')
    const request = await fake.arrival(1)
    await until('it runs', async () => (await client.responses.retrieve(id)).status === 'in_progress')
    request.release()
    const done = await ended(id, 'completed')
    expect(done).toMatchObject({ id, model, background: true, store: true })
    expect(done.output_text).toContain('nobody waited')
    expect(done.usage?.total_tokens).toBe(30)
    expect(await rowsOf(model)).toMatchObject([{ outcome: 'success', tokens_in: 21, tokens_out: 9 }])
    fake.behave({ answer: { text: 'On.' } })
    const next = await client.responses.create({ model, input: 'Go on.', previous_response_id: id })
    expect(next.output_text).toBe('On.')
    expect(fake.requests.at(-1)?.body).toContain('nobody waited')
  })

  test('5.3.26 cancelling one in the background ends the call to the provider within a second', async () => {
    const { fake, model } = await open(of, {
      holdAt: 5,
      answer: { text: 'It would have gone on and on and on and on.' },
    })
    const { id } = await client.responses.create({ model, input: 'Work.', background: true })
    const request = await fake.arrival(1)
    await until('it runs', async () => (await client.responses.retrieve(id)).status === 'in_progress')
    const cancelled = performance.now()
    expect((await client.responses.cancel(id)).status).toBe('cancelled')
    expect((await request.aborted) - cancelled).toBeLessThan(1000)
    await ended(id, 'cancelled')
    await until('the row is there', async () => (await rowsOf(model)).length === 1)
    expect(await rowsOf(model)).toMatchObject([{ outcome: 'aborted' }])
    expect((await client.responses.cancel(id)).status).toBe('cancelled')
  })

  test('its stream can be left and taken up again where it was', async () => {
    const { fake, model } = await open(of, {
      holdAt: 6,
      answer: { pieceLength: 4, text: 'All of it, from the beginning to the end, again.' },
    })
    const stream = await client.responses.create({ model, input: 'x', background: true, stream: true })
    const seen: ResponseStreamEvent[] = []
    for await (const event of stream) {
      seen.push(event)
      if (event.type === 'response.output_text.delta') break
    }
    const first = seen[0] as Extract<ResponseStreamEvent, { type: 'response.created' }>
    const { id } = first.response
    const after = seen.at(-1)!.sequence_number
    const again = await client.responses.retrieve(id, { stream: true, starting_after: after })
    ;(await fake.arrival(1)).release()
    for await (const event of again) seen.push(event)
    expect(seen.map((event) => event.sequence_number)).toEqual(seen.map((_, i) => i))
    const texts = seen.map((event) => (event.type === 'response.output_text.delta' ? event.delta : ''))
    expect(texts.join('')).toBe('All of it, from the beginning to the end, again.')
    expect(seen.at(-1)?.type).toBe('response.completed')
    await ended(id, 'completed')
    // Over, its end alone tells all.
    const late = client.responses.stream({ response_id: id })
    expect((await late.finalResponse()).output_text).toBe(texts.join(''))
  })

  test('one that fails in the background says why', async () => {
    const { model } = await open(of, { error: { status: 400, message: 'That cannot be.' } })
    const { id } = await client.responses.create({ model, input: 'x', background: true })
    expect((await ended(id, 'failed')).error?.message).toContain('That cannot be.')
    expect(await rowsOf(model)).toMatchObject([{ outcome: 'failure' }])
  })

  test('input is counted before it is sent', async () => {
    const { model } = await open(of)
    const { json, headers } = await call('POST', '/input_tokens', { body: { model, input: 'How many are these?' } })
    expect(json).toMatchObject({ object: 'response.input_tokens' })
    expect(json.input_tokens).toBeGreaterThan(0)
    expect(headers.get('x-gatehouse-estimated')).toBe(of.isNative ? null : 'input_tokens')
  })
})

describe('what one provider keeps', () => {
  test('5.3.26 is gone on from at that provider alone, whoever else serves the model', async () => {
    const { fake, model } = await open(native)
    const others: FakeProvider[] = []
    const { id } = await client.responses.create({ model, input: 'x' })
    for (const priority of [900, 800]) {
      const other = await stage.upstream('openai')
      others.push(other)
      await stage.serve(other, { model, provider: { type: 'openai', priority } })
    }
    for (let turn = 0; turn < 3; turn++) await client.responses.create({ model, input: 'x', previous_response_id: id })
    expect(fake.requests).toHaveLength(4)
    expect(others.map((other) => other.requests.length)).toEqual([0, 0])
    await client.responses.create({ model, input: 'x' })
    expect(others[0]!.requests).toHaveLength(1)
    const elsewhere = await open(chat)
    const refused = await call('POST', '', { body: { model: elsewhere.model, input: 'x', previous_response_id: id } })
    expect(refused.status).toBe(400)
    expect(refused.json.error).toMatchObject({ param: 'previous_response_id' })
  })

  test('what the hub keeps may be gone on from at any provider, proofs of others left out', async () => {
    const { model: first } = await open(upstreams[2]!, { answer: { reasoning: 'Hm.', text: 'Blue.' } })
    const { fake, model } = await open(native)
    const { id } = await client.responses.create({ model: first, input: 'Colour?', reasoning: { effort: 'low' } })
    await client.responses.create({ model, input: 'Why?', previous_response_id: id })
    const input = fake.requests[0]!.json!.input as Json[]
    expect(input.map((item) => item.role)).toEqual(['user', 'assistant', 'user'])
    expect(fake.requests[0]!.json).not.toHaveProperty('previous_response_id')
  })
})

test('compaction is relayed to who can do it, with its row, and refused by name elsewhere', async () => {
  const { model } = await open(native)
  const { status, json } = await call('POST', '/compact', { body: { model, input: 'long' } })
  expect([status, json.object]).toEqual([200, 'response.compaction'])
  expect(await rowsOf(model)).toMatchObject([{ endpoint: '/v1/responses/compact', tokens_in: 30, tokens_out: 5 }])
  const other = await open(chat)
  const refused = await call('POST', '/compact', { body: { model: other.model, input: 'long' } })
  expect(refused.status).toBe(400)
  expect(refused.json.error.message).toContain('compact')
})

test('conversations are refused by name', async () => {
  const { model } = await open(native)
  const { status, json } = await call('POST', '', { body: { model, input: 'x', conversation: 'conv_1' } })
  expect([status, json.error.param, json.error.code]).toEqual([400, 'conversation', 'unsupported_parameter'])
})

test('a hub that keeps nothing says so to who wants to go on', async () => {
  const off = await openStage({ 'gateway.responses_store': 'off' })
  try {
    const fake = await off.upstream('anthropic')
    const model = await off.serve(fake)
    const ask = (body: Json) => off.ask({ model, messages: undefined, input: 'x', ...body }, { path: '/v1/responses' })
    const { json } = await ask({})
    expect(json.store).toBe(false)
    for (const body of [{ previous_response_id: json.id }, { background: true }]) {
      const refused = await ask(body)
      expect(refused.status).toBe(400)
      expect(refused.json.error.message).toContain('gateway.responses_store')
    }
  } finally {
    await off.close()
  }
})
