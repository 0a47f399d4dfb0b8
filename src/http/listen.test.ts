import { once } from 'node:events'
import http, { type IncomingMessage, type ServerResponse } from 'node:http'
import net, { type AddressInfo } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { createManualClock, systemClock } from '../kernel/clock.ts'
import { fail } from '../kernel/errors.ts'
import type { Log } from '../platform/log.ts'
import { createMetrics } from '../platform/metrics.ts'
import type { RequestContext } from './context.ts'
import { createServer, type HubServer, type ServerOptions } from './listen.ts'

const quiet: Log = { debug() {}, info() {}, warn() {}, error() {}, critical() {}, child: () => quiet }
const stops: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop()
})

async function open(options: Partial<ServerOptions> = {}) {
  const metrics = createMetrics()
  const server = createServer({
    host: '127.0.0.1',
    port: 0,
    log: quiet,
    metrics,
    clock: systemClock,
    trustedProxies: () => [],
    maxBodyBytes: 1000,
    dataArea: () => 'llm',
    dataPaths(request, response, context) {
      if (request.url !== '/v1/echo') return false
      response.end(JSON.stringify(context))
      return true
    },
    controlApp: { routing: (_, response) => void response.end('control') },
    ...options,
  })
  const { url, port } = await server.listen()
  stops.push(() => server.drain(0))
  return { server, url, port, metrics }
}

async function contextSeen(url: string, headers: Record<string, string> = {}): Promise<RequestContext> {
  return (await fetch(`${url}/v1/echo`, { headers })).json() as Promise<RequestContext>
}

describe('a request', () => {
  test('goes to the data paths first, and to the control app when it is not theirs', async () => {
    const { url } = await open()
    expect((await contextSeen(url)).requestId).toMatch(/^req_[0-9a-z]{26}$/)
    expect(await (await fetch(`${url}/api/x`)).text()).toBe('control')
  })

  test('keeps a well-formed x-request-id beside its own id, and drops any other', async () => {
    const { url } = await open()
    const kept = await contextSeen(url, { 'x-request-id': 'job.7-a_b' })
    expect(kept.callerRequestId).toBe('job.7-a_b')
    expect(kept.requestId).toMatch(/^req_/)
    for (const bad of ['a b', 'x'.repeat(129), '<script>']) {
      expect((await contextSeen(url, { 'x-request-id': bad })).callerRequestId).toBe('')
    }
  })

  test.each([
    [
      'traceparent',
      { traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01', 'x-b3-traceid': 'a'.repeat(32) },
      '4bf92f3577b34da6a3ce929d0e0e4736',
    ],
    [
      'a later traceparent',
      { traceparent: '01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more' },
      '4bf92f3577b34da6a3ce929d0e0e4736',
    ],
    ['b3', { 'x-b3-traceid': '463AC35C9F6413AD48485A3953BB6124' }, '463ac35c9f6413ad48485a3953bb6124'],
    ['short b3', { 'x-b3-traceid': '48485a3953bb6124' }, '000000000000000048485a3953bb6124'],
    [
      'a UUID as request id',
      { 'x-request-id': '4BF92F35-77B3-4DA6-A3CE-929D0E0E4736' },
      '4bf92f3577b34da6a3ce929d0e0e4736',
    ],
  ])('takes its trace id from %s', async (_, headers, expected) => {
    const { url } = await open()
    expect((await contextSeen(url, headers as unknown as Record<string, string>)).traceId).toBe(expected)
  })

  test.each([
    '00-00000000000000000000000000000000-00f067aa0ba902b7-01',
    'ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
    '00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01',
    '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more',
    '00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01',
  ])('makes a trace id of its own for the malformed traceparent %s', async (traceparent) => {
    const { url } = await open()
    const { traceId } = await contextSeen(url, { traceparent })
    expect(traceId).toMatch(/^[0-9a-f]{32}$/)
    expect(traceparent.toLowerCase()).not.toContain(traceId)
  })

  test('that admit refuses reaches nobody', async () => {
    const { url } = await open({ admit: () => fail('setup_required') })
    const answer = await fetch(`${url}/v1/echo`)
    expect(answer.status).toBe(403)
    expect(answer.headers.get('content-type')).toContain('application/problem+json')
    expect(await answer.json()).toMatchObject({ code: 'setup_required' })
  })

  test('may be refused in the shape of its path', async () => {
    const { url } = await open({
      admit: () => fail('setup_required'),
      refuse(error, request, response) {
        if (!request.url?.startsWith('/v1/')) return false
        response.writeHead(error.status).end('{"error":{}}')
        return true
      },
    })
    expect(await (await fetch(`${url}/v1/echo`)).json()).toEqual({ error: {} })
    expect(await (await fetch(`${url}/api`)).json()).toMatchObject({ status: 403 })
  })

  test('that declares too large a body is refused before it sends it', async () => {
    const { url } = await open()
    const answer = await fetch(`${url}/v1/echo`, { method: 'POST', body: 'x'.repeat(1001) })
    expect(answer.status).toBe(413)
    expect(await answer.json()).toMatchObject({ code: 'body_too_large' })
  })

  test('whose handler throws is answered 500 and does not stop the server', async () => {
    const { url } = await open({
      dataPaths() {
        throw new Error('secret story')
      },
    })
    const answer = await fetch(url)
    expect(answer.status).toBe(500)
    expect(await answer.text()).not.toContain('secret story')
    expect((await fetch(url)).status).toBe(500)
  })

  test('that is no HTTP gets a problem and a closed connection', async () => {
    const { port } = await open()
    const socket = net.connect(port, '127.0.0.1').setEncoding('utf8')
    let text = ''
    socket.on('data', (chunk) => {
      text += chunk
    })
    socket.write('GET / HTTP/1.1\r\nhost: a\r\nbad header\r\n\r\n')
    await once(socket, 'close')
    expect(text).toMatch(/^HTTP\/1\.1 400 .*application\/problem\+json/s)
  })
})

describe('a taken port', () => {
  test('is explained by the process that holds it and the way out', async () => {
    const holder = http.createServer().listen(0, '127.0.0.1')
    await once(holder, 'listening')
    stops.push(() => new Promise((resolve) => holder.close(resolve)))
    const { port } = holder.address() as AddressInfo
    const failure = await open({ port }).then(
      () => null,
      (error: Error) => error,
    )
    expect(failure?.message).toContain(`127.0.0.1:${port}`)
    expect(failure?.message).toContain(`process ${process.pid} (`)
    expect(failure?.message).toContain('--port')
  })
})

describe('drain', () => {
  /** A server whose answers end when told. */
  async function openHeld(options: Partial<ServerOptions> = {}) {
    const held: ServerResponse[] = []
    const waiting: (() => void)[] = []
    const opened = await open({
      dataPaths(request: IncomingMessage, response) {
        if (request.url === '/quick') return false
        response.write('first')
        held.push(response)
        for (const resolve of waiting.splice(0)) resolve()
        return true
      },
      ...options,
    })
    const arrival = () => (held.length > 0 ? Promise.resolve() : new Promise<void>((resolve) => waiting.push(resolve)))
    return { ...opened, held, arrival }
  }

  test('lets an answer under way finish and cuts nothing', async () => {
    const { server, url, held, arrival, metrics } = await openHeld()
    const answer = fetch(url).then((response) => response.text())
    await arrival()
    expect(server.openRequests()).toBe(1)
    expect((await metrics.render()).text).toContain('gatehouse_http_open_requests 1')
    const drained = server.drain(60_000)
    held[0]!.end(' last')
    expect(await answer).toBe('first last')
    expect(await drained).toBe(0)
    await expect(fetch(url)).rejects.toThrow()
  })

  test('cuts what is still open at the limit and says how many', async () => {
    const clock = createManualClock()
    const { server, url, arrival } = await openHeld({ clock })
    const answer = fetch(url).then((response) => response.text())
    const lost = expect(answer).rejects.toThrow()
    await arrival()
    const drained = server.drain(5000)
    await clock.advance(5000)
    expect(await drained).toBe(1)
    await lost
  })

  test('refuses a request that arrives after it began', async () => {
    const { server, port, held, arrival, url } = await openHeld({
      controlApp: { routing: (_, response) => void response.end('quick') },
    })
    const answer = fetch(`${url}/held`).then((response) => response.text())
    await arrival()
    const socket = net.connect(port, '127.0.0.1').setEncoding('utf8')
    // The head of the second request is half there before the drain begins.
    socket.write('GET /quick HTTP/1.1\r\nhost: a\r\n\r\nGET /again HTTP/1.1\r\n')
    expect((await once(socket, 'data'))[0]).toContain('quick')
    const drained = server.drain(60_000)
    socket.write('host: a\r\n\r\n')
    const [refusal] = await once(socket, 'data')
    expect(refusal).toMatch(/^HTTP\/1\.1 503 /)
    expect(refusal).toMatch(/retry-after: 1/i)
    expect(refusal).toMatch(/connection: close/i)
    held[0]!.end()
    expect(await answer).toBe('first')
    expect(await drained).toBe(0)
  })

  test('resolves at once when nothing is open', async () => {
    const { server }: { server: HubServer } = await open()
    expect(await server.drain(60_000)).toBe(0)
  })
})
