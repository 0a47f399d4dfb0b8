import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import type { Clock } from '../kernel/clock.ts'
import { createId } from '../kernel/ids.ts'
import type { Principal } from '../kernel/principal.ts'
import { readTrace, type TracePlace } from '../kernel/trace.ts'
import type { Tracer } from '../platform/tracing/tracer.ts'
import type { Area } from './access/areas.ts'
import { createPeerReader } from './addresses.ts'
import type { Door } from './door.ts'

/** What the edge knows of a request before any room has seen it. */
export type RequestContext = TracePlace & {
  /** Ours and unique: the ledger's key, whatever the caller calls its request. */
  requestId: string
  /** The caller's own well-formed X-Request-ID, else ''. Answered back, never used as a key. */
  callerRequestId: string
  clientIp: string
  isLoopback: boolean
  /** The socket's own address, and whether it is a trusted proxy's. */
  speakerIp: string
  isSpeakerTrusted: boolean
  /** Epoch ms UTC. */
  startedAt: number
  /** The clock's monotonic ms. */
  startedMono: number
  /** Called when the answer is over, sent or cut: one listener at the edge serves who wants to know. */
  whenClosed: (() => void) | null
  /** Whose lists and limits hold; null until that is known. */
  area: Area | null
  /** Where its spans go; null when nobody keeps them. */
  tracer: Tracer | null
  /** Who calls; null until that is known, and for nobody. */
  principal: Principal | null
  /** What serves it, as its author wrote it: a path with names of parameters, a service; never the path itself, which may hold a secret. '' until that is known. */
  route: string
}

const contextKey: unique symbol = Symbol('gatehouse.request')
type Carrier = IncomingMessage & { [contextKey]?: RequestContext }

/** Makes the verb that opens a request: reads ids and addresses from its headers and keeps the result with it. */
export function createContextReader(options: {
  clock: Clock
  trustedProxies(): readonly string[]
  tracer?: Tracer | null
  door?: Door | undefined
}) {
  const readPeer = createPeerReader(options.trustedProxies, options.door?.kind === 'control')
  const { clock, tracer = null } = options
  return (request: IncomingMessage): RequestContext => {
    const startedAt = clock.now()
    const headers = request.headers
    const peer = readPeer(request)
    const callerRequestId = readCallerRequestId(headers)
    const place = readTrace(headers, callerRequestId)
    const context: RequestContext = {
      requestId: createId('request', startedAt),
      callerRequestId,
      traceId: place.traceId,
      spanId: place.spanId,
      callSpanId: place.callSpanId,
      parentSpanId: place.parentSpanId,
      traceFlags: place.traceFlags,
      traceState: place.traceState,
      isTraceDecided: place.isTraceDecided,
      clientIp: peer.clientIp,
      isLoopback: peer.isLoopback,
      speakerIp: peer.speakerIp,
      isSpeakerTrusted: peer.isSpeakerTrusted,
      startedAt,
      startedMono: clock.monotonic(),
      whenClosed: null,
      area: null,
      tracer: null,
      principal: null,
      route: '',
    }
    if (tracer?.admit(context, isProbe(request.url))) context.tracer = tracer
    ;(request as Carrier)[contextKey] = context
    return context
  }
}

/** The context that `createContextReader` kept with a request; undefined when it was never opened. */
export function contextOf(request: IncomingMessage): RequestContext | undefined {
  return (request as Carrier)[contextKey]
}

/** What X-Request-ID answers: the caller's own id when it sent one, else ours. */
export function answeredRequestId(context: Pick<RequestContext, 'requestId' | 'callerRequestId'>): string {
  return context.callerRequestId === '' ? context.requestId : context.callerRequestId
}

const plainId = /^[A-Za-z0-9._-]{1,128}$/
function readCallerRequestId(headers: IncomingHttpHeaders): string {
  const sent = headers['x-request-id']
  return typeof sent === 'string' && plainId.test(sent) ? sent : ''
}

/** What probes and scrapers ask every few seconds: their traces would be most of all. */
function isProbe(url = '/'): boolean {
  return /^\/(?:health|livez|readyz|metrics|version)(?:[/?z]|$)/.test(url)
}
