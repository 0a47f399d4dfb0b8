import type { ServerResponse } from 'node:http'
import type { RequestContext } from '../../http/context.ts'
import { errorCatalogue, type HubError } from '../../kernel/errors.ts'
import type { ErrorWriter } from '../protocols/protocol.ts'
import { idHeaders } from './endpoint.ts'

export function sendJson(
  response: ServerResponse,
  status: number,
  body: unknown,
  context: RequestContext,
  errors: ErrorWriter,
  headers: readonly string[],
): void {
  const bytes = Buffer.from(JSON.stringify(body))
  const length = String(bytes.length)
  response.writeHead(status, [
    ...['content-type', 'application/json', 'content-length', length],
    ...idHeaders(context, errors),
    ...headers,
  ])
  response.end(bytes)
}

/** An error in its protocol's envelope. Whatever a repeat cannot mend says so to clients that would repeat it. */
export function sendError(
  response: ServerResponse,
  error: HubError,
  errors: ErrorWriter,
  context: RequestContext,
  more: readonly string[],
): void {
  if (response.destroyed) return
  const headers = [...more]
  // An empty purse is not filled by asking again either.
  const isFinal = !errorCatalogue[error.code].retry || error.vendor?.code === 'insufficient_quota'
  if (error.status === 401) headers.push('www-authenticate', 'Bearer')
  if (error.retryAfterMs !== undefined) {
    headers.push('retry-after', String(Math.max(1, Math.ceil(error.retryAfterMs / 1000))))
  } else if (!isFinal && (error.status === 429 || error.status === 503)) headers.push('retry-after', '5')
  if (isFinal) headers.push('x-should-retry', 'false')
  sendJson(response, error.status, errors.writeError(error, context.requestId), context, errors, headers)
}
