import { fail, type HubError } from '../../../kernel/errors.ts'
import type { JsonObject } from '../../protocols/protocol.ts'
import type { Credential, Outside } from '../provider.ts'

export type TokenRequest = { url: string; form: Record<string, string> }

/**
 * A credential that is exchanged for a bearer token now and then (OAuth 2). One exchange at a time, however many calls
 * wait for it; the token is used until shortly before it expires. A failed exchange fails the calls that waited and is
 * not repeated for a second, so that a wrong key does not become a storm at the token endpoint.
 */
export function openTokenCredential(parts: {
  /** Who gives the token, for messages. */
  issuer: string
  /** Texts to keep out of logs, beyond the tokens. */
  secrets: readonly string[]
  /** Written anew for each exchange: it may be signed and dated. */
  writeRequest(now: number): TokenRequest
  outside: Outside
}): Credential {
  const { outside } = parts
  let token: Token | null = null
  let pending: Promise<readonly string[]> | null = null
  let renewedAt = Number.NEGATIVE_INFINITY
  let failed: { error: HubError; until: number } | null = null

  const exchange = async (): Promise<readonly string[]> => {
    try {
      const { url, form } = parts.writeRequest(outside.now())
      const answer = await outside.postForm(url, form)
      token = readToken(answer, parts.issuer, outside.now())
      failed = null
      return token.headers
    } catch (error) {
      failed = { error: error as HubError, until: outside.now() + failurePauseMs }
      throw error
    }
  }

  return {
    secrets: () => (token === null ? parts.secrets : [...parts.secrets, token.text]),
    authorize() {
      const now = outside.now()
      if (token !== null && now < token.renewAt) return token.headers
      if (failed !== null && now < failed.until) return Promise.reject(failed.error)
      pending ??= exchange().finally(() => {
        pending = null
      })
      return pending
    },
    renew(sent) {
      if (token === null || token.headers !== sent) return true
      // Refused again so soon, it is refused for another reason than its age.
      if (outside.now() - renewedAt < renewalPauseMs) return false
      renewedAt = outside.now()
      token = null
      return true
    },
  }
}

type Token = { text: string; headers: readonly string[]; renewAt: number }

const failurePauseMs = 1000
const renewalPauseMs = 10_000
/** A call may be on its way for a while before the vendor looks at its token. */
const marginMs = 120_000

/** https://www.rfc-editor.org/rfc/rfc6749#section-5.1 */
function readToken({ status, body }: { status: number; body: string }, issuer: string, now: number): Token {
  const wire = parse(body)
  const text = wire?.access_token
  if (status !== 200 || typeof text !== 'string' || !/^[\x21-\x7e]+$/.test(text)) throw refusal(issuer, status, wire)
  const seconds = Number(wire?.expires_in)
  const lifeMs = Number.isFinite(seconds) && seconds > 0 ? Math.min(seconds, 86_400) * 1000 : 300_000
  return {
    text,
    headers: ['authorization', `Bearer ${text}`],
    renewAt: now + Math.max(lifeMs - marginMs, lifeMs / 2),
  }
}

/** Only the code of the refusal: descriptions repeat accounts, addresses and parts of the assertion. */
function refusal(issuer: string, status: number, wire: JsonObject | null): HubError {
  const said = typeof wire?.error === 'string' && /^[a-z_]{1,40}$/.test(wire.error) ? ` (${wire.error})` : ''
  if (status >= 500) return fail('upstream_failed', `${issuer} answered ${status}${said} instead of an access token.`)
  if (status === 429) return fail('upstream_rate_limited', `${issuer} gives no more access tokens for now${said}.`)
  if (status >= 400) {
    return fail('upstream_unauthorized', `${issuer} gives no access token for the key this hub uses${said}.`)
  }
  return fail('upstream_garbled', `${issuer} answered ${status} without an access token.`)
}

function parse(body: string): JsonObject | null {
  try {
    const wire: unknown = JSON.parse(body)
    return typeof wire === 'object' && wire !== null && !Array.isArray(wire) ? (wire as JsonObject) : null
  } catch {
    return null
  }
}
