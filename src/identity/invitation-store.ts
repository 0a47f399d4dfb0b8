import type { ExpressionBuilder, Selectable } from 'kysely'
import type { Scope } from '../kernel/scope.ts'
import type { Connection, IdentityTables, Store, UserRow } from './store.ts'
import { holdTenant } from './user-store.ts'

export type InvitationRow = Selectable<IdentityTables['invitations']>
export type InvitationStore = ReturnType<typeof createInvitationStore>

/** A tenant's; people below its administrators see none but those they sent. */
function coversInvitation(scope: Scope) {
  return (row: ExpressionBuilder<IdentityTables, 'invitations'>) => {
    if (scope.kind === 'everything') return row.lit(true)
    if (scope.kind === 'tenant') return row('tenant_id', '=', scope.tenantId)
    return row.and([row('tenant_id', '=', scope.tenantId), row('invited_by', '=', scope.userId)])
  }
}

export function createInvitationStore(db: Connection, store: Pick<Store, 'change'>) {
  return {
    list: (scope: Scope, limit: number, before?: string): Promise<InvitationRow[]> =>
      db
        .selectFrom('invitations')
        .selectAll()
        .where(coversInvitation(scope))
        .$if(before !== undefined, (query) => query.where('id', '<', before!))
        .orderBy('id', 'desc')
        .limit(limit)
        .execute(),

    /** False when the tenant is gone. A newer invitation of the same address into the same tenant replaces the older. */
    insert: (row: InvitationRow): Promise<boolean> =>
      db.transaction().execute(async (trx) => {
        if (!(await holdTenant(trx, row.tenant_id))) return false
        await trx
          .deleteFrom('invitations')
          .where('email', '=', row.email)
          .where('tenant_id', '=', row.tenant_id)
          .execute()
        await trx.insertInto('invitations').values(row).execute()
        return true
      }),

    /** Whoever holds a token is in nobody's scope yet. */
    findByToken: (tokenHash: string, now: number): Promise<InvitationRow | undefined> =>
      db
        .selectFrom('invitations')
        .selectAll()
        .where('token_hash', '=', tokenHash)
        .where('expires_at', '>', now)
        .executeTakeFirst(),

    /** Uses an invitation up and makes the person, together or not at all; false when it was used or withdrawn. */
    accept: (id: string, person: UserRow): Promise<boolean> =>
      store.change('keys', async (trx) => {
        const taken = await trx.deleteFrom('invitations').where('id', '=', id).returning('id').execute()
        if (taken.length === 0 || !(await holdTenant(trx, person.tenant_id))) return false
        await trx.insertInto('users').values(person).execute()
        return true
      }),

    /** Whether there was one. */
    async delete(scope: Scope, id: string): Promise<boolean> {
      const gone = await db
        .deleteFrom('invitations')
        .where('id', '=', id)
        .where(coversInvitation(scope))
        .returning('id')
        .execute()
      return gone.length > 0
    },

    /** Removes what can no longer be accepted. */
    forget: (before: number) => db.deleteFrom('invitations').where('expires_at', '<', before).execute(),
  }
}
