import type { ExpressionBuilder, Insertable, Transaction, Updateable } from 'kysely'
import type { Role } from '../kernel/principal.ts'
import type { Scope } from '../kernel/scope.ts'
import { deleteKeys } from './key-tables.ts'
import type { Connection, IdentityTables, Store, UserRow } from './store.ts'

export type UserStore = ReturnType<typeof createUserStore>

/** What became of a change: `last_admin` when it would leave the hub without an enabled super_admin. */
export type UserOutcome = 'done' | 'last_admin' | 'absent'

/** A person as it begins, without what only some have. */
export function newUserRow(given: {
  id: string
  email: string
  name: string
  /** '' for somebody who has none and logs in elsewhere. */
  passwordHash: string
  role: Role
  tenantId: string
  now: number
}): UserRow {
  return {
    ...{ id: given.id, email: given.email, name: given.name, password_hash: given.passwordHash },
    ...{ role: given.role, tenant_id: given.tenantId, enabled: 1, created_at: given.now, updated_at: given.now },
    ...{ last_login_at: null, username: null, language: '', unlocked_at: 0 },
  }
}

/** Which people a scope covers. */
export function coversUser(scope: Scope) {
  return (row: ExpressionBuilder<IdentityTables, 'users'>) => {
    if (scope.kind === 'everything') return row.lit(true)
    if (scope.kind === 'tenant') return row('users.tenant_id', '=', scope.tenantId)
    return row.and([row('users.id', '=', scope.userId), row('users.tenant_id', '=', scope.tenantId)])
  }
}

export function createUserStore(db: Connection, store: Pick<Store, 'change'>) {
  return {
    find: (scope: Scope, id: string): Promise<UserRow | undefined> =>
      db.selectFrom('users').selectAll().where('id', '=', id).where(coversUser(scope)).executeTakeFirst(),

    /** For labels beside ids somebody was shown already: the user name, or else the name. */
    async namesOf(ids: readonly string[]): Promise<{ id: string; name: string }[]> {
      const rows = await db
        .selectFrom('users')
        .select(['id', 'username', 'name', 'email'])
        .where('id', 'in', ids)
        .execute()
      return rows.map(({ id, username, name, email }) => ({ id, name: username ?? (name === '' ? email : name) }))
    },

    /** By what was typed at the door, when nobody is anybody yet: an address in its normal form, or a user name. */
    findByLogin: (scope: Scope, typed: string): Promise<UserRow | undefined> =>
      db
        .selectFrom('users')
        .selectAll()
        .where(typed.includes('@') ? 'email' : 'username', '=', typed)
        .where(coversUser(scope))
        .executeTakeFirst(),

    list: (scope: Scope, limit: number, before?: string): Promise<UserRow[]> =>
      db
        .selectFrom('users')
        .selectAll()
        .where(coversUser(scope))
        .$if(before !== undefined, (query) => query.where('id', '<', before!))
        .orderBy('id', 'desc')
        .limit(limit)
        .execute(),

    /** False when the tenant is gone. Rejects with a unique violation when address or user name are taken anywhere. */
    insert: (row: Insertable<IdentityTables['users']>): Promise<boolean> =>
      store.change('keys', async (trx) => {
        if (!(await holdTenant(trx, row.tenant_id))) return false
        await trx.insertInto('users').values(row).execute()
        return true
      }),

    noteLogin: (scope: Scope, id: string, at: number) =>
      db.updateTable('users').set({ last_login_at: at }).where('id', '=', id).where(coversUser(scope)).execute(),

    patch: (scope: Scope, id: string, patch: Updateable<IdentityTables['users']>): Promise<UserOutcome> =>
      store.change('keys', async (trx) => {
        const weakens = patch.enabled === 0 || (patch.role !== undefined && patch.role !== 'super_admin')
        if (weakens && (await isLastAdmin(trx, id))) return 'last_admin'
        if (patch.tenant_id !== undefined && !(await holdTenant(trx, patch.tenant_id))) return 'absent'
        const done = await trx
          .updateTable('users')
          .set(patch)
          .where('id', '=', id)
          .where(coversUser(scope))
          .returning('id')
          .execute()
        return done.length === 0 ? 'absent' : 'done'
      }),

    /** Removes a person with its keys; sessions stay, so that every node hears that they ended. */
    delete: (scope: Scope, id: string): Promise<UserOutcome> =>
      store.change('keys', async (trx) => {
        if (await isLastAdmin(trx, id)) return 'last_admin'
        const gone = await trx
          .deleteFrom('users')
          .where('id', '=', id)
          .where(coversUser(scope))
          .returning('id')
          .execute()
        if (gone.length === 0) return 'absent'
        await deleteKeys(trx, { userId: id })
        return 'done'
      }),
  }
}

/** Whether there is such a tenant; while this transaction lasts nobody removes it. */
export async function holdTenant(trx: Transaction<IdentityTables>, id: string): Promise<boolean> {
  const held = await trx.updateTable('tenants').set({ id }).where('id', '=', id).returning('id').execute()
  return held.length > 0
}

/** Locks the rows it judges by, so that two administrators cannot remove each other at once. */
async function isLastAdmin(trx: Transaction<IdentityTables>, id: string): Promise<boolean> {
  // An update that changes nothing locks these rows on PostgreSQL; SQLite has one writer anyway.
  const admins = await trx
    .updateTable('users')
    .set({ role: 'super_admin' })
    .where('role', '=', 'super_admin')
    .where('enabled', '=', 1)
    .returning('id')
    .execute()
  return admins.length === 1 && admins[0]!.id === id
}
