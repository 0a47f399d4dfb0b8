import type { ServerResponse } from 'node:http'
import { errorCatalogue, type HubError } from '../kernel/errors.ts'
import { answeredRequestId, type RequestContext } from './context.ts'

/** An error as the control API answers it: problem details, https://www.rfc-editor.org/rfc/rfc9457 */
export type Problem = {
  type: string
  title: string
  status: number
  detail: string
  code: string
  request_id: string
  trace_id: string
  errors?: readonly { path: string; message: string }[]
}

export const problemContentType = 'application/problem+json; charset=utf-8'

/** The body for `error`, its title in Chinese when the caller prefers that. Holds nothing of `detail` and `cause`. */
export function toProblem(
  error: HubError,
  { requestId, traceId }: Pick<RequestContext, 'requestId' | 'traceId'>,
  acceptLanguage?: string,
): Problem {
  const row = errorCatalogue[error.code]
  return {
    type: `urn:gatehouse:problem:${error.code}`,
    title: prefersChinese(acceptLanguage) ? row.titleZh : row.title,
    status: error.status,
    detail: error.message,
    code: error.code,
    request_id: requestId,
    trace_id: traceId,
    ...(error.issues === undefined ? {} : { errors: error.issues }),
  }
}

/** Headers that belong to an error whatever shape its body takes. */
export function errorHeaders(error: HubError): Record<string, string> {
  const headers: Record<string, string> = {}
  if (error.retryAfterMs !== undefined)
    headers['retry-after'] = String(Math.max(1, Math.ceil(error.retryAfterMs / 1000)))
  if (error.status === 401) headers['www-authenticate'] = 'Bearer'
  return headers
}

/** Writes the whole answer on a raw response whose head has not been sent. */
export function sendProblem(
  response: ServerResponse,
  error: HubError,
  context: Pick<RequestContext, 'requestId' | 'callerRequestId' | 'traceId'>,
  acceptLanguage?: string,
): void {
  const body = Buffer.from(JSON.stringify(toProblem(error, context, acceptLanguage)))
  response.writeHead(error.status, {
    'content-type': problemContentType,
    'content-length': body.length,
    'x-request-id': answeredRequestId(context),
    'x-trace-id': context.traceId,
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    ...errorHeaders(error),
  })
  response.end(body)
}

function prefersChinese(acceptLanguage: string | undefined): boolean {
  return readLanguage(acceptLanguage) === 'zh'
}

/** Which of our languages an Accept-Language header likes best; null for none of them. */
export function readLanguage(acceptLanguage: string | undefined): 'en' | 'zh' | null {
  let best: { language: 'en' | 'zh' | null; weight: number } = { language: null, weight: 0 }
  for (const part of (acceptLanguage ?? '').slice(0, 500).split(',')) {
    const [tag = '', ...parameters] = part.trim().toLowerCase().split(';')
    const weight = parameters.map((p) => /^\s*q=([\d.]+)/.exec(p)?.[1]).find((q) => q !== undefined)
    const value = weight === undefined ? 1 : Number(weight)
    const language = (['zh', 'en'] as const).find((ours) => tag === ours || tag.startsWith(`${ours}-`)) ?? null
    if (value > best.weight) best = { language, weight: value }
  }
  return best.language
}
