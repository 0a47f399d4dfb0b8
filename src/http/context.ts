import { randomFillSync } from 'node:crypto'
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import type { Clock } from '../kernel/clock.ts'
import { createId } from '../kernel/ids.ts'
import { createPeerReader } from './addresses.ts'

/** What the edge knows of a request before any room has seen it. */
export type RequestContext = {
  /** Ours and unique: the ledger's key, whatever the caller calls its request. */
  requestId: string
  /** The caller's own well-formed X-Request-ID, else ''. Answered back, never used as a key. */
  callerRequestId: string
  /** 32 lower-case hex digits. */
  traceId: string
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
}

const contextKey: unique symbol = Symbol('gatehouse.request')
type Carrier = IncomingMessage & { [contextKey]?: RequestContext }

/** Makes the verb that opens a request: reads ids and addresses from its headers and keeps the result with it. */
export function createContextReader(options: { clock: Clock; trustedProxies: readonly string[] }) {
  const readPeer = createPeerReader(options.trustedProxies)
  const { clock } = options
  return (request: IncomingMessage): RequestContext => {
    const startedAt = clock.now()
    const headers = request.headers
    const peer = readPeer(request)
    const callerRequestId = readCallerRequestId(headers)
    const context: RequestContext = {
      requestId: createId('request', startedAt),
      callerRequestId,
      traceId: readTraceId(headers, callerRequestId),
      clientIp: peer.clientIp,
      isLoopback: peer.isLoopback,
      speakerIp: peer.speakerIp,
      isSpeakerTrusted: peer.isSpeakerTrusted,
      startedAt,
      startedMono: clock.monotonic(),
      whenClosed: null,
    }
    ;(request as Carrier)[contextKey] = context
    return context
  }
}

/** The context that `createContextReader` kept with a request; undefined when it was never opened. */
export function contextOf(request: IncomingMessage): RequestContext | undefined {
  return (request as Carrier)[contextKey]
}

/** What X-Request-ID answers: the caller's own id when it sent one, else ours. */
export function answeredRequestId(context: RequestContext): string {
  return context.callerRequestId === '' ? context.requestId : context.callerRequestId
}

const plainId = /^[A-Za-z0-9._-]{1,128}$/
function readCallerRequestId(headers: IncomingHttpHeaders): string {
  const sent = headers['x-request-id']
  return typeof sent === 'string' && plainId.test(sent) ? sent : ''
}

// https://www.w3.org/TR/trace-context/#traceparent-header-field-values (version ff is invalid; later versions may be longer)
const traceparent = /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:$|-)/
const b3 = /^(?:[0-9a-f]{16}|[0-9a-f]{32})$/i
const uuid = /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i
const zeros = /^0+$/

function readTraceId(headers: IncomingHttpHeaders, callerRequestId: string): string {
  const w3c = headers.traceparent
  if (typeof w3c === 'string') {
    const found = traceparent.exec(w3c)
    // Version 00 has exactly these four fields.
    if (found !== null && !(w3c.startsWith('00') && w3c.length !== 55)) return found[1]!
  }
  const b3Id = headers['x-b3-traceid']
  if (typeof b3Id === 'string' && b3.test(b3Id) && !zeros.test(b3Id)) return b3Id.toLowerCase().padStart(32, '0')
  // A UUID is a trace id in other clothes: it lets a caller find its request in the trace by the id it already has.
  if (callerRequestId !== '' && uuid.test(callerRequestId)) {
    const id = callerRequestId.replaceAll('-', '').toLowerCase()
    if (!zeros.test(id)) return id
  }
  return makeTraceId()
}

// Randomness in blocks: one system call for 256 ids.
const pool = Buffer.alloc(4096)
let used = pool.length

function makeTraceId(): string {
  if (used === pool.length) {
    randomFillSync(pool)
    used = 0
  }
  used += 16
  return pool.toString('hex', used - 16, used)
}
