import type { ChatEvent, UpstreamFailure } from '../../chat.ts'
import { asObject, asText } from '../json.ts'
import type { JsonObject } from '../protocol.ts'
import { readRetryAfter } from '../retry-after.ts'
import { scrubMessage } from '../scrub.ts'

type Code = UpstreamFailure['code']

/** https://platform.claude.com/docs/en/api/errors */
const kinds = new Map<string, { code: Code; status: number }>([
  ['invalid_request_error', { code: 'invalid_request', status: 400 }],
  ['authentication_error', { code: 'authentication', status: 401 }],
  ['billing_error', { code: 'insufficient_quota', status: 402 }],
  ['permission_error', { code: 'permission', status: 403 }],
  ['not_found_error', { code: 'not_found', status: 404 }],
  ['conflict_error', { code: 'invalid_request', status: 409 }],
  ['request_too_large', { code: 'invalid_request', status: 413 }],
  ['rate_limit_error', { code: 'rate_limited', status: 429 }],
  ['api_error', { code: 'server_error', status: 500 }],
  ['timeout_error', { code: 'timeout', status: 504 }],
  ['overloaded_error', { code: 'overloaded', status: 529 }],
])

/** Messages about the operator's account or key: the caller learns what it is, not whose. */
const ownWords: Partial<Record<Code, string>> = {
  authentication: 'The provider did not accept the key this hub uses.',
  permission: 'The key this hub uses may not do that at the provider.',
  insufficient_quota: 'The account this hub uses at the provider has no credit or budget left.',
}

type Headers = Record<string, string | string[] | undefined>

/** Any body will do: Anthropic's envelope, another one, HTML of a proxy in between, nothing. */
export function readError(status: number, headers: Headers, body: string): UpstreamFailure {
  const error = readEnvelope(body)
  const type = asText(error?.type)
  const message = asText(error?.message)
  return describe(status, type, message, readRetryAfter(headers, status))
}

/** An `error` event inside a stream, with the status its type stands for. */
export function readStreamError(wire: JsonObject): ChatEvent {
  const error = asObject(wire.error) ?? {}
  const type = asText(error.type)
  return { kind: 'error', error: describe(kinds.get(type)?.status ?? 500, type, asText(error.message), null) }
}

/** A stream that breaks the protocol. */
export function garbled(message: string): ChatEvent {
  return { kind: 'error', error: describe(502, '', message, null) }
}

function readEnvelope(body: string): JsonObject | null {
  try {
    return asObject(asObject(JSON.parse(body))?.error)
  } catch {
    return null
  }
}

function describe(status: number, type: string, message: string, retryAfterMs: number | null): UpstreamFailure {
  const code = refine(kinds.get(type)?.code ?? codeOfStatus(status), message)
  return {
    code,
    status,
    message: ownWords[code] ?? (scrubMessage(message) || `The provider answered ${status} without saying why.`),
    vendorType: type === '' ? null : type,
    vendorCode: null,
    param: null,
    retryAfterMs,
  }
}

/** Some causes share a type and are told apart by their words only. */
function refine(code: Code, message: string): Code {
  if (code !== 'invalid_request') return code
  if (/prompt is too long|exceeds? (?:the )?context (?:limit|window)/i.test(message)) return 'context_too_long'
  if (/credit balance is too low|reached your specified .*usage limits/i.test(message)) return 'insufficient_quota'
  return code
}

function codeOfStatus(status: number): Code {
  if (status === 401) return 'authentication'
  if (status === 402) return 'insufficient_quota'
  if (status === 403) return 'permission'
  if (status === 404) return 'not_found'
  if (status === 408 || status === 504) return 'timeout'
  if (status === 429) return 'rate_limited'
  if (status === 503 || status === 529) return 'overloaded'
  return status >= 500 ? 'server_error' : 'invalid_request'
}
