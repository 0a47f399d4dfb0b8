import type { Configuration } from 'openid-client'
import type { Clock } from '../kernel/clock.ts'
import { fail, HubError } from '../kernel/errors.ts'
import type { Upstreams } from '../platform/fetch.ts'
import type { Log } from '../platform/log.ts'
import type { OidcConfig } from './config.ts'

/** What a provider must be asked with, and what must come back with its answer. */
export type Passage = { state: string; nonce: string; verifier: string }
export type Claims = Readonly<Record<string, unknown>> & { sub: string }

/** The OpenID provider of `[auth.oidc]`: code flow with PKCE, state and nonce, https://openid.net/specs/openid-connect-core-1_0.html */
export type OpenidProvider = {
  /** Where to send somebody who wants to log in. */
  begin(): Promise<Passage & { url: string }>
  /**
   * What the provider says of who came back with `query`. Rejects with `invalid_credentials` when it let nobody in,
   * `invalid_token` for a passage that was used, `unavailable` when it cannot be asked.
   */
  finish(query: string, passage: Passage): Promise<Claims>
}

/** Loaded when somebody logs in so: most hubs have no such provider. */
const client = () => import('openid-client')

const rememberMs = 3_600_000
const timeoutSeconds = 10

export function createOpenidProvider(own: {
  config: OidcConfig
  redirectUrl: string
  upstreams: Pick<Upstreams, 'send'>
  clock: Clock
  log: Log
}): OpenidProvider {
  const { config, redirectUrl, upstreams, clock, log } = own
  let known: { configuration: Configuration; until: number } | null = null
  let asking: Promise<Configuration> | null = null

  // Every address of the provider but the first comes from its own document: each is classified like any other.
  const guardedFetch = async (
    url: string,
    { method, headers, body }: { method: string; headers: object; body?: unknown },
  ) => {
    const answer = await upstreams.send(url, {
      method: method === 'POST' ? 'POST' : 'GET',
      headers: Object.fromEntries(new Headers(headers as Record<string, string>)),
      ...(body === undefined || body === null ? {} : { body: String(body) }),
      timeoutMs: timeoutSeconds * 1000,
    })
    const held = Object.entries(answer.headers).flatMap(([name, value]): [string, string][] =>
      value === undefined ? [] : [[name, Array.isArray(value) ? value.join(', ') : value]],
    )
    const isEmpty = answer.status === 204 || answer.status === 304
    return new Response(isEmpty ? null : new Uint8Array(answer.body), { status: answer.status, headers: held })
  }

  async function discover(): Promise<Configuration> {
    const { allowInsecureRequests, customFetch, discovery, enableNonRepudiationChecks, None } = await client()
    const issuer = new URL(config.issuer)
    const isSecret = config.client_secret !== ''
    return discovery(
      issuer,
      config.client_id,
      isSecret ? config.client_secret : undefined,
      isSecret ? undefined : None(),
      {
        // Signatures are checked although TLS vouches for them: a token may travel by a proxy of the operator's.
        execute: [enableNonRepudiationChecks, ...(issuer.protocol === 'http:' ? [allowInsecureRequests] : [])],
        timeout: timeoutSeconds,
        [customFetch]: guardedFetch as never,
      },
    )
  }

  async function configuration(): Promise<Configuration> {
    if (known !== null && known.until > clock.now()) return known.configuration
    asking ??= discover().finally(() => {
      asking = null
    })
    try {
      const configuration = await asking
      known = { configuration, until: clock.now() + rememberMs }
      return configuration
    } catch (error) {
      // What was true an hour ago is worth a try while the provider cannot be asked anew.
      if (known !== null) return known.configuration
      throw cannotAsk(error)
    }
  }

  function cannotAsk(cause: unknown): HubError {
    log.error('The OpenID provider cannot be asked', { error: cause, address: config.issuer })
    return fail('unavailable', 'the log-in provider cannot be asked now; try again shortly', {
      ...{ retryAfterMs: 5000, cause },
    })
  }

  async function claimsOf(query: string, { state, nonce, verifier }: Passage): Promise<Claims> {
    const { authorizationCodeGrant, fetchUserInfo } = await client()
    const provider = await configuration()
    const url = new URL(redirectUrl)
    url.search = query
    const tokens = await authorizationCodeGrant(provider, url, {
      ...{ expectedState: state, expectedNonce: nonce, pkceCodeVerifier: verifier, idTokenExpected: true },
    })
    const claims = tokens.claims()!
    const hasMore = provider.serverMetadata().userinfo_endpoint !== undefined
    // Many providers tell an address only when asked for it by name.
    if (!hasMore) return claims
    const more = await fetchUserInfo(provider, tokens.access_token, claims.sub)
    return { ...more, ...claims }
  }

  return {
    async begin() {
      const openid = await client()
      const provider = await configuration()
      const passage = {
        state: openid.randomState(),
        nonce: openid.randomNonce(),
        verifier: openid.randomPKCECodeVerifier(),
      }
      const url = openid.buildAuthorizationUrl(provider, {
        redirect_uri: redirectUrl,
        scope: config.scopes.join(' '),
        ...{ state: passage.state, nonce: passage.nonce },
        code_challenge: await openid.calculatePKCECodeChallenge(passage.verifier),
        code_challenge_method: 'S256',
      })
      return { ...passage, url: url.href }
    },

    async finish(query, passage) {
      try {
        return await claimsOf(query, passage)
      } catch (thrown) {
        if (thrown instanceof HubError) throw thrown
        const { AuthorizationResponseError, ResponseBodyError } = await client()
        if (thrown instanceof AuthorizationResponseError) {
          throw fail('invalid_credentials', 'the log-in provider let nobody in', {
            detail: thrown.error,
            cause: thrown,
          })
        }
        if (thrown instanceof ResponseBodyError && thrown.error === 'invalid_grant') {
          throw fail('invalid_token', 'this log-in was used or took too long; begin it anew', { cause: thrown })
        }
        if (thrown instanceof ResponseBodyError || hasHubCause(thrown)) throw cannotAsk(thrown)
        log.warn('An answer of the OpenID provider was refused', { error: thrown, address: config.issuer })
        throw fail('invalid_credentials', 'the answer of the log-in provider is not valid; begin anew', {
          cause: thrown,
        })
      }
    },
  }
}

function hasHubCause(thrown: unknown): boolean {
  return thrown instanceof Error && (thrown.cause instanceof HubError || hasHubCause(thrown.cause))
}
