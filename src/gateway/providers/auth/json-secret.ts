import { fail } from '../../../kernel/errors.ts'
import type { JsonObject } from '../../protocols/protocol.ts'

/** A credential that is JSON text, null when it is none. @throws HubError `invalid_request` when it only begins so. */
export function readJsonSecret(secret: string): JsonObject | null {
  if (!secret.trimStart().startsWith('{')) return null
  try {
    return JSON.parse(secret) as JsonObject
  } catch {
    // The parser's own words would quote the secret.
    throw fail('invalid_request', 'api_key begins like JSON but cannot be read as such.', { param: 'api_key' })
  }
}

/** The first of these members that is a text with something in it. */
export function textMember(json: JsonObject, ...names: string[]): string | null {
  for (const name of names) {
    const value = json[name]
    if (typeof value === 'string' && value !== '') return value
  }
  return null
}
