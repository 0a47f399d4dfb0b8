import { createHash, createPrivateKey, createPublicKey, sign } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { Principal } from '../../kernel/principal.ts'
import type { Secrets } from '../../platform/secrets.ts'

/** Whom the hub says is calling, signed, so that a plugin need not trust its network. */
export type IdentityTokens = {
  /** A JWT for one service as audience, good for at least half a minute more. */
  tokenFor(principal: Principal, service: { id: string; name: string }, nowMs: number): string
  /** A compact JWS over what the hub states for good; `typ` tells it from a token, which it must never pass for. */
  sign(statement: Readonly<Record<string, unknown>>, typ: string): string
  /** What `/.well-known/jwks.json` answers. https://www.rfc-editor.org/rfc/rfc7517#section-5 */
  jwks: { keys: readonly Record<string, string>[] }
}

const lifeSeconds = 60
const reuseMs = 30_000
const mostTokens = 10_000

// An Ed25519 private key in PKCS #8 is this and the 32 bytes of the seed: https://www.rfc-editor.org/rfc/rfc8410#section-7
const pkcs8Head = Buffer.from('302e020100300506032b657004220420', 'hex')

/**
 * The key comes from the master key: every node has the same one and nothing is stored. Signing is synchronous, by
 * node:crypto; a promise for each call would cost more than the call's other headers together.
 */
export function createIdentityTokens(secrets: Pick<Secrets, 'derive'>): IdentityTokens {
  const der = Buffer.concat([pkcs8Head, secrets.derive('service identity')])
  const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
  const { x = '' } = createPublicKey(key).export({ format: 'jwk' }) as { x?: string }
  // https://www.rfc-editor.org/rfc/rfc7638#section-3: required members in alphabetical order
  const kid = createHash('sha256').update(`{"crv":"Ed25519","kty":"OKP","x":"${x}"}`).digest('base64url')
  const head = encode({ alg: 'EdDSA', typ: 'JWT', kid })
  const seal = (text: string) => `${text}.${sign(null, Buffer.from(text), key).toString('base64url')}`
  const made = new LRUCache<string, { token: string; until: number }>({ max: mostTokens })

  function make(principal: Principal, serviceName: string, nowMs: number): string {
    const issuedAt = Math.floor(nowMs / 1000)
    const claims = encode({
      iss: 'gatehouse',
      aud: serviceName,
      sub: principal.id,
      iat: issuedAt,
      exp: issuedAt + lifeSeconds,
      role: principal.role,
      tenant: shownTenant(principal.tenantId),
      ...(principal.userId === '' ? {} : { user: principal.userId }),
      ...(principal.keyId === '' ? {} : { key: principal.keyId }),
      ...(principal.service === '' ? {} : { service: principal.service }),
    })
    return seal(`${head}.${claims}`)
  }

  return {
    tokenFor(principal, service, nowMs) {
      const { id, role, tenantId, keyId, userId } = principal
      const name = `${service.id} ${id} ${role} ${tenantId} ${keyId} ${userId} ${principal.service}`
      const known = made.get(name)
      if (known !== undefined && nowMs < known.until) return known.token
      const token = make(principal, service.name, nowMs)
      made.set(name, { token, until: nowMs + reuseMs })
      return token
    },
    sign: (statement, typ) => seal(`${encode({ alg: 'EdDSA', typ, kid })}.${encode(statement)}`),
    jwks: { keys: [{ kty: 'OKP', crv: 'Ed25519', x, kid, alg: 'EdDSA', use: 'sig' }] },
  }
}

/** The hub's own tenant has no id in the store and is called `hub` outside. */
export function shownTenant(tenantId: string): string {
  return tenantId === '' ? 'hub' : tenantId
}

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}
