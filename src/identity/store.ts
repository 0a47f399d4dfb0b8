import type { Insertable, Kysely, Selectable, Transaction } from 'kysely'
import type { Role } from '../kernel/principal.ts'
import { bumpRevision, type RevisionTables } from '../platform/database/index.ts'
import type { AuditTables } from './audit/store.ts'
import type { KeyTables } from './key-tables.ts'

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
    /** A second name to log in with; null for none. */
    username: string | null
    /** `en`, `zh`, or '' for what the browser says. */
    language: Language | ''
    /** Failed tries are counted from here on: an administrator unlocks by moving it. */
    unlocked_at: number
  }
  tenants: {
    id: string
    name: string
    display_name: string
    enabled: number
    /** A JSON object. */
    config: string
    /** '' for every service, else a JSON array of names. */
    enabled_services: string
    created_at: number
    updated_at: number
  }
  invitations: {
    id: string
    token_hash: string
    email: string
    role: Role
    tenant_id: string
    /** The person who asked, '' for the holder of ADMIN_KEY. */
    invited_by: string
    created_at: number
    expires_at: number
  }
  password_resets: { token_hash: string; user_id: string; created_at: number; expires_at: number }
  second_factors: {
    user_id: string
    /** Sealed. */
    secret: string
    /** null while enrolment waits for its first code. */
    confirmed_at: number | null
    last_step: number
    created_at: number
  }
  recovery_codes: { user_id: string; code_hash: string }
  user_identities: { issuer: string; subject: string; user_id: string; created_at: number }
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

export type Language = 'en' | 'zh'
export type UserRow = Selectable<IdentityTables['users']>
export type Connection = Kysely<IdentityTables>

/** `keys`: API keys, who owns them, and whether the hub has an owner. `sessions`: sessions that were ended. */
export type IdentityRevision = 'keys' | 'sessions'

const ownerSetting = 'setup.owner'
const tokenSetting = 'setup.token_hash'
const keyIdSetting = 'secrets.key_id'

export type Store = ReturnType<typeof createStore>

/** What the hub remembers of itself, and its first owner. People, tenants, keys and sessions have stores of their own. */
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

    /** The id of the master key that this store's hashes were made with; null when none was written yet. */
    knownKeyId: () => setting(keyIdSetting),

    /** As above; `ours` is written down when none was. */
    async rememberKeyId(ours: string): Promise<string> {
      await db
        .insertInto('settings')
        .values({ key: keyIdSetting, value: ours })
        .onConflict((conflict) => conflict.column('key').doNothing())
        .execute()
      return (await setting(keyIdSetting)) ?? ours
    },
  }
}
