import { randomFillSync } from 'node:crypto'

/**
 * Where a request stands in a trace. Ids are lower-case hex: 32 digits of the trace, 16 of a span.
 * https://www.w3.org/TR/trace-context/
 */
export type TracePlace = {
  traceId: string
  /** The request itself. */
  spanId: string
  /** What the hub asks of a provider or a plugin on behalf of it: the parent that those are told. */
  callSpanId: string
  /** The caller's own span; '' where the trace begins here. */
  parentSpanId: string
  /** As they go on: bit 0 says whether anybody keeps the trace. */
  traceFlags: string
}

// Nobody has said that the trace is not kept: those behind us decide for themselves.
const keptFlags = '01'

type Headers = Record<string, string | string[] | undefined>

// Version ff is invalid; later versions than 00 may be longer.
const w3c = /^(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:$|-)/
const b3Trace = /^(?:[0-9a-f]{16}|[0-9a-f]{32})$/i
const b3Span = /^[0-9a-f]{16}$/i
const uuid = /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i
const zeros = /^0+$/

/**
 * The caller's trace, when `traceparent`, else `x-b3-traceid`, else a UUID as `x-request-id` names one well; else a new
 * one. The spans are always new.
 */
export function readTrace(headers: Headers, callerRequestId: string): TracePlace {
  const made = randomHex16()
  const spans = { spanId: made.slice(0, 16), callSpanId: made.slice(16) }
  const parent = headers.traceparent
  if (typeof parent === 'string') {
    const found = w3c.exec(parent)
    // Version 00 has exactly these four fields.
    if (found !== null && !(found[1] === '00' && parent.length !== 55)) {
      // Of a later version only the bits that we know are passed on.
      const flags = found[1] === '00' ? found[4]! : Number.parseInt(found[4]!, 16) & 1 ? '01' : '00'
      return { traceId: found[2]!, ...spans, parentSpanId: found[3]!, traceFlags: flags }
    }
  }
  const b3 = headers['x-b3-traceid']
  if (typeof b3 === 'string' && b3Trace.test(b3) && !zeros.test(b3)) {
    const span = headers['x-b3-spanid']
    const isSpan = typeof span === 'string' && b3Span.test(span) && !zeros.test(span)
    const traceId = b3.toLowerCase().padStart(32, '0')
    const told = headers['x-b3-sampled']
    const traceFlags = told === '0' ? '00' : keptFlags
    return { traceId, ...spans, parentSpanId: isSpan ? span.toLowerCase() : '', traceFlags }
  }
  return { traceId: uuidTrace(callerRequestId) ?? randomHex16(), ...spans, parentSpanId: '', traceFlags: keptFlags }
}

/** A trace for work that nobody asked for over HTTP. */
export function beginTrace(traceId = randomHex16()): TracePlace {
  const made = randomHex16()
  return { traceId, spanId: made.slice(0, 16), callSpanId: made.slice(16), parentSpanId: '', traceFlags: keptFlags }
}

/** `traceparent` for what is asked on behalf of a request. */
export function traceparentOf({ traceId, callSpanId, traceFlags }: TracePlace): string {
  return `00-${traceId}-${callSpanId}-${traceFlags}`
}

/** A UUID is a trace id in other clothes: it lets a caller find its request in the trace by the id it already has. */
function uuidTrace(callerRequestId: string): string | null {
  if (callerRequestId === '' || !uuid.test(callerRequestId)) return null
  const id = callerRequestId.replaceAll('-', '').toLowerCase()
  return zeros.test(id) ? null : id
}

// Randomness in blocks: one system call for 256 ids.
const pool = Buffer.alloc(4096)
let used = pool.length

function randomHex16(): string {
  if (used === pool.length) {
    randomFillSync(pool)
    used = 0
  }
  used += 16
  return pool.toString('hex', used - 16, used)
}
