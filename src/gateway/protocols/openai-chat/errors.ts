import type { HubError } from '../../../kernel/errors.ts'
import type { UpstreamFailure } from '../../chat.ts'
import type { JsonObject } from '../protocol.ts'
import { readRetryAfter } from '../retry-after.ts'
import { scrubMessage } from '../scrub.ts'
import { isObject, type WireError } from './wire.ts'

/** OpenAI's words for our codes; what is not here follows from the status. */
const words: { [code: string]: { type: string; code: string | null } | undefined } = {
  invalid_request: { type: 'invalid_request_error', code: null },
  unauthenticated: { type: 'invalid_request_error', code: 'invalid_api_key' },
  rate_limited: { type: 'rate_limit_error', code: 'rate_limit_exceeded' },
  // Their word for an empty purse; the code stays ours, which says whose purse it is.
  budget_exhausted: { type: 'insufficient_quota', code: 'budget_exhausted' },
  upstream_rate_limited: { type: 'rate_limit_error', code: 'rate_limit_exceeded' },
  upstream_refused: { type: 'invalid_request_error', code: null },
  upstream_unauthorized: { type: 'server_error', code: 'upstream_unauthorized' },
}

const knownTypes = new Set(['invalid_request_error', 'insufficient_quota', 'server_error', 'requests', 'tokens'])

/** The envelope with all four keys. Where a provider failed, its own `type` and `code` are kept if OpenAI's clients know such. */
export function writeError(error: HubError, requestId: string): JsonObject {
  const ours = words[error.code] ?? {
    type: error.status >= 500 ? 'server_error' : 'invalid_request_error',
    code: error.code,
  }
  const hint = error.status >= 500 && requestId !== '' ? ` (request id ${requestId})` : ''
  return envelope(`${error.message}${hint}`, withVendor(ours, error.vendor), error.param ?? null)
}

const failureWords: Record<UpstreamFailure['code'], { type: string; code: string | null }> = {
  invalid_request: { type: 'invalid_request_error', code: null },
  context_too_long: { type: 'invalid_request_error', code: 'context_length_exceeded' },
  authentication: { type: 'server_error', code: 'upstream_unauthorized' },
  permission: { type: 'server_error', code: 'upstream_unauthorized' },
  not_found: { type: 'invalid_request_error', code: 'model_not_found' },
  rate_limited: { type: 'rate_limit_error', code: 'rate_limit_exceeded' },
  insufficient_quota: { type: 'insufficient_quota', code: 'insufficient_quota' },
  overloaded: { type: 'server_error', code: 'upstream_overloaded' },
  content_filter: { type: 'invalid_request_error', code: 'content_filter' },
  server_error: { type: 'server_error', code: 'upstream_failed' },
  timeout: { type: 'server_error', code: 'upstream_timeout' },
  connect_timeout: { type: 'server_error', code: 'upstream_connect_timeout' },
  first_token_timeout: { type: 'server_error', code: 'upstream_first_token_timeout' },
  idle_timeout: { type: 'server_error', code: 'upstream_idle_timeout' },
  forbidden_address: { type: 'server_error', code: 'upstream_unreachable' },
}

/** A failure that a provider reported inside its stream. */
export function failureEnvelope(failed: UpstreamFailure): WireError {
  const vendor = { type: failed.vendorType, code: failed.vendorCode }
  return envelope(failed.message, withVendor(failureWords[failed.code], vendor), failed.param)
}

type Words = { type: string; code: string | null }

function withVendor(ours: Words, vendor: { type: string | null; code: string | null } | undefined): Words {
  // Our credentials at the provider are not the caller's: the provider's words for them would mislead.
  if (!vendor || ours.code === 'upstream_unauthorized') return ours
  const code = vendor.code !== null && /^[a-z][a-z0-9_.-]*$/.test(vendor.code) ? vendor.code : ours.code
  if (code === 'insufficient_quota') return { type: 'insufficient_quota', code }
  return { type: vendor.type !== null && knownTypes.has(vendor.type) ? vendor.type : ours.type, code }
}

function envelope(message: string, { type, code }: Words, param: string | null): WireError {
  return { error: { message, type, param, code } }
}

/** Reads any failed answer of an OpenAI-compatible provider: JSON of several shapes, HTML, text, nothing. Never throws. */
export function readError(
  status: number,
  headers: Record<string, string | string[] | undefined>,
  body: string,
): UpstreamFailure {
  const wire = parse(body)
  const told = toldBy(wire)
  return classify(status, told, told.message ?? plainMessage(status, body), readRetryAfter(headers, status))
}

/** Reads an error event of a stream. `wire` is the whole event: `{error: {…}}` or an error object itself. */
export function readStreamError(wire: JsonObject): UpstreamFailure {
  const told = toldBy(wire)
  return classify(
    statusIn(told.code) ?? 500,
    told,
    told.message ?? 'The provider reported an error in its stream',
    null,
  )
}

type Told = { message: string | null; type: string | null; code: string | null; param: string | null }

function parse(body: string): unknown {
  try {
    return JSON.parse(body)
  } catch {
    return null
  }
}

/** `{error: {…}}`, `{error: "…"}`, `{message}`, `{detail}`, or a list with one of them, as Google's endpoint sends. */
function toldBy(wire: unknown): Told {
  const whole = Array.isArray(wire) ? wire[0] : wire
  const outer = isObject(whole) ? whole : {}
  const inner = isObject(outer.error) ? outer.error : outer
  const message = [inner.message, outer.error, outer.message, outer.detail].find(
    (text) => typeof text === 'string' && text,
  )
  return {
    message: typeof message === 'string' ? message : null,
    type: word(inner.type),
    code: word(inner.code) ?? word(inner.status),
    param: typeof inner.param === 'string' ? inner.param : null,
  }
}

function word(value: unknown): string | null {
  if (typeof value === 'number') return String(value)
  return typeof value === 'string' && value !== '' && value.length <= 100 ? value : null
}

function statusIn(code: string | null): number | null {
  return code !== null && /^[45]\d\d$/.test(code) ? Number(code) : null
}

function plainMessage(status: number, body: string): string {
  const text = body.trim()
  if (text === '') return `The provider answered ${status} without a body`
  if (/^<|<html/i.test(text)) return `The provider answered ${status} with an HTML page`
  return /^[[{]/.test(text) ? `The provider answered ${status}` : text
}

/** By the vendor's code or type, first match wins. */
const byWord: [RegExp, UpstreamFailure['code']][] = [
  [/insufficient_quota|billing|insufficient_(balance|credits|funds)|quota_exceeded/, 'insufficient_quota'],
  [/context_length|string_above_max_length|context_window/, 'context_too_long'],
  [/content_filter|content_policy|responsibleai|moderation/, 'content_filter'],
  [/invalid_api_key|authentication|unauthorized|unauthenticated/, 'authentication'],
  [/permission|forbidden/, 'permission'],
  [/model_not_found|^not_found/, 'not_found'],
  [/rate_limit|too_many_requests|resource_exhausted|^(requests|tokens)$/, 'rate_limited'],
  [/overloaded|unavailable|capacity/, 'overloaded'],
  [/timeout|deadline/, 'timeout'],
  [/server_error|internal|api_error/, 'server_error'],
  [/invalid_request|invalid_argument|badrequest|invalid_/, 'invalid_request'],
]

const byStatus: { [status: number]: UpstreamFailure['code'] | undefined } = {
  401: 'authentication',
  402: 'insufficient_quota',
  403: 'permission',
  404: 'not_found',
  408: 'timeout',
  429: 'rate_limited',
  499: 'server_error',
  503: 'overloaded',
  504: 'timeout',
  524: 'timeout',
  529: 'overloaded',
}

const naturalStatus: Record<UpstreamFailure['code'], number> = {
  invalid_request: 400,
  context_too_long: 400,
  authentication: 401,
  permission: 403,
  not_found: 404,
  rate_limited: 429,
  insufficient_quota: 429,
  overloaded: 503,
  content_filter: 400,
  server_error: 500,
  timeout: 504,
  connect_timeout: 504,
  first_token_timeout: 504,
  idle_timeout: 504,
  forbidden_address: 502,
}

const tooLong = /maximum context length|context (length|window)|prompt is too long|too many (input )?tokens/i
const noMoney = /exceeded your current quota|insufficient (balance|credit|quota|funds)|credit balance|billing/i

function classify(httpStatus: number, told: Told, message: string, retryAfterMs: number | null): UpstreamFailure {
  const inBand = httpStatus < 400
  const asked = inBand ? (statusIn(told.code) ?? 500) : httpStatus
  const code = codeFor(asked, told, message)
  // 500 is what an error without a status of its own is given: what it says of itself is closer.
  const status = asked === 500 ? naturalStatus[code] : asked
  return {
    code,
    status,
    message: scrubMessage(message) || `The provider answered ${status}`,
    vendorType: told.type,
    vendorCode: statusIn(told.code) === null ? told.code : null,
    param: told.param,
    retryAfterMs,
  }
}

function codeFor(status: number, told: Told, message: string): UpstreamFailure['code'] {
  if ((status === 400 || status === 413 || status === 422 || status === 500) && tooLong.test(message))
    return 'context_too_long'
  if ((status === 429 || status === 403 || status === 400) && noMoney.test(message)) return 'insufficient_quota'
  // A status that says more than "bad request" or "server error" needs only the words that refine it.
  const fixed = byStatus[status]
  for (const text of [told.code, told.type]) {
    const found = text === null ? undefined : byWord.find(([pattern]) => pattern.test(text.toLowerCase()))?.[1]
    if (found !== undefined && (fixed === undefined || refines(found, status))) return found
  }
  if (fixed !== undefined) return fixed
  return status >= 500 ? 'server_error' : 'invalid_request'
}

function refines(found: UpstreamFailure['code'], status: number): boolean {
  return found === 'insufficient_quota' || found === 'content_filter' || (status === 503 && found === 'rate_limited')
}
