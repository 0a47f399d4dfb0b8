import { createSpanId, traceparentOf } from '../../kernel/trace.ts'
import { httpError } from '../../platform/tracing/tracer.ts'
import type { Call } from './call.ts'
import type { Member } from './member.ts'

/** One try of a call, as an instance and a collector hear of it. */
export type Try = {
  spanId: string
  /** 0 for the first. */
  number: number
  startedMono: number
  member: Member
}

/** The id of the next try: each has one of its own, or two instances would take themselves for one piece of work. */
export function nextSpanId({ context }: Call, tries: number): string {
  return tries === 0 ? context.callSpanId : createSpanId()
}

/** Writes the try's own `traceparent` into the headers of a call, which are otherwise those of its first try. */
export function renameSpan(headers: string[], { context }: Call, spanId: string): void {
  const at = headers.lastIndexOf('traceparent')
  headers[at + 1] = traceparentOf(context, spanId)
}

/** `reason` is what an instance did wrong; '' when it answered or its caller left. */
export function recordTry(
  { context, fleet, policy, request }: Call,
  { spanId, number, startedMono, member }: Try,
  end: { endedMono: number; status: number; reason: string; isWebSocket?: boolean },
): void {
  const method = request.method ?? 'GET'
  const { service } = fleet
  const epochOf = (mono: number) => context.startedAt + mono - context.startedMono
  context.tracer?.record(context, {
    name: `${method} ${service.name}`,
    kind: 'client',
    ...{ spanId, parentSpanId: context.spanId },
    ...{ startMs: epochOf(startedMono), endMs: epochOf(end.endedMono) },
    attributes: {
      'http.request.method': method,
      'http.request.resend_count': number === 0 ? undefined : number,
      'http.response.status_code': end.status === 0 ? undefined : end.status,
      'network.protocol.name': end.isWebSocket === true ? 'websocket' : 'http',
      'server.address': member.instance.host,
      'server.port': member.instance.port,
      'url.template': policy.template,
      'gatehouse.service': service.name,
      'gatehouse.service.instance': member.id,
    },
    error: end.reason === '' ? httpError(end.status, 400) : { type: 'instance_failed', message: end.reason },
  })
}
