import { type Insertable, type Selectable, sql, type Updateable } from 'kysely'
import type { Connection, IdentityTables, Store } from './store.ts'

export type KeyRow = Selectable<IdentityTables['api_keys']>
/** A key as it counts: `owner_enabled` is 0 when the person or the tenant it belongs to was disabled. */
export type EffectiveKeyRow = KeyRow & { owner_enabled: number | null }
/** Whose keys are meant; an absent member does not narrow. */
export type KeyScope = { tenantId?: string; userId?: string }

export type KeyStore = ReturnType<typeof createKeyStore>

const flushRows = 200

export function readTags(text: string): string[] {
  return text === '' ? [] : (JSON.parse(text) as string[])
}

export function writeTags(tags: readonly string[]): string {
  return tags.length === 0 ? '' : JSON.stringify(tags)
}

export function createKeyStore(db: Connection, store: Pick<Store, 'change'>) {
  const effective = () =>
    db
      .selectFrom('api_keys')
      .leftJoin('users', 'users.id', 'api_keys.user_id')
      .leftJoin('tenants', 'tenants.id', 'api_keys.tenant_id')
      .selectAll('api_keys')
      .select(sql<number>`case when users.enabled = 0 or tenants.enabled = 0 then 0 else 1 end`.as('owner_enabled'))

  const scoped = (scope: KeyScope) =>
    db
      .selectFrom('api_keys')
      .selectAll()
      .$if(scope.tenantId !== undefined, (query) => query.where('tenant_id', '=', scope.tenantId!))
      .$if(scope.userId !== undefined, (query) => query.where('user_id', '=', scope.userId!))

  return {
    all: (): Promise<EffectiveKeyRow[]> => effective().execute(),
    findByHash: (hash: string): Promise<EffectiveKeyRow | undefined> =>
      effective().where('key_hash', '=', hash).executeTakeFirst(),
    find: (id: string, scope: KeyScope) => scoped(scope).where('id', '=', id).executeTakeFirst(),
    list: (scope: KeyScope, limit: number, before?: string) =>
      scoped(scope)
        .$if(before !== undefined, (query) => query.where('id', '<', before!))
        .orderBy('id', 'desc')
        .limit(limit)
        .execute(),
    insert: (row: Insertable<IdentityTables['api_keys']>) =>
      store.change('keys', (trx) => trx.insertInto('api_keys').values(row).execute()),
    patch: (id: string, patch: Updateable<IdentityTables['api_keys']>) =>
      store.change('keys', (trx) =>
        trx.updateTable('api_keys').set(patch).where('id', '=', id).returningAll().executeTakeFirst(),
      ),
    delete: (id: string) => store.change('keys', (trx) => trx.deleteFrom('api_keys').where('id', '=', id).execute()),

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
