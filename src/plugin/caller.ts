import { createPublicKey, type JsonWebKey, type KeyObject, verify } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import type { HubLink } from './hub-link.ts'

/** Whoever the hub let through to this plugin. Every member is '' where it does not apply. */
export type Caller = {
  /** `usr_…` */
  userId: string
  tenantId: string
  /** `super_admin`, `tenant_admin` or `user`. */
  role: string
  /** `key_…`, when the call was made with an API key. */
  keyId: string
  /** The plugin service that calls, when one does. */
  service: string
}

/** The header with the hub's signature over who is calling; the others repeat it in clear text. */
export const identityHeader = 'x-gatehouse-identity'

/**
 * What the hub says of the caller, or null for a call without credentials. It is worth believing only where nobody but
 * the hub can reach this plugin; elsewhere ask `createCallerVerifier`.
 */
export function readCaller(headers: IncomingHttpHeaders): Caller | null {
  const read = (name: string) => {
    const value = headers[`x-gatehouse-${name}`]
    return typeof value === 'string' ? value : ''
  }
  const caller = {
    userId: read('user'),
    tenantId: read('tenant'),
    role: read('role'),
    keyId: read('key'),
    service: read('service'),
  }
  return Object.values(caller).some((value) => value !== '') ? caller : null
}

type Claims = {
  iss?: string
  aud?: string
  exp?: number
  user?: string
  tenant?: string
  role?: string
  key?: string
  service?: string
}

/** A clock that is a little wrong is no attack. */
const leewaySeconds = 30
/** A stranger who sends made-up key ids must not make us ask the hub each time. */
const askAgainMs = 10_000

/**
 * Verifies the hub's signature on each call: who can reach this plugin besides the hub does not matter then. The hub's
 * keys are read from its `/.well-known/jwks.json` and kept; no secret is shared.
 */
export function createCallerVerifier(link: Pick<HubLink, 'ask'>, serviceName: string, now: () => number = Date.now) {
  let keys = new Map<string, KeyObject>()
  let askedAt = Number.NEGATIVE_INFINITY

  async function keyOf(id: string): Promise<KeyObject | undefined> {
    const known = keys.get(id)
    if (known !== undefined || now() - askedAt < askAgainMs) return known
    askedAt = now()
    const set = await link.ask<{ keys: (JsonWebKey & { kid: string })[] }>({
      method: 'GET',
      path: '/.well-known/jwks.json',
    })
    keys = new Map(set.keys.map((jwk) => [jwk.kid, createPublicKey({ key: jwk, format: 'jwk' })]))
    return keys.get(id)
  }

  /** The caller, or null when the call carries no valid signature of the hub for this service. */
  return async function verifyCaller(headers: IncomingHttpHeaders): Promise<Caller | null> {
    const token = headers[identityHeader]
    if (typeof token !== 'string') return null
    const [head, payload, signature, ...more] = token.split('.')
    if (head === undefined || payload === undefined || signature === undefined || more.length > 0) return null
    const { alg, kid } = parse<{ alg?: string; kid?: string }>(head) ?? {}
    const claims = parse<Claims>(payload)
    if (typeof kid !== 'string' || claims === null) return null
    const key = await keyOf(kid)
    if (key === undefined || !isSigned(alg, key, `${head}.${payload}`, signature)) return null
    if (claims.iss !== 'gatehouse' || claims.aud !== serviceName || typeof claims.exp !== 'number') return null
    if (claims.exp + leewaySeconds < now() / 1000) return null
    const { user = '', tenant = '', role = '', key: keyId = '', service = '' } = claims
    return { userId: user, tenantId: tenant, role, keyId, service }
  }
}

/** Only what the hub signs with, and only with the kind of key that belongs to it: https://www.rfc-editor.org/rfc/rfc8725 */
function isSigned(alg: string | undefined, key: KeyObject, text: string, signature: string): boolean {
  const bytes = Buffer.from(signature, 'base64url')
  if (alg === 'EdDSA' && key.asymmetricKeyType === 'ed25519') return verify(null, Buffer.from(text), key, bytes)
  if (alg === 'ES256' && key.asymmetricKeyType === 'ec') {
    return verify('sha256', Buffer.from(text), { key, dsaEncoding: 'ieee-p1363' }, bytes)
  }
  return false
}

function parse<T>(part: string): T | null {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString('utf8'))
    return typeof value === 'object' && value !== null ? (value as T) : null
  } catch {
    return null
  }
}
