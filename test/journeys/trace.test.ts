import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { HubRefusal, type Plugin, type PluginOptions, sendJson, servePlugin } from '../../src/plugin/index.ts'
import { type CollectedSpan, type Collector, startCollector } from '../harness/collector.ts'
import { until } from '../harness/control.ts'
import { type Json, openStage, type Stage } from './stage.ts'

let collector: Collector
let stage: Stage
let folder: string
const plugins: Plugin[] = []

beforeAll(async () => {
  collector = await startCollector()
  stage = await openStage({
    'tracing.otlp_url': collector.url,
    'tracing.interval_seconds': 0.05,
    'tracing.headers': 'authorization=Bearer%20collector-secret-0123',
    'services.heartbeat_seconds': 1,
  })
  folder = mkdtempSync(join(tmpdir(), 'gatehouse-trace-'))
})
afterAll(async () => {
  await Promise.all(plugins.map((plugin) => plugin.stop()))
  await stage?.close()
  await collector?.close()
  rmSync(folder, { recursive: true, force: true })
})

async function serve(name: string, handle: PluginOptions['handle']): Promise<void> {
  const { token } = await stage.hub.admin('POST', '/api/registry/tokens', { service: name })
  const plugin = await servePlugin({
    ...{ name, version: '1.0.0', hubUrl: stage.hub.url, registrationToken: token, handle },
    ...{ tokenFile: join(folder, `${name}.token`), log: () => {} },
  })
  plugins.push(plugin)
  await plugin.registered
}

const callerSpan = '00f067aa0ba902b7'
const newTraceId = () => crypto.randomUUID().replaceAll('-', '')

function call(path: string, traceId: string, init: RequestInit = {}): Promise<Response> {
  const headers = { traceparent: `00-${traceId}-${callerSpan}-01`, tracestate: 'vendor=1', 'x-request-id': 'mine-1' }
  return fetch(stage.hub.url + path, {
    ...init,
    headers: { authorization: `Bearer ${stage.apiKey}`, ...headers, ...init.headers },
  })
}

function find(spans: CollectedSpan[], name: string): CollectedSpan {
  const found = spans.filter((each) => each.name === name)
  expect(found, `the spans ${spans.map((each) => each.name).join(', ')}`).toHaveLength(1)
  return found[0]!
}

test('one id is followed from a caller through plugin, model, provider, ledger and log to the error that came of it', async () => {
  const well = await stage.upstream('openai', {})
  const sick = await stage.upstream('openai', { error: { status: 503 } }, { error: { status: 503 } })
  const model = await stage.serve([sick, well])
  const lost = await stage.serve(await stage.upstream('openai', { error: { status: 401 } }))
  const heard: Json[] = []
  await serve('writer', async ({ request, response, hub, url }) => {
    heard.push(request.headers)
    const messages = [{ role: 'user' as const, content: 'Hello' }]
    try {
      const answer = await hub.chat({ model: url.searchParams.get('model')!, messages })
      sendJson(response, 200, answer)
    } catch (error) {
      sendJson(response, 502, { said: error instanceof HubRefusal ? error.message : String(error) })
    }
  })

  const traceId = newTraceId()
  const answer = await call(`/api/writer/write?model=${model}`, traceId)
  expect([answer.status, answer.headers.get('x-trace-id')]).toEqual([200, traceId])

  // The plugin, and what its vendors' tracing said.
  expect(heard[0]!.traceparent).toMatch(new RegExp(`^00-${traceId}-[0-9a-f]{16}-01$`))
  expect(heard[0]).toMatchObject({ tracestate: 'vendor=1', 'x-trace-id': traceId })
  // Both providers: each attempt a span of its own.
  const asked = [...sick.requests, ...well.requests].map(({ headers }) => String(headers.traceparent))
  expect(asked).toHaveLength(2)
  for (const traceparent of asked) expect(traceparent).toMatch(new RegExp(`^00-${traceId}-[0-9a-f]{16}-01$`))
  expect(new Set([...asked, heard[0]!.traceparent]).size).toBe(3)
  // The ledger.
  expect(await stage.row(model)).toMatchObject({ trace_id: traceId, status: 200 })
  expect(await stage.hub.logs(`&trace_id=${traceId}`)).toHaveLength(1)

  // The spans, from the caller's to the provider's.
  const spans = await collector.trace(traceId, 'GET /api/writer/*')
  const door = find(spans, 'GET /api/writer/*')
  const plugin = find(spans, 'GET writer')
  const inner = find(spans, 'POST /v1/chat/completions')
  const chat = find(spans, `chat ${model}`)
  const attempts = spans.filter(({ parentSpanId }) => parentSpanId === chat.spanId)
  expect(door).toMatchObject({ parentSpanId: callerSpan, kind: 2, flags: 0x301, traceState: 'vendor=1' })
  expect(plugin).toMatchObject({ parentSpanId: door.spanId, kind: 3, spanId: heard[0]!.traceparent.slice(36, 52) })
  expect(inner).toMatchObject({ parentSpanId: plugin.spanId, kind: 2 })
  expect(chat).toMatchObject({ parentSpanId: inner.spanId, kind: 3 })
  expect(attempts.map(({ spanId }) => spanId).toSorted()).toEqual(asked.map((each) => each.slice(36, 52)).toSorted())
  expect(attempts.map(({ status }) => status.code ?? 0).toSorted()).toEqual([0, 2])
  for (const name of ['authenticate', 'settle']) expect(find(spans, name).parentSpanId).toBe(inner.spanId)
  expect(spans).toHaveLength(8)
  for (const span of spans) {
    const parent = spans.find(({ spanId }) => spanId === span.parentSpanId)
    if (parent) expect(span.startNanos >= parent.startNanos, `${span.name} begins in ${parent.name}`).toBe(true)
  }
  const { attributes } = chat
  expect(attributes).toMatchObject({
    ...{ 'gen_ai.operation.name': 'chat', 'gen_ai.provider.name': 'openai', 'gen_ai.request.model': model },
    ...{ 'gen_ai.response.model': model, 'gen_ai.response.finish_reasons': ['stop'] },
    ...{ 'gen_ai.usage.input_tokens': expect.any(Number), 'gen_ai.usage.output_tokens': expect.any(Number) },
    ...{ 'gatehouse.attempts': 2, 'gatehouse.outcome': 'success', 'gatehouse.service': 'writer' },
  })
  expect(
    Object.keys(attributes).filter((key) => /messages|instructions/.test(key)),
    'nobody asked for it',
  ).toEqual([])
  expect(collector.faults).toEqual([])
  expect(collector.requests.every(({ headers }) => headers.authorization === 'Bearer collector-secret-0123')).toBe(true)

  // What fails says it too: to the caller, in its row, in a span and in the log.
  const badTrace = newTraceId()
  const refused = await call('/v1/chat/completions', badTrace, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: lost, messages: [{ role: 'user', content: 'Hello' }] }),
  })
  expect(refused.headers.get('x-trace-id')).toBe(badTrace)
  expect(refused.status).toBe(424)
  expect(await stage.row(lost)).toMatchObject({ trace_id: badTrace })
  const failed = find(await collector.trace(badTrace, 'POST /v1/chat/completions'), `chat ${lost}`)
  expect(failed.status.code).toBe(2)
  expect(failed.attributes['error.type']).toMatch(/^upstream_/)

  const gone = newTraceId()
  const problem = (await (await call('/api/nobody/here', gone)).json()) as Json
  expect(problem).toMatchObject({ trace_id: gone, status: 404 })
  expect(find(await collector.trace(gone, 'GET /api/:service/*'), 'GET /api/:service/*').attributes).toMatchObject({
    'http.response.status_code': 404,
  })
})

test('one id is followed from curl through plugin, provider, ledger and log to the notification that came of it', async () => {
  const told: { headers: Json; body: Json }[] = []
  const chat = createServer((request, response) => {
    let text = ''
    request.on('data', (chunk) => {
      text += chunk
    })
    request.on('end', () => {
      told.push({ headers: request.headers, body: JSON.parse(text) })
      response.writeHead(200, { 'content-type': 'application/json' }).end('{}')
    })
  })
  chat.listen(0, '127.0.0.1')
  await once(chat, 'listening')
  const { admin } = stage.hub
  const channel = await admin('POST', '/api/channels', {
    ...{ name: 'trace', type: 'webhook' },
    parameters: { url: `http://127.0.0.1:${(chat.address() as AddressInfo).port}/told`, secret: 'a-webhook-secret' },
  })
  await admin('POST', '/api/receivers', { name: 'default', targets: [{ channel_id: channel.id }] })
  await admin('PUT', '/api/alerts/routing', {
    route: { receiver: 'default', group_by: ['...'], group_wait: '1s', group_interval: '2s', repeat_interval: '4h' },
  })
  const refuse = { error: { status: 401 } }
  const locked = await stage.upstream('openai', refuse, refuse)
  const model = await stage.serve(locked)
  const heard: Json[] = []
  await serve('teller', async ({ request, response, hub }) => {
    heard.push(request.headers)
    const asking = hub.chat({ model, messages: [{ role: 'user', content: 'Hello' }] })
    sendJson(response, 502, { said: await asking.then(String, (error: Error) => error.message) })
  })

  // One refusal may be a moment of the vendor's; the second is the end of the key, and this is whose trace it is.
  await call('/api/teller/tell', newTraceId())
  const traceId = newTraceId()
  const ofTrace = new RegExp(`^00-${traceId}-[0-9a-f]{16}-01$`)
  const curl = promisify(execFile)
  const { stdout } = await curl('curl', [
    ...['-s', '-D', '-', '-o', '/dev/null', `${stage.hub.url}/api/teller/tell`],
    ...['-H', `authorization: Bearer ${stage.apiKey}`, '-H', `traceparent: 00-${traceId}-${callerSpan}-01`],
  ])
  expect(stdout).toMatch(new RegExp(`^x-trace-id: ${traceId}\r$`, 'im'))
  expect(heard.at(-1)!.traceparent).toMatch(ofTrace)
  expect(locked.requests.at(-1)!.headers.traceparent).toMatch(ofTrace)
  expect(await stage.hub.logs(`&trace_id=${traceId}`)).toMatchObject([{ model_asked: model, status: 424 }])
  const line = stage.hub.lines.find((each) => each.includes(traceId) && each.includes('no longer accepts its key'))
  expect(JSON.parse(line ?? '{}')).toMatchObject({ trace_id: traceId, level: 'ERROR' })
  await until('somebody was told', () => told.some(({ body }) => JSON.stringify(body).includes('ProviderKeyDied')))
  const { headers, body } = told.find((each) => JSON.stringify(each.body).includes('ProviderKeyDied'))!
  expect(headers.traceparent).toMatch(ofTrace)
  expect(body).toMatchObject({ traceId, alerts: [{ annotations: { trace_id: traceId } }] })
  await until('the delivery stands in its ledger', async () => {
    const { data } = await admin('GET', `/api/deliveries?trace_id=${traceId}`)
    return data.length === 1 && data[0].state === 'delivered'
  })
  chat.close()
})

test('what the log says of a request has its trace, when something breaks', async () => {
  await serve('breaker', async ({ response }) => {
    response.destroy()
  })
  const traceId = newTraceId()
  const answer = await call('/api/breaker/x', traceId)
  expect([answer.status, ((await answer.json()) as Json).trace_id]).toEqual([502, traceId])
  await until('the log has told of it', () => stage.hub.lines.some((line) => line.includes(traceId)))
  const line = stage.hub.lines.find((each) => each.includes(traceId))!
  expect(JSON.parse(line)).toMatchObject({ trace_id: traceId, msg: expect.stringContaining('breaker') })
  const spans = await collector.trace(traceId, 'GET /api/breaker/*')
  const tries = spans.filter(({ name }) => name === 'GET breaker')
  expect(tries.map(({ status }) => status.code)).toEqual([2, 2])
  expect(new Set(tries.map(({ spanId }) => spanId)).size).toBe(2)
  expect(spans.some(({ name }) => name === 'GET /api/breaker/*')).toBe(true)
  expect(stage.hub.lines.join('')).not.toContain('collector-secret-0123')
})

test('a call of a plugin that is tried twice is two spans: both tries once had one id', async () => {
  const heard: string[] = []
  const instances = await Promise.all(
    [503, 503].map(async (status) => {
      const server = createServer((request, response) => {
        if (request.url === '/health') return response.writeHead(200).end('{}')
        heard.push(String(request.headers.traceparent))
        return response.writeHead(heard.length === 1 ? status : 200).end('{}')
      })
      server.listen(0, '127.0.0.1')
      await once(server, 'listening')
      return server
    }),
  )
  const { token } = await stage.hub.admin('POST', '/api/registry/tokens', { service: 'pair', uses: 2 })
  let serviceToken = token
  for (const [at, server] of instances.entries()) {
    const registered = await fetch(`${stage.hub.url}/api/registry/register`, {
      method: 'POST',
      headers: { authorization: `Bearer ${serviceToken}`, 'content-type': 'application/json' },
      body: JSON.stringify({
        ...{ name: 'pair', version: '1.0.0', host: '127.0.0.1', port: (server.address() as AddressInfo).port },
        ...{ instance_id: `pair-${at}`, health_check_url: '/health', ephemeral: false, endpoints: [] },
      }),
    })
    const told = (await registered.json()) as Json
    serviceToken = told.service_token ?? serviceToken
  }
  const traceId = newTraceId()
  await until('both are routed to', async () => {
    heard.length = 0
    const answer = await call('/api/pair/x', traceId)
    await answer.text()
    return heard.length === 2
  })
  expect(new Set(heard).size).toBe(2)
  const tries = (await collector.trace(traceId, 'GET /api/pair/*')).filter(({ name }) => name === 'GET pair')
  const told = tries.map(({ spanId }) => spanId)
  for (const each of heard) expect(told).toContain(each.slice(36, 52))
  for (const server of instances) server.close()
})

test('what its caller does not keep, nobody keeps, and those behind are told so', async () => {
  const fake = await stage.upstream('openai', {})
  const model = await stage.serve(fake)
  const traceId = newTraceId()
  const headers = { b3: `${traceId}-${callerSpan}-0` }
  const answer = await stage.ask({ model }, { headers })
  expect([answer.status, answer.headers.get('x-trace-id')]).toEqual([200, traceId])
  expect(fake.requests[0]!.headers.traceparent).toMatch(new RegExp(`^00-${traceId}-[0-9a-f]{16}-00$`))
  // Its neighbour's spans have come: so would its own.
  const kept = newTraceId()
  await stage.ask({ model }, { headers: { b3: `${kept}-${callerSpan}-1` } })
  await collector.trace(kept, 'POST /v1/chat/completions')
  expect(collector.spans.filter((span) => span.traceId === traceId)).toEqual([])
})

test('where content is asked for, a span holds what was said, streamed or not, within its bound', async () => {
  const open = await openStage({
    ...{ 'tracing.otlp_url': collector.url, 'tracing.interval_seconds': 0.05 },
    ...{ 'tracing.capture_content': true, 'tracing.capture_max_bytes': 600 },
  })
  try {
    const fake = await open.upstream('openai', { answer: { text: 'A quiet answer' } }, { answer: { text: 'Live' } })
    const model = await open.serve(fake)
    const messages = [
      { role: 'system', content: 'Be brief' },
      { role: 'user', content: `long ago ${'中'.repeat(400)}` },
      { role: 'assistant', content: 'Yes?' },
      { role: 'user', content: 'Tell me' },
    ]
    for (const stream of [false, true]) {
      const traceId = newTraceId()
      await open.ask({ model, messages, stream }, { headers: { traceparent: `00-${traceId}-${callerSpan}-01` } })
      const { attributes } = find(await collector.trace(traceId, 'POST /v1/chat/completions'), `chat ${model}`)
      const read = (key: string) => JSON.parse(String(attributes[`gen_ai.${key}`])) as Json[]
      const text = (content: string) => [{ type: 'text', content }]
      expect(read('system_instructions')).toEqual(text('Be brief'))
      expect(read('input.messages')).toEqual([
        { role: 'assistant', parts: text('Yes?') },
        { role: 'user', parts: text('Tell me') },
      ])
      expect(read('output.messages')).toEqual([
        { role: 'assistant', parts: text(stream ? 'Live' : 'A quiet answer'), finish_reason: 'stop' },
      ])
      expect(attributes['gen_ai.response.time_to_first_chunk']).toEqual(stream ? expect.any(Number) : undefined)
    }
    expect(collector.faults).toEqual([])
  } finally {
    await open.close()
  }
})
