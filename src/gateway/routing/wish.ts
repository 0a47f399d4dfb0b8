import type { IncomingHttpHeaders } from 'node:http'
import { fail } from '../../kernel/errors.ts'

/** What a caller says of the way its request is to go, in its body or in headers; it wins over all that is stored. */
export type RouteWish = {
  /** Name or id of the provider to ask; '' for any. */
  provider: string
  /** Providers to ask after it, in this order. When either is given, nobody else is asked. */
  fallbackProviders: readonly string[]
  /** Until the first content, and between pieces of a stream; null: as stored. */
  timeoutMs: number | null
  /** Repeats at each candidate; 0 is none, null: as stored. */
  retryCount: number | null
  /** Candidates that carry one of these are asked, when there are any. */
  tags: readonly string[]
}

export const noWish: RouteWish = { provider: '', fallbackProviders: [], timeoutMs: null, retryCount: null, tags: [] }

/** Members of a body that are for us and for no provider. */
export const wishMembers = ['provider', 'fallback_providers', 'timeout', 'retry_count'] as const

const header = {
  provider: 'x-gatehouse-provider',
  fallback_providers: 'x-gatehouse-fallback-providers',
  timeout: 'x-gatehouse-timeout',
  retry_count: 'x-gatehouse-retry-count',
  tags: 'x-gatehouse-tags',
} as const

/** The headers' half. Throws HubError `invalid_request` naming the header that is wrong. */
export function readWishHeaders(headers: IncomingHttpHeaders): RouteWish {
  const provider = headers[header.provider]
  const fallback = headers[header.fallback_providers]
  const timeout = headers[header.timeout]
  const retries = headers[header.retry_count]
  const tags = headers[header.tags]
  if ((provider ?? fallback ?? timeout ?? retries ?? tags) === undefined) return noWish
  return {
    provider: String(provider ?? '').trim(),
    fallbackProviders: readList(fallback),
    timeoutMs: timeout === undefined ? null : readSeconds(readNumber(timeout), header.timeout),
    retryCount: retries === undefined ? null : readRetries(readNumber(retries), header.retry_count),
    tags: readList(tags),
  }
}

/**
 * The body's half on top of the headers': each member wins over the header of the same meaning. A `provider` that is no
 * text is some other vendor's extension and not ours. Throws HubError `invalid_request` naming the member.
 */
export function readWishMembers(
  member: (name: (typeof wishMembers)[number]) => unknown,
  headers: RouteWish,
): RouteWish {
  const provider = member('provider')
  const fallback = member('fallback_providers')
  const timeout = member('timeout')
  const retries = member('retry_count')
  if (typeof provider !== 'string' && fallback == null && timeout == null && retries == null) return headers
  if (fallback != null && !(Array.isArray(fallback) && fallback.every((name) => typeof name === 'string'))) {
    throw fail('invalid_request', 'fallback_providers must be a list of names.', { param: 'fallback_providers' })
  }
  return {
    provider: typeof provider === 'string' ? provider.trim() : headers.provider,
    fallbackProviders: fallback == null ? headers.fallbackProviders : (fallback as string[]).slice(0, mostNames),
    timeoutMs: timeout == null ? headers.timeoutMs : readSeconds(timeout, 'timeout'),
    retryCount: retries == null ? headers.retryCount : readRetries(retries, 'retry_count'),
    tags: headers.tags,
  }
}

const mostNames = 50

function readList(value: string | string[] | undefined): string[] {
  if (value === undefined) return []
  const names = String(value).split(',')
  return names
    .map((name) => name.trim())
    .filter((name) => name !== '')
    .slice(0, mostNames)
}

/** Number('') is 0, and an empty header is no number. */
function readNumber(value: string | string[]): number {
  const text = String(value).trim()
  return text === '' ? Number.NaN : Number(text)
}

function readSeconds(value: unknown, param: string): number {
  if (typeof value === 'number' && value > 0 && value <= 3600) return Math.ceil(value * 1000)
  throw fail('invalid_request', `${param} must be a number of seconds above 0 and at most 3600.`, { param })
}

function readRetries(value: unknown, param: string): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 10) return value
  throw fail('invalid_request', `${param} must be a whole number from 0 to 10.`, { param })
}
