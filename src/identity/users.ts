import type { Clock } from '../kernel/clock.ts'
import { fail } from '../kernel/errors.ts'
import { createId } from '../kernel/ids.ts'
import { type Page, toPage } from '../kernel/page.ts'
import type { Role } from '../kernel/principal.ts'
import type { Bus } from '../platform/bus/bus.ts'
import { isUniqueViolation } from '../platform/database/index.ts'
import type { KeyRing } from './key-ring.ts'
import type { Passwords } from './passwords.ts'
import type { Sessions } from './sessions.ts'
import type { Store, UserRow } from './store.ts'

export type UserChange = { name?: string; role?: Role; tenantId?: string; enabled?: boolean; password?: string }

export type Users = {
  list(limit: number, cursor?: string): Promise<Page<UserRow>>
  get(id: string): Promise<UserRow>
  /** Rejects with `conflict` when the address is taken. */
  create(wish: { email: string; password: string; name: string; role: Role; tenantId: string }): Promise<UserRow>
  /** What the user may do changes at once: a new role, password or a disabled user ends all sessions. */
  patch(id: string, change: UserChange): Promise<UserRow>
  /** With sessions and keys. The last enabled super_admin stays: `conflict`. */
  delete(id: string): Promise<void>
}

export function createUsers(own: {
  store: Store
  ring: KeyRing
  passwords: Passwords
  sessions: Sessions
  bus: Bus
  clock: Clock
}): Users {
  const { store, ring, passwords, sessions, bus, clock } = own

  async function get(id: string): Promise<UserRow> {
    const row = await store.findUser(id)
    if (row === undefined) throw fail('not_found', `there is no user ${id}`, { param: 'id' })
    return row
  }

  async function spread(): Promise<void> {
    bus.announce('config.changed', { kind: 'keys' })
    await ring.apply()
  }

  const lastAdmin = () => fail('conflict', 'this is the last enabled super_admin; make another one first')

  return {
    async list(limit, cursor) {
      return toPage(await store.listUsers(limit + 1, cursor), limit, (row) => row.id)
    },
    get,

    async create({ email, password, name, role, tenantId }) {
      passwords.check(password, email, 'password')
      const now = clock.now()
      const row: UserRow = {
        id: createId('user', now),
        email,
        name,
        password_hash: await passwords.hash(password),
        role,
        tenant_id: tenantId,
        enabled: 1,
        created_at: now,
        updated_at: now,
        last_login_at: null,
      }
      try {
        await store.insertUser(row)
      } catch (error) {
        if (isUniqueViolation(error))
          throw fail('conflict', `there is a user with the address ${email}`, { param: 'email' })
        throw error
      }
      await spread()
      return row
    },

    async patch(id, change) {
      const before = await get(id)
      if (change.password !== undefined) passwords.check(change.password, before.email, 'password')
      const isDone = await store.patchUser(id, {
        ...(change.name === undefined ? {} : { name: change.name }),
        ...(change.role === undefined ? {} : { role: change.role }),
        ...(change.tenantId === undefined ? {} : { tenant_id: change.tenantId }),
        ...(change.enabled === undefined ? {} : { enabled: change.enabled ? 1 : 0 }),
        ...(change.password === undefined ? {} : { password_hash: await passwords.hash(change.password) }),
        updated_at: clock.now(),
      })
      if (!isDone) throw lastAdmin()
      const after = await get(id)
      const isOther =
        after.role !== before.role || after.tenant_id !== before.tenant_id || after.enabled !== before.enabled
      if (isOther || change.password !== undefined) await sessions.endAllOf(id)
      await spread()
      return after
    },

    async delete(id) {
      await get(id)
      if (!(await store.deleteUser(id))) throw lastAdmin()
      await sessions.endAllOf(id)
      await spread()
    },
  }
}
