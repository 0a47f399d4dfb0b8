import type { IncomingHttpHeaders } from 'node:http'

/** One feature in `anthropic-beta`. https://platform.claude.com/docs/en/api/beta-headers */
const feature = /^[a-z0-9][a-z0-9.-]{0,99}$/i
const mostFeatures = 50

/**
 * What a caller says of the API's version and of its features goes to a provider of the same protocol; nothing else
 * does. `oauth-…` speaks of the caller's credentials, where the provider gets the hub's own.
 */
export function passHeaders(headers: IncomingHttpHeaders): string[] {
  const passed: string[] = []
  const version = headers['anthropic-version']
  if (typeof version === 'string' && /^\d{4}-\d{2}-\d{2}$/.test(version)) passed.push('anthropic-version', version)
  const asked = String(headers['anthropic-beta'] ?? '').split(',')
  const features = asked.map((name) => name.trim()).filter((name) => feature.test(name) && !name.startsWith('oauth-'))
  if (features.length > 0) passed.push('anthropic-beta', features.slice(0, mostFeatures).join(','))
  return passed
}
