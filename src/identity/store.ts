import type { Insertable, Kysely, Selectable, Transaction, Updateable } from 'kysely'
import type { Role } from '../kernel/principal.ts'
import { bumpRevision, type RevisionTables } from '../platform/database/index.ts'
import type { AuditTables } from './audit/store.ts'
import { deleteKeys, type KeyTables } from './key-tables.ts'

export type IdentityTables = {
  users: {
    id: string
    email: string
    name: string
    password_hash: string
    role: Role
    tenant_id: string
    enabled: number
    created_at: number
    updated_at: number
    last_login_at: number | null
  }
  sessions: {
    id: string
    family: string
    user_id: string
    token_hash: string
    started_at: number
    created_at: number
    expires_at: number
    rotated_at: number | null
    revoked_at: number | null
    ip: string
    user_agent: string
  }
  settings: { key: string; value: string }
} & KeyTables &
  AuditTables &
  RevisionTables

export type UserRow = Selectable<IdentityTables['users']>
export type Connection = Kysely<IdentityTables>

/** `keys`: API keys, who owns them, and whether the hub has an owner. `sessions`: sessions that were ended. */
export type IdentityRevision = 'keys' | 'sessions'

const ownerSetting = 'setup.owner'
const tokenSetting = 'setup.token_hash'
const keyIdSetting = 'secrets.key_id'

export type Store = ReturnType<typeof createStore>

/** Users and what the hub remembers of itself. Keys and sessions have stores of their own beside this one. */
export function createStore(db: Connection) {
  /** Work that every node has to hear of. */
  const change = <T>(revision: IdentityRevision, work: (trx: Transaction<IdentityTables>) => Promise<T>) =>
    db.transaction().execute(async (trx) => {
      const result = await work(trx)
      await bumpRevision(trx, revision)
      return result
    })

  const hasOwner = async (connection: Connection = db): Promise<boolean> =>
    (await connection.selectFrom('users').select('id').limit(1).executeTakeFirst()) !== undefined

  const setting = async (key: string): Promise<string | null> => {
    const row = await db.selectFrom('settings').select('value').where('key', '=', key).executeTakeFirst()
    return row?.value ?? null
  }

  return {
    change,

    hasOwner,
    setupTokenHash: () => setting(tokenSetting),
    saveSetupTokenHash: (hash: string) =>
      db
        .insertInto('settings')
        .values({ key: tokenSetting, value: hash })
        .onConflict((conflict) => conflict.column('key').doUpdateSet({ value: hash }))
        .execute(),
    dropSetupToken: () => db.deleteFrom('settings').where('key', '=', tokenSetting).execute(),

    /** Makes the first user and uses up the token, once: false when somebody else was first. */
    claim: (user: Insertable<IdentityTables['users']>) =>
      change('keys', async (trx) => {
        const mine = await trx
          .insertInto('settings')
          .values({ key: ownerSetting, value: user.id })
          .onConflict((conflict) => conflict.column('key').doNothing())
          .returning('key')
          .execute()
        if (mine.length === 0) return false
        if (await hasOwner(trx)) return false
        await trx.insertInto('users').values(user).execute()
        await trx.deleteFrom('settings').where('key', '=', tokenSetting).execute()
        return true
      }),

    /** Whether nobody claimed the hub yet; frees the claim again when the last user is gone. */
    async isClaimable(): Promise<boolean> {
      if (await hasOwner()) return false
      await db.deleteFrom('settings').where('key', '=', ownerSetting).execute()
      return true
    },

    /** The id of the master key that this store's hashes were made with; `ours` when none was written yet. */
    async rememberKeyId(ours: string): Promise<string> {
      await db
        .insertInto('settings')
        .values({ key: keyIdSetting, value: ours })
        .onConflict((conflict) => conflict.column('key').doNothing())
        .execute()
      return (await setting(keyIdSetting)) ?? ours
    },

    findUser: (id: string) => db.selectFrom('users').selectAll().where('id', '=', id).executeTakeFirst(),
    findUserByEmail: (email: string) =>
      db.selectFrom('users').selectAll().where('email', '=', email).executeTakeFirst(),
    listUsers: (limit: number, before?: string) =>
      db
        .selectFrom('users')
        .selectAll()
        .$if(before !== undefined, (query) => query.where('id', '<', before!))
        .orderBy('id', 'desc')
        .limit(limit)
        .execute(),
    insertUser: (user: Insertable<IdentityTables['users']>) => db.insertInto('users').values(user).execute(),
    noteLogin: (id: string, at: number) =>
      db.updateTable('users').set({ last_login_at: at }).where('id', '=', id).execute(),
    setPassword: (id: string, password_hash: string, updated_at: number) =>
      db.updateTable('users').set({ password_hash, updated_at }).where('id', '=', id).execute(),

    /** False, and nothing changed, when it would leave the hub without an enabled super_admin. */
    patchUser: (id: string, patch: Updateable<IdentityTables['users']>) =>
      change('keys', async (trx) => {
        const weakens = patch.enabled === 0 || (patch.role !== undefined && patch.role !== 'super_admin')
        if (weakens && (await isLastAdmin(trx, id))) return false
        await trx.updateTable('users').set(patch).where('id', '=', id).execute()
        return true
      }),
    /** Removes a user with sessions and keys; false for the last enabled super_admin. */
    deleteUser: (id: string) =>
      change('keys', async (trx) => {
        if (await isLastAdmin(trx, id)) return false
        await deleteKeys(trx, { userId: id })
        await trx.deleteFrom('users').where('id', '=', id).execute()
        return true
      }),
  }
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
