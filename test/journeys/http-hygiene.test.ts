import { brotliCompressSync, gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Behaviour, defaultText, misbehaviours, type VendorName } from '../fake-providers/index.ts'
import { openStage, type Reply, rawHead, type Stage, serveBytes, vendors } from './stage.ts'

let stage: Stage

beforeAll(async () => {
  stage = await openStage({ 'server.max_body_bytes': 65_536, 'server.cors_origins': ['https://app.example.com'] })
})

afterAll(() => stage?.close())

function expectAnswer(reply: Reply, isStreamed: boolean): void {
  expect(reply.status).toBe(200)
  expect(isStreamed ? reply.content : reply.json.choices[0].message.content).toBe(defaultText)
}

describe.each(vendors)('headers to %s', (vendor) => {
  test.each([false, true])('4.9.40, 5.6.40 only ours reach the provider, streamed: %s', async (stream) => {
    const { fake, model } = await stage.shared(vendor)
    const headers = {
      cookie: 'session=leaked',
      'x-api-key': 'leaked',
      'x-goog-api-key': 'leaked',
      'proxy-authorization': 'Basic leaked',
      'proxy-connection': 'keep-alive',
      'x-forwarded-for': '203.0.113.7',
      'x-forwarded-host': 'leaked',
      forwarded: 'for=203.0.113.7',
      'x-real-ip': '203.0.113.7',
      'x-gatehouse-internal': 'leaked',
      'openai-organization': 'leaked',
      'openai-project': 'leaked',
      'anthropic-beta': 'leaked',
      'user-agent': 'leaked',
      referer: 'https://leaked.example/',
      'idempotency-key': 'leaked',
      'accept-encoding': 'gzip, br',
    }
    await stage.ask({ model, stream }, { headers })
    const received = fake.requests.at(-1)
    const credential = { openai: 'authorization', anthropic: 'x-api-key', gemini: 'x-goog-api-key' }[vendor]!
    const allowed = ['host', 'connection', 'content-type', 'content-length', 'accept', 'accept-encoding', 'user-agent']
    expect(new Set(Object.keys(received!.headers))).toEqual(
      new Set([...allowed, 'traceparent', credential, ...(vendor === 'anthropic' ? ['anthropic-version'] : [])]),
    )
    expect(JSON.stringify(received!.rawHeaders)).not.toMatch(/leaked|203\.0\.113|sk-gh-/)
    expect(received!.headers['accept-encoding']).toBe('identity')
    expect(received!.path).not.toContain(fake.apiKey)
  })

  test.each([false, true])('4.9.40, 5.6.40 only harmless ones come back, streamed: %s', async (stream) => {
    const behaviour: Behaviour = {
      encoding: 'gzip',
      headers: {
        Location: 'http://10.0.0.1/internal',
        'Set-Cookie': ['a=b', 'c=d'],
        'X-Internal-Host': 'gpu-17',
        'X-Powered-By': 'fake',
        'Access-Control-Allow-Origin': '*',
        'X-RateLimit-Remaining-Tokens': '149984',
      },
    }
    const { model } = await stage.shared(vendor, behaviour)
    const reply = await stage.ask({ model, stream })
    expectAnswer(reply, stream)
    const ours = ['content-type', 'content-length', 'transfer-encoding', 'cache-control', 'x-accel-buffering', 'date']
    const ids = ['connection', 'keep-alive', 'x-request-id', 'x-trace-id', 'x-upstream-request-id']
    const openai = ['openai-processing-ms', 'openai-version']
    const unexpected = [...reply.headers.keys()].filter(
      (name) => ![...ours, ...ids, ...openai].includes(name) && !name.startsWith('x-ratelimit-'),
    )
    expect(unexpected).toEqual([])
    expect(reply.headers.get('x-ratelimit-remaining-tokens')).toBe('149984')
    if (vendor !== 'gemini') expect(reply.headers.get('x-upstream-request-id')).toMatch(/^req_fake/)
  })

  test.each(['gzip', 'br', 'deflate'] as const)(
    '5.6.41 a whole answer packed with %s is unpacked',
    async (encoding) => {
      const { model } = await stage.shared(vendor, { encoding })
      const reply = await stage.ask({ model })
      expectAnswer(reply, false)
      expect(reply.headers.get('content-encoding')).toBeNull()
    },
  )

  test('5.6.41 a packed answer that is cut is a failure, not an empty answer', async () => {
    const cut = { at: 1, how: 'eof' } as const
    const { model } = await stage.shared(vendor, { encoding: 'gzip', cut })
    expect((await stage.ask({ model })).status).toBe(502)
  })

  test('5.6.41 a packed error is read like a plain one', async () => {
    const error = { status: 400, message: 'The canary is too loud.' }
    const { model } = await stage.shared(vendor, { encoding: 'gzip', error })
    expect(await stage.ask({ model })).toMatchObject({ status: 400, json: { error: { message: error.message } } })
  })
})

describe('bodies of callers', () => {
  const send = (body: Uint8Array | string, headers: Record<string, string> = {}) =>
    fetch(`${stage.hub.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${stage.apiKey}`, ...headers },
      body: typeof body === 'string' ? body : Buffer.from(body),
    })
  const question = (model: string) => JSON.stringify({ model, messages: [{ role: 'user', content: 'Hello' }] })

  test('5.6.41 gzip and br are unpacked, and the provider gets plain bytes', async () => {
    const fake = await stage.upstream()
    const model = await stage.serve(fake)
    expect((await send(gzipSync(question(model)), { 'content-encoding': 'gzip' })).status).toBe(200)
    expect((await send(brotliCompressSync(question(model)), { 'content-encoding': 'br' })).status).toBe(200)
    for (const { body, headers } of fake.requests) {
      expect(body).toBe(question(model))
      expect(headers['content-encoding']).toBeUndefined()
    }
  })

  test.each<[string, () => [Uint8Array | string, Record<string, string>], number]>([
    ['5.6.41 a bomb', () => [gzipSync(Buffer.alloc(5_000_000, 0x20)), { 'content-encoding': 'gzip' }], 413],
    ['5.6.43 too many bytes', () => ['x'.repeat(70_000), {}], 413],
    ['5.6.41 damaged gzip', () => ['no gzip', { 'content-encoding': 'gzip' }], 400],
    ['5.6.41 an unknown encoding', () => ['{}', { 'content-encoding': 'zstd-19' }], 415],
    ['broken JSON', () => ['{"model": "m", ', {}], 400],
    ['JSON with something behind it', () => ['{"model":"m","messages":[{}]} x', {}], 400],
    ['nothing', () => ['', {}], 400],
    ['a list', () => ['[]', {}], 400],
  ])('%s is refused in OpenAI’s envelope', async (_, make, status) => {
    const [body, headers] = make()
    const response = await send(body, headers)
    expect(response.status).toBe(status)
    const { error } = (await response.json()) as { error: object }
    expect(error).toMatchObject({ type: 'invalid_request_error', message: expect.any(String) })
    expect(Object.keys(error).sort()).toEqual(['code', 'message', 'param', 'type'])
  })

  test('5.6.43 too many bytes are refused before they are sent', async () => {
    const { connect } = await import('node:net')
    const socket = connect(Number(new URL(stage.hub.url).port), '127.0.0.1')
    socket.write(rawHead(50_000_000, stage.apiKey))
    const [head] = (await socket.take(1).toArray()) as Buffer[]
    expect(head!.toString()).toMatch(/^HTTP\/1\.1 413 /)
    socket.destroy()
  })
})

describe.each(vendors)('failures of %s', (vendor) => {
  const cases: [string, Behaviour, number][] = [
    ['a page of HTML', misbehaviours.html, 502],
    ['200 and a page of HTML', { ...misbehaviours.html, status: 200 }, 502],
    ['200 and nothing', misbehaviours.emptyBody, 502],
    ['200 and broken JSON', misbehaviours.invalidJson, 502],
    ['200 and text', misbehaviours.notJson, 502],
    ['200 and an error', { error: { status: 503, httpStatus: 200, message: 'Busy.' } }, 500],
    ['200 and JSON that is no answer', { body: '{"hello":"world"}' }, 502],
    ['an empty 503', { status: 503, body: '' }, 503],
    ['an answer cut on its way', { cut: { at: 1, how: 'reset' } }, 502],
    ['less than it announced', { contentLength: 'too-long' }, 502],
    ['a redirect into the network of the hub', misbehaviours.redirect, 500],
    ['529', { error: { status: 529 } }, 503],
    ['499', { error: { status: 499 } }, 499],
    ['418', { error: { status: 418 } }, 418],
    ['422', { error: { status: 422 } }, 422],
    ['401', { error: { status: 401 } }, 424],
    ['403', { error: { status: 403 } }, 424],
  ]

  test.each(cases)('5.6.44 %s keeps its class and says nothing of the inside', async (_, behaviour, status) => {
    const { model } = await stage.shared(vendor, behaviour)
    const reply = await stage.ask({ model })
    expect(Math.floor(reply.status / 100)).toBe(Math.floor(status / 100))
    if (status < 500) expect(reply.status).toBe(status)
    expect(Object.keys(reply.json.error).sort()).toEqual(['code', 'message', 'param', 'type'])
    expect(reply.text).not.toMatch(/<html|169\.254|127\.0\.0\.1|fake-organization/)
    expect(reply.headers.get('location')).toBeNull()
    expect((await stage.row(model)).outcome).toBe('failure')
  })

  test.each([false, true])('5.6.44 key, address and account never reach the caller, streamed: %s', async (stream) => {
    const message = 'Key {key} of org-A1b2C3d4E5f6 at {url}/v1 (http://10.1.2.3:8080/x, Bearer {key}) is bad.'
    for (const status of [400, 401, 404, 429, 500, 503]) {
      const { fake, model } = await stage.shared(vendor, { error: { status, message } })
      const { text } = await stage.ask({ model, stream })
      expect(text).not.toContain(fake.apiKey)
      expect(text).not.toMatch(/127\.0\.0\.1|10\.1\.2\.3|org-A1b2C3d4E5f6/)
      expect(JSON.stringify(await stage.row(model))).not.toContain(fake.apiKey)
      expect(stage.hub.lines.join('')).not.toContain(fake.apiKey)
    }
  })
})

describe('ids', () => {
  test.each([false, true])('5.6.45 x-request-id is echoed and traceparent goes on, streamed: %s', async (stream) => {
    const fake = await stage.upstream()
    const model = await stage.serve(fake)
    const traceId = '4bf92f3577b34da6a3ce929d0e0e4736'
    const headers = {
      'x-request-id': 'my-own-id-1',
      traceparent: `00-${traceId}-00f067aa0ba902b7-01`,
      'idempotency-key': 'once',
    }
    const reply = await stage.ask({ model, stream }, { headers })
    expect(reply.headers.get('x-request-id')).toBe('my-own-id-1')
    expect(reply.headers.get('x-trace-id')).toBe(traceId)
    expect(fake.requests[0]!.headers.traceparent).toMatch(new RegExp(`^00-${traceId}-[0-9a-f]{16}-01$`))
    expect(fake.requests[0]!.headers['x-request-id']).toBeUndefined()
    expect(await stage.row(model)).toMatchObject({ trace_id: traceId, id: expect.stringMatching(/^req_/) })
  })

  test('5.6.45 an id with line breaks or quotes is not echoed', async () => {
    const reply = await stage.ask({ model: 'absent' }, { headers: { 'x-request-id': 'a"b<c>' } })
    expect(reply.headers.get('x-request-id')).toMatch(/^req_/)
  })
})

describe.each(vendors)('names of models at %s', (vendor: VendorName) => {
  test.each(['org/team/alias:free', '通义 千问', 'a?b=c&d#e', 'plain'])(
    '5.6.46 %s stands for another name',
    async (name) => {
      const fake = await stage.upstream(vendor)
      const model = await stage.serve(fake, {
        model: `${vendor} ${name}`,
        link: { provider_model: 'org/fake-tiny:free' },
      })
      const whole = await stage.ask({ model })
      const streamed = await stage.ask({ model, stream: true, stream_options: { include_usage: true } })
      expect(fake.requests.map((request) => request.model)).toEqual(['org/fake-tiny:free', 'org/fake-tiny:free'])
      expect(whole.json.model).toBe(model)
      const chunks = streamed.events.slice(0, -1)
      expect(new Set(chunks.map((chunk) => chunk.model))).toEqual(new Set([model]))
      expect(whole.text + streamed.text).not.toContain('fake-tiny')

      const url = `${stage.hub.url}/v1/models/${encodeURIComponent(model)}`
      const shown = await fetch(url, { headers: { authorization: `Bearer ${stage.apiKey}` } })
      expect(await shown.json()).toMatchObject({ id: model, object: 'model', owned_by: 'gatehouse' })
      expect(await stage.row(model)).toMatchObject({ model_asked: model, model_served: 'org/fake-tiny:free' })
    },
  )
})

test('an origin was allowed when it was part of the list’s text: now only when it is in the list', async () => {
  const { model } = await stage.shared('openai')
  const allowedFor = async (origin: string, body: object) =>
    (await stage.ask(body, { headers: { origin } })).headers.get('access-control-allow-origin')
  for (const body of [{ model }, { model, stream: true }, { model: 'absent' }]) {
    expect(await allowedFor('https://app.example.com', body)).toBe('https://app.example.com')
    expect(await allowedFor('https://app.example.co', body)).toBeNull()
  }
})

test('5.6.46 a name with slashes is found as it is, and an absent one is 404 in OpenAI’s envelope', async () => {
  const model = await stage.serve(await stage.upstream(), { model: 'deep/in/folders:free' })
  const get = (path: string) =>
    fetch(`${stage.hub.url}/v1/models${path}`, { headers: { authorization: `Bearer ${stage.apiKey}` } })
  expect(await (await get(`/${model}`)).json()).toMatchObject({ id: model })
  const absent = await get('/deep/in')
  expect(absent.status).toBe(404)
  expect(await absent.json()).toMatchObject({ error: { code: 'model_not_found', param: 'model' } })
  expect(await (await get('/%E0%A4%A')).json()).toMatchObject({ error: { code: 'model_not_found' } })
})

test('what is not served yet is 404 in OpenAI’s envelope too', async () => {
  const reply = await stage.ask({ model: 'm', input: 'x' }, { path: '/v1/unheard-of' })
  expect(reply).toMatchObject({ status: 404, json: { error: { type: 'invalid_request_error', code: 'not_found' } } })
})

test('an answer packed twice as large as told in capitals is still unpacked', async () => {
  const body = gzipSync(JSON.stringify({ id: 'x', model: 'x', choices: [{ index: 0, message: { content: 'Hi' } }] }))
  const head = `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nContent-Encoding: GZIP\r\ncontent-length: ${body.length}\r\n\r\n`
  const { baseUrl } = await serveBytes(Buffer.concat([Buffer.from(head), body]))
  await stage.hub.serve('capitals', { type: 'openai', base_url: baseUrl, max_retries: 0 })
  expect((await stage.ask({ model: 'capitals' })).json.choices[0].message.content).toBe('Hi')
})
