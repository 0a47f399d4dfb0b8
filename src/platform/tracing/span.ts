import type { TracePlace } from '../../kernel/trace.ts'

/** A piece of work that is over, as OpenTelemetry tells it. */
export type Span = {
  name: string
  kind: keyof typeof kinds
  spanId: string
  /** '' for the first of its trace. */
  parentSpanId: string
  /** The parent is another process's. */
  isParentRemote?: boolean
  /** Epoch ms UTC, fractions included. */
  startMs: number
  endMs: number
  /** What is undefined or '' is left out. */
  attributes: Attributes
  /** Of work that failed: what kind of failure (`error.type`), and a sentence. */
  error?: Failure | null
}

type Failure = { type: string; message: string }

export type Attributes = Record<string, string | number | boolean | readonly string[] | undefined>

const kinds = { internal: 1, server: 2, client: 3 } as const
const failed = 2
const mostText = 4096

/**
 * A span as JSON of OTLP: ids in hex, 64-bit numbers as text, enumerations as numbers.
 * https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
 */
export function encodeSpan(
  place: Pick<TracePlace, 'traceId' | 'traceFlags' | 'traceState'>,
  span: Span,
  longTexts: ReadonlySet<string>,
): string {
  const attributes = { ...span.attributes, ...(span.error && { 'error.type': span.error.type }) }
  return JSON.stringify({
    traceId: place.traceId,
    spanId: span.spanId,
    ...(place.traceState !== '' && { traceState: place.traceState }),
    ...(span.parentSpanId !== '' && { parentSpanId: span.parentSpanId }),
    // Beside the trace's own flags: it is known whether the parent is remote, and whether it is.
    flags: Number.parseInt(place.traceFlags, 16) | 0x100 | (span.isParentRemote === true ? 0x200 : 0),
    name: cut(span.name, 256),
    kind: kinds[span.kind],
    startTimeUnixNano: toNanos(span.startMs),
    endTimeUnixNano: toNanos(Math.max(span.startMs, span.endMs)),
    attributes: encodeAttributes(attributes, longTexts),
    status: span.error ? { code: failed, message: cut(span.error.message, mostText) } : {},
  })
}

/** `longTexts` names those that are cut elsewhere. */
export function encodeAttributes(attributes: Attributes, longTexts: ReadonlySet<string> = new Set()): object[] {
  const encoded: object[] = []
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === '' || (typeof value === 'number' && !Number.isFinite(value))) continue
    encoded.push({ key, value: encodeValue(value, longTexts.has(key)) })
  }
  return encoded
}

function encodeValue(value: string | number | boolean | readonly string[], isLong: boolean): object {
  if (typeof value === 'string') return { stringValue: isLong ? value : cut(value, mostText) }
  if (typeof value === 'boolean') return { boolValue: value }
  if (typeof value === 'number')
    return Number.isSafeInteger(value) ? { intValue: String(value) } : { doubleValue: value }
  return { arrayValue: { values: value.map((each) => ({ stringValue: cut(each, mostText) })) } }
}

function cut(text: string, most: number): string {
  return text.length > most ? text.slice(0, most) : text
}

/** Nanoseconds are beyond what a number holds; milliseconds and their fraction are not. */
function toNanos(ms: number): string {
  const whole = Math.floor(ms)
  const nanos = Math.min(999_999, Math.round((ms - whole) * 1e6))
  return `${whole}${String(nanos).padStart(6, '0')}`
}
