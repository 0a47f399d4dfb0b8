import type { HubError } from '../../../kernel/errors.ts'
import type { ChatEvent, UpstreamFailure } from '../../chat.ts'
import { asList, asObject, asText } from '../json.ts'
import type { JsonObject } from '../protocol.ts'
import { clampWait, parseDuration, readRetryAfter } from '../retry-after.ts'
import { scrubMessage } from '../scrub.ts'

type Code = UpstreamFailure['code']

/** https://ai.google.dev/gemini-api/docs/troubleshooting and google.rpc.Code */
const kinds = new Map<string, { code: Code; status: number }>([
  ['INVALID_ARGUMENT', { code: 'invalid_request', status: 400 }],
  ['FAILED_PRECONDITION', { code: 'permission', status: 400 }],
  ['OUT_OF_RANGE', { code: 'invalid_request', status: 400 }],
  ['UNAUTHENTICATED', { code: 'authentication', status: 401 }],
  ['PERMISSION_DENIED', { code: 'permission', status: 403 }],
  ['NOT_FOUND', { code: 'not_found', status: 404 }],
  ['ABORTED', { code: 'server_error', status: 409 }],
  ['RESOURCE_EXHAUSTED', { code: 'rate_limited', status: 429 }],
  ['CANCELLED', { code: 'server_error', status: 499 }],
  ['INTERNAL', { code: 'server_error', status: 500 }],
  ['UNKNOWN', { code: 'server_error', status: 500 }],
  ['DATA_LOSS', { code: 'server_error', status: 500 }],
  ['UNIMPLEMENTED', { code: 'invalid_request', status: 501 }],
  ['UNAVAILABLE', { code: 'overloaded', status: 503 }],
  ['DEADLINE_EXCEEDED', { code: 'timeout', status: 504 }],
])

/** Messages about the operator's account or key: the caller learns what it is, not whose. */
const ownWords: Partial<Record<Code, string>> = {
  authentication: 'The provider did not accept the key this hub uses.',
  permission: 'The key this hub uses may not do that at the provider.',
  insufficient_quota: 'The account this hub uses at the provider has no quota left.',
}

type Headers = Record<string, string | string[] | undefined>

/** Any body will do: Google's envelope, alone or in an array, HTML of a proxy in between, nothing. */
export function readError(status: number, headers: Headers, body: string): UpstreamFailure {
  const error = readEnvelope(body) ?? {}
  return describe(status, error, readRetryAfter(headers, status))
}

/** An error chunk inside a stream, with the status its name stands for. */
export function readStreamError(chunk: JsonObject): ChatEvent {
  const error = asObject(chunk.error) ?? {}
  const code = typeof error.code === 'number' && error.code >= 400 && error.code <= 599 ? error.code : null
  const status = code ?? kinds.get(asText(error.status))?.status ?? 500
  return { kind: 'error', error: describe(status, error, null) }
}

/** A stream that breaks the protocol, or an answer the model itself broke. */
export function garbled(message: string): ChatEvent {
  return { kind: 'error', error: describe(502, { message }, null) }
}

function readEnvelope(body: string): JsonObject | null {
  try {
    const value: unknown = JSON.parse(body)
    return asObject(asObject(Array.isArray(value) ? value[0] : value)?.error)
  } catch {
    return null
  }
}

function describe(status: number, error: JsonObject, headerWaitMs: number | null): UpstreamFailure {
  const name = asText(error.status)
  const message = asText(error.message)
  const details = asList(error.details).map((detail) => asObject(detail) ?? {})
  const reason = asText(details.map((detail) => detail.reason).find((value) => typeof value === 'string'))
  const code = refine(kinds.get(name)?.code ?? codeOfStatus(status), message, reason, details)
  return {
    code,
    status,
    message: ownWords[code] ?? (scrub(message) || `The provider answered ${status} without saying why.`),
    vendorType: name === '' ? null : name,
    vendorCode: reason === '' ? null : reason,
    param: null,
    retryAfterMs: headerWaitMs ?? readRetryInfo(details),
  }
}

const keyReasons = new Set(['API_KEY_INVALID', 'API_KEY_EXPIRED', 'ACCESS_TOKEN_EXPIRED', 'CREDENTIALS_MISSING'])

/** A bad key is INVALID_ARGUMENT to Google, and a spent day is the same RESOURCE_EXHAUSTED as a busy minute. */
function refine(code: Code, message: string, reason: string, details: JsonObject[]): Code {
  if (keyReasons.has(reason) || /api key (?:not valid|expired|not found)/i.test(message)) return 'authentication'
  if (code === 'invalid_request' && /(?:input )?token count.{0,40}exceeds/i.test(message)) return 'context_too_long'
  if (code === 'rate_limited' && details.some(isSpentDay)) return 'insufficient_quota'
  return code
}

function isSpentDay(detail: JsonObject): boolean {
  return asList(detail.violations).some((violation) => /PerDay/.test(asText(asObject(violation)?.quotaId)))
}

/** `{"@type": "…google.rpc.RetryInfo", "retryDelay": "34.07s"}` */
function readRetryInfo(details: JsonObject[]): number | null {
  const info = details.find((detail) => asText(detail['@type']).endsWith('google.rpc.RetryInfo'))
  const waitMs = parseDuration(asText(info?.retryDelay))
  return waitMs === null ? null : clampWait(waitMs)
}

function codeOfStatus(status: number): Code {
  if (status === 401) return 'authentication'
  if (status === 403) return 'permission'
  if (status === 404) return 'not_found'
  if (status === 408 || status === 504) return 'timeout'
  if (status === 429) return 'rate_limited'
  if (status === 503) return 'overloaded'
  return status >= 500 ? 'server_error' : 'invalid_request'
}

/** Google repeats the key of `?key=` in some messages, whatever its shape. */
function scrub(message: string): string {
  return scrubMessage(message.replace(/\bkey[=:]\s*[^\s&"',]+/gi, '[key]').replace(/AIza[\w-]+/g, '[key]'))
}

const rpcType = 'type.googleapis.com/google.rpc.'

/** Names of google.rpc.Code by the status they are sent with. https://cloud.google.com/apis/design/errors#http_mapping */
const names: { [status: number]: string | undefined } = {
  400: 'INVALID_ARGUMENT',
  401: 'UNAUTHENTICATED',
  402: 'RESOURCE_EXHAUSTED',
  403: 'PERMISSION_DENIED',
  404: 'NOT_FOUND',
  405: 'UNIMPLEMENTED',
  408: 'DEADLINE_EXCEEDED',
  409: 'ABORTED',
  424: 'FAILED_PRECONDITION',
  429: 'RESOURCE_EXHAUSTED',
  499: 'CANCELLED',
  501: 'UNIMPLEMENTED',
  503: 'UNAVAILABLE',
  504: 'DEADLINE_EXCEEDED',
  // Anthropic's own: overloaded.
  529: 'UNAVAILABLE',
}

/** Google's envelope, with what else is known in google.rpc's own details: reason, member, wait, request. */
export function writeError(error: HubError, requestId: string): JsonObject {
  const details: JsonObject[] = [
    { '@type': `${rpcType}ErrorInfo`, reason: reasonOf(error.code, error.vendor?.code), domain: 'gatehouse' },
  ]
  if (error.param !== undefined) {
    const fieldViolations = [{ field: error.param, description: error.message }]
    details.push({ '@type': `${rpcType}BadRequest`, fieldViolations })
  }
  if (error.retryAfterMs !== undefined) details.push(retryInfo(error.retryAfterMs))
  if (requestId !== '') details.push({ '@type': `${rpcType}RequestInfo`, requestId })
  return envelope(error.status, error.message, details)
}

/** A failure that a provider reported inside its stream. */
export function writeFailure(failed: UpstreamFailure): JsonObject {
  const details: JsonObject[] = [
    { '@type': `${rpcType}ErrorInfo`, reason: reasonOf(failed.code, failed.vendorCode), domain: 'gatehouse' },
  ]
  if (failed.retryAfterMs !== null) details.push(retryInfo(failed.retryAfterMs))
  return envelope(failed.status >= 400 && failed.status <= 599 ? failed.status : 502, failed.message, details)
}

function envelope(status: number, message: string, details: JsonObject[]): JsonObject {
  const name = names[status] ?? (status >= 500 ? 'INTERNAL' : 'INVALID_ARGUMENT')
  return { error: { code: status, message, status: name, details } }
}

/** Reasons are in capitals; a provider's own word says more than ours. */
function reasonOf(code: string, vendorCode: string | null | undefined): string {
  const word = vendorCode && /^[A-Za-z][\w.-]{0,62}$/.test(vendorCode) ? vendorCode : code
  return word.toUpperCase().replace(/[.-]/g, '_')
}

function retryInfo(ms: number): JsonObject {
  return { '@type': `${rpcType}RetryInfo`, retryDelay: `${ms / 1000}s` }
}
