import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { expect, onTestFinished } from 'vitest'
import { createControlApp } from '../http/mount.ts'
import { type Clock, createManualClock } from '../kernel/clock.ts'
import { fail } from '../kernel/errors.ts'
import type { AnnouncementName, Announcements } from '../kernel/events.ts'
import type { Principal, Role } from '../kernel/principal.ts'
import { servicesMigration } from '../migrations/0017-services.ts'
import type { Bus } from '../platform/bus/bus.ts'
import { createMemoryBus } from '../platform/bus/memory.ts'
import { openDatabase } from '../platform/database/connect.ts'
import type { Database } from '../platform/database/database.ts'
import { migrate } from '../platform/database/index.ts'
import { silentLog } from '../platform/database/testing-log.ts'
import { createUpstreams } from '../platform/fetch.ts'
import type { Leases } from '../platform/lease/lease.ts'
import { createMemoryLeases } from '../platform/lease/memory.ts'
import { createMetrics } from '../platform/metrics.ts'
import { createSecrets } from '../platform/secrets.ts'
import { type ServicesConfig, servicesConfig } from './config.ts'
import { createServices, type Services, type ServicesTables } from './index.ts'

type ManualClock = ReturnType<typeof createManualClock>

export type RegistryNode = {
  services: Services
  app: FastifyInstance
  database: Database<ServicesTables>
  clock: ManualClock
  /** Every announcement that was heard here, oldest first. */
  heard: { name: AnnouncementName; news: unknown }[]
  metrics(): Promise<string>
  watchers(): number
  /** Stops it as the hub does; a test that does not is helped. */
  stop(): Promise<void>
}

/** The keys of a hub: what identity keeps for all nodes together. */
export type TestKeys = Map<string, Principal>

export type NodeOptions = {
  config?: Partial<ServicesConfig>
  clock?: ManualClock
  keys?: TestKeys
  bus?: Bus
  leases?: Leases
  /** Withdrawing a key fails, as when the store is away at that moment. */
  brokenKeys?: boolean
}

const people: Record<string, Principal> = {
  root: person('super_admin', ''),
  'acme-admin': person('tenant_admin', 'acme'),
  'acme-user': person('user', 'acme'),
  'other-admin': person('tenant_admin', 'other'),
  'other-user': person('user', 'other'),
}

const announcements = [
  'service.changed',
  'service.instance.changed',
  'service.protected',
  'service.openapi.broke',
] as const satisfies AnnouncementName[]

/** A node on the store at `url`, started as the hub does it, with a clock that tests move. */
export async function openRegistryNode(url: string, options: NodeOptions = {}): Promise<RegistryNode> {
  const { clock = createManualClock(), keys = new Map() } = options
  const log = silentLog
  const database = await openDatabase<ServicesTables>({ url, dataDir: '', poolSize: 4, log })
  await migrate(database, [servicesMigration], { log })
  const bus = options.bus ?? createMemoryBus({ log })
  const metrics = createMetrics({ clock })
  const upstreams = createUpstreams({ allow: ['0.0.0.0/0', '::/0'], connectTimeoutMs: 2000, log })
  const heard: RegistryNode['heard'] = []
  for (const name of announcements) bus.on(name, (news: Announcements[typeof name]) => heard.push({ name, news }))
  const services = createServices(
    {
      ...{ db: database.kysely, secrets: createSecrets(Buffer.alloc(32, 7)), bus, clock, log, metrics, upstreams },
      leases: options.leases ?? createMemoryLeases({ clock }),
      serviceTokens: createTestTokens(keys, options.brokenKeys ?? false),
      byServiceCredential: (headers) => {
        const text = readBearer(headers.authorization)
        if (text === null) return null
        const found = keys.get(text)
        if (found === undefined) throw fail('invalid_api_key')
        return found
      },
      assertAddress({ allowedIps }, clientIp) {
        if (allowedIps && !allowedIps.includes(clientIp)) throw fail('forbidden', 'not from there')
      },
      tenantIdOf: async (written) => ({ hub: '', acme: 'acme', other: 'other', 其他: 'other' })[written] ?? null,
      isReserved: (name) => ['keys', 'registry'].includes(name),
      checkAddress() {},
      random: () => 0.5,
    },
    servicesConfig.parse({ ...options.config }),
  )
  await services.start()
  const app = await createControlApp({
    routes: services.routes,
    authenticate(headers) {
      const text = readBearer(headers.authorization)
      if (text === null) return null
      const found = people[text]
      if (found === undefined) throw fail('invalid_credentials')
      return found
    },
    ...{ log, metrics, corsOrigins: () => [], version: '0.0.0', clock: realTime(clock) },
  })
  await app.ready()
  let isStopped = false
  async function stop(): Promise<void> {
    if (isStopped) return
    isStopped = true
    const stopping = services.stop()
    await clock.advance(60_000)
    await stopping
    await app.close()
    await upstreams.close(0)
    await database.close()
  }
  onTestFinished(stop)
  return {
    services,
    app,
    database,
    clock,
    heard,
    stop,
    metrics: async () => (await metrics.render()).text,
    watchers: services.watchers,
  }
}

/** Lets seconds pass as they do: each with its round, which has ended before the next begins. */
export async function pass(node: RegistryNode, seconds: number, each: () => Promise<unknown> = async () => {}) {
  for (let i = 0; i < seconds; i++) {
    await node.clock.advance(1000)
    // The store takes real time: without this ten such seconds may go by while it is asked once, and it counts as away.
    await ask(node, 'POST', '/gateway/refresh-services')
    await node.services.round()
    await each()
  }
}

// biome-ignore lint/suspicious/noExplicitAny: tests read replies as a program without our types would
export type Told = { status: number; body: any; headers: Record<string, unknown>; text: string }

/** Calls the control API; `as` becomes the bearer, '' sends none. */
export async function ask(
  node: Pick<RegistryNode, 'app'>,
  method: 'GET' | 'POST' | 'PUT' | 'DELETE',
  url: string,
  as = 'root',
  payload?: object,
): Promise<Told> {
  const headers = as === '' ? {} : { authorization: `Bearer ${as}` }
  const answer = await node.app.inject({ method, url, headers, ...(payload === undefined ? {} : { payload }) })
  const isJson = String(answer.headers['content-type']).includes('json')
  return {
    status: answer.statusCode,
    body: isJson ? answer.json() : undefined,
    headers: answer.headers,
    text: answer.body,
  }
}

/** The manifest that seed 002's demo plugin sends, on another port. */
export function demoManifest(change: object = {}) {
  return {
    name: 'demo-service',
    display_name: '演示服务',
    description: 'A demo',
    version: '1.0.0',
    host: '127.0.0.1',
    port: 8003,
    base_path: '/',
    service_metadata: { author: 'SAAS Platform', category: 'demo' },
    tags: ['demo', 'example'],
    requires_auth: false,
    endpoints: [{ path: 'items', method: 'GET', description: 'All items', is_public: true }],
    ...change,
  }
}

/** Makes a registration token, registers with it, and returns the service's own token with the reply. */
export async function registerNew(node: RegistryNode, manifest: object = demoManifest(), admin = 'acme-admin') {
  const { name } = manifest as { name: string }
  const token = await ask(node, 'POST', '/api/registry/tokens', admin, { service: name })
  expect(token.status).toBe(201)
  const reply = await ask(node, 'POST', '/api/registry/register', token.body.token, manifest)
  expect({ status: reply.status, text: reply.status === 201 ? '' : reply.text }).toEqual({ status: 201, text: '' })
  return { token: String(reply.body.service_token), reply: reply.body, registrationToken: String(token.body.token) }
}

export type Plugin = { port: number; url: string; asked: string[]; answer: Server; close(): Promise<void> }

/** A plugin over real HTTP; `answer` says what it answers to a path: a status, or a body. */
export async function startPlugin(answer: (path: string) => number | string | null): Promise<Plugin> {
  const asked: string[] = []
  const server = createServer((request, response) => {
    asked.push(request.url ?? '')
    const told = answer(request.url ?? '')
    // Nothing at all: the socket stays open and silent.
    if (told === null) return
    if (typeof told === 'number') response.writeHead(told).end()
    else response.writeHead(200, { 'content-type': 'application/json' }).end(told)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  async function close(): Promise<void> {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
  onTestFinished(close)
  return { port, url: `http://127.0.0.1:${port}`, asked, answer: server, close }
}

function createTestTokens(keys: TestKeys, isBroken: boolean) {
  return {
    async issue({
      tenantId,
      service,
      allowedModels,
    }: {
      tenantId: string
      service: string
      allowedModels: string[] | null
    }) {
      const keyId = `key_${keys.size + 1}_${service}`
      const text = `sk-gh-test-${keyId}`
      keys.set(text, { ...person('user', tenantId), kind: 'api_key', id: keyId, keyId, allowedModels, service })
      return { keyId, text }
    },
    async revoke(keyId: string) {
      if (isBroken) throw fail('unavailable')
      for (const [text, principal] of keys) if (principal.keyId === keyId) keys.delete(text)
    },
  }
}

function person(role: Role, tenantId: string): Principal {
  return {
    ...{ kind: 'user', id: `usr_${role}_${tenantId}`, role, tenantId, userId: `usr_${role}_${tenantId}`, keyId: '' },
    ...{ keyName: '', allowedModels: null, rateLimit: null, tokenLimit: null, concurrencyLimit: null, tags: [] },
    ...{ allowedServices: null, allowedEndpoints: null, service: '' },
  }
}

function readBearer(sent: string | undefined): string | null {
  return sent?.startsWith('Bearer ') ? sent.slice(7) : null
}

/** Requests are timed; that needs a clock and no more. */
function realTime(clock: Clock): Clock {
  return { ...clock, monotonic: () => performance.now() }
}
