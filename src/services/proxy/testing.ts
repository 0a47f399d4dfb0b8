import http, { type IncomingMessage } from 'node:http'
import net, { type AddressInfo, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'
import { createServer } from '../../http/listen.ts'
import { systemClock } from '../../kernel/clock.ts'
import type { Principal } from '../../kernel/principal.ts'
import { createMemoryCounter } from '../../platform/counter/memory.ts'
import type { LogFields } from '../../platform/log.ts'
import { createMetrics } from '../../platform/metrics.ts'
import { createSecrets } from '../../platform/secrets.ts'
import { silentLog } from '../../platform/testing.ts'
import type { Directory, DirectoryService, Instance, ServiceEndpoint } from '../directory.ts'
import { type ServiceProxyConfig, serviceProxyConfig } from './config.ts'
import { type CallRecord, createServiceProxy, type ServiceProxyOptions } from './index.ts'

/** A directory that a test writes, as the registry would. */
export type TestDirectory = Directory & {
  put(service: DirectoryService): void
  remove(name: string): void
}

export function createTestDirectory(services: readonly DirectoryService[] = []): TestDirectory {
  const byName = new Map(services.map((service) => [service.name, service]))
  const listeners = new Set<(name: string) => void>()
  const tell = (name: string) => {
    for (const listener of listeners) listener(name)
  }
  return {
    find: (nameOrId) => byName.get(nameOrId) ?? [...byName.values()].find(({ id }) => id === nameOrId),
    list: () => [...byName.values()],
    onChange(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    put(service) {
      byName.set(service.name, service)
      tell(service.name)
    },
    remove(name) {
      byName.delete(name)
      tell(name)
    },
  }
}

export function testInstance(port: number, over: Partial<Instance> = {}): Instance {
  return {
    ...{ id: `ins_${port}`, host: '127.0.0.1', port, weight: 100, state: 'passing', version: '1.0.0', tags: [] },
    ...over,
  }
}

export function testEndpoint(path: string, over: Partial<ServiceEndpoint> = {}): ServiceEndpoint {
  return { method: '*', path, requiredRoles: [], isPublic: false, rateLimit: null, ...over }
}

export type ServiceInput = Partial<Omit<DirectoryService, 'routing'>> & {
  routing?: Partial<DirectoryService['routing']>
}

/** A service that anybody may call, unless said otherwise. */
export function testService(instances: readonly Instance[], { routing, ...over }: ServiceInput = {}): DirectoryService {
  return {
    ...{ id: `svc_${over.name ?? 'demo'}`, name: 'demo', tenantId: 'ten_a', isShared: false, enabled: true },
    ...{ basePath: '/', requiresAuth: false, declaredOnly: false, endpoints: [], instances },
    dependsOn: [],
    routing: {
      ...{ balance: 'weighted_round_robin', hashBy: 'user', retries: 1, canary: null },
      ...{ connectTimeoutMs: 2000, answerTimeoutMs: 20_000, idleTimeoutMs: 20_000 },
      ...routing,
    },
    ...over,
  }
}

export function testPrincipal(over: Partial<Principal> = {}): Principal {
  return {
    ...{ kind: 'api_key', id: 'key_1', role: 'user', tenantId: 'ten_a', userId: 'usr_1', keyId: 'key_1', keyName: 'k' },
    ...{ allowedModels: null, rateLimit: null, tokenLimit: null, concurrencyLimit: null, tags: [] },
    ...{ allowedServices: null, allowedEndpoints: null, service: '' },
    ...over,
  }
}

export type Stage = {
  url: string
  port: number
  directory: TestDirectory
  records: CallRecord[]
  warnings: { message: string; fields: LogFields }[]
  proxy: ReturnType<typeof createServiceProxy>
  metrics(): Promise<string>
  /** What the control app was left to answer. */
  passedOn: string[]
  drain(limitMs: number): Promise<number>
}

export type StageOptions = Partial<ServiceProxyOptions> & {
  settings?: Partial<ServiceProxyConfig>
  trustedProxies?: readonly string[]
}

/** The proxy behind the hub's own edge, as hub.ts puts it there, with a directory of the test's. */
export async function openStage(
  services: readonly DirectoryService[],
  { settings, trustedProxies = [], ...over }: StageOptions = {},
): Promise<Stage> {
  const directory = createTestDirectory(services)
  const records: CallRecord[] = []
  const warnings: Stage['warnings'] = []
  const passedOn: string[] = []
  const clock = over.clock ?? systemClock
  const metrics = createMetrics({ clock })
  const log = { ...silentLog, warn: (message: string, fields = {}) => void warnings.push({ message, fields }) }
  const proxy = createServiceProxy(
    {
      directory,
      authenticate: () => null,
      isReserved: (name) => name === 'auth' || name === 'v1',
      isEnabledFor: () => true,
      counter: createMemoryCounter({ clock }),
      secrets: createSecrets(Buffer.alloc(32, 7)),
      corsOrigins: () => [],
      clock,
      log: { ...log, child: () => log },
      metrics,
      onCall: (record) => records.push(record),
      ...over,
    },
    serviceProxyConfig.parse(settings ?? {}),
  )
  const server = createServer({
    ...{
      host: '127.0.0.1',
      port: 0,
      log: silentLog,
      metrics,
      clock,
      trustedProxies: () => trustedProxies,
      maxBodyBytes: 32 << 20,
    },
    bodyLimit: (request) => proxy.bodyLimit(request) ?? 32 << 20,
    dataArea: () => 'services',
    dataPaths: proxy.serve,
    upgrades: proxy.upgrades,
    controlApp: {
      routing(request, response) {
        passedOn.push(request.url ?? '')
        response.writeHead(404).end('control')
      },
    },
  })
  const { url, port } = await server.listen()
  onTestFinished(async () => {
    await server.drain(0)
    await proxy.stop()
  })
  return {
    ...{ url, port, directory, records, warnings, proxy, passedOn, drain: server.drain },
    async metrics() {
      return (await metrics.render()).text
    },
  }
}

/** A plugin: a node server on a free port. */
export async function startPlugin(
  answer: http.RequestListener,
  options: http.ServerOptions = {},
): Promise<{ port: number; server: http.Server }> {
  const server = http.createServer(options, answer)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })
  return { port: (server.address() as AddressInfo).port, server }
}

/** A plugin that answers whatever bytes the test writes. */
export async function startRaw(onConnection: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>()
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    onConnection(socket)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy()
    await new Promise((resolve) => server.close(resolve))
  })
  return (server.address() as AddressInfo).port
}

/** Calls `onHead` with the head of each request that comes in on a socket without pipelining or bodies. */
export function onHead(socket: Socket, answer: (head: string) => void): void {
  let text = ''
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1')
    const end = text.indexOf('\r\n\r\n')
    if (end === -1) return
    const head = text.slice(0, end)
    text = text.slice(end + 4)
    answer(head)
  })
}

export type RawAnswer = {
  /** Everything up to the blank line of the final answer. */
  head: string
  status: number
  /** As sent, one a line, in order. */
  headers: [name: string, value: string][]
  /** Chunks put together. */
  body: Buffer
  trailers: string[]
  /** False when chunks ended without their last one. */
  isWhole: boolean
  /** How the connection ended. */
  end: 'open' | 'closed' | 'reset'
  /** Informational answers before it. */
  early: string[]
}

/** Sends raw bytes and reads until `isDone` or the connection ends. */
export function rawExchange(
  port: number,
  sent: string | Buffer,
  isDone: (bytes: Buffer) => boolean = () => false,
): Promise<{ bytes: Buffer; end: RawAnswer['end'] }> {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1')
    const chunks: Buffer[] = []
    let end: RawAnswer['end'] = 'closed'
    socket.write(sent)
    socket.on('data', (chunk: Buffer) => {
      chunks.push(chunk)
      if (!isDone(Buffer.concat(chunks))) return
      end = 'open'
      socket.destroy()
    })
    socket.on('error', () => {
      end = 'reset'
    })
    socket.on('close', () => resolve({ bytes: Buffer.concat(chunks), end }))
  })
}

/** Asks for one thing on a connection of its own that the server closes, and takes the answer apart. */
export async function ask(port: number, request: string | Buffer): Promise<RawAnswer> {
  const { bytes, end } = await rawExchange(port, request)
  let rest = bytes
  const early: string[] = []
  for (;;) {
    const at = rest.indexOf('\r\n\r\n')
    const head = rest.subarray(0, at).toString('latin1')
    const status = Number(head.slice(9, 12))
    rest = rest.subarray(at + 4)
    if (status >= 100 && status < 200 && status !== 101) {
      early.push(head)
      continue
    }
    const headers = head
      .split('\r\n')
      .slice(1)
      .map((line): [string, string] => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()])
    const isChunked = headers.some(([name, value]) => /^transfer-encoding$/i.test(name) && /chunked/i.test(value))
    const body = isChunked ? dechunk(rest) : { bytes: rest, trailers: [], isWhole: true }
    return { head, status, headers, body: body.bytes, trailers: body.trailers, isWhole: body.isWhole, end, early }
  }
}

function dechunk(bytes: Buffer): { bytes: Buffer; trailers: string[]; isWhole: boolean } {
  const pieces: Buffer[] = []
  let at = 0
  for (;;) {
    const end = bytes.indexOf('\r\n', at)
    const size = end === -1 ? Number.NaN : Number.parseInt(bytes.subarray(at, end).toString('latin1'), 16)
    if (Number.isNaN(size)) return { bytes: Buffer.concat(pieces), trailers: [], isWhole: false }
    if (size === 0) {
      const trailers = bytes
        .subarray(end + 2)
        .toString('latin1')
        .split('\r\n')
        .filter((line) => line !== '')
      return { bytes: Buffer.concat(pieces), trailers, isWhole: bytes.subarray(-4).equals(Buffer.from('\r\n\r\n')) }
    }
    pieces.push(bytes.subarray(end + 2, end + 2 + size))
    at = end + 2 + size + 2
  }
}

export function valuesOf({ headers }: RawAnswer, name: string): string[] {
  return headers.filter(([each]) => each.toLowerCase() === name).map(([, value]) => value)
}

/** A GET as text, closing its connection. */
export function get(path: string, headers: readonly string[] = [], method = 'GET'): string {
  return `${[`${method} ${path} HTTP/1.1`, 'Host: hub.test', 'Connection: close', ...headers].join('\r\n')}\r\n\r\n`
}

/** What a plugin saw of a request: its line and headers as they came. */
export function echo(request: IncomingMessage): { method: string; url: string; headers: [string, string][] } {
  const headers: [string, string][] = []
  for (let i = 0; i < request.rawHeaders.length; i += 2) {
    headers.push([request.rawHeaders[i]!, request.rawHeaders[i + 1]!])
  }
  return { method: request.method ?? '', url: request.url ?? '', headers }
}
