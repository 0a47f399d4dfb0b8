import type { ServerOptions as HttpServerOptions, IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { createBag } from '../kernel/bag.ts'
import { type Clock, waitAtMost } from '../kernel/clock.ts'
import { fail, type HubError, toHubError } from '../kernel/errors.ts'
import { createId } from '../kernel/ids.ts'
import { beginTrace } from '../kernel/trace.ts'
import { removeFile } from '../platform/files.ts'
import type { Log } from '../platform/log.ts'
import type { Metrics } from '../platform/metrics.ts'
import { http } from '../platform/node-http.ts'
import { findPortHolder } from '../platform/port-holder.ts'
import type { Tracer } from '../platform/tracing/tracer.ts'
import type { Area } from './access/areas.ts'
import type { Access } from './access/guard.ts'
import type { AccessLog } from './access-log.ts'
import { discardBody } from './body.ts'
import { answeredRequestId, createContextReader, type RequestContext } from './context.ts'
import type { ControlRelay } from './control-relay.ts'
import type { Door } from './door.ts'
import { sendProblem, toProblem } from './problem.ts'
import { recordRequest } from './spans.ts'
import { refuseUpgrade, type Upgrades } from './upgrades.ts'

export type ServerOptions = {
  host: string
  /** 0 takes any free port. */
  port: number
  log: Log
  metrics: Metrics
  clock: Clock
  /** Addresses and CIDR blocks whose X-Forwarded-For is believed. */
  trustedProxies(): readonly string[]
  maxBodyBytes: number
  /** Another limit than `maxBodyBytes` for some requests. */
  bodyLimit?(request: IncomingMessage): number
  /** Answers a request that is its own and returns true; returns false, having touched nothing, when it is not. */
  dataPaths(request: IncomingMessage, response: ServerResponse, context: RequestContext): boolean
  /**
   * Which area the raw paths serve a request for; null for requests of the control app, which are never offered to the
   * raw paths and whose area their route tells.
   */
  dataArea(request: IncomingMessage): Area | null
  access?: Access
  /** Where spans go; absent or null: nowhere. */
  tracer?: Tracer | null
  /** Absent: requests are not written down. */
  accessLog?: AccessLog | undefined
  /** Who takes connections over that leave HTTP. */
  upgrades?: Upgrades
  /** Everything else: a ready Fastify instance. */
  controlApp: { routing(request: IncomingMessage, response: ServerResponse): void }
  /** Asked before anything else; an error turns the request away. */
  admit?(context: RequestContext, request: IncomingMessage): HubError | null
  /** For one of several processes of a node, which has no port of its own. */
  door?: Door | undefined
  /** Hands on what another process of this node answers. */
  relay?: ControlRelay | undefined
  /** Gives a refusal the shape its path calls for; false leaves it to problem+json. */
  refuse?(error: HubError, request: IncomingMessage, response: ServerResponse, context: RequestContext): boolean
}

export type HubServer = {
  /** Resolves with the bound address; rejects, saying who holds the port, when it cannot be had. */
  listen(): Promise<{ host: string; port: number; url: string }>
  /** Accepts nothing more and waits up to `limitMs` for the answers under way; resolves with how many it then cut. */
  drain(limitMs: number): Promise<number>
  openRequests(): number
}

/** Long enough for whoever is about to ask once more. */
const retiringIdleMs = 5000

/** The one socket server of the hub: opens every request (ids, address), then hands it to whoever serves its path. */
export function createServer(options: ServerOptions): HubServer {
  const { log, dataPaths, dataArea, controlApp, admit, maxBodyBytes, clock, access, accessLog, door, relay } = options
  const openContext = createContextReader(options)
  const open = createBag<ServerResponse>()
  const upgraded = createBag<Duplex>()
  const taken = createBag<Socket>()
  let draining = false
  /** Another process takes new connections: each of ours ends with the answer it waits for. */
  let retiring = false
  let whenIdle: (() => void) | undefined
  const openRequests = options.metrics.gauge('gatehouse_http_open_requests', 'Requests being answered now').with({})
  options.metrics.beforeRender(() => openRequests.set(open.size()))

  function turnAway(
    error: HubError,
    request: IncomingMessage,
    response: ServerResponse,
    context: RequestContext,
  ): void {
    discardBody(request)
    if (options.refuse?.(error, request, response, context)) return
    sendProblem(response, error, context, request.headers['accept-language'])
  }

  /** What the control app serves it guards itself, once it knows the route. */
  function guard(area: Area | null, request: IncomingMessage, context: RequestContext): HubError | null {
    return area === null ? null : (access?.check(area, request, context) ?? null)
  }

  function bodyLimit(area: Area | null, request: IncomingMessage): number {
    const general = options.bodyLimit?.(request) ?? maxBodyBytes
    return area === null ? general : (access?.bodyLimit(area, general) ?? general)
  }

  /** Not ours to look at: ids, lists and limits are for the process that answers. */
  function handOn(request: IncomingMessage, response: ServerResponse): void {
    const close = open.add(response)
    if (draining || retiring) endAfter(request, response)
    response.on('close', () => {
      close()
      if (draining) onAnsweredWhileDraining()
    })
    relay!.serve(request, response)
  }

  function onRequest(request: IncomingMessage, response: ServerResponse): void {
    if (relay?.isTheirs(request) && dataArea(request) === null) {
      handOn(request, response)
      return
    }
    const context = openContext(request)
    const close = open.add(response)
    const { socket } = request
    const bytesBefore = accessLog === undefined ? 0 : socket.bytesWritten
    accessLog?.began(request, context)
    response.on('close', () => {
      close()
      context.whenClosed?.()
      if (context.tracer !== null) recordRequest(request, context, response, clock)
      accessLog?.ended(request, context, {
        status: response.headersSent ? response.statusCode : 499,
        bytes: socket.bytesWritten - bytesBefore,
        durationMs: clock.monotonic() - context.startedMono,
        isCut: !response.writableFinished,
      })
      if (draining) onAnsweredWhileDraining()
    })
    try {
      const area = dataArea(request)
      context.area = area
      if (retiring) endAfter(request, response)
      const refusal = draining ? shuttingDown() : (admit?.(context, request) ?? guard(area, request, context))
      if (refusal !== null) {
        if (draining) response.shouldKeepAlive = false
        turnAway(refusal, request, response, context)
        return
      }
      const declared = request.headers['content-length']
      const limit = declared === undefined ? 0 : bodyLimit(area, request)
      if (declared !== undefined && Number(declared) > limit) {
        turnAway(fail('body_too_large', `the body is larger than ${limit} bytes`), request, response, context)
        return
      }
      if (area === null || !dataPaths(request, response, context)) controlApp.routing(request, response)
    } catch (thrown) {
      const error = toHubError(thrown)
      log.error('a request handler threw', {
        requestId: context.requestId,
        traceId: context.traceId,
        spanId: context.spanId,
        code: error.code,
        error: error.cause ?? error,
      })
      if (response.headersSent) response.destroy()
      else turnAway(error, request, response, context)
    }
  }

  function onUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const context = openContext(request)
    const close = upgraded.add(socket)
    const connection = request.socket
    const bytesBefore = accessLog === undefined ? 0 : connection.bytesWritten
    let refused = 0
    accessLog?.began(request, context)
    socket.on('close', () => {
      close()
      if (context.tracer !== null) recordRequest(request, context, null, clock)
      accessLog?.ended(request, context, {
        status: refused || 101,
        bytes: connection.bytesWritten - bytesBefore,
        durationMs: clock.monotonic() - context.startedMono,
        isCut: false,
      })
    })
    // Cut connections are everyday; whoever takes it over listens for itself.
    socket.on('error', () => {})
    const { upgrades } = options
    const area = dataArea(request)
    context.area = area
    const error = draining
      ? shuttingDown()
      : (admit?.(context, request) ??
        guard(area, request, context) ??
        (area !== null && upgrades?.isOurs(request) ? null : fail('not_found', 'No WebSocket is served here.')))
    const ids = ['x-request-id', answeredRequestId(context), 'x-trace-id', context.traceId]
    if (error !== null) {
      refused = error.status
      refuseUpgrade(socket, error, toProblem(error, context), ids)
    } else upgrades!.serve(request, socket, head, context)
  }

  function onAnsweredWhileDraining(): void {
    server.closeIdleConnections()
    if (open.size() === 0) whenIdle?.()
  }

  const server = http.createServer(
    {
      // Longer than the idle time-outs of usual load balancers (60 s), or they reuse a connection we are just closing.
      keepAliveTimeout: 75_000,
      headersTimeout: 80_000,
      // Covers receiving the request only; answers may stream for as long as they like.
      requestTimeout: 300_000,
      maxHeaderSize: 32 * 1024,
      noDelay: true,
      // Others ask for HTTP/2 on the same connection and are content with an answer in HTTP/1.1.
      shouldUpgradeCallback: (request: IncomingMessage) => options.upgrades?.isOurs(request) ?? false,
    } as HttpServerOptions,
    onRequest,
  )
  // Beyond its default of 2000 Node drops headers without a word; how many there may be is for `access` to say.
  server.maxHeadersCount = 0
  if (options.upgrades) server.on('upgrade', onUpgrade)
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => answerUnreadable(error, socket, clock.now()))

  function take(connection: Socket): void {
    connection.on('close', taken.add(connection))
    connection.setNoDelay(true)
    server.emit('connection', connection)
  }

  /** The last answer of its connection, however long it is silent. */
  function endAfter({ socket }: IncomingMessage, response: ServerResponse): void {
    response.shouldKeepAlive = false
    socket.setTimeout(0)
  }

  /** Callers hear with their next answer that the connection ends; one that asks nothing more is closed in a while. */
  async function retire(limitMs: number): Promise<void> {
    retiring = true
    server.keepAliveTimeout = retiringIdleMs
    const busy = new Set<Socket | null>()
    open.forEach((response) => {
      response.shouldKeepAlive = false
      busy.add(response.socket)
    })
    upgraded.forEach((socket) => {
      busy.add(socket as Socket)
    })
    taken.forEach((socket) => {
      if (!busy.has(socket)) socket.setTimeout(retiringIdleMs)
    })
    const endsAt = clock.monotonic() + limitMs
    while (taken.size() > 0 && clock.monotonic() < endsAt) await clock.sleep(100)
  }

  return {
    async listen() {
      const { host, port } = options
      // What a process that was killed has left there.
      if (door !== undefined) removeFile(door.socket)
      const where = door === undefined ? { host, port } : { path: door.socket }
      await new Promise<void>((resolve, reject) => {
        const onError = (error: NodeJS.ErrnoException) => {
          if (door !== undefined) reject(error)
          else explainListenError(error, host, port).then(reject, reject)
        }
        server.once('error', onError)
        server.listen({ ...where, backlog: 4096 }, () => {
          server.off('error', onError)
          resolve()
        })
      })
      server.on('error', (error) => log.error('the listening socket failed', { error }))
      if (door !== undefined) {
        door.onConnection(take)
        door.onRetire(retire)
        return { host: door.host, port: door.port, url: door.url }
      }
      const bound = server.address() as AddressInfo
      const name = bound.family === 'IPv6' ? `[${bound.address}]` : bound.address
      return { host: bound.address, port: bound.port, url: `http://${name}:${bound.port}` }
    },

    async drain(limitMs) {
      draining = true
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      open.forEach((response) => {
        response.shouldKeepAlive = false
      })
      const upgradesOver = options.upgrades?.drain(limitMs) ?? Promise.resolve(0)
      if (open.size() > 0) {
        const idle = new Promise<void>((resolve) => {
          whenIdle = resolve
        })
        await waitAtMost(clock, limitMs, idle)
      }
      const cut = open.size() + (await upgradesOver)
      server.closeAllConnections()
      upgraded.forEach((socket) => {
        socket.destroy()
      })
      await closed
      return cut
    },

    openRequests: open.size,
  }
}

function shuttingDown(): HubError {
  return fail('shutting_down', 'the hub is stopping and takes no new work', { retryAfterMs: 1000 })
}

async function explainListenError(error: NodeJS.ErrnoException, host: string, port: number): Promise<unknown> {
  const where = `cannot listen on ${host}:${port}`
  const other = 'choose another one with --port or server.port'
  if (error.code === 'EADDRINUSE') {
    const holder = await findPortHolder(port)
    const who =
      holder === null
        ? 'another process (which one cannot be told from here: it belongs to another user or container)'
        : `process ${holder.pid} (${holder.command})`
    const remedy = holder === null ? `free the port, or ${other}` : `stop it (kill ${holder.pid}), or ${other}`
    return fail('unavailable', `${where}: the port is in use by ${who}; ${remedy}`, {
      param: 'server.port',
      cause: error,
    })
  }
  if (error.code === 'EACCES') {
    return fail('unavailable', `${where}: this user may not bind the port (below 1024 it takes privileges); ${other}`, {
      param: 'server.port',
      cause: error,
    })
  }
  if (error.code === 'EADDRNOTAVAIL' || error.code === 'ENOTFOUND') {
    return fail('unavailable', `${where}: this machine has no such address; set --host or server.host`, {
      param: 'server.host',
      cause: error,
    })
  }
  return error
}

/** What never became a request still gets an answer: the parser has no response object for it. */
function answerUnreadable(error: NodeJS.ErrnoException, socket: Duplex, nowMs: number): void {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy()
    return
  }
  const [status, reason, detail] =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? [431, 'Request Header Fields Too Large', 'the headers are larger than 32 KiB']
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? [408, 'Request Timeout', 'the request took too long to arrive']
        : [400, 'Bad Request', 'this is not a readable HTTP/1.1 request']
  const [requestId, { traceId }] = [createId('request', nowMs), beginTrace()]
  const body = JSON.stringify({
    type: 'urn:gatehouse:problem:invalid_request',
    title: reason,
    status,
    detail,
    code: 'invalid_request',
    request_id: requestId,
    trace_id: traceId,
  })
  socket.end(
    `HTTP/1.1 ${status} ${reason}\r\ncontent-type: application/problem+json\r\n` +
      `x-request-id: ${requestId}\r\nx-trace-id: ${traceId}\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  )
}
