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
  /** What the caller's vendors wrote into `tracestate`, well formed; '' without a `traceparent` that it belongs to. */
  traceState: string
  /** The caller has said whether the trace is kept; false leaves that to whoever is asked first. */
  isTraceDecided: boolean
}

// Nobody has said that the trace is not kept: those behind us decide for themselves.
const keptFlags = '01'

type Headers = Record<string, string | string[] | undefined>

// Version ff is invalid; later versions than 00 may be longer.
const w3c = /^(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:$|-)/
// https://github.com/openzipkin/b3-propagation#single-header
const b3Single = /^(?!0+-)([0-9a-f]{16}|[0-9a-f]{32})-(?!0{16})([0-9a-f]{16})(?:-([01d])(?:-(?:[0-9a-f]{16}))?)?$/i
const b3Trace = /^(?:[0-9a-f]{16}|[0-9a-f]{32})$/i
const b3Span = /^[0-9a-f]{16}$/i
const uuid = /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i
const zeros = /^0+$/

/**
 * The caller's trace, when `traceparent`, else `b3`, else `x-b3-traceid`, else a UUID as `x-request-id` names one well;
 * else a new one. The spans are always new.
 */
export function readTrace(headers: Headers, callerRequestId: string): TracePlace {
  return (
    readW3c(headers) ??
    readB3(headers) ??
    place(uuidTrace(callerRequestId) ?? randomHex16(), '', readB3Sampled(headers), '')
  )
}

/** A trace for work that nobody asked for over HTTP. */
export function beginTrace(traceId = randomHex16()): TracePlace {
  return place(traceId, '', null, '')
}

/** A span's own id. */
export function createSpanId(): string {
  return randomHex16().slice(16)
}

function place(traceId: string, parentSpanId: string, flags: string | null, traceState: string): TracePlace {
  const made = randomHex16()
  return {
    traceId,
    spanId: made.slice(0, 16),
    callSpanId: made.slice(16),
    parentSpanId,
    traceFlags: flags ?? keptFlags,
    traceState,
    isTraceDecided: flags !== null,
  }
}

function readW3c({ traceparent: parent, tracestate }: Headers): TracePlace | null {
  if (typeof parent !== 'string') return null
  const found = w3c.exec(parent)
  // Version 00 has exactly these four fields.
  if (found === null || (found[1] === '00' && parent.length !== 55)) return null
  // Of a later version only the bits that we know are passed on.
  const flags = found[1] === '00' ? found[4]! : Number.parseInt(found[4]!, 16) & 1 ? '01' : '00'
  return place(found[2]!, found[3]!, flags, tracestate === undefined ? '' : readTraceState(tracestate))
}

function readB3(headers: Headers): TracePlace | null {
  const { b3: single, 'x-b3-traceid': id, 'x-b3-spanid': span } = headers
  const found = typeof single === 'string' ? b3Single.exec(single) : null
  if (found !== null) {
    const flags = found[3] === undefined ? null : found[3] === '0' ? '00' : keptFlags
    return place(found[1]!.toLowerCase().padStart(32, '0'), found[2]!.toLowerCase(), flags, '')
  }
  if (typeof id !== 'string' || !b3Trace.test(id) || zeros.test(id)) return null
  const isSpan = typeof span === 'string' && b3Span.test(span) && !zeros.test(span)
  return place(id.toLowerCase().padStart(32, '0'), isSpan ? span.toLowerCase() : '', readB3Sampled(headers), '')
}

/** b3 may say whether a trace is kept without naming one; null: it says nothing. `x-b3-flags: 1` means keep at any price. */
function readB3Sampled({ b3: single, 'x-b3-sampled': sampled, 'x-b3-flags': flags }: Headers): string | null {
  if (flags === '1' || sampled === '1' || sampled === 'true' || single === '1' || single === 'd') return keptFlags
  return sampled === '0' || sampled === 'false' || single === '0' ? '00' : null
}

// https://www.w3.org/TR/trace-context/#tracestate-header-field-values
const stateKey = /^(?:[a-z][a-z0-9_\-*/]{0,255}|[a-z0-9][a-z0-9_\-*/]{0,240}@[a-z][a-z0-9_\-*/]{0,13})$/
const stateValue = /^[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]$/
const mostMembers = 32
const mostStateBytes = 4096

/** '' when it is not well formed: the trace goes on without it. */
function readTraceState(sent: string | string[]): string {
  const text = Array.isArray(sent) ? sent.join(',') : sent
  if (text.length > mostStateBytes) return ''
  const members = text
    .split(',')
    .map((member) => member.trim())
    .filter((member) => member !== '')
  const keys = members.map((member) => member.slice(0, Math.max(member.indexOf('='), 0)))
  const isFit =
    members.length <= mostMembers &&
    new Set(keys).size === keys.length &&
    members.every((member, at) => stateKey.test(keys[at]!) && stateValue.test(member.slice(keys[at]!.length + 1)))
  return isFit ? members.join(',') : ''
}

/** `traceparent` for what is asked on behalf of a request, in the span `spanId`. */
export function traceparentOf(
  { traceId, callSpanId, traceFlags }: Pick<TracePlace, 'traceId' | 'callSpanId' | 'traceFlags'>,
  spanId = callSpanId,
): string {
  return `00-${traceId}-${spanId}-${traceFlags}`
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
