import { z } from 'zod'
import type { Clock } from '../kernel/clock.ts'
import { fail, HubError } from '../kernel/errors.ts'
import { type Role, roles } from '../kernel/principal.ts'
import { everything, hubTenant } from '../kernel/scope.ts'
import type { Log } from '../platform/log.ts'
import type { Secrets } from '../platform/secrets.ts'
import { adminPrincipal } from './authenticate.ts'
import type { OidcConfig } from './config.ts'
import { normaliseEmail } from './emails.ts'
import type { LoggedIn, Login } from './login.ts'
import type { Claims, OpenidProvider } from './openid-provider.ts'
import type { Origin } from './sessions.ts'
import type { SingleSignOnStore } from './single-sign-on-store.ts'
import type { UserRow } from './store.ts'
import type { Tenants } from './tenants.ts'
import type { UserStore } from './user-store.ts'
import type { Users } from './users.ts'

export type SingleSignOn = {
  isOn: boolean
  /** Where to send the browser, and a token it keeps: only who began can finish. */
  begin(): Promise<{ url: string; loginToken: string; expiresInSeconds: number }>
  /** With the query the provider sent the browser back with. */
  finish(loginToken: string, query: string, origin: Origin): Promise<LoggedIn>
}

const passageMs = 10 * 60_000
const sealContext = 'single sign-on'
const passageShape = z.object({ state: z.string(), nonce: z.string(), verifier: z.string(), until: z.number() })

export function createSingleSignOn(own: {
  config: OidcConfig
  /** null when none is configured. */
  provider: OpenidProvider | null
  singleSignOnStore: SingleSignOnStore
  userStore: Pick<UserStore, 'findByLogin'>
  users: Pick<Users, 'create' | 'patch'>
  tenants: Pick<Tenants, 'get'>
  login: Pick<Login, 'admit'>
  secrets: Pick<Secrets, 'encrypt' | 'decrypt'>
  clock: Clock
  log: Log
}): SingleSignOn {
  const { config, provider, singleSignOnStore, userStore, users, tenants, login, secrets, clock, log } = own

  function on(): OpenidProvider {
    if (provider === null) throw fail('not_found', 'there is no log-in by a provider here; set auth.oidc.issuer')
    return provider
  }

  const refuse = (why: string, claims: Claims): HubError => {
    log.warn(`Somebody was not let in by the OpenID provider: ${why}`, { address: config.issuer })
    return fail('forbidden', `${why}; ask an administrator`, { detail: `subject ${claims.sub}` })
  }

  function wishOf(claims: Claims): { role: Role | null; tenant: string | null } {
    const mapped = (claim: string, map: readonly string[]) => {
      const values = valuesOf(claims, claim)
      return map.map(splitEntry).filter(([value]) => values.includes(value))
    }
    let role: Role | null = null
    if (config.role_claim !== '') {
      const found = mapped(config.role_claim, config.role_map).map(([, meant]) => meant)
      role = roles.find((each) => found.includes(each)) ?? null
      if (role === null) throw refuse('none of your groups is let in here', claims)
    }
    if (role === 'super_admin') return { role, tenant: hubTenant.name }
    if (config.tenant_claim === '') return { role, tenant: null }
    const tenant = mapped(config.tenant_claim, config.tenant_map)[0]?.[1]
    if (tenant === undefined) throw refuse('none of your organisations is let in here', claims)
    return { role, tenant }
  }

  async function personOf(claims: Claims, wish: ReturnType<typeof wishOf>): Promise<UserRow> {
    const linked = await singleSignOnStore.findUser(everything, config.issuer, claims.sub)
    if (linked !== undefined) return linked
    const email = typeof claims.email === 'string' ? normaliseEmail(claims.email) : null
    // Whoever may type any address at a provider must not become its owner here.
    if (email === null || claims.email_verified !== true)
      throw refuse('the provider has not verified your address', claims)
    const known = await userStore.findByLogin(everything, email)
    if (known === undefined && !config.auto_provision) throw refuse('nobody has invited this address', claims)
    const user =
      known ??
      (await users.create(adminPrincipal, {
        ...{ email, password: '', name: typeof claims.name === 'string' ? claims.name.slice(0, 100) : '' },
        ...{ role: wish.role ?? 'user', tenant: wish.tenant ?? hubTenant.name },
      }))
    const link = { issuer: config.issuer, subject: claims.sub, user_id: user.id, created_at: clock.now() }
    await singleSignOnStore.link(link)
    log.info('A person of the OpenID provider is known from now on', { userId: user.id })
    return user
  }

  /** Where the provider says what somebody may do, it says so at every log-in. */
  async function followed(user: UserRow, { role, tenant }: ReturnType<typeof wishOf>): Promise<UserRow> {
    const tenantId = tenant === null ? user.tenant_id : (await tenants.get(everything, tenant)).id
    const isSame = (role === null || role === user.role) && tenantId === user.tenant_id
    if (isSame) return user
    try {
      const change = { ...(role === null ? {} : { role }), ...(tenant === null ? {} : { tenant }) }
      return await users.patch(adminPrincipal, user.id, change)
    } catch (error) {
      if (!(error instanceof HubError) || error.code !== 'conflict') throw error
      log.warn('The last super_admin keeps its role, whatever the OpenID provider says', { userId: user.id })
      return user
    }
  }

  return {
    isOn: provider !== null,
    async begin() {
      const { url, ...passage } = await on().begin()
      const loginToken = secrets.encrypt(JSON.stringify({ ...passage, until: clock.now() + passageMs }), sealContext)
      return { url, loginToken, expiresInSeconds: passageMs / 1000 }
    },

    async finish(loginToken, query, origin) {
      const asked = on()
      const passage = read(loginToken)
      if (passage === null || passage.until <= clock.now()) {
        throw fail('invalid_token', 'this log-in took too long or was begun elsewhere; begin it anew')
      }
      const claims = await asked.finish(query, passage)
      const wish = wishOf(claims)
      const user = await followed(await personOf(claims, wish), wish)
      return login.admit(user, origin, config.replaces_totp)
    },
  }

  function read(loginToken: string): z.infer<typeof passageShape> | null {
    try {
      return passageShape.parse(JSON.parse(secrets.decrypt(loginToken, sealContext)))
    } catch {
      return null
    }
  }
}

function splitEntry(entry: string): [value: string, meant: string] {
  const at = entry.lastIndexOf('=')
  return [entry.slice(0, at), entry.slice(at + 1)]
}

/** A claim's texts, by its name or, as in Keycloak's `realm_access.roles`, by its path. */
function valuesOf(claims: Claims, name: string): string[] {
  let value: unknown = claims[name]
  if (value === undefined) {
    value = name.split('.').reduce<unknown>((at, key) => (isTable(at) ? at[key] : undefined), claims)
  }
  return (Array.isArray(value) ? value : [value]).filter((each): each is string => typeof each === 'string')
}

function isTable(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
