import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type RequestListener } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createServer as createTlsServer } from 'node:tls'
import { createServer as createMysqlServer } from 'mysql2'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { WebSocketServer } from 'ws'
import { createManualClock } from '../../kernel/clock.ts'
import { createUpstreams } from '../../platform/fetch.ts'
import { describeWithRedis, redisUrl, silentLog } from '../../platform/testing.ts'
import { probes } from './index.ts'
import { type ProbeContext, reasons } from './probe.ts'
import { certificate, runProbe } from './testing.ts'

/** 127.0.0.1 may be asked, 127.0.0.2 is inside and may not. */
const way = createUpstreams({ allow: ['127.0.0.1/32'], connectTimeoutMs: 1000, log: silentLog })
const inside = '127.0.0.2'
const closers: (() => unknown)[] = [() => way.close(0)]
const folder = mkdtempSync(join(tmpdir(), 'gatehouse-certs-'))
afterAll(async () => {
  for (const close of closers.reverse()) await close()
  rmSync(folder, { recursive: true, force: true })
})

async function listen(server: Server, host = '127.0.0.1'): Promise<number> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve) => server.listen(0, host, resolve))
  closers.push(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

const serve = (answer: RequestListener, host?: string) => listen(createServer(answer), host)
const talk = (greet: (socket: Socket) => void) => listen(createTcpServer(greet))

/** Answers each command alike. */
const sayRedis = (word: string) =>
  talk((socket) => {
    socket.on('data', (chunk) => {
      const commands = String(chunk).match(/^\*/gm)?.length ?? 1
      socket.write(`+${word}\r\n`.repeat(commands))
    })
  })

/** Speaks MySQL's protocol: knows one account and answers every statement with 1. */
async function sayMysql(): Promise<number> {
  const server = (createMysqlServer as unknown as () => unknown)() as {
    on(name: string, hear: (connection: never) => void): void
    _server: Server
  }
  server.on('connection', (connection: Record<string, (...given: unknown[]) => void>) => {
    connection.on!('error', () => {})
    connection.serverHandshake!({
      ...{
        protocolVersion: 10,
        serverVersion: '8.0.0',
        connectionId: 1,
        statusFlags: 2,
        characterSet: 33,
        capabilityFlags: 0xffffff ^ 0x800,
      },
      authCallback: ({ user }: { user: string }, done: (error: null, refusal?: object) => void) =>
        done(null, user === 'nobody' ? undefined : { message: 'Access denied for hunter22', code: 1045 }),
    })
    connection.on!('query', () => {
      // Each command begins anew.
      Object.assign(connection, { sequenceId: 1 })
      connection.writeTextResult!(
        [{ one: '1' }],
        [
          {
            ...{ catalog: 'def', schema: '', table: '', orgTable: '', name: 'one', orgName: '', characterSet: 33 },
            ...{ columnLength: 1, columnType: 253, flags: 0, decimals: 0 },
          },
        ],
      )
    })
  })
  return await listen(server._server)
}

/** A port where nobody listens. */
async function shutPort(): Promise<number> {
  const server = createTcpServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

const run = (type: string, parameters: object, change: Partial<ProbeContext> = {}) =>
  runProbe(way, type, parameters, change)

const good = { outcome: 'ok', reason: '' }
const bad = (reason: string, message?: RegExp) => ({
  ...{ outcome: 'failed', reason },
  ...(message ? { message: expect.stringMatching(message) } : {}),
})

describe.each(probes.map((probe) => [probe.type, probe] as const))('the check type %s', (type, probe) => {
  test('has a name fit for the API, says what it looks at in both languages, and seals what it has', () => {
    expect(type).toMatch(/^[a-z]+$/)
    expect(probe.describe.en).toMatch(/\.$/)
    expect(probe.describe.zh).toMatch(/。$/)
    const shape = (probe.parameters as unknown as { shape: object }).shape
    for (const secret of probe.secrets) expect(Object.keys(shape)).toContain(secret)
    for (const name of Object.keys(shape)) {
      if (/password|request_headers|request_body|^secrets$/.test(name)) expect(probe.secrets).toContain(name)
    }
  })
})

test('reasons and names are given once', () => {
  expect(new Set(probes.map(({ type }) => type)).size).toBe(probes.length)
  expect(new Set(reasons).size).toBe(reasons.length)
})

/** Each way of asking over the network: how it is asked for a port, and the servers that work and lie to it. */
const network: Record<
  string,
  { at(port: number, host?: string): object; working(): Promise<number>; lying(): Promise<number>; lie: string }
> = {
  http: {
    at: (port, host = '127.0.0.1') => ({ url: `http://${host}:${port}/` }),
    working: () => serve((_q, response) => response.end('fine')),
    lying: () => serve((_q, response) => response.writeHead(500).end('fine')),
    lie: 'status',
  },
  tcp: {
    at: (port, host = '127.0.0.1') => ({ host, port, expect: 'ready' }),
    working: () => talk((socket) => void socket.write('are you ready?')),
    lying: () => talk((socket) => void socket.end('never')),
    lie: 'answer',
  },
  smtp: {
    at: (port, host = '127.0.0.1') => ({ host, port }),
    working: () =>
      talk((socket) => {
        socket.write('220 mail ready\r\n')
        socket.on(
          'data',
          (chunk) => void socket.write(String(chunk).startsWith('QUIT') ? '221 bye\r\n' : '250-mail\r\n250 OK\r\n'),
        )
      }),
    lying: () => talk((socket) => void socket.write('554 no service\r\n')),
    lie: 'answer',
  },
  sse: {
    at: (port, host = '127.0.0.1') => ({ url: `http://${host}:${port}/` }),
    working: () =>
      serve((_q, response) =>
        response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: hello\n\n'),
      ),
    lying: () => serve((_q, response) => response.writeHead(200, { 'content-type': 'application/json' }).end('{}')),
    lie: 'header',
  },
  websocket: {
    at: (port, host = '127.0.0.1') => ({ url: `ws://${host}:${port}/`, send: 'ping', expect: 'pong' }),
    async working() {
      const server = createServer()
      new WebSocketServer({ server }).on('connection', (socket) => socket.on('message', () => socket.send('pong')))
      return await listen(server)
    },
    lying: () => serve((_q, response) => response.end('no socket')),
    lie: 'status',
  },
  suite: {
    at: (port, host = '127.0.0.1') => ({ steps: [{ name: 'look', url: `http://${host}:${port}/` }] }),
    working: () => serve((_q, response) => response.end('fine')),
    lying: () => serve((_q, response) => response.writeHead(500).end('fine')),
    lie: 'step',
  },
  postgres: {
    at: (port, host = '127.0.0.1') => ({ host, port, user: 'nobody' }),
    working: async () => 0,
    lying: () => talk((socket) => void socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')),
    lie: '',
  },
  mysql: {
    at: (port, host = '127.0.0.1') => ({ host, port, user: 'nobody', expect: '1' }),
    working: sayMysql,
    lying: () => talk((socket) => void socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')),
    lie: '',
  },
  redis: {
    at: (port, host = '127.0.0.1') => ({ host, port }),
    working: () => sayRedis('PONG'),
    lying: () => sayRedis('SURE'),
    lie: 'answer',
  },
}

describe.each(Object.entries(network))('%s against a server that', (type, { at, working, lying, lie }) => {
  test('works is in order', async () => {
    const port = await working()
    // Real ones have tests of their own.
    if (port !== 0) expect(await run(type, at(port))).toMatchObject(good)
  })

  test('refuses is unreachable', async () => {
    const found = await run(type, at(await shutPort()))
    expect(found).toMatchObject({ outcome: 'failed', reason: type === 'suite' ? 'step' : 'unreachable' })
    expect(found.message).toContain('ECONNREFUSED')
  })

  test('stalls runs into its time, and not beyond', async () => {
    const port = await talk(() => {})
    const begun = performance.now()
    const found = await run(type, at(port), { timeoutMs: 300 })
    expect(found).toMatchObject({ outcome: 'failed', reason: type === 'suite' ? 'step' : 'timeout' })
    expect(performance.now() - begun).toBeLessThan(5000)
  })

  test('lies is found out', async () => {
    const found = await run(type, at(await lying()))
    expect(found.outcome).toBe('failed')
    if (lie !== '') expect(found.reason).toBe(lie)
  })

  test('stands inside is refused, by address and by name', async () => {
    const port = await shutPort()
    expect(await run(type, at(port, inside))).toMatchObject(bad('refused_address', /loopback/))
    expect(await run(type, at(port, '169.254.169.254'))).toMatchObject(bad('refused_address', /metadata/))
  })
})

describe('http', () => {
  const url = async (answer: RequestListener) => `http://127.0.0.1:${await serve(answer)}/`

  test('follows a redirect, and refuses one that leads inside', async () => {
    const secret = await serve((_q, response) => response.end('secret'), inside)
    const target = await url((_q, response) => response.end('fine'))
    const to = (location: string) => url((_q, response) => response.writeHead(302, { location }).end())
    expect(await run('http', { url: await to(target) })).toMatchObject({ ...good, observed: { redirects: 1 } })
    expect(await run('http', { url: await to(`http://${inside}:${secret}/`) })).toMatchObject(
      bad('refused_address', /Redirects to 127\.0\.0\.2/),
    )
    expect(await run('http', { url: await to('http://169.254.169.254/latest/meta-data') })).toMatchObject(
      bad('refused_address'),
    )
    expect(await run('http', { url: await to('file:///etc/passwd') })).toMatchObject(bad('redirect'))
    expect(await run('http', { url: await to(target), max_redirects: 0, status: ['302'] })).toMatchObject(good)
  })

  test('sends no secret where a redirect leads to another origin', async () => {
    let seen: string | undefined = 'never asked'
    const other = await url((request, response) => {
      seen = request.headers['x-key'] as string | undefined
      response.end()
    })
    const from = await url((_q, response) => response.writeHead(307, { location: other }).end())
    expect(await run('http', { url: from, request_headers: { 'x-key': 'hunter22' } })).toMatchObject(good)
    expect(seen).toBe(undefined)
  })

  test('judges status, header, body, JSON and size, and says which it was', async () => {
    const at = await url((_q, response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'x-version': '1.2.3' })
      response.end(JSON.stringify({ status: 'ok', queue: { length: 5 }, nodes: [{ name: 'a' }, { name: 'b' }] }))
    })
    const json = (path: string, is: string, value?: unknown) => ({
      json: [{ path, is, ...(value === undefined ? {} : { value }) }],
    })
    const table: [object, object][] = [
      [{ status: ['200-204', '3xx'] }, good],
      [{ status: ['201'] }, bad('status', /Answers 200, expected 201/)],
      [{ headers: { 'X-Version': '^1\\.' } }, good],
      [{ headers: { 'X-Version': '^2' } }, bad('header')],
      [{ headers: { 'x-none': '.' } }, bad('header', /missing/)],
      [{ body: '"status":\\s*"ok"' }, good],
      [{ body: 'broken' }, bad('body')],
      [{ body_absent: 'queue' }, bad('body')],
      [json('$.status', 'equal', 'ok'), good],
      [json('$.nodes[-1].name', 'equal', 'b'), good],
      [json('$.queue.length', 'less', 5), bad('json')],
      [json('$.queue.length', 'greater', 4), good],
      [json("$['nodes'][0]['name']", 'matching', '^[a-c]$'), good],
      [json('$.constructor', 'absent'), good],
      [json('$.nope', 'present'), bad('json')],
      [{ max_bytes: 10 }, bad('too_large')],
    ]
    for (const [expected, finding] of table)
      expect([expected, await run('http', { url: at, ...expected })]).toMatchObject([expected, finding])
  })

  test('a pattern that would take for ever elsewhere takes a moment', async () => {
    const at = await url((_q, response) => response.end('a'.repeat(20_000)))
    expect(await run('http', { url: at, body: '(a*)*b' }, { timeoutMs: 20_000 })).toMatchObject(bad('body'))
  })

  test('an expired certificate is found, over a connection of its own each time', async () => {
    const port = await listen(
      createHttpsServer(certificate(folder, 'expired-http', -30, -3), (_q, response) => response.end('fine')),
    )
    const found = await run('http', { url: `https://127.0.0.1:${port}/` }, { timeoutMs: 3000 })
    expect(found).toMatchObject(bad('certificate'))
  })
})

describe('tls', () => {
  let ports: Record<string, number>
  beforeAll(async () => {
    const open = (name: string, from: number, to: number) =>
      listen(
        createTlsServer(certificate(folder, name, from, to), (socket) =>
          socket.on('error', () => {}),
        ) as unknown as Server,
      )
    ports = {
      good: await open('good', -1, 90),
      soon: await open('soon', -1, 10),
      verySoon: await open('verysoon', -1, 3),
      expired: await open('expired', -30, -3),
      future: await open('future', 5, 30),
    }
  })
  const at = (name: string, more: object = {}) =>
    run(
      'tls',
      { host: '127.0.0.1', port: ports[name], server_name: 'localhost', allow_untrusted: true, ...more },
      { timeoutMs: 3000 },
    )

  test('warns, fails and tells how long a certificate is good', async () => {
    expect(await at('good')).toMatchObject({
      ...good,
      observed: { daysLeft: expect.any(Number), subject: 'localhost' },
    })
    expect(await at('soon')).toMatchObject({ outcome: 'warn', reason: 'certificate' })
    expect(await at('verySoon')).toMatchObject(bad('certificate', /runs out in [23]/))
    expect(await at('expired')).toMatchObject(bad('certificate', /ran out 3 days ago/))
    expect(await at('future')).toMatchObject(bad('certificate', /not valid yet/))
  })

  test('a certificate of nobody is not trusted unless that is said', async () => {
    expect(await at('good', { allow_untrusted: false })).toMatchObject(bad('certificate', /not trusted/))
  })

  test('refuses, stalls, speaks something else, stands inside', async () => {
    const to = (port: number, host = '127.0.0.1') => run('tls', { host, port }, { timeoutMs: 300 })
    expect(await to(await shutPort())).toMatchObject(bad('unreachable'))
    expect(await to(await talk(() => {}))).toMatchObject(bad('timeout'))
    expect((await to(await talk((socket) => void socket.end('hello')))).outcome).toBe('failed')
    expect(await to(443, inside)).toMatchObject(bad('refused_address'))
  })
})

test('smtp sends a password only encrypted', () => {
  const { parameters } = probes.find(({ type }) => type === 'smtp')!
  expect(parameters.safeParse({ host: 'mail', user: 'me', password: 'x' }).success).toBe(false)
})

test('sse waits for the event that is meant, and cuts a stream that never comes to it', async () => {
  const at = (answer: RequestListener) => serve(answer).then((port) => `http://127.0.0.1:${port}/`)
  const two = await at((_q, response) =>
    response
      .writeHead(200, { 'content-type': 'text/event-stream' })
      .write('event: a\ndata: 1\n\nevent: b\ndata: two\n\n'),
  )
  expect(await run('sse', { url: two, event: 'b', data: '^two$' })).toMatchObject(good)
  expect(await run('sse', { url: two, event: 'c' }, { timeoutMs: 300 })).toMatchObject(bad('timeout'))
  const endless = await at((_q, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.write(`data: ${'x'.repeat(600)}\n\n`.repeat(10))
  })
  expect(await run('sse', { url: endless, event: 'c', max_bytes: 2000 })).toMatchObject(bad('too_large'))
})

test('a suite carries what one step brought to the next, tries again, cleans up, and shows no secret', async () => {
  const seen: string[] = []
  let rows = 0
  const port = await serve((request, response) => {
    seen.push(`${request.method} ${request.url}`)
    const json = (status: number, body: object) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
    if (request.headers.authorization !== 'Bearer hunter22') return json(401, {})
    if (request.url === '/register') return json(201, { id: 'svc_1', token: 'tok' })
    if (request.url === '/call/svc_1') return json(200, { cost: 3 })
    if (request.url === '/ledger?service=svc_1') return json(200, { rows: rows++ })
    return json(request.method === 'DELETE' ? 204 : 404, {})
  })
  const base = `http://127.0.0.1:${port}`
  const request_headers = { authorization: 'Bearer {{key}}' }
  const steps = [
    {
      name: 'register',
      method: 'POST',
      url: `${base}/register`,
      request_headers,
      status: ['201'],
      capture: { id: '$.id' },
    },
    { name: 'call', url: `${base}/call/{{id}}`, request_headers, json: [{ path: '$.cost', is: 'greater', value: 0 }] },
    {
      name: 'billed',
      url: `${base}/ledger?service={{id}}`,
      request_headers,
      tries: 3,
      pause_ms: 50,
      json: [{ path: '$.rows', is: 'equal', value: 1 }],
    },
    { name: 'remove', method: 'DELETE', url: `${base}/services/{{id}}`, request_headers, always: true },
  ]
  const secrets = { key: 'hunter22' }
  expect(await run('suite', { steps, secrets }, { timeoutMs: 3000 })).toMatchObject({ ...good, observed: { steps: 4 } })
  expect(seen).toEqual([
    'POST /register',
    'GET /call/svc_1',
    'GET /ledger?service=svc_1',
    'GET /ledger?service=svc_1',
    'DELETE /services/svc_1',
  ])
  const broken = [steps[0], { ...steps[1], json: [{ path: '$.cost', is: 'equal', value: 4 }] }, steps[2], steps[3]]
  const found = await run('suite', { steps: broken, secrets }, { timeoutMs: 3000 })
  expect(found).toMatchObject({ ...bad('step', /^call: \$\.cost/), observed: { step: 'call', why: 'json' } })
  expect(seen.slice(5)).toEqual(['POST /register', 'GET /call/svc_1', 'DELETE /services/svc_1'])
  expect(JSON.stringify(found)).not.toContain('hunter22')
})

describe('push', () => {
  const clock = createManualClock(Date.parse('2026-03-01T12:00:00Z'))
  const at = (lastAt: string | null, parameters: object, status: 'up' | 'down' = 'up') =>
    run('push', parameters, {
      ...{ clock, createdAt: Date.parse('2026-03-01T00:00:00Z') },
      lastPush: lastAt === null ? null : { at: Date.parse(lastAt), status, message: 'told', pingMs: 7 },
    })

  test('a job that is silent for too long is late; one that never called has its time first', async () => {
    expect(await at('2026-03-01T11:59:30Z', { every_seconds: 60 })).toMatchObject({ ...good, latencyMs: 7 })
    expect(await at('2026-03-01T11:58:30Z', { every_seconds: 60, grace_seconds: 60 })).toMatchObject(good)
    expect(await at('2026-03-01T11:57:00Z', { every_seconds: 60 })).toMatchObject(bad('late', /due 120 s ago/))
    expect(await at(null, { every_seconds: 86_400 })).toMatchObject({ outcome: 'unknown' })
    expect(await at(null, { every_seconds: 60 })).toMatchObject(bad('late', /Never/))
    expect(await at('2026-03-01T11:59:30Z', { every_seconds: 60 }, 'down')).toMatchObject(bad('reported', /told/))
  })

  test('one that calls by cron is late by its own zone', async () => {
    // 20:00 in Shanghai is noon in UTC.
    const nightly = { cron: '30 19 * * *', zone: 'Asia/Shanghai', grace_seconds: 600 }
    expect(await at('2026-03-01T11:31:00Z', nightly)).toMatchObject(good)
    expect(await at('2026-02-28T11:31:00Z', nightly)).toMatchObject(bad('late', /due 1800 s ago/))
    expect(await at('2026-02-28T11:31:00Z', { ...nightly, grace_seconds: 3600 })).toMatchObject(good)
  })
})

describe('what the hub knows of itself', () => {
  test('a service has enough instances, or not', async () => {
    const service = (...states: string[]) => ({
      service: () => ({ enabled: true, instances: states.map((state, i) => ({ id: `${i}`, state, weight: 1 })) }),
    })
    expect(await run('service', { service: 'a' })).toMatchObject(bad('absent'))
    expect(await run('service', { service: 'a' }, service('passing', 'critical'))).toMatchObject(good)
    expect(await run('service', { service: 'a', min_passing: 2 }, service('passing', 'critical'))).toMatchObject(
      bad('unhealthy', /1 of 2/),
    )
    expect(await run('service', { service: 'a' }, service('warning'))).toMatchObject({ outcome: 'warn' })
  })

  test('a provider is heard first, asked for free second, and never paid for by a check', async () => {
    let asked = 0
    const seen = (isFailing: boolean, isDoubtful: boolean, list: 'has' | 'none' | 'fails') => ({
      provider: () => ({ isFailing, isDoubtful, canary: 'spent' as const }),
      async askProvider() {
        asked++
        if (list === 'none')
          throw Object.assign(new (await import('../../kernel/errors.ts')).HubError('upstream_refused', 'no list'), {
            status: 404,
          })
        if (list === 'fails') throw new (await import('../../kernel/errors.ts')).HubError('upstream_failed', 'Broken.')
      },
    })
    expect(await run('provider', { provider: 'p' }, seen(false, false, 'fails'))).toMatchObject({
      ...good,
      observed: { by: 'calls' },
    })
    expect(asked).toBe(0)
    expect(await run('provider', { provider: 'p' }, seen(true, true, 'has'))).toMatchObject({
      ...good,
      observed: { by: 'list' },
    })
    expect(await run('provider', { provider: 'p' }, seen(false, true, 'fails'))).toMatchObject(bad('unhealthy'))
    expect(await run('provider', { provider: 'p' }, seen(true, true, 'none'))).toMatchObject(
      bad('unhealthy', /last calls/),
    )
    expect(await run('provider', { provider: 'p' }, seen(false, true, 'none'))).toMatchObject({
      outcome: 'unknown',
      message: expect.stringContaining('used up'),
    })
    expect(await run('provider', { provider: 'p' })).toMatchObject(bad('absent'))
  })

  test('workers that stand still are named', async () => {
    expect(await run('hub', { part: 'workers' })).toMatchObject(good)
    const stalled = () => [{ worker: 'settler', ageMs: 1, allowedMs: 1 }]
    expect(await run('hub', { part: 'workers' }, { stalled })).toMatchObject(bad('unhealthy', /settler/))
  })
})

const postgresUrl = process.env.GATEHOUSE_TEST_POSTGRES_URL ?? ''
;(postgresUrl === '' ? describe.skip : describe)('postgres itself', () => {
  const { hostname, port, username, password, pathname } = new URL(postgresUrl || 'postgres://u:p@localhost:1/d')
  const account = {
    host: hostname,
    port: Number(port || 5432),
    user: decodeURIComponent(username),
    password: decodeURIComponent(password),
    database: pathname.slice(1) || 'postgres',
  }
  const wide = createUpstreams({ allow: ['0.0.0.0/0', '::/0'], connectTimeoutMs: 1000, log: silentLog })
  closers.push(() => wide.close(0))
  const ask = (more: object) => run('postgres', { ...account, ...more }, { way: wide, timeoutMs: 5000 })

  test('answers, refuses a stranger, and is only read', async () => {
    expect(await ask({})).toMatchObject(good)
    expect(await ask({ statement: 'select 40 + 2', expect: '42' })).toMatchObject(good)
    expect(await ask({ statement: 'select 1', expect: '2' })).toMatchObject(bad('answer'))
    expect(await ask({ statement: 'create table t (a int)' })).toMatchObject(bad('refused', /25006/))
    const found = await ask({ database: 'nowhere-hunter22' })
    expect(found).toMatchObject(bad('refused', /3D000/))
    expect(found.message).not.toContain('hunter22')
  })

  test('a statement that takes too long ends on the server too', async () => {
    const found = await run('postgres', { ...account, statement: 'select pg_sleep(30)' }, { way: wide, timeoutMs: 500 })
    expect(found.outcome).toBe('failed')
  })
})

test('mysql tells that an account is refused, and not in the words of the server', async () => {
  const found = await run('mysql', { host: '127.0.0.1', port: await sayMysql(), user: 'somebody' }, { timeoutMs: 3000 })
  expect(found).toMatchObject(bad('refused', /ER_ACCESS_DENIED_ERROR/))
  expect(found.message).not.toContain('hunter22')
})

describeWithRedis('redis itself', () => {
  const { hostname, port } = new URL(redisUrl || 'redis://localhost:1')
  test('answers, and a database it lacks is refused', async () => {
    const wide = createUpstreams({ allow: ['0.0.0.0/0', '::/0'], connectTimeoutMs: 1000, log: silentLog })
    closers.push(() => wide.close(0))
    const at = { host: hostname, port: Number(port) }
    expect(await run('redis', at, { way: wide })).toMatchObject(good)
    expect((await run('redis', { ...at, key: 'no such key', expect: 'x' }, { way: wide })).reason).toBe('answer')
    expect(await run('redis', { ...at, database: '9999' }, { way: wide })).toMatchObject(bad('refused', /ERR/))
  })
})
