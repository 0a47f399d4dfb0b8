import type { TracePlace } from '../../kernel/trace.ts'
import { encodeSpan, type Span } from './span.ts'

/**
 * Where spans go. A request carries it in its context when its trace is kept, and null when it is not: whoever has
 * something to tell says `context.tracer?.record(…)`, and nothing is made where nobody listens. A span is told once, when
 * its work is over; what its children need of it before that is its id.
 */
export type Tracer = {
  /**
   * Whether the spans of a request are kept: as its caller has decided, else by ratio; requests of `isQuiet` kind only
   * where a caller asks for them. What was not decided is now, for everybody behind us: `place.traceFlags` is set.
   */
  admit(place: TracePlace, isQuiet: boolean): boolean
  record(place: Pick<TracePlace, 'traceId' | 'traceFlags' | 'traceState'>, span: Span): void
  /** Most bytes of questions, and again of answers, that spans may hold; 0: none. */
  contentBytes: number
}

export type { Attributes, Span } from './span.ts'

/** Attributes with what was said; they have a limit of their own. */
export const contentAttributes: ReadonlySet<string> = new Set([
  ...['gen_ai.input.messages', 'gen_ai.output.messages', 'gen_ai.system_instructions'],
])

export function createTracer(options: {
  sampleRatio: number
  contentBytes: number
  /** Takes a span as JSON. */
  send(encoded: string): void
}): Tracer {
  const { sampleRatio, contentBytes, send } = options
  return {
    contentBytes,
    admit(place, isQuiet) {
      const isKept = place.isTraceDecided
        ? (Number.parseInt(place.traceFlags, 16) & 1) === 1
        : !isQuiet && isSampled(place.traceId, sampleRatio)
      if (!place.isTraceDecided) place.traceFlags = isKept ? '01' : '00'
      return isKept
    },
    record(place, span) {
      send(encodeSpan(place, span, contentAttributes))
    },
  }
}

/**
 * By the last 56 bits of the trace id, so that everybody with the same ratio keeps the same traces.
 * https://opentelemetry.io/docs/specs/otel/trace/sdk/#traceidratiobased (the last four of them are beyond a number)
 */
function isSampled(traceId: string, ratio: number): boolean {
  if (ratio >= 1) return true
  return Number.parseInt(traceId.slice(18, 31), 16) / 2 ** 52 >= 1 - ratio && ratio > 0
}

/** `error.type` and status of an HTTP exchange: what a server answers below 500 is the caller's affair. */
export function httpError(status: number, from: number, type = ''): { type: string; message: string } | null {
  return status < from ? null : { type: type || String(status), message: '' }
}
