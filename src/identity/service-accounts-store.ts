import type { Selectable, Updateable } from 'kysely'
import { deleteKeys, type KeyTables } from './key-tables.ts'
import type { Connection, Store } from './store.ts'

export type ServiceAccountRow = Selectable<KeyTables['service_accounts']>
export type ServiceAccountStore = ReturnType<typeof createServiceAccountStore>

/** Accounts that are no person. Every change of one is a change of what its keys open. */
export function createServiceAccountStore(db: Connection, store: Pick<Store, 'change'>) {
  const scoped = (tenantId: string | undefined) =>
    db
      .selectFrom('service_accounts')
      .selectAll()
      .$if(tenantId !== undefined, (query) => query.where('tenant_id', '=', tenantId!))

  return {
    /** `tenantId` undefined for all tenants. */
    find: (id: string, tenantId: string | undefined) => scoped(tenantId).where('id', '=', id).executeTakeFirst(),
    list: (tenantId: string | undefined, limit: number, before?: string) =>
      scoped(tenantId)
        .$if(before !== undefined, (query) => query.where('id', '<', before!))
        .orderBy('id', 'desc')
        .limit(limit)
        .execute(),
    insert: (row: ServiceAccountRow) => db.insertInto('service_accounts').values(row).execute(),
    patch: (id: string, patch: Updateable<KeyTables['service_accounts']>) =>
      store.change('keys', (trx) =>
        trx.updateTable('service_accounts').set(patch).where('id', '=', id).returningAll().executeTakeFirst(),
      ),
    /** With its keys. */
    delete: (id: string) =>
      store.change('keys', async (trx) => {
        await deleteKeys(trx, { serviceAccountId: id })
        await trx.deleteFrom('service_accounts').where('id', '=', id).execute()
      }),
  }
}
