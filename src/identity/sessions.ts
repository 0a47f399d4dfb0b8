import { randomBytes } from 'node:crypto'
import { errors, jwtVerify, SignJWT } from 'jose'
import { LRUCache } from 'lru-cache'
import type { Clock } from '../kernel/clock.ts'
import { fail, type HubError } from '../kernel/errors.ts'
import { createId } from '../kernel/ids.ts'
import { type Principal, type Role, roles } from '../kernel/principal.ts'
import { everything, type Scope } from '../kernel/scope.ts'
import type { Bus } from '../platform/bus/bus.ts'
import type { Log } from '../platform/log.ts'
import type { Secrets } from '../platform/secrets.ts'
import { createSnapshot } from '../platform/snapshot.ts'
import type { SessionRow, SessionStore } from './session-store.ts'
import type { UserRow } from './store.ts'

/** From where somebody logs in; `network` is what limits count under. */
export type Origin = { ip: string; network: string; userAgent: string }
export type Tokens = { accessToken: string; refreshToken: string; expiresInSeconds: number; user: UserRow }

export type Sessions = {
  /** Begins a session of `user`. */
  open(user: UserRow, origin: Origin): Promise<Tokens>
  /** Trades a refresh token for new ones. One that was used before ends its whole session. */
  refresh(refreshToken: string, origin: Origin): Promise<Tokens>
  /** Who an access token belongs to. Needs no store; a session that was ended is refused. */
  byToken(token: string): Principal | Promise<Principal>
  /** The session behind a principal of `byToken`; '' for any other. */
  idOf(principal: Principal): string
  list(scope: Scope, userId: string): Promise<SessionRow[]>
  /** Ends sessions by id; refused here at once, on other nodes within two seconds. */
  end(ids: readonly string[]): Promise<void>
  /** Ends all sessions of a user but `exceptId`. */
  endAllOf(userId: string, exceptId?: string): Promise<void>
  /** Ends the sessions of all people of a tenant. */
  endTenant(scope: Scope, tenantId: string): Promise<void>
  ready(): Promise<void>
  reload(): Promise<void>
  /** Removes what is long over, a thousand rows at a time. */
  forgetOld(): Promise<void>
  stop(): void
}

type Verified = { principal: Principal; sessionId: string; expiresAt: number }

const issuer = 'gatehouse'
const forgetAfterMs = 24 * 3_600_000
const forgetRows = 1000

export function createSessions(own: {
  sessionStore: SessionStore
  revision(): Promise<number>
  secrets: Pick<Secrets, 'derive' | 'hashKey'>
  bus: Bus
  clock: Clock
  log: Log
  accessTokenMs: number
  refreshTokenMs(): number
  /** Whether people of a tenant are let in; asked for every request, in memory. */
  isTenantOpen(tenantId: string): boolean
  /** Whether a person has to log in anew, because more is asked of it than when the session began. */
  mustLogInAnew(user: UserRow): Promise<boolean>
}): Sessions {
  const { sessionStore, secrets, bus, clock, log, accessTokenMs, refreshTokenMs } = own
  const key = secrets.derive('session')
  const verified = new LRUCache<string, Verified>({ max: 1000 })
  const idByPrincipal = new WeakMap<Principal, string>()
  // Ended on this node; the snapshot brings those of the others. Grows by one id for each log-out until a restart.
  // `max` would make room for all of them at once, which is 2 MB.
  const endedHere = new LRUCache<string, true>({ maxSize: 100_000, sizeCalculation: () => 1 })
  const ended = createSnapshot<ReadonlySet<string>>({
    name: 'ended sessions',
    // An access token outlives its session by no more than this.
    load: () => sessionStore.revokedSince(clock.now() - accessTokenMs - 60_000),
    revision: own.revision,
    clock,
    log,
  })

  async function verify(token: string): Promise<Verified> {
    try {
      const { payload } = await jwtVerify(token, key, {
        algorithms: ['HS256'],
        issuer,
        currentDate: new Date(clock.now()),
        requiredClaims: ['sub', 'sid', 'role', 'exp'],
      })
      const role = roles.find((one) => one === payload.role)
      if (role === undefined) throw over()
      const sessionId = String(payload.sid)
      const principal = personPrincipal(payload.sub!, role, String(payload.tenant_id ?? ''))
      idByPrincipal.set(principal, sessionId)
      return { principal, sessionId, expiresAt: payload.exp! * 1000 }
    } catch (error) {
      if (error instanceof errors.JOSEError) throw over()
      throw error
    }
  }

  function accept(found: Verified): Principal {
    if (clock.now() >= found.expiresAt) throw over()
    if (endedHere.has(found.sessionId) || ended.get().has(found.sessionId)) throw over()
    if (!own.isTenantOpen(found.principal.tenantId)) throw over()
    return found.principal
  }

  async function tokensFor(user: UserRow, sessionId: string, refreshToken: string): Promise<Tokens> {
    const issuedAt = Math.floor(clock.now() / 1000)
    const expiresInSeconds = Math.floor(accessTokenMs / 1000)
    const accessToken = await new SignJWT({ tenant_id: user.tenant_id, role: user.role, sid: sessionId })
      .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
      .setSubject(user.id)
      .setIssuer(issuer)
      .setIssuedAt(issuedAt)
      .setExpirationTime(issuedAt + expiresInSeconds)
      .sign(key)
    return { accessToken, refreshToken, expiresInSeconds, user }
  }

  async function end(ids: readonly string[]): Promise<void> {
    if (ids.length === 0) return
    await sessionStore.revoke(ids, clock.now())
    for (const id of ids) endedHere.set(id, true)
    bus.announce('config.changed', { kind: 'keys' })
  }

  return {
    async open(user, origin) {
      const now = clock.now()
      const id = createId('session', now)
      const refreshToken = createRefreshToken()
      await sessionStore.insert({
        id,
        family: id,
        user_id: user.id,
        token_hash: secrets.hashKey(refreshToken),
        started_at: now,
        created_at: now,
        expires_at: now + refreshTokenMs(),
        rotated_at: null,
        revoked_at: null,
        ip: origin.ip,
        user_agent: origin.userAgent,
      })
      return tokensFor(user, id, refreshToken)
    },

    async refresh(refreshToken, origin) {
      const now = clock.now()
      const successor = createRefreshToken()
      const outcome = await sessionStore.rotate(secrets.hashKey(refreshToken), now, (previous) => ({
        ...previous,
        id: createId('session', now),
        token_hash: secrets.hashKey(successor),
        created_at: now,
        expires_at: now + refreshTokenMs(),
        rotated_at: null,
        ip: origin.ip,
        user_agent: origin.userAgent,
      }))
      if (outcome.kind === 'rotated') {
        const { user, family } = outcome
        if (own.isTenantOpen(user.tenant_id) && !(await own.mustLogInAnew(user)))
          return tokensFor(user, family, successor)
        await end([family])
      }
      if (outcome.kind === 'reused') {
        log.warn('A refresh token was used twice; its session has been ended', { userId: outcome.userId })
        await end([outcome.family])
      }
      throw over()
    },

    byToken(token) {
      const known = verified.get(token)
      if (known !== undefined) return accept(known)
      return verify(token).then((found) => {
        verified.set(token, found)
        return accept(found)
      })
    },

    idOf: (principal) => idByPrincipal.get(principal) ?? '',
    list: (scope, userId) => sessionStore.listOpen(scope, userId, clock.now()),
    end,
    async endAllOf(userId, exceptId) {
      const families = await sessionStore.familiesOf(everything, userId, clock.now() - accessTokenMs)
      await end(families.filter((id) => id !== exceptId))
    },
    async endTenant(scope, tenantId) {
      await sessionStore.revokeTenant(scope, tenantId, clock.now())
      await ended.refresh()
      bus.announce('config.changed', { kind: 'keys' })
    },
    ready: () => ended.ready(),
    reload: () => ended.refresh(),
    async forgetOld() {
      for (;;) {
        if ((await sessionStore.forget(clock.now() - forgetAfterMs, forgetRows)) < forgetRows) return
      }
    },
    stop: () => ended.stop(),
  }
}

function personPrincipal(id: string, role: Role, tenantId: string): Principal {
  return {
    kind: 'user',
    id,
    role,
    tenantId,
    userId: id,
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
  }
}

function createRefreshToken(): string {
  return `rt_${randomBytes(32).toString('base64url')}`
}

function over(): HubError {
  return fail('session_expired', 'this session is over; log in again')
}
