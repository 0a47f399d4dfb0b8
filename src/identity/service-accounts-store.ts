import type { ExpressionBuilder, Selectable, Updateable } from 'kysely'
import type { Scope } from '../kernel/scope.ts'
import { deleteKeys, type KeyTables } from './key-tables.ts'
import type { Connection, Store } from './store.ts'
import { holdTenant } from './user-store.ts'

export type ServiceAccountRow = Selectable<KeyTables['service_accounts']>
export type ServiceAccountStore = ReturnType<typeof createServiceAccountStore>

/** Which accounts a scope covers: none for a person. */
function coversAccount(scope: Scope) {
  return (row: ExpressionBuilder<KeyTables, 'service_accounts'>) =>
    scope.kind === 'tenant'
      ? row('service_accounts.tenant_id', '=', scope.tenantId)
      : row.lit(scope.kind === 'everything')
}

/** Accounts that are no person. Every change of one is a change of what its keys open. */
export function createServiceAccountStore(db: Connection, store: Pick<Store, 'change'>) {
  return {
    find: (scope: Scope, id: string): Promise<ServiceAccountRow | undefined> =>
      db.selectFrom('service_accounts').selectAll().where('id', '=', id).where(coversAccount(scope)).executeTakeFirst(),
    list: (scope: Scope, limit: number, before?: string): Promise<ServiceAccountRow[]> =>
      db
        .selectFrom('service_accounts')
        .selectAll()
        .where(coversAccount(scope))
        .$if(before !== undefined, (query) => query.where('id', '<', before!))
        .orderBy('id', 'desc')
        .limit(limit)
        .execute(),
    /** False when the tenant is gone. */
    insert: (row: ServiceAccountRow): Promise<boolean> =>
      store.change('keys', async (trx) => {
        if (!(await holdTenant(trx, row.tenant_id))) return false
        await trx.insertInto('service_accounts').values(row).execute()
        return true
      }),
    patch: (
      scope: Scope,
      id: string,
      patch: Updateable<KeyTables['service_accounts']>,
    ): Promise<ServiceAccountRow | undefined> =>
      store.change('keys', (trx) =>
        trx
          .updateTable('service_accounts')
          .set(patch)
          .where('id', '=', id)
          .where(coversAccount(scope))
          .returningAll()
          .executeTakeFirst(),
      ),
    /** With its keys; false when the scope covers no such account. */
    delete: (scope: Scope, id: string): Promise<boolean> =>
      store.change('keys', async (trx) => {
        const gone = await trx
          .deleteFrom('service_accounts')
          .where('id', '=', id)
          .where(coversAccount(scope))
          .returning('id')
          .execute()
        if (gone.length > 0) await deleteKeys(trx, { serviceAccountId: id })
        return gone.length > 0
      }),
  }
}
