import { randomBytes } from 'node:crypto'
import type { Clock } from '../kernel/clock.ts'
import { fail } from '../kernel/errors.ts'
import { createId } from '../kernel/ids.ts'
import { type Page, toPage } from '../kernel/page.ts'
import type { Principal, Role } from '../kernel/principal.ts'
import { everything, scopeOf } from '../kernel/scope.ts'
import type { Bus } from '../platform/bus/bus.ts'
import { isUniqueViolation } from '../platform/database/index.ts'
import type { Log } from '../platform/log.ts'
import type { Secrets } from '../platform/secrets.ts'
import type { InvitationRow, InvitationStore } from './invitation-store.ts'
import type { KeyRing } from './key-ring.ts'
import type { LoggedIn, Login } from './login.ts'
import type { Mails } from './mails.ts'
import type { Passwords } from './passwords.ts'
import type { Origin } from './sessions.ts'
import type { Language, UserRow } from './store.ts'
import type { Tenants } from './tenants.ts'
import { newUserRow, type UserStore } from './user-store.ts'
import type { Users } from './users.ts'

export type Invitations = {
  list(actor: Principal, limit: number, cursor?: string): Promise<Page<InvitationRow>>
  /**
   * Invites an address. Mailed when the hub can write to people; else, or when the mail server refuses, the link is told
   * to the inviter, this once.
   */
  create(
    actor: Principal,
    wish: { email: string; role: Role; tenant?: string | undefined; hours?: number | undefined; language: Language },
  ): Promise<{ row: InvitationRow; isMailed: boolean; link: string | null; token: string | null }>
  /** Makes the person who was invited, once, and logs in. Role and tenant are the invitation's. */
  accept(
    wish: { token: string; password: string; name: string; username?: string | null; language: Language | '' },
    origin: Origin,
  ): Promise<LoggedIn>
  delete(actor: Principal, id: string): Promise<void>
  forgetOld(): Promise<void>
}

export function createInvitations(own: {
  invitationStore: InvitationStore
  userStore: Pick<UserStore, 'findByLogin'>
  users: Pick<Users, 'judge'>
  tenants: Pick<Tenants, 'get' | 'isOpen'>
  login: Pick<Login, 'admit'>
  mails: Mails
  passwords: Passwords
  ring: Pick<KeyRing, 'apply'>
  secrets: Pick<Secrets, 'hashKey'>
  bus: Bus
  clock: Clock
  log: Log
  /** How long one can be accepted unless said otherwise. */
  hours(): number
}): Invitations {
  const { invitationStore, userStore, users, tenants, login, mails, passwords, ring, secrets, bus, clock, log } = own

  return {
    async list(actor, limit, cursor) {
      return toPage(await invitationStore.list(scopeOf(actor), limit + 1, cursor), limit, (row) => row.id)
    },

    async create(actor, { email, role, tenant, hours = own.hours(), language }) {
      const tenantId = await users.judge(actor, { role, tenant })
      const { displayName } = await tenants.get(everything, tenantId)
      const taken = await userStore.findByLogin(everything, email)
      // Somebody of another tenant is nobody here: the invitation is made, and accepting it fails.
      if (taken !== undefined && (actor.role === 'super_admin' || taken.tenant_id === actor.tenantId)) {
        throw fail('conflict', 'there is a user with this address already', { param: 'email' })
      }
      const now = clock.now()
      const token = `inv_${randomBytes(32).toString('base64url')}`
      const row: InvitationRow = {
        ...{ id: createId('invitation', now), token_hash: secrets.hashKey(token), email, role, tenant_id: tenantId },
        ...{ invited_by: actor.userId, created_at: now, expires_at: now + hours * 3_600_000 },
      }
      if (!(await invitationStore.insert(row))) {
        throw fail('not_found', `there is no tenant ${tenant}`, { param: 'tenant_id' })
      }
      log.info('Somebody was invited', { userId: row.invited_by, tenantId })
      const link = mails.link('invitation', token)
      const isMailed =
        mails.isOn && (await isSent(mails.sendInvitation(email, language, { link, tenant: displayName, hours })))
      return isMailed ? { row, isMailed, link: null, token: null } : { row, isMailed, link, token }
    },

    async accept({ token, password, name, username = null, language }, origin) {
      const unusable = () =>
        fail('invalid_token', 'this invitation is not valid any more; ask for a new one', { param: 'token' })
      const invitation = await invitationStore.findByToken(secrets.hashKey(token), clock.now())
      if (invitation === undefined || !tenants.isOpen(invitation.tenant_id)) throw unusable()
      passwords.check(password, invitation.email, 'password')
      const now = clock.now()
      const { email, role, tenant_id: tenantId } = invitation
      const passwordHash = await passwords.hash(password)
      const person: UserRow = {
        ...newUserRow({ id: createId('user', now), email, name, passwordHash, role, tenantId, now }),
        ...{ username, language },
      }
      try {
        if (!(await invitationStore.accept(invitation.id, person))) throw unusable()
      } catch (error) {
        if (!isUniqueViolation(error)) throw error
        const param = username === null ? 'token' : 'username'
        throw fail('conflict', 'there is a user with this address or user name already', { param })
      }
      bus.announce('config.changed', { kind: 'keys' })
      await ring.apply()
      log.info('An invitation was accepted', { userId: person.id, tenantId })
      return login.admit(person, origin)
    },

    async delete(actor, id) {
      if (!(await invitationStore.delete(scopeOf(actor), id))) {
        throw fail('not_found', `there is no invitation ${id}`, { param: 'id' })
      }
    },

    async forgetOld() {
      await invitationStore.forget(clock.now())
    },
  }

  async function isSent(sending: Promise<void>): Promise<boolean> {
    try {
      await sending
      return true
    } catch (error) {
      log.warn('An invitation could not be mailed; its link was told to the inviter', { error })
      return false
    }
  }
}
