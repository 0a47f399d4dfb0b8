import type { ExpressionBuilder, Insertable, Selectable, Updateable } from 'kysely'
import type { Scope } from '../kernel/scope.ts'
import type { Connection, IdentityTables, Store } from './store.ts'

export type TenantRow = Selectable<IdentityTables['tenants']>
export type TenantStore = ReturnType<typeof createTenantStore>

/** What still belongs to a tenant. */
export type Belongings = { people: number; keys: number; serviceAccounts: number; invitations: number }

/** A scope below everything covers the one tenant it stands in. */
function coversTenant(scope: Scope) {
  return (row: ExpressionBuilder<IdentityTables, 'tenants'>) =>
    scope.kind === 'everything' ? row.lit(true) : row('tenants.id', '=', scope.tenantId)
}

export function createTenantStore(db: Connection, store: Pick<Store, 'change'>) {
  return {
    all: (): Promise<TenantRow[]> => db.selectFrom('tenants').selectAll().execute(),

    /** By id or name. */
    find: (scope: Scope, idOrName: string): Promise<TenantRow | undefined> =>
      db
        .selectFrom('tenants')
        .selectAll()
        .where((row) => row.or([row('id', '=', idOrName), row('name', '=', idOrName)]))
        .where(coversTenant(scope))
        // A name may be another tenant's id from the days when tenants were labels: the id counts.
        .orderBy((row) => row.case().when('id', '=', idOrName).then(0).else(1).end())
        .executeTakeFirst(),

    list: (scope: Scope, limit: number, after?: string): Promise<TenantRow[]> =>
      db
        .selectFrom('tenants')
        .selectAll()
        .where(coversTenant(scope))
        .$if(after !== undefined, (query) => query.where('name', '>', after!))
        .orderBy('name')
        .limit(limit)
        .execute(),

    insert: (row: Insertable<IdentityTables['tenants']>) =>
      store.change('keys', (trx) => trx.insertInto('tenants').values(row).execute()),

    patch: (scope: Scope, id: string, patch: Updateable<IdentityTables['tenants']>): Promise<TenantRow | undefined> =>
      store.change('keys', (trx) =>
        trx
          .updateTable('tenants')
          .set(patch)
          .where('id', '=', id)
          .where(coversTenant(scope))
          .returningAll()
          .executeTakeFirst(),
      ),

    /** Removes a tenant that owns nothing, else says what it owns. Nobody can be put into it meanwhile. */
    delete: (scope: Scope, id: string): Promise<Belongings | null> =>
      store.change('keys', async (trx) => {
        // Locks the row on PostgreSQL, as whoever makes a person of this tenant does.
        await trx.updateTable('tenants').set({ id }).where('id', '=', id).where(coversTenant(scope)).execute()
        const count = async (table: 'users' | 'api_keys' | 'service_accounts' | 'invitations') => {
          const row = await trx
            .selectFrom(table)
            .select(({ fn }) => fn.countAll<number>().as('count'))
            .where('tenant_id', '=', id)
            .executeTakeFirstOrThrow()
          return Number(row.count)
        }
        const owned = {
          people: await count('users'),
          keys: await count('api_keys'),
          serviceAccounts: await count('service_accounts'),
          invitations: await count('invitations'),
        }
        if (Object.values(owned).some((each) => each > 0)) return owned
        await trx.deleteFrom('tenants').where('id', '=', id).where(coversTenant(scope)).execute()
        return null
      }),
  }
}
