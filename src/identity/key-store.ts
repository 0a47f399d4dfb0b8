import { type ExpressionBuilder, type Selectable, sql, type Updateable } from 'kysely'
import type { Scope } from '../kernel/scope.ts'
import { deleteKeys, type KeyTables } from './key-tables.ts'
import type { Connection, Store } from './store.ts'
import { holdTenant } from './user-store.ts'

export type KeyRow = Selectable<KeyTables['api_keys']>
/** A key as it counts: the `…_enabled` are 0 when the person or the account it belongs to was disabled. */
export type EffectiveKeyRow = KeyRow & {
  owner_enabled: number | null
  account_enabled: number | null
  account_name: string | null
}
export type OldText = Selectable<KeyTables['api_key_old_texts']>
/** A key by one of its texts; `text_expires_at` is null for the present one. */
export type FoundKeyRow = EffectiveKeyRow & { text_expires_at: number | null }

/** Whose keys: people's and ADMIN_KEY's, service accounts', plugin services' own. */
export type KeyKind = 'person' | 'account' | 'service'
/** Which of the keys that a scope covers are meant; an absent member does not narrow. */
export type KeyFilter = { serviceAccountId?: string; kinds?: readonly KeyKind[] }
/** What became of a new key: nothing when its tenant is gone, or its person has as many as it may. */
export type KeyOutcome = 'made' | 'no_tenant' | 'too_many'

export type KeyStore = ReturnType<typeof createKeyStore>

const flushRows = 200

export function readTags(text: string): string[] {
  return text === '' ? [] : (JSON.parse(text) as string[])
}

export function writeTags(tags: readonly string[]): string {
  return tags.length === 0 ? '' : JSON.stringify(tags)
}

/** One of the lists of what a key may use; null for everything. */
export function readList(text: string): string[] | null {
  return text === '' ? null : (JSON.parse(text) as string[])
}

export function writeList(list: readonly string[] | null): string {
  return list === null ? '' : JSON.stringify(list)
}

/** Which keys a scope covers. */
function coversKey(scope: Scope) {
  return (row: ExpressionBuilder<KeyTables, 'api_keys'>) => {
    if (scope.kind === 'everything') return row.lit(true)
    if (scope.kind === 'tenant') return row('api_keys.tenant_id', '=', scope.tenantId)
    return row.and([row('api_keys.tenant_id', '=', scope.tenantId), row('api_keys.user_id', '=', scope.userId)])
  }
}

export function createKeyStore(db: Connection, store: Pick<Store, 'change'>) {
  const effective = () =>
    db
      .selectFrom('api_keys')
      .leftJoin('users', 'users.id', 'api_keys.user_id')
      .leftJoin('tenants', 'tenants.id', 'api_keys.tenant_id')
      .leftJoin('service_accounts', 'service_accounts.id', 'api_keys.service_account_id')
      .selectAll('api_keys')
      .select([
        sql<number>`case when users.enabled = 0 or tenants.enabled = 0 then 0 else 1 end`.as('owner_enabled'),
        'service_accounts.enabled as account_enabled',
        'service_accounts.name as account_name',
      ])

  return {
    all: (): Promise<EffectiveKeyRow[]> => effective().execute(),
    oldTexts: (): Promise<OldText[]> => db.selectFrom('api_key_old_texts').selectAll().execute(),
    async findByHash(hash: string): Promise<FoundKeyRow | undefined> {
      const row = await effective().where('key_hash', '=', hash).executeTakeFirst()
      if (row !== undefined) return { ...row, text_expires_at: null }
      const old = await db.selectFrom('api_key_old_texts').selectAll().where('key_hash', '=', hash).executeTakeFirst()
      if (old === undefined) return undefined
      const kept = await effective().where('api_keys.id', '=', old.key_id).executeTakeFirst()
      return kept && { ...kept, text_expires_at: old.expires_at }
    },
    /** For labels beside ids somebody was shown already. */
    namesOf: (ids: readonly string[]): Promise<{ id: string; name: string }[]> =>
      db.selectFrom('api_keys').select(['id', 'name']).where('id', 'in', ids).execute(),
    find: (scope: Scope, id: string): Promise<KeyRow | undefined> =>
      db.selectFrom('api_keys').selectAll().where('id', '=', id).where(coversKey(scope)).executeTakeFirst(),
    list: (scope: Scope, { serviceAccountId, kinds }: KeyFilter, limit: number, before?: string): Promise<KeyRow[]> =>
      db
        .selectFrom('api_keys')
        .selectAll()
        .where(coversKey(scope))
        .$if(serviceAccountId !== undefined, (query) => query.where('service_account_id', '=', serviceAccountId!))
        .$if(kinds !== undefined, (query) =>
          query.where((eb) =>
            eb.or(
              kinds!.map((kind) =>
                eb.and([
                  eb('service', kind === 'service' ? '!=' : '=', ''),
                  eb('service_account_id', kind === 'account' ? '!=' : '=', ''),
                ]),
              ),
            ),
          ),
        )
        .$if(before !== undefined, (query) => query.where('id', '<', before!))
        .orderBy('id', 'desc')
        .limit(limit)
        .execute(),
    insert: (row: KeyRow, mostOfUser = Number.POSITIVE_INFINITY): Promise<KeyOutcome> =>
      store.change('keys', async (trx) => {
        if (!(await holdTenant(trx, row.tenant_id))) return 'no_tenant'
        if (Number.isFinite(mostOfUser)) {
          // Locks the person on PostgreSQL, so that two requests at once cannot both take the last place.
          await trx.updateTable('users').set({ id: row.user_id }).where('id', '=', row.user_id).execute()
          const { count } = await trx
            .selectFrom('api_keys')
            .select((eb) => eb.fn.countAll<number>().as('count'))
            .where('user_id', '=', row.user_id)
            .executeTakeFirstOrThrow()
          if (count >= mostOfUser) return 'too_many'
        }
        await trx.insertInto('api_keys').values(row).execute()
        return 'made'
      }),
    patch: (scope: Scope, id: string, patch: Updateable<KeyTables['api_keys']>): Promise<KeyRow | undefined> =>
      store.change('keys', (trx) =>
        trx
          .updateTable('api_keys')
          .set(patch)
          .where('id', '=', id)
          .where(coversKey(scope))
          .returningAll()
          .executeTakeFirst(),
      ),
    /**
     * Gives a key a new text. What opened it before does so until `oldUntil`, or no more when that is null. Resolves
     * with the hashes that open nothing any more, or with null when the key is gone.
     */
    rotate: (
      scope: Scope,
      id: string,
      fresh: { hash: string; lastFour: string },
      at: number,
      oldUntil: number | null,
    ) =>
      store.change('keys', async (trx) => {
        // Written before it is read: this locks the row against a second rotation.
        const touched = await trx
          .updateTable('api_keys')
          .set({ updated_at: at })
          .where('id', '=', id)
          .where(coversKey(scope))
          .returningAll()
          .execute()
        const before = touched[0]
        if (before === undefined) return null
        const ended = await trx
          .deleteFrom('api_key_old_texts')
          .where('key_id', '=', id)
          .$if(oldUntil !== null, (query) => query.where('expires_at', '<=', at))
          .returning('key_hash')
          .execute()
        if (oldUntil !== null) {
          await trx
            .insertInto('api_key_old_texts')
            .values({ key_hash: before.key_hash, key_id: id, last_four: before.last_four, expires_at: oldUntil })
            .execute()
        }
        const row = await trx
          .updateTable('api_keys')
          .set({ key_hash: fresh.hash, last_four: fresh.lastFour, rotated_at: at })
          .where('id', '=', id)
          .returningAll()
          .executeTakeFirstOrThrow()
        const gone = ended.map(({ key_hash }) => key_hash)
        return { row, gone: oldUntil === null ? [...gone, before.key_hash] : gone }
      }),
    /** How many texts besides the present one open a key at `now`. */
    countOldTexts: async (id: string, now: number): Promise<number> => {
      const { count } = await db
        .selectFrom('api_key_old_texts')
        .select((eb) => eb.fn.countAll<number>().as('count'))
        .where('key_id', '=', id)
        .where('expires_at', '>', now)
        .executeTakeFirstOrThrow()
      return count
    },
    forgetOldTexts: (now: number) => db.deleteFrom('api_key_old_texts').where('expires_at', '<=', now).execute(),
    /** False when the scope covers no such key. */
    delete: (scope: Scope, id: string): Promise<boolean> =>
      store.change('keys', async (trx) => {
        const held = await trx
          .updateTable('api_keys')
          .set({ id })
          .where('id', '=', id)
          .where(coversKey(scope))
          .returning('id')
          .execute()
        if (held.length > 0) await deleteKeys(trx, { id })
        return held.length > 0
      }),

    /** Notes when keys were last used. Touches that one column of rows that are still there, and never backwards. */
    async noteUses(uses: readonly (readonly [id: string, at: number])[]): Promise<void> {
      for (let i = 0; i < uses.length; i += flushRows) {
        const values = sql.join(
          uses.slice(i, i + flushRows).map(([id, at]) => sql`(cast(${id} as text), cast(${at} as bigint))`),
        )
        await sql`
          with uses(id, at) as (values ${values})
          update api_keys set last_used_at = uses.at from uses
          where api_keys.id = uses.id and coalesce(api_keys.last_used_at, 0) < uses.at
        `.execute(db)
      }
    },
  }
}
