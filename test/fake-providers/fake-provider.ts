import { once } from 'node:events'
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Behaviour } from './behaviour.ts'
import { workOutReply } from './reply.ts'
import { type CallControl, send } from './send.ts'
import { type VendorName, vendors } from './vendors/index.ts'
import { isObject, type Json, type Vendor, type VendorRoute } from './vendors/vendor.ts'

export type FakeProviderOptions = {
  kind: VendorName
  /** A vendor that serves the models of `kind` in a way of its own. */
  vendor?: Vendor
  /** The only credential it takes; null takes any and none. */
  apiKey?: string | null
  /** The models it lists. It answers for any name. */
  models?: string[]
  /** Gives out thought signatures and answers 400 when a later turn comes without them, as the vendors do. */
  areSignaturesEnforced?: boolean
}

export type FakeProvider = {
  /** Origin, without a path. */
  url: string
  /** What an operator would enter as this provider's base URL. */
  baseUrl: string
  apiKey: string | null
  /** Every request that arrived, in order, refused ones too. */
  requests: RecordedRequest[]
  /** The `count`-th request (from 1), as soon as it has arrived in full. */
  arrival(count: number): Promise<RecordedRequest>
  /**
   * Sets what happens to the next chat calls: the first behaviour to the first, and so on; the last one stays. None
   * returns to the normal answer.
   */
  behave(...behaviours: Behaviour[]): void
  /** The same for calls whose model name ends so; it goes before `behave`. */
  behaveFor(modelSuffix: string, ...behaviours: Behaviour[]): void
  /** The same for the list of models. */
  behaveOnModels(...behaviours: Behaviour[]): void
  /** Closes every connection, idle ones too, and goes on listening. */
  dropConnections(): void
  close(): Promise<void>
}

export type RecordedRequest = {
  method: string
  /** With its query. */
  path: string
  headers: IncomingHttpHeaders
  rawHeaders: string[]
  body: string
  /** The body read as JSON, null when it is none. */
  json: Json | null
  model: string | null
  /** Same number, same TCP connection. */
  connection: number
  /** Resolves with performance.now() when the peer closed before the answer was complete; else never. */
  aborted: Promise<number>
  /** Lets a call go on that a behaviour holds. */
  release(): void
}

/** Starts a provider on a free port of 127.0.0.1 that behaves like the real vendor until told otherwise. */
export async function startFakeProvider(options: FakeProviderOptions): Promise<FakeProvider> {
  const vendor = options.vendor ?? vendors[options.kind]
  const apiKey = options.apiKey === undefined ? `sk-fake-${options.kind}-canary-7f3d9b` : options.apiKey
  const models = options.models ?? ['fake-large', 'fake-small', 'org/fake-tiny:free']
  const signatures = options.areSignaturesEnforced ? createSignatures() : null
  const scripts = createScripts()
  const log = createRequestLog()
  const connections = new WeakMap<object, number>()
  let connectionCount = 0
  let isDropping = false

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await readBody(request)
    const { pathname, searchParams: query } = new URL(request.url ?? '/', 'http://fake')
    const method = request.method ?? ''
    const path = decodeURIComponent(pathname)
    const route = vendor.route(method, path, query)
    const json = parseObject(body)
    const model = route?.kind === 'chat' ? (route.model ?? stringOf(json?.model)) : null
    const { control, ...watch } = watchCall(response, () => isDropping)
    const { headers, rawHeaders } = request
    const connection = connections.get(request.socket) ?? 0
    log.add({ method, path: request.url ?? '', headers, rawHeaders, body, json, model, connection, ...watch })
    const behaviour = route ? scripts.next(route, model) : {}
    const number = log.requests.length
    const raw = { method, url: request.url ?? '', headers, body, origin: url }
    const facts = {
      kind: options.kind,
      vendor,
      raw,
      number,
      method,
      path,
      query,
      headers,
      route,
      json,
      model,
      behaviour,
    }
    const reply = workOutReply({ ...facts, apiKey, models, signatures, origin: url })
    reply.headers = { ...vendor.headers(`req_fake_${number}`), ...surroundings, ...reply.headers }
    await send(response, reply, behaviour, control)
  }

  /** Sockets report their end later in the same turn or the next, so the mark stays until then. */
  function dropConnections(): void {
    isDropping = true
    server.closeAllConnections()
    setImmediate(() => {
      isDropping = false
    })
  }

  const server = createServer((request, response) => {
    // A request that the peer broke off is no failure of the fake; anything else must be seen, not swallowed.
    handle(request, response).catch((error) => {
      response.destroy()
      if (!request.complete) return
      queueMicrotask(() => {
        throw error
      })
    })
  })
  server.on('connection', (socket) => {
    connectionCount += 1
    connections.set(socket, connectionCount)
  })
  const url = await listen(server)

  return {
    url,
    baseUrl: url + vendor.basePath,
    apiKey,
    requests: log.requests,
    arrival: log.arrival,
    behave: scripts.setForChat,
    behaveFor: scripts.setForSuffix,
    behaveOnModels: scripts.setForModels,
    dropConnections,
    async close() {
      if (!server.listening) return
      const closed = once(server, 'close')
      server.close()
      dropConnections()
      await closed
    },
  }
}

/** What real vendors send along and no caller may see. */
const surroundings = {
  Server: 'fake-edge',
  'Set-Cookie': '__cf_bm=fake-cookie-canary; path=/; HttpOnly',
  'Alt-Svc': 'h3=":443"; ma=86400',
}

function createSignatures() {
  const given = new Set<unknown>()
  return {
    isOurs: (signature: unknown) => given.has(signature),
    give() {
      const signature = Buffer.from(`fake thought ${given.size + 1}`).toString('base64')
      given.add(signature)
      return signature
    },
  }
}

function createScripts() {
  let chat: Behaviour[] = []
  let models: Behaviour[] = []
  const bySuffix = new Map<string, Behaviour[]>()
  const setForChat = (...behaviours: Behaviour[]) => {
    chat = behaviours
  }
  const setForModels = (...behaviours: Behaviour[]) => {
    models = behaviours
  }
  const setForSuffix = (suffix: string, ...behaviours: Behaviour[]) => {
    bySuffix.set(suffix, behaviours)
  }
  function pending(route: VendorRoute, model: string | null): Behaviour[] {
    if (route.kind !== 'chat') return models
    for (const [suffix, behaviours] of bySuffix) if (model?.endsWith(suffix)) return behaviours
    return chat
  }
  function next(route: VendorRoute, model: string | null): Behaviour {
    const behaviours = pending(route, model)
    return (behaviours.length > 1 ? behaviours.shift() : behaviours[0]) ?? {}
  }
  return { setForChat, setForModels, setForSuffix, next }
}

function createRequestLog() {
  const requests: RecordedRequest[] = []
  const waiting = new Map<number, PromiseWithResolvers<RecordedRequest>>()
  function add(request: RecordedRequest): void {
    requests.push(request)
    waiting.get(requests.length)?.resolve(request)
  }
  async function arrival(count: number): Promise<RecordedRequest> {
    const arrived = requests[count - 1]
    if (arrived) return arrived
    const waiter = waiting.get(count) ?? Promise.withResolvers<RecordedRequest>()
    waiting.set(count, waiter)
    return await waiter.promise
  }
  return { requests, add, arrival }
}

/** Tells a peer that hung up from a connection that the fake broke itself: from the response alone they look alike. */
function watchCall(response: ServerResponse, isDropping: () => boolean) {
  const { promise: released, resolve: release } = Promise.withResolvers<void>()
  const { promise: aborted, resolve: abort } = Promise.withResolvers<number>()
  let isBrokenByUs = false
  response.once('close', () => {
    if (!response.writableFinished && !isBrokenByUs && !isDropping()) abort(performance.now())
  })
  const control: CallControl = {
    released,
    onBreak() {
      isBrokenByUs = true
    },
  }
  return { aborted, release, control }
}

async function readBody(request: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = []
  for await (const piece of request) pieces.push(piece as Buffer)
  return Buffer.concat(pieces).toString()
}

function parseObject(body: string): Json | null {
  try {
    const value: unknown = JSON.parse(body)
    return isObject(value) ? value : null
  } catch {
    return null
  }
}

const stringOf = (value: unknown): string | null => (typeof value === 'string' ? value : null)

async function listen(server: Server): Promise<string> {
  server.keepAliveTimeout = 60_000
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}
