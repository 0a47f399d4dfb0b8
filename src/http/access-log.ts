import type { IncomingMessage } from 'node:http'
import type { LineWriter, LogLevel } from '../platform/log.ts'
import type { Area } from './access/areas.ts'
import type { RequestContext } from './context.ts'

/** How a request ended, as the socket saw it. */
export type RequestEnd = {
  /** What the caller got; 499 when it hung up before it got any. */
  status: number
  /** Sent on the connection, headers included. */
  bytes: number
  durationMs: number
  /** The connection closed before the answer was whole. */
  isCut: boolean
}

/** One line for each request, and at level DEBUG one for its beginning. */
export type AccessLog = {
  began(request: IncomingMessage, context: RequestContext): void
  ended(request: IncomingMessage, context: RequestContext, end: RequestEnd): void
}

/** Asked every few seconds by machines: of no interest while all is well. */
const quiet: ReadonlySet<Area | null> = new Set(['health', 'metrics'])

/**
 * Lines for `lines`. They are encoded by hand, because there is one for every call to a model: ids are ours or were checked,
 * whatever else comes from outside is quoted. The query of a path is never told.
 */
export function createAccessLog(lines: LineWriter): AccessLog {
  const { quote } = lines

  function whoAndWhat(request: IncomingMessage, context: RequestContext): string {
    const url = request.url ?? ''
    const query = url.indexOf('?')
    const path = query === -1 ? url : url.slice(0, query)
    return (
      `,"request_id":"${context.requestId}","trace_id":"${context.traceId}","span_id":"${context.spanId}"` +
      (context.callerRequestId === '' ? '' : `,"caller_request_id":"${context.callerRequestId}"`) +
      `,"method":"${request.method ?? ''}","path":${quote(path)},"client_ip":${quote(context.clientIp)}`
    )
  }

  return {
    began(request, context) {
      if (!lines.isOn('debug')) return
      lines.write('debug', 'request began', whoAndWhat(request, context), true)
    },
    ended(request, context, { status, bytes, durationMs, isCut }) {
      const { area, principal, route } = context
      const level: LogLevel = status < 500 && quiet.has(area) ? 'debug' : 'info'
      if (!lines.isOn(level)) return
      const caller =
        principal === null
          ? ''
          : (principal.keyId === '' ? '' : `,"key_id":${quote(principal.keyId)}`) +
            (principal.userId === '' ? '' : `,"user_id":${quote(principal.userId)}`) +
            (principal.tenantId === '' ? '' : `,"tenant_id":${quote(principal.tenantId)}`)
      lines.write(
        level,
        'request ended',
        whoAndWhat(request, context) +
          `,"area":"${area ?? ''}","route":${quote(route)}${caller}` +
          `,"user_agent":${quote((request.headers['user-agent'] ?? '').slice(0, 200))}` +
          // The space is for runbooks: `awk '{print $NF}'` finds the duration.
          `,"status":${status},"bytes":${bytes}${isCut ? ',"cut":true' : ''},"duration_ms": ${round(durationMs)}`,
        area !== 'llm' && area !== 'services',
      )
    },
  }
}

function round(ms: number): number {
  return Math.round(ms * 1000) / 1000
}
