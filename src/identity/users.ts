import type { Clock } from '../kernel/clock.ts'
import { fail } from '../kernel/errors.ts'
import { createId } from '../kernel/ids.ts'
import { type Page, toPage } from '../kernel/page.ts'
import type { Principal, Role } from '../kernel/principal.ts'
import { everything, hubTenant, scopeOf } from '../kernel/scope.ts'
import type { Bus } from '../platform/bus/bus.ts'
import { isUniqueViolation } from '../platform/database/index.ts'
import type { Log } from '../platform/log.ts'
import type { KeyRing } from './key-ring.ts'
import type { Passwords } from './passwords.ts'
import type { SecondFactor } from './second-factor.ts'
import type { SessionRow } from './session-store.ts'
import type { Sessions } from './sessions.ts'
import type { Language, UserRow } from './store.ts'
import type { Tenants } from './tenants.ts'
import { newUserRow, type UserOutcome, type UserStore } from './user-store.ts'

export type UserChange = {
  name?: string
  username?: string | null
  language?: Language | ''
  role?: Role
  /** Id or name. */
  tenant?: string
  enabled?: boolean
  password?: string
}

export type UserWish = {
  email: string
  /** '' for somebody who logs in elsewhere. */
  password: string
  name: string
  username?: string | null
  language?: Language | ''
  role: Role
  /** Id or name; absent: the actor's own. */
  tenant?: string | undefined
}

/** Who acts: a person or the holder of ADMIN_KEY. What it may not see is `not_found`, as if it had never been. */
type Actor = Principal

export type Users = {
  list(actor: Actor, limit: number, cursor?: string): Promise<Page<UserRow>>
  get(actor: Actor, id: string): Promise<UserRow>
  /** Rejects with `conflict` when address or user name are taken, `forbidden` for a role above the actor's. */
  create(actor: Actor, wish: UserWish): Promise<UserRow>
  /** What somebody may do changes at once: a new role, tenant, password or a disabled person ends all sessions. */
  patch(actor: Actor, id: string, change: UserChange): Promise<UserRow>
  /** What people may change about themselves: neither role nor tenant. */
  patchSelf(id: string, change: Pick<UserChange, 'name' | 'username' | 'language'>): Promise<UserRow>
  /** With sessions and keys. The last enabled super_admin stays: `conflict`. */
  delete(actor: Actor, id: string): Promise<void>
  /** Lets somebody try again who failed too often. */
  unlock(actor: Actor, id: string): Promise<void>
  /** Takes the second factor from somebody who lost it, and ends the sessions. */
  removeSecondFactor(actor: Actor, id: string): Promise<void>
  sessionsOf(actor: Actor, id: string): Promise<SessionRow[]>
  /** One session of somebody, or all without `sessionId`. */
  endSessions(actor: Actor, id: string, sessionId?: string): Promise<void>
  /** The role somebody is to have and the tenant to be in, if `actor` may say so; the tenant's id. */
  judge(actor: Actor, wish: { role: Role; tenant?: string | undefined }): Promise<string>
}

const rank: Record<Role, number> = { user: 0, tenant_admin: 1, super_admin: 2 }

export function createUsers(own: {
  userStore: UserStore
  tenants: Pick<Tenants, 'get'>
  secondFactor: Pick<SecondFactor, 'remove'>
  ring: Pick<KeyRing, 'apply'>
  passwords: Passwords
  sessions: Sessions
  bus: Bus
  clock: Clock
  log: Log
}): Users {
  const { userStore, tenants, secondFactor, ring, passwords, sessions, bus, clock, log } = own

  const absent = (id: string) => fail('not_found', `there is no user ${id}`, { param: 'id' })

  async function get(actor: Actor, id: string): Promise<UserRow> {
    const row = await userStore.find(scopeOf(actor), id)
    if (row === undefined) throw absent(id)
    return row
  }

  /** Somebody the actor may see and who does not stand above it. */
  async function subordinate(actor: Actor, id: string): Promise<UserRow> {
    const row = await get(actor, id)
    if (rank[row.role] > rank[actor.role]) throw fail('forbidden', `this takes the role ${row.role}`)
    return row
  }

  async function judge(actor: Actor, wish: { role: Role; tenant?: string | undefined }): Promise<string> {
    if (rank[wish.role] > rank[actor.role]) {
      throw fail('forbidden', `a ${actor.role} cannot give the role ${wish.role}`, { param: 'role' })
    }
    const tenant = await tenants.get(scopeOf(actor), wish.tenant ?? actor.tenantId, 'tenant_id')
    if (wish.role === 'super_admin' && tenant.id !== hubTenant.id) {
      throw fail('invalid_request', 'a super_admin belongs to the tenant hub', { param: 'tenant_id' })
    }
    return tenant.id
  }

  async function spread(): Promise<void> {
    bus.announce('config.changed', { kind: 'keys' })
    await ring.apply()
  }

  async function unlessTaken<T>(work: Promise<T>, username: string | null | undefined): Promise<T> {
    try {
      return await work
    } catch (error) {
      if (!isUniqueViolation(error)) throw error
      const what = username ? 'this address or user name' : 'this address'
      throw fail('conflict', `there is a user with ${what} already`, { param: username ? 'username' : 'email' })
    }
  }

  function settle(outcome: UserOutcome, id: string): void {
    if (outcome === 'last_admin') throw fail('conflict', 'this is the last enabled super_admin; make another one first')
    if (outcome === 'absent') throw absent(id)
  }

  const plain = ({ name, username, language }: UserChange) => ({
    ...(name === undefined ? {} : { name }),
    ...(username === undefined ? {} : { username }),
    ...(language === undefined ? {} : { language }),
  })

  return {
    judge,
    async list(actor, limit, cursor) {
      return toPage(await userStore.list(scopeOf(actor), limit + 1, cursor), limit, (row) => row.id)
    },
    get,

    async create(actor, { email, password, name, username = null, language = '', role, tenant }) {
      const tenantId = await judge(actor, { role, tenant })
      if (password !== '') passwords.check(password, email, 'password')
      const now = clock.now()
      const passwordHash = password === '' ? '' : await passwords.hash(password)
      const row: UserRow = {
        ...newUserRow({ id: createId('user', now), email, name, passwordHash, role, tenantId, now }),
        ...{ username, language },
      }
      if (!(await unlessTaken(userStore.insert(row), username))) {
        throw fail('not_found', `there is no tenant ${tenant}`, { param: 'tenant_id' })
      }
      await spread()
      log.info('A person was made', { userId: row.id, tenantId })
      return row
    },

    async patch(actor, id, change) {
      const before = await subordinate(actor, id)
      const isSelf = actor.kind === 'user' && actor.id === id
      if (isSelf && (change.role !== undefined || change.tenant !== undefined || change.enabled !== undefined)) {
        throw fail('forbidden', 'nobody changes its own role, tenant or standing; ask another administrator')
      }
      if (isSelf && change.password !== undefined) {
        throw fail('forbidden', 'change your own password with POST /api/auth/password, which asks for the old one')
      }
      const tenantId =
        change.role === undefined && change.tenant === undefined
          ? undefined
          : await judge(actor, { role: change.role ?? before.role, tenant: change.tenant ?? before.tenant_id })
      if (change.password !== undefined) passwords.check(change.password, before.email, 'password')
      const patching = userStore.patch(scopeOf(actor), id, {
        ...plain(change),
        ...(change.role === undefined ? {} : { role: change.role }),
        ...(tenantId === undefined ? {} : { tenant_id: tenantId }),
        ...(change.enabled === undefined ? {} : { enabled: change.enabled ? 1 : 0 }),
        ...(change.password === undefined ? {} : { password_hash: await passwords.hash(change.password) }),
        updated_at: clock.now(),
      })
      settle(await unlessTaken(patching, change.username), id)
      const after = (await userStore.find(everything, id)) ?? before
      const isOther =
        after.role !== before.role || after.tenant_id !== before.tenant_id || after.enabled !== before.enabled
      if (isOther || change.password !== undefined) await sessions.endAllOf(id)
      await spread()
      return after
    },

    async patchSelf(id, change) {
      const patching = userStore.patch(everything, id, { ...plain(change), updated_at: clock.now() })
      settle(await unlessTaken(patching, change.username), id)
      const row = await userStore.find(everything, id)
      if (row === undefined) throw absent(id)
      return row
    },

    async delete(actor, id) {
      await subordinate(actor, id)
      if (actor.kind === 'user' && actor.id === id) throw fail('forbidden', 'nobody deletes itself; ask another one')
      settle(await userStore.delete(scopeOf(actor), id), id)
      await sessions.endAllOf(id)
      await spread()
      log.info('A person was deleted', { userId: id })
    },

    async unlock(actor, id) {
      await subordinate(actor, id)
      settle(await userStore.patch(scopeOf(actor), id, { unlocked_at: clock.now() }), id)
    },

    async removeSecondFactor(actor, id) {
      await subordinate(actor, id)
      if (actor.kind === 'user' && actor.id === id) {
        throw fail('forbidden', 'switch your own second factor off with POST /api/auth/totp/disable')
      }
      if (!(await secondFactor.remove(scopeOf(actor), id))) {
        throw fail('not_found', `the user ${id} has no second factor`, { param: 'id' })
      }
      await sessions.endAllOf(id)
    },

    async sessionsOf(actor, id) {
      await get(actor, id)
      return sessions.list(scopeOf(actor), id)
    },

    async endSessions(actor, id, sessionId) {
      await subordinate(actor, id)
      if (sessionId === undefined) return sessions.endAllOf(id)
      const open = await sessions.list(scopeOf(actor), id)
      if (!open.some((row) => row.family === sessionId)) {
        throw fail('not_found', `there is no session ${sessionId}`, { param: 'session' })
      }
      await sessions.end([sessionId])
    },
  }
}
