import { createServer } from 'node:net'
import { expect, test } from 'vitest'
import { createManualClock, systemClock } from '../../kernel/clock.ts'
import type { Instance } from '../directory.ts'
import {
  ask,
  get,
  onHead,
  openStage,
  type RawAnswer,
  type ServiceInput,
  type StageOptions,
  startPlugin,
  startRaw,
  testInstance,
  testPrincipal,
  testService,
} from './testing.ts'

const detail = (given: RawAnswer): string => JSON.parse(given.body.toString()).detail
const code = (given: RawAnswer): string => JSON.parse(given.body.toString()).code

/** A port on which nothing listens. */
async function deadPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return port
}

async function namedPlugin(name: string, over: Partial<Instance> = {}) {
  const calls: string[] = []
  const plugin = await startPlugin((request, response) => {
    calls.push(`${request.method} ${request.url}`)
    response.end(name)
  })
  return { calls, instance: testInstance(plugin.port, { id: `ins_${name}`, ...over }) }
}

async function open(instances: Instance[], input: ServiceInput = {}, over: StageOptions = {}) {
  const stage = await openStage([testService(instances, input)], over)
  const call = (path = '/', headers: string[] = [], method = 'GET') =>
    ask(stage.port, get(`/api/demo${path}`, headers, method))
  return { stage, call }
}

const timed = () => ({ ...createManualClock(), sleep: systemClock.sleep })

test('who refuses the connection is named, and where it is only to administrators', async () => {
  const port = await deadPort()
  const { call } = await open([testInstance(port)])
  const given = await call()
  expect([given.status, code(given), detail(given)]).toEqual([
    ...[502, 'service_unreachable', `The instance ins_${port} of demo refused the connection.`],
  ])
  for (const [who, isTold] of [
    [testPrincipal(), false],
    [testPrincipal({ role: 'tenant_admin' }), true],
    [testPrincipal({ role: 'tenant_admin', tenantId: 'ten_b' }), false],
    [testPrincipal({ role: 'super_admin', tenantId: '' }), true],
  ] as const) {
    const told = await (await open([testInstance(port)], {}, { authenticate: () => who })).call()
    expect(detail(told).includes(`127.0.0.1:${port}`)).toBe(isTold)
  }
})

test.each([
  ['closes without an answer', '', 502, 'closed the connection'],
  ['answers no HTTP', 'SSH-2.0-OpenSSH_9\r\n', 502, 'not HTTP/1.1'],
  ['changes the protocol unasked', 'HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n', 502, 'not asked'],
  [
    'states two lengths',
    'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx',
    502,
    'before its answer was complete',
  ],
])('an instance that %s', async (_what, bytes, status, reason) => {
  const port = await startRaw((socket) => onHead(socket, () => socket.end(bytes)))
  const { call } = await open([testInstance(port)], { routing: { retries: 0 } })
  const given = await call()
  expect([given.status, detail(given)]).toEqual([status, expect.stringContaining(reason)])
})

test('an instance that begins no answer in time is a 504 that names the timer', async () => {
  const port = await startRaw(() => {})
  const { call } = await open([testInstance(port)], { routing: { answerTimeoutMs: 100, retries: 3 } })
  const given = await call()
  expect([given.status, code(given), detail(given)]).toEqual([
    ...[504, 'service_timeout', `The instance ins_${port} of demo began no answer within 100 ms (answer timeout).`],
  ])
})

test('without instances, or with none that takes calls, a service is 503 and says why', async () => {
  const why = async (...instances: Instance[]) => {
    const given = await (await open(instances)).call()
    expect([given.status, given.head]).toEqual([503, expect.stringContaining('retry-after: 5')])
    return detail(given)
  }
  expect(await why()).toContain('no instance is registered')
  expect(await why(testInstance(1, { state: 'gone' }))).toContain('no instance is registered')
  expect(await why(testInstance(1, { state: 'draining' }))).toContain('draining')
  expect(await why(testInstance(1, { state: 'maintenance' }))).toContain('maintenance')
  expect(await why(testInstance(1, { weight: 0 }))).toContain('weight 0')
})

test('instances that pass are asked before others, and all of them when none does', async () => {
  const [good, warned, bad] = [
    await namedPlugin('good'),
    await namedPlugin('warned', { state: 'warning' }),
    await namedPlugin('bad', { state: 'critical' }),
  ]
  const { call, stage } = await open([bad.instance, good.instance, warned.instance])
  for (let i = 0; i < 6; i++) await call()
  expect([good.calls.length, warned.calls.length, bad.calls.length]).toEqual([3, 3, 0])
  stage.directory.put(testService([bad.instance, { ...good.instance, state: 'draining' }]))
  expect((await call()).body.toString()).toBe('bad')
  expect(await stage.metrics()).toContain('gatehouse_services_proxy_panics_total{service="demo"} 1')
})

test('below the share that is protected, all of them are asked', async () => {
  const [good, ...bad] = [
    await namedPlugin('good'),
    await namedPlugin('one', { state: 'critical' }),
    await namedPlugin('two', { state: 'critical' }),
  ]
  const all = [good!, ...bad]
  const { call } = await open(
    all.map(({ instance }) => instance),
    {},
    { settings: { protect_percent: 50 } },
  )
  for (let i = 0; i < 6; i++) await call()
  expect(all.map(({ calls }) => calls.length)).toEqual([2, 2, 2])
})

test('what never left is tried elsewhere whatever it is, body and all', async () => {
  const good = await namedPlugin('good')
  const dead = testInstance(await deadPort(), { weight: 1000 })
  const { call, stage } = await open([dead, good.instance])
  for (const method of ['GET', 'POST', 'PATCH']) {
    expect((await call('/x', ['Content-Length: 0'], method)).body.toString()).toBe('good')
  }
  const chunked = `${get('/api/demo/', ['Transfer-Encoding: chunked'], 'POST')}5\r\nhello\r\n0\r\n\r\n`
  expect((await ask(stage.port, chunked)).body.toString()).toBe('good')
  expect(stage.records.map(({ attempts, instanceId }) => [attempts, instanceId])).toContainEqual([2, 'ins_good'])
})

test('what was sent is repeated only when doing it twice changes nothing', async () => {
  const asked: string[] = []
  const port = await startRaw((socket) =>
    onHead(socket, (head) => {
      asked.push(head.split(' ')[0]!)
      socket.destroy()
    }),
  )
  const broken = testInstance(port, { weight: 1000 })
  const good = await namedPlugin('good', { weight: 1 })
  const { call } = await open([broken, good.instance], {}, { settings: { eject_after_failures: 1000 } })
  expect((await call('/', [], 'GET')).status).toBe(200)
  expect((await call('/', ['Content-Length: 0'], 'PUT')).status).toBe(200)
  expect((await call('/', ['Content-Length: 0'], 'POST')).status).toBe(502)
  expect(asked).toEqual(['GET', 'PUT', 'POST'])
  expect(good.calls).toEqual(['GET /', 'PUT /'])
})

test('a kept connection that was closed as the call went out is no failure', async () => {
  let connections = 0
  const port = await startRaw((socket) => {
    const isFirst = ++connections === 1
    let calls = 0
    onHead(socket, () => {
      if (isFirst && ++calls === 2) socket.destroy()
      else socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
    })
  })
  const { call } = await open([testInstance(port)])
  for (let i = 0; i < 3; i++) expect((await call()).status).toBe(200)
})

test('an instance that says it takes no work is passed over while another one does', async () => {
  const away = await startPlugin((_request, response) => void response.writeHead(503).end('stopping'))
  const good = await namedPlugin('good')
  const instance = testInstance(away.port, { weight: 1000 })
  const { call, stage } = await open([instance, good.instance])
  expect((await call()).body.toString()).toBe('good')
  stage.directory.put(testService([instance]))
  expect([(await call()).body.toString(), stage.records.at(-1)!.status]).toEqual(['stopping', 503])
})

test('repeats are bounded over all calls of a service', async () => {
  const dead = [testInstance(await deadPort()), testInstance(await deadPort())]
  const settings = { retry_budget_percent: 20, retry_budget_per_second: 0, eject_after_failures: 1000 }
  const { call, stage } = await open(dead, {}, { settings, clock: timed() })
  for (let i = 0; i < 20; i++) expect((await call()).status).toBe(502)
  const retries = stage.records.filter(({ attempts }) => attempts > 1).length
  expect(retries).toBeGreaterThan(1)
  expect(retries).toBeLessThanOrEqual(4)
})

test('an instance whose calls fail in a row is left alone, for longer each time, and comes back', async () => {
  const clock = timed()
  let isBroken = true
  const sick = await startPlugin((_request, response) => void response.writeHead(isBroken ? 500 : 200).end())
  const good = await namedPlugin('good')
  const instances = [testInstance(sick.port, { id: 'ins_sick' }), good.instance]
  const settings = { eject_after_failures: 3, eject_seconds: 10 }
  const { call, stage } = await open(instances, { routing: { retries: 0 } }, { clock, settings })
  const sickShare = async () => {
    const from = stage.records.length
    for (let i = 0; i < 8; i++) await call()
    return stage.records.slice(from).filter(({ instanceId }) => instanceId === 'ins_sick').length
  }
  expect(await sickShare()).toBe(3)
  expect(await sickShare()).toBe(0)
  await clock.advance(1001)
  expect(await stage.metrics()).toContain('gatehouse_services_proxy_ejected{service="demo"} 1')
  expect(stage.warnings.map(({ message }) => message).join()).toContain('The instance ins_sick of demo gets no calls')
  await clock.advance(10_000)
  expect(await sickShare()).toBe(3)
  await clock.advance(11_000)
  expect(await sickShare()).toBe(0)
  await clock.advance(10_000)
  isBroken = false
  expect(await sickShare()).toBe(4)
})

test('never more than the share allowed is left alone: the last ones are asked, sick or not', async () => {
  const sick = await startPlugin((_request, response) => void response.writeHead(500).end())
  const other = await startPlugin((_request, response) => void response.writeHead(500).end())
  const { call, stage } = await open([testInstance(sick.port), testInstance(other.port)], { routing: { retries: 0 } })
  for (let i = 0; i < 40; i++) expect((await call()).status).toBe(500)
  expect(await stage.metrics()).toContain('gatehouse_services_proxy_ejected{service="demo"} 1')
  const alone = await open([testInstance(sick.port)], { routing: { retries: 0 } })
  for (let i = 0; i < 20; i++) expect((await alone.call()).status).toBe(500)
})

test('a canary gets its share of callers, always the same ones, and whoever asks for it', async () => {
  const stable = await namedPlugin('stable')
  const canary = await namedPlugin('canary', { tags: ['next'] })
  const routing = {
    canary: { tag: 'next', percent: 25, header: 'x-canary', headerValue: 'yes' },
  }
  let who = ''
  const { call, stage } = await open(
    [stable.instance, canary.instance],
    { routing },
    {
      authenticate: () => testPrincipal({ id: who }),
    },
  )
  const placeOf = async (id: string, headers: string[] = []) => {
    who = id
    return (await call('/', headers)).body.toString()
  }
  const places: string[] = []
  for (let i = 0; i < 80; i++) places.push(await placeOf(`key_${i}`))
  const share = places.filter((place) => place === 'canary').length
  expect(share).toBeGreaterThan(8)
  expect(share).toBeLessThan(34)
  for (let i = 0; i < 10; i++) expect(await placeOf(`key_${i}`)).toBe(places[i])
  const first = places.indexOf('stable')
  expect(await placeOf(`key_${first}`, ['X-Canary: yes'])).toBe('canary')
  expect(await placeOf(`key_${first}`, ['X-Canary: no'])).toBe('stable')
  stage.directory.put(testService([stable.instance, { ...canary.instance, state: 'critical' }], { routing }))
  expect(await placeOf(`key_${first}`, ['X-Canary: yes'])).toBe('stable')
})

test('an instance that goes is asked no more, while its calls under way come to their end', async () => {
  let finish = () => {}
  const plugin = await startPlugin(
    (_request, response) => {
      response.write('first;')
      finish = () => response.end('last')
    },
    { keepAliveTimeout: 60_000 },
  )
  const { stage } = await open([testInstance(plugin.port)])
  const response = await fetch(`${stage.url}/api/demo/`)
  stage.directory.put(testService([]))
  expect((await ask(stage.port, get('/api/demo/'))).status).toBe(503)
  finish()
  expect(await response.text()).toBe('first;last')
  // The plugin would keep it for a minute.
  const count = () => new Promise<number>((resolve) => plugin.server.getConnections((_error, open) => resolve(open)))
  while ((await count()) > 0) await new Promise((resolve) => setImmediate(resolve))
})

test('addresses that hand out credentials are asked nothing, unless they were opened', async () => {
  for (const host of ['169.254.169.254', 'fe80::1', '[::ffff:169.254.169.254]', '100.100.100.200']) {
    const given = await (await open([testInstance(80, { host: host.replace(/[[\]]/g, '') })])).call()
    expect([given.status, detail(given)]).toEqual([502, expect.stringContaining('service_proxy.allow_link_local')])
  }
  const opened = await open(
    [testInstance(80, { host: 'fe80::1' })],
    { routing: { connectTimeoutMs: 100 } },
    { settings: { allow_link_local: ['fe80::/10'] } },
  )
  expect(detail(await opened.call())).not.toContain('allow_link_local')
})
