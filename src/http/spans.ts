import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Clock } from '../kernel/clock.ts'
import { httpError } from '../platform/tracing/tracer.ts'
import type { RequestContext } from './context.ts'

/**
 * The span of a request, once its answer is over; `response` null for a connection that left HTTP. Names and attributes:
 * https://opentelemetry.io/docs/specs/semconv/http/http-spans/#http-server-span. No path and no query: they hold secrets.
 */
export function recordRequest(
  { method = 'GET', headers, httpVersion }: IncomingMessage,
  context: RequestContext,
  response: ServerResponse | null,
  clock: Pick<Clock, 'monotonic'>,
): void {
  const { route, parentSpanId } = context
  const status = response === null ? 0 : response.headersSent ? response.statusCode : 499
  const isCut = response !== null && !response.writableFinished
  context.tracer?.record(context, {
    name: route === '' ? method : `${method} ${route}`,
    kind: 'server',
    ...{ spanId: context.spanId, parentSpanId, isParentRemote: parentSpanId !== '' },
    startMs: context.startedAt,
    endMs: context.startedAt + clock.monotonic() - context.startedMono,
    attributes: {
      'http.request.method': method,
      'http.route': route,
      'http.response.status_code': status === 0 ? undefined : status,
      'url.scheme': headers['x-forwarded-proto'] === 'https' && context.isSpeakerTrusted ? 'https' : 'http',
      'network.protocol.name': response === null ? 'websocket' : 'http',
      'network.protocol.version': httpVersion,
      'client.address': context.clientIp,
      'user_agent.original': (headers['user-agent'] ?? '').slice(0, 200),
      'gatehouse.request_id': context.requestId,
      'gatehouse.client_request_id': context.callerRequestId,
      'gatehouse.area': context.area ?? undefined,
      ...(isCut && { 'gatehouse.cut': true }),
    },
    error: httpError(status, 500),
  })
}
