import { createHash, hash as digestOf, timingSafeEqual } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import type { Clock } from '../kernel/clock.ts'
import { fail, type HubError } from '../kernel/errors.ts'
import type { Principal } from '../kernel/principal.ts'
import { looksLikeApiKey, type Secrets } from '../platform/secrets.ts'
import { type KeyRing, type KnownKey, toKnownKey } from './key-ring.ts'
import type { FoundKeyRow, KeyStore } from './key-store.ts'

export type Authenticator = {
  /**
   * Who a key belongs to. A key in memory is answered at once, store or no store. Otherwise the store is asked, once
   * for all who ask together. Throws `invalid_api_key`, or `unavailable` when nobody can tell.
   */
  byApiKey(text: string): Principal | Promise<Principal>
  /**
   * Who may use the control API; null without credentials. Throws for wrong ones, and `forbidden` for an API key, unless
   * `opens` is 'service' and the key is a plugin service's own.
   */
  byControlCredential(
    headers: IncomingHttpHeaders,
    opens?: 'service' | 'people',
  ): Principal | null | Promise<Principal | null>
  /** The plugin service whose own token this is. Throws `unauthenticated` without one, `forbidden` for other keys. */
  byServiceCredential(headers: IncomingHttpHeaders): Principal | Promise<Principal>
}

/** A store that neither answers nor fails keeps a caller with an unknown key waiting for this long. */
const lookupLimitMs = 3000

export function createAuthenticator(own: {
  secrets: Pick<Secrets, 'hashKey'>
  ring: Pick<KeyRing, 'find' | 'isWithdrawn' | 'isStale'>
  keyStore: Pick<KeyStore, 'findByHash'>
  /** Remembers that a key was used. */
  noteUse(keyId: string): void
  bySessionToken(token: string): Principal | Promise<Principal>
  /** '' when there is none. */
  adminKey: string
  clock: Clock
}): Authenticator {
  const { secrets, ring, keyStore, noteUse, clock } = own
  const lookups = new Map<string, Promise<FoundKeyRow | undefined>>()
  const isAdminKey = createEqual(own.adminKey)

  function accept(known: KnownKey): Principal {
    const { principal, expiresAt, textExpiresAt } = known
    if (!known.enabled || ring.isWithdrawn(principal.id)) {
      throw fail('invalid_api_key', 'this API key is switched off; use another one')
    }
    if (clock.now() >= expiresAt) {
      const day = new Date(expiresAt).toISOString()
      throw fail('invalid_api_key', `this API key expired at ${day}; use another one`)
    }
    if (clock.now() >= textExpiresAt) {
      const day = new Date(textExpiresAt).toISOString()
      throw fail('invalid_api_key', `this API key was rotated and its old text ended at ${day}; use the new one`)
    }
    noteUse(principal.id)
    return principal
  }

  async function lookUp(hash: string): Promise<Principal> {
    if (ring.isStale()) throw cannotTell()
    let asking = lookups.get(hash)
    if (asking === undefined) {
      asking = keyStore.findByHash(hash).finally(() => lookups.delete(hash))
      lookups.set(hash, asking)
    }
    const row = await within(asking, lookupLimitMs, clock).catch((error: unknown) => {
      throw cannotTell(error)
    })
    if (row === undefined || ring.isWithdrawn(hash)) throw unknownKey()
    return accept(toKnownKey(row, row.text_expires_at))
  }

  // An HMAC per call costs as much as parsing the body. What is remembered is a digest and its HMAC, never a key.
  const hashes = new Map<string, string>()
  function hashOf(text: string): string {
    const digest = digestOf('sha256', text, 'base64')
    const known = hashes.get(digest)
    if (known !== undefined) return known
    if (hashes.size >= mostHashes) hashes.clear()
    const made = secrets.hashKey(text)
    hashes.set(digest, made)
    return made
  }

  function byApiKey(text: string): Principal | Promise<Principal> {
    const hash = hashOf(text)
    const known = ring.find(hash)
    if (known !== undefined) return accept(known)
    // A text that fails the checksum was never a key of ours: nobody needs to be asked.
    if (!looksLikeApiKey(text)) throw unknownKey()
    return lookUp(hash)
  }

  function byServiceToken(text: string): Principal | Promise<Principal> {
    const known = byApiKey(text)
    return known instanceof Promise ? known.then(assertService) : assertService(known)
  }

  return {
    byApiKey,

    byServiceCredential(headers) {
      const credential = readCredential(headers, '')
      if (credential === null)
        throw fail(
          'unauthenticated',
          'send a credential: Authorization: Bearer with a service token, an API key, a session or ADMIN_KEY',
        )
      return byServiceToken(credential)
    },

    byControlCredential(headers, opens = 'people') {
      const credential = readControlCredential(headers) ?? (opens === 'service' ? readCredential(headers, '') : null)
      if (credential === null) return null
      if (isAdminKey(credential)) return adminPrincipal
      if (credential.startsWith('sk-gh-')) {
        if (opens === 'service') return byServiceToken(credential)
        throw fail('forbidden', 'an API key opens model paths only; log in, or use ADMIN_KEY')
      }
      if (credential.split('.').length === 3) return own.bySessionToken(credential)
      throw fail('invalid_credentials', 'this credential opens nothing here')
    },
  }
}

function assertService(principal: Principal): Principal {
  if (principal.service !== '') return principal
  throw fail('forbidden', 'this is for plugin services: use the token that registering gave, not another API key')
}

/** Texts whose hash is remembered; guesses of strangers are among them, so there is an end to it. */
const mostHashes = 20_000

/** Whoever holds ADMIN_KEY, and the hub where it acts on its own account. */
export const adminPrincipal: Principal = Object.freeze({
  kind: 'admin_key',
  id: 'admin',
  role: 'super_admin',
  tenantId: '',
  userId: '',
  keyId: '',
  keyName: '',
  allowedModels: null,
  rateLimit: null,
  tokenLimit: null,
  concurrencyLimit: null,
  tags: [],
  allowedServices: null,
  allowedEndpoints: null,
  service: '',
})

/** The key a caller of model paths sent: Authorization, x-api-key, x-goog-api-key, `?key=`; null when there is none. */
export function readCredential(headers: IncomingHttpHeaders, url: string): string | null {
  const bearer = readBearer(headers)
  if (bearer !== null) return bearer
  const header = headers['x-api-key'] ?? headers['x-goog-api-key']
  if (typeof header === 'string' && header !== '') return header.trim()
  const query = url.indexOf('?')
  return query === -1 ? null : new URLSearchParams(url.slice(query + 1)).get('key') || null
}

function readControlCredential(headers: IncomingHttpHeaders): string | null {
  const header = headers['x-admin-key']
  return readBearer(headers) ?? (typeof header === 'string' && header !== '' ? header.trim() : null)
}

function readBearer(headers: IncomingHttpHeaders): string | null {
  const sent = headers.authorization
  // https://www.rfc-editor.org/rfc/rfc9110#section-11.1: the scheme's name is case-insensitive
  if (sent === undefined || !/^bearer /i.test(sent)) return null
  return sent.slice(7).trim() || null
}

/** Compares in a time that tells nothing of the secret, its length included. An empty secret equals nothing. */
function createEqual(secret: string): (text: string) => boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest()
  const wanted = digest(secret)
  return (text) => timingSafeEqual(digest(text), wanted) && secret !== ''
}

function unknownKey(): HubError {
  return fail('invalid_api_key', 'this API key is not known here; check that it was copied whole, or make a new one')
}

function cannotTell(cause?: unknown): HubError {
  return fail('unavailable', 'this API key cannot be checked now, try again shortly', { retryAfterMs: 5000, cause })
}

async function within<T>(work: Promise<T>, limitMs: number, clock: Clock): Promise<T> {
  const done = new AbortController()
  const tooLate = clock.sleep(limitMs, done.signal).then(() => {
    if (!done.signal.aborted) throw new Error(`no answer within ${limitMs} ms`)
    return work
  })
  try {
    return await Promise.race([work, tooLate])
  } finally {
    done.abort()
  }
}
