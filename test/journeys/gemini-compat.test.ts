import { createServer, request as httpRequest, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import type { VendorName } from '../fake-providers/index.ts'
import { until } from '../harness/control.ts'
import { geminiDrivers } from './gemini-drivers.ts'
import { user } from './gemini-scenarios.ts'
import { type Json, openStage, type Stage, vendors } from './stage.ts'

let stage: Stage
beforeAll(async () => {
  stage = await openStage()
})
afterAll(() => stage?.close())

/** More pieces than any vendor needs events to open an answer. */
const story = 'A story that is told in several pieces, one after the other, until it ends.'
const question = { contents: [user('Hello')] }

async function post(path: string, body: unknown = question, headers: Record<string, string> = {}) {
  const response = await fetch(stage.hub.url + path, {
    method: 'POST',
    headers: { 'x-goog-api-key': stage.apiKey, 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  })
  const text = await response.text()
  return { status: response.status, headers: response.headers, text, json: () => JSON.parse(text) as Json }
}

async function get(path: string) {
  const response = await fetch(stage.hub.url + path, { headers: { 'x-goog-api-key': stage.apiKey } })
  return { status: response.status, json: (await response.json()) as Json }
}

const textOf = (chunks: Json[]) =>
  chunks.map((chunk) => chunk.candidates?.[0]?.content?.parts?.[0]?.text ?? '').join('')

describe('5.5.36 addresses', () => {
  test.each(['/v1beta', '/v1'])('%s serves both verbs', async (version) => {
    const { model } = await stage.shared('openai', { answer: { text: 'One.' } }, { answer: { text: 'Two.' } })
    const whole = await post(`${version}/models/${model}:generateContent`)
    expect(whole.json().candidates[0].content.parts).toEqual([{ text: 'One.' }])
    const streamed = await post(`${version}/models/${model}:streamGenerateContent?alt=sse`)
    expect(streamed.headers.get('content-type')).toContain('text/event-stream')
    expect(streamed.headers.get('cache-control')).toBe('no-cache')
    expect(streamed.text).toMatch(/^data: \{.*\}\n\n$/s)
  })

  test.each(['org/llama3:8b', 'acme/größe'])('the name %s is found, encoded or not', async (name) => {
    const fake = await stage.upstream('openai', { answer: { text: 'One.' } }, { answer: { text: 'Two.' } })
    await stage.serve(fake, { model: name })
    const plain = await post(`/v1beta/models/${name}:generateContent`)
    const encoded = await post(`/v1beta/models/${encodeURIComponent(name)}%3AgenerateContent`)
    expect(plain.json().modelVersion).toBe(name)
    expect(encoded.json().modelVersion).toBe(name)
    expect((await get(`/v1beta/models/${name}`)).json).toMatchObject({ name: `models/${name}` })
  })

  test.each(vendors)('without alt=sse a stream of %s is one JSON array that arrives piece by piece', async (vendor) => {
    const text = 'Hello 你好, this comes in several pieces.'
    const fake = await stage.upstream(vendor, { answer: { text }, holdAt: 4 })
    const model = await stage.serve(fake)
    const response = await openRaw(`/v1beta/models/${model}:streamGenerateContent`)
    expect(response.headers['content-type']).toContain('application/json')
    let received = ''
    response.setEncoding('utf8').on('data', (piece: string) => {
      received += piece
    })
    await until('the first piece is here', () => received.includes('Hello'))
    expect(received.startsWith('[')).toBe(true)
    expect(() => JSON.parse(received)).toThrow()
    fake.requests.at(-1)?.release()
    await until('the stream is over', () => response.complete)
    const chunks = JSON.parse(received) as Json[]
    expect(textOf(chunks)).toBe(text)
    expect(chunks.at(-1)?.candidates[0].finishReason).toBe('STOP')
    expect(chunks.at(-1)?.usageMetadata.promptTokenCount).toBe(21)
    expect(fake.requests.at(-1)?.path).not.toContain('key=')
  })

  test('a provider of the same protocol is always asked for events', async () => {
    const { fake, model } = await stage.shared('gemini', { answer: { text: 'x' } })
    await post(`/v1beta/models/${model}:streamGenerateContent`)
    expect(fake.requests.at(-1)?.path).toMatch(/:streamGenerateContent\?alt=sse$/)
  })

  test('the list of models has their shape, and pages', async () => {
    const { model } = await stage.shared('openai', {})
    const { json } = await get('/v1beta/models?pageSize=1000')
    expect(json.models).toContainEqual(expect.objectContaining({ name: `models/${model}`, displayName: model }))
    expect(json.models[0].supportedGenerationMethods).toContain('generateContent')
    const names: string[] = []
    for (let token = ''; ; ) {
      const page = (await get(`/v1beta/models?pageSize=1&pageToken=${token}`)).json
      expect(page.models).toHaveLength(1)
      names.push(page.models[0].name)
      if (page.nextPageToken === undefined) break
      token = page.nextPageToken
    }
    expect(names).toEqual(json.models.map(({ name }: Json) => name))
    for (const driver of geminiDrivers) {
      const client = driver.client({ baseUrl: stage.hub.url, apiKey: stage.apiKey })
      await expect(client.models.get({ model: 'no-such-model' })).rejects.toMatchObject({ status: 404 })
      expect((await client.models.get({ model })).name).toBe(`models/${model}`)
      const pager = await client.models.list({ config: { pageSize: 2 } })
      const listed: (string | undefined)[] = []
      for await (const one of pager) listed.push(one.name)
      expect(listed).toEqual(names)
    }
  })

  test('a key that may use one model sees one', async () => {
    const { model } = await stage.shared('openai', {})
    const fake = await stage.upstream('openai')
    const other = await stage.serve(fake)
    const narrow = await stage.hub.createKey({ allowed_models: [other] })
    const headers = { 'x-goog-api-key': narrow }
    const list = (await (await fetch(`${stage.hub.url}/v1beta/models`, { headers })).json()) as Json
    expect(list.models.map(({ name }: Json) => name)).toEqual([`models/${other}`])
    expect((await fetch(`${stage.hub.url}/v1beta/models/${model}`, { headers })).status).toBe(404)
    for (const verb of ['generateContent', 'countTokens', 'embedContent']) {
      const refused = await post(`/v1beta/models/${model}:${verb}`, { ...question, content: user('x') }, headers)
      expect([verb, refused.status, refused.json().error.status]).toEqual([verb, 404, 'NOT_FOUND'])
    }
  })
})

test('5.5.36 a key in the address opens the door and is in no log line, error or ledger row', async () => {
  const { model } = await stage.shared('openai', { answer: { text: 'x' } }, { error: { status: 400 } })
  const key = await stage.hub.createKey()
  const before = stage.hub.lines.length
  const paths = [`${model}:generateContent`, `${model}:generateContent`, 'no-such:generateContent', `${model}:nonsense`]
  const answers: string[] = []
  for (const path of paths) {
    const response = await fetch(`${stage.hub.url}/v1beta/models/${path}?key=${key}&secret=CANARY-QUERY`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(question),
    })
    answers.push(`${response.status} ${await response.text()} ${JSON.stringify([...response.headers])}`)
  }
  expect(answers.map((answer) => answer.slice(0, 3))).toEqual(['200', '400', '404', '405'])
  const rows = await stage.hub.logs()
  expect(rows.length).toBeGreaterThan(2)
  const written = [...answers, ...stage.hub.lines.slice(before), JSON.stringify(rows)].join('\n')
  expect(written).not.toContain(key)
  expect(written).not.toContain('CANARY-QUERY')
})

describe('errors', () => {
  const failing: [string, Json | string, { code: number; status: string; field?: string }][] = [
    ['a body that is no JSON', '{', { code: 400, status: 'INVALID_ARGUMENT' }],
    ['no contents', {}, { code: 400, status: 'INVALID_ARGUMENT', field: 'contents' }],
    [
      'a wrong role',
      { contents: [{ role: 'assistant', parts: [{ text: 'x' }] }] },
      { code: 400, status: 'INVALID_ARGUMENT', field: 'contents[0].role' },
    ],
    [
      'a wrong temperature, in snake_case',
      { ...question, generation_config: { temperature: 'hot' } },
      { code: 400, status: 'INVALID_ARGUMENT', field: 'generationConfig.temperature' },
    ],
    [
      'a function without a name',
      { ...question, tools: [{ functionDeclarations: [{}] }] },
      { code: 400, status: 'INVALID_ARGUMENT', field: 'tools[0].functionDeclarations[0].name' },
    ],
    [
      'an answer to a call that nobody made',
      { contents: [user('x'), { role: 'user', parts: [{ functionResponse: { name: 'f', response: {} } }] }] },
      { code: 400, status: 'INVALID_ARGUMENT', field: 'contents[1].parts[0].functionResponse.name' },
    ],
  ]
  test.each(failing)('%s is told in the envelope of Google, with the member', async (_, body, expected) => {
    const { model } = await stage.shared('openai', {})
    const { status, json, headers } = await post(`/v1beta/models/${model}:generateContent`, body)
    const { error } = json()
    expect(status).toBe(expected.code)
    expect(error).toMatchObject({ code: expected.code, status: expected.status, message: expect.any(String) })
    const violation = error.details.find((detail: Json) => detail['@type'].endsWith('BadRequest'))
    expect(violation?.fieldViolations[0].field).toBe(expected.field)
    const info = error.details.find((detail: Json) => detail['@type'].endsWith('RequestInfo'))
    expect(info.requestId).toBe(headers.get('x-request-id'))
  })

  const wrongs: [string, { status: number; name: string }][] = [
    ['a wrong key', { status: 401, name: 'UNAUTHENTICATED' }],
    ['an unknown model', { status: 404, name: 'NOT_FOUND' }],
    ['a refusal of the provider', { status: 400, name: 'INVALID_ARGUMENT' }],
    ['a limit of the provider', { status: 429, name: 'RESOURCE_EXHAUSTED' }],
    ['an overloaded provider', { status: 503, name: 'UNAVAILABLE' }],
  ]
  describe.each(geminiDrivers)('$name', (driver) => {
    describe.each([{ isStreamed: false }, { isStreamed: true }])('streamed: $isStreamed', ({ isStreamed }) => {
      test.each(wrongs)('%s is the error its users know', async (what, { status, name }) => {
        const { model } = await stage.shared('gemini', { error: { status } })
        const target = { baseUrl: stage.hub.url, apiKey: stage.apiKey, model }
        if (what === 'a wrong key') target.apiKey = 'sk-gh-no-such-key-000000000000000000000000'
        if (what === 'an unknown model') target.model = 'no-such-model'
        const error = await driver.ask(target, question, { isStreamed }).then(
          () => expect.unreachable('the call succeeded'),
          (thrown: { name: string; status: number; message: string }) => thrown,
        )
        expect(error).toMatchObject({ name: 'ApiError', status })
        expect(JSON.parse(error.message).error.status).toBe(name)
      })

      test.each(vendors)('a prompt that %s filters has a reason and no candidate', async (vendor) => {
        const answer = vendor === 'gemini' ? { promptBlockReason: 'SAFETY' } : { text: '', finish: 'content_filter' }
        const { model } = await stage.shared(vendor, { answer })
        const target = { baseUrl: stage.hub.url, apiKey: stage.apiKey, model }
        const turn = await driver.ask(target, question, { isStreamed })
        expect(turn.answer).toMatchObject({ text: '', blockReason: 'SAFETY', finish: null })
      })
    })

    test.each(vendors)('5.1.6 an error inside the stream of %s is thrown, with no false end before', async (vendor) => {
      const { model } = await stage.shared(vendor, { error: { status: 503, afterChunks: 4 } })
      const target = { baseUrl: stage.hub.url, apiKey: stage.apiKey, model }
      const error = await driver.ask(target, question, { isStreamed: true }).then(
        () => expect.unreachable('the stream succeeded'),
        (thrown: { name: string; status: number }) => thrown,
      )
      expect(error).toMatchObject({ name: 'ApiError' })
      expect(error.status).toBeGreaterThanOrEqual(500)
    })

    test.each(vendors)('5.1.8 hanging up reaches %s', async (vendor) => {
      const fake = await stage.upstream(vendor, { answer: { text: story }, holdAt: 4 })
      const model = await stage.serve(fake)
      const client = driver.client({ baseUrl: stage.hub.url, apiKey: stage.apiKey })
      const stop = new AbortController()
      const request = { model, contents: 'Tell me.', config: { abortSignal: stop.signal } }
      await expect(
        (async () => {
          for await (const _ of await client.models.generateContentStream(request)) stop.abort()
        })(),
      ).rejects.toThrow()
      await fake.requests.at(-1)?.aborted
      expect(await stage.row(model)).toMatchObject({ outcome: 'aborted', model_asked: model })
    })
  })

  test.each(vendors)('5.1.7 a stream of %s that was cut has an error for its last element', async (vendor) => {
    const { model } = await stage.shared(vendor, { answer: { text: story }, cut: { at: 4, how: 'eof' } })
    const chunks = (await post(`/v1beta/models/${model}:streamGenerateContent`)).json() as Json[]
    expect(chunks.at(-1)?.error).toMatchObject({ code: 502, status: 'INTERNAL' })
    expect(JSON.stringify(chunks)).not.toContain('finishReason')
    expect(await stage.row(model)).toMatchObject({ outcome: 'truncated' })
  })

  test('a wait that Google names becomes Retry-After and stays a RetryInfo', async () => {
    const { model } = await stage.shared('gemini', {
      error: { status: 429, retryAfter: { ms: 7000, form: 'retry-info' } },
    })
    const { headers, json } = await post(`/v1beta/models/${model}:generateContent`)
    expect(headers.get('retry-after')).toBe('7')
    const info = json().error.details.find((detail: Json) => detail['@type'].endsWith('RetryInfo'))
    expect(info.retryDelay).toBe('7s')
  })
})

test('4.5.17 white space keeps an array open before its first element, and comments keep events open', async () => {
  const slow = await openStage({ 'gateway.keep_alive_seconds': 1 })
  onTestFinished(() => slow.close())
  const fake = await slow.upstream(
    'openai',
    { answer: { text: 'x' }, holdAt: 'head' },
    { answer: { text: 'x' }, holdAt: 'head' },
  )
  const model = await slow.serve(fake)
  for (const [query, filler] of [
    ['', '\n'],
    ['?alt=sse', ': keep-alive\n\n'],
  ] as const) {
    const response = await openRaw(`/v1beta/models/${model}:streamGenerateContent${query}`, slow)
    let received = ''
    response.setEncoding('utf8').on('data', (piece: string) => {
      received += piece
    })
    await until('something came', () => received !== '')
    expect(received).toBe(filler)
    fake.requests.at(-1)?.release()
    await until('the stream is over', () => response.complete)
    if (query === '') expect(textOf(JSON.parse(received))).toBe('x')
    else expect(received).toContain('"finishReason":"STOP"')
  }
})

describe('countTokens', () => {
  test.each(['openai', 'anthropic'] satisfies VendorName[])('before %s is an estimate and says so', async (vendor) => {
    const { fake, model } = await stage.shared(vendor, {})
    const seen = fake.requests.length
    const words = 'The quick brown fox jumps over the lazy dog. '.repeat(20)
    const { status, headers, json } = await post(`/v1beta/models/${model}:countTokens`, { contents: [user(words)] })
    expect(status).toBe(200)
    expect(headers.get('x-gatehouse-estimated')).toBe('true')
    expect(json().totalTokens).toBeGreaterThan(150)
    expect(json().totalTokens).toBeLessThan(260)
    expect(fake.requests.length).toBe(seen)
    for (const driver of geminiDrivers) {
      const client = driver.client({ baseUrl: stage.hub.url, apiKey: stage.apiKey })
      expect((await client.models.countTokens({ model, contents: words })).totalTokens).toBe(json().totalTokens)
    }
  })

  test('before Gemini is its own count, under its own name for the model, and costs nothing', async () => {
    const provider = await serveJson(() => ({
      totalTokens: 31,
      promptTokensDetails: [{ modality: 'TEXT', tokenCount: 31 }],
    }))
    const model = 'counting'
    await stage.hub.serve(
      model,
      { type: 'gemini', base_url: provider.url, api_key: 'AIza-x' },
      { provider_model: 'gemini-x' },
    )
    const body = { generateContentRequest: { model: `models/${model}`, ...question } }
    const { headers, json } = await post(`/v1beta/models/${model}:countTokens`, body)
    expect(json()).toEqual({ totalTokens: 31, promptTokensDetails: [{ modality: 'TEXT', tokenCount: 31 }] })
    expect(headers.get('x-gatehouse-estimated')).toBeNull()
    expect(provider.seen).toEqual([
      {
        url: '/v1beta/models/gemini-x:countTokens',
        body: { generateContentRequest: { model: 'models/gemini-x', ...question } },
      },
    ])
    expect(await stage.row(model)).toMatchObject({ outcome: 'success', tokens_in: 0, tokens_out: 0 })
  })
})

describe('embeddings', () => {
  test('before OpenAI are translated, counted, and told what was left out', async () => {
    const provider = await serveJson((body) => ({
      object: 'list',
      data: (body.input as string[])
        .map((_, index) => ({ object: 'embedding', index, embedding: [index, 0.5] }))
        .reverse(),
      usage: { prompt_tokens: 12, total_tokens: 12 },
    }))
    const model = 'vectors'
    await stage.hub.serve(
      model,
      { type: 'openai', base_url: `${provider.url}/v1`, api_key: 'sk-x' },
      { provider_model: 'text-embedding-3-small' },
    )
    const one = (text: string) => ({
      model: `models/${model}`,
      content: { parts: [{ text }] },
      taskType: 'RETRIEVAL_QUERY',
      outputDimensionality: 2,
    })
    const batch = await post(`/v1beta/models/${model}:batchEmbedContents`, { requests: [one('a'), one('b')] })
    expect(batch.json().embeddings).toEqual([{ values: [0, 0.5] }, { values: [1, 0.5] }])
    expect(batch.headers.get('x-gatehouse-dropped-params')).toBe('taskType')
    expect(provider.seen.at(-1)).toEqual({
      url: '/v1/embeddings',
      body: { model: 'text-embedding-3-small', input: ['a', 'b'], encoding_format: 'float', dimensions: 2 },
    })
    expect((await post(`/v1beta/models/${model}:embedContent`, one('a'))).json().embedding).toEqual({
      values: [0, 0.5],
    })
    expect(await stage.row(model)).toMatchObject({
      outcome: 'success',
      tokens_in: 12,
      tokens_out: 0,
      usage_source: 'upstream',
    })
    for (const driver of geminiDrivers) {
      const client = driver.client({ baseUrl: stage.hub.url, apiKey: stage.apiKey })
      const { embeddings } = await client.models.embedContent({ model, contents: ['a', 'b'] })
      expect(embeddings).toEqual([{ values: [0, 0.5] }, { values: [1, 0.5] }])
    }
  })

  test('before Gemini pass as they are; where it counts nothing, the texts are estimated', async () => {
    const provider = await serveJson(() => ({ embeddings: [{ values: [0.25] }] }))
    const model = 'own-vectors'
    await stage.hub.serve(
      model,
      { type: 'gemini', base_url: provider.url, api_key: 'AIza-x' },
      { provider_model: 'gemini-embedding-001' },
    )
    const request = {
      model: `models/${model}`,
      content: { parts: [{ text: 'a few words to embed' }] },
      taskType: 'CLUSTERING',
    }
    const { json } = await post(`/v1beta/models/${model}:batchEmbedContents`, { requests: [request] })
    expect(json()).toEqual({ embeddings: [{ values: [0.25] }] })
    expect(provider.seen[0]?.body).toEqual({ requests: [{ ...request, model: 'models/gemini-embedding-001' }] })
    const row = await stage.row(model)
    expect(row).toMatchObject({ tokens_out: 0, usage_source: 'estimated' })
    expect(row.tokens_in).toBeGreaterThan(4)
  })

  test('before Anthropic are refused by name', async () => {
    const { model } = await stage.shared('anthropic', {})
    const { status, json } = await post(`/v1beta/models/${model}:embedContent`, { content: user('x') })
    expect(status).toBe(400)
    expect(json().error.message).toContain('no such operation')
  })
})

/** A provider that answers every POST with this JSON, until the test is over. */
async function serveJson(answer: (body: Json) => Json) {
  const seen: { url: string | undefined; body: Json }[] = []
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const body = JSON.parse(Buffer.concat(chunks).toString() || '{}') as Json
      seen.push({ url: request.url, body })
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer(body)))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen }
}

function openRaw(path: string, on = stage): Promise<IncomingMessage> {
  const headers = { 'x-goog-api-key': on.apiKey, 'content-type': 'application/json' }
  return new Promise((resolve, reject) => {
    const request = httpRequest(on.hub.url + path, { method: 'POST', headers, agent: false }, (response) => {
      response.on('error', () => {})
      resolve(response)
    })
    request.on('error', reject)
    request.end(JSON.stringify(question))
  })
}
