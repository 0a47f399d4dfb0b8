import { type ErrorCode, fail, HubError } from '../kernel/errors.ts'
import { isRefusedAddress } from '../platform/fetch.ts'
import type { UpstreamFailure } from './chat.ts'

/** Between a provider's failure and ours: what went wrong on the wire becomes words, and words become an answer. */

export function failure(
  code: UpstreamFailure['code'],
  status: number,
  message: string,
  retryAfterMs: number | null = null,
): UpstreamFailure {
  return { code, status, message, vendorType: null, vendorCode: null, param: null, retryAfterMs }
}

const networkMessages: Record<string, string> = {
  UND_ERR_CONNECT_TIMEOUT: 'The provider did not accept a connection in time.',
  UND_ERR_HEADERS_TIMEOUT: 'The provider did not begin its answer in time.',
  UND_ERR_BODY_TIMEOUT: 'The provider fell silent in the middle of its answer.',
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: "The provider's answer was shorter than it said.",
  ECONNREFUSED: 'The provider refused the connection.',
  ECONNRESET: 'The provider cut the connection.',
  UND_ERR_SOCKET: 'The provider cut the connection.',
  ENOTFOUND: "The provider's name cannot be resolved.",
  EAI_AGAIN: "The provider's name cannot be resolved at the moment.",
}

/** A fault of the connection. Its own text may hold addresses, so only its code is used for the caller. */
export function networkFailure(error: Error, isStreamed = false): UpstreamFailure {
  if (isRefusedAddress(error)) {
    return failure('forbidden_address', 0, `The provider's address is not allowed from here: ${error.message}`)
  }
  if (error instanceof HubError) return tokenFailure(error)
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  return failure(kindOf(code, isStreamed), 0, networkMessages[code] ?? 'The connection to the provider failed.')
}

/** Of a whole answer nothing is seen before its end: whatever it waits for, it is late as a whole. */
function kindOf(code: string, isStreamed: boolean): UpstreamFailure['code'] {
  if (code === 'UND_ERR_CONNECT_TIMEOUT' || code === 'ETIMEDOUT') return 'connect_timeout'
  if (!code.endsWith('_TIMEOUT')) return 'server_error'
  if (!isStreamed) return 'timeout'
  return code === 'UND_ERR_BODY_TIMEOUT' ? 'idle_timeout' : 'first_token_timeout'
}

/** An answer that did not come in the time set for it, or for the first content of a stream. */
export function lateFailure(isStreamed: boolean): UpstreamFailure {
  return isStreamed
    ? failure('first_token_timeout', 0, 'The provider sent nothing of its answer in the time set for the first of it.')
    : failure('timeout', 0, 'The provider did not answer in time.')
}

/** No access token could be had, so the provider was not asked. */
function tokenFailure(error: HubError): UpstreamFailure {
  const { message, retryAfterMs = null } = error
  if (error.code === 'upstream_unauthorized') return failure('authentication', 401, message)
  if (error.code === 'upstream_rate_limited') return failure('rate_limited', 429, message, retryAfterMs)
  return failure(error.code === 'upstream_timeout' ? 'timeout' : 'server_error', 0, message)
}

/** What a provider said, without its key in any of the words that reach callers and the ledger. */
export function maskFailure(failed: UpstreamFailure, mask: (text: string) => string): UpstreamFailure {
  const { message, vendorType, vendorCode, param } = failed
  const maskIfSaid = (text: string | null) => (text === null ? null : mask(text))
  return {
    ...failed,
    message: mask(message),
    vendorType: maskIfSaid(vendorType),
    vendorCode: maskIfSaid(vendorCode),
    param: maskIfSaid(param),
  }
}

const codes: Record<UpstreamFailure['code'], ErrorCode> = {
  invalid_request: 'upstream_refused',
  context_too_long: 'upstream_refused',
  authentication: 'upstream_unauthorized',
  permission: 'upstream_unauthorized',
  not_found: 'upstream_refused',
  rate_limited: 'upstream_rate_limited',
  insufficient_quota: 'upstream_rate_limited',
  overloaded: 'upstream_overloaded',
  content_filter: 'upstream_refused',
  server_error: 'upstream_failed',
  timeout: 'upstream_timeout',
  connect_timeout: 'upstream_connect_timeout',
  first_token_timeout: 'upstream_first_token_timeout',
  idle_timeout: 'upstream_idle_timeout',
  forbidden_address: 'upstream_unreachable',
}

/** The error a caller sees. The provider's status is kept where it means the same to the caller. */
export function toCallerError(failed: UpstreamFailure): HubError {
  const code = failed.status === 0 && failed.code === 'server_error' ? 'upstream_unreachable' : codes[failed.code]
  const status = statusFor(failed)
  return fail(code, failed.message, {
    ...(status === null ? {} : { status }),
    ...(failed.param === null ? {} : { param: failed.param }),
    ...(failed.retryAfterMs === null ? {} : { retryAfterMs: failed.retryAfterMs }),
    vendor: { type: failed.vendorType, code: failed.vendorCode ?? vendorCodes[failed.code] ?? null },
  })
}

/** Codes that clients of OpenAI's API switch on. */
const vendorCodes: Partial<Record<UpstreamFailure['code'], string>> = {
  context_too_long: 'context_length_exceeded',
  insufficient_quota: 'insufficient_quota',
  content_filter: 'content_filter',
}

function statusFor({ code, status }: UpstreamFailure): number | null {
  // A 401 is about a key of the hub's, whatever else the provider says: the caller's own is right.
  if (code === 'authentication' || code === 'permission' || status === 0 || status === 401) return null
  // Anthropic's own number for "overloaded", which other clients do not know.
  if (status === 529) return 503
  return status >= 400 && status <= 599 ? status : null
}
