import type { HubError } from '../../../kernel/errors.ts'
import type { UpstreamFailure } from '../../chat.ts'
import { toCallerError } from '../../failures.ts'
import type { JsonObject } from '../protocol.ts'

/** https://platform.claude.com/docs/en/api/errors */
const types: { [status: number]: string | undefined } = {
  401: 'authentication_error',
  402: 'billing_error',
  403: 'permission_error',
  404: 'not_found_error',
  409: 'conflict_error',
  413: 'request_too_large',
  // It is the hub's key that the provider did not take: nothing that a caller could have done otherwise.
  424: 'api_error',
  429: 'rate_limit_error',
  504: 'timeout_error',
  529: 'overloaded_error',
}

const vendorTypes = new Set([...Object.values(types), 'invalid_request_error'])

/** Anthropic's envelope. Where a provider of Anthropic's failed, its own `type` is kept. */
export function writeError(error: HubError, requestId: string): JsonObject {
  const { message } = error
  return {
    type: 'error',
    error: { type: typeOf(error), message: isTooLong(error) ? `prompt is too long: ${message}` : message },
    request_id: requestId === '' ? null : requestId,
  }
}

/** A failure that a provider reported inside its stream. */
export function writeFailure(failed: UpstreamFailure, requestId: string): JsonObject {
  return writeError(toCallerError(failed), requestId)
}

function typeOf(error: HubError): string {
  const { code, status, vendor } = error
  if (vendor?.code === 'insufficient_quota') return 'billing_error'
  if (code === 'upstream_overloaded' || code === 'shutting_down') return 'overloaded_error'
  if (code !== 'upstream_unauthorized' && typeof vendor?.type === 'string' && vendorTypes.has(vendor.type)) {
    return vendor.type
  }
  if (code === 'upstream_failed' && status === 503) return 'overloaded_error'
  return types[status] ?? (status >= 500 ? 'api_error' : 'invalid_request_error')
}

/** Clients make room in a conversation when they read these words, whoever the provider was. */
function isTooLong({ vendor, message }: HubError): boolean {
  return vendor?.code === 'context_length_exceeded' && !/prompt is too long/i.test(message)
}
