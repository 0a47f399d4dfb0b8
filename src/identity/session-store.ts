import type { ExpressionBuilder, Insertable, Selectable, Transaction } from 'kysely'
import type { Scope } from '../kernel/scope.ts'
import type { Connection, IdentityTables, Store, UserRow } from './store.ts'
import { coversUser } from './user-store.ts'

export type SessionRow = Selectable<IdentityTables['sessions']>
export type NewSession = Insertable<IdentityTables['sessions']>

export type Rotation =
  | { kind: 'rotated'; user: UserRow; family: string }
  /** The token was used before: somebody holds a copy. Its whole family has been ended. */
  | { kind: 'reused'; family: string; userId: string }
  | { kind: 'unknown' }

export type SessionStore = ReturnType<typeof createSessionStore>

/** Sessions outlive their person, so only a scope below everything asks who that is. */
function coversSession(scope: Scope) {
  return (row: ExpressionBuilder<IdentityTables, 'sessions'>) =>
    scope.kind === 'everything'
      ? row.lit(true)
      : row('user_id', 'in', row.selectFrom('users').select('users.id').where(coversUser(scope)))
}

export function createSessionStore(db: Connection, store: Pick<Store, 'change'>) {
  const end = (trx: Transaction<IdentityTables>, families: readonly string[], now: number) =>
    trx
      .updateTable('sessions')
      .set({ revoked_at: now })
      .where('family', 'in', [...families])
      .where('revoked_at', 'is', null)
      .execute()

  return {
    insert: (row: NewSession) => db.insertInto('sessions').values(row).execute(),

    /** Trades the token with `hash` for the one that `successor` describes; of two at once only one succeeds. */
    rotate: (hash: string, now: number, successor: (previous: SessionRow) => NewSession): Promise<Rotation> =>
      db.transaction().execute(async (trx): Promise<Rotation> => {
        const taken = await trx
          .updateTable('sessions')
          .set({ rotated_at: now })
          .where('token_hash', '=', hash)
          .where('rotated_at', 'is', null)
          .where('revoked_at', 'is', null)
          .where('expires_at', '>', now)
          .returningAll()
          .executeTakeFirst()
        if (taken === undefined) {
          const old = await trx.selectFrom('sessions').selectAll().where('token_hash', '=', hash).executeTakeFirst()
          return old === undefined || old.rotated_at === null
            ? { kind: 'unknown' }
            : { kind: 'reused', family: old.family, userId: old.user_id }
        }
        const user = await trx.selectFrom('users').selectAll().where('id', '=', taken.user_id).executeTakeFirst()
        if (user === undefined || user.enabled === 0) return { kind: 'unknown' }
        await trx.insertInto('sessions').values(successor(taken)).execute()
        return { kind: 'rotated', user, family: taken.family }
      }),

    /** The newest token of each session of a user that is neither ended nor over. */
    listOpen: (scope: Scope, userId: string, now: number): Promise<SessionRow[]> =>
      db
        .selectFrom('sessions')
        .selectAll()
        .where('user_id', '=', userId)
        .where(coversSession(scope))
        .where('rotated_at', 'is', null)
        .where('revoked_at', 'is', null)
        .where('expires_at', '>', now)
        .orderBy('created_at', 'desc')
        .execute(),

    revoke: (families: readonly string[], now: number): Promise<unknown> =>
      families.length === 0 ? Promise.resolve() : store.change('sessions', (trx) => end(trx, families, now)),

    /** Families of a user whose access tokens may still be valid. */
    async familiesOf(scope: Scope, userId: string, usedSince: number): Promise<string[]> {
      const rows = await db
        .selectFrom('sessions')
        .select('family')
        .distinct()
        .where('user_id', '=', userId)
        .where(coversSession(scope))
        .where('revoked_at', 'is', null)
        .where('expires_at', '>', usedSince)
        .execute()
      return rows.map((row) => row.family)
    },

    /** Ends all sessions of the people of a tenant. */
    revokeTenant: (scope: Scope, tenantId: string, now: number): Promise<unknown> =>
      store.change('sessions', (trx) =>
        trx
          .updateTable('sessions')
          .set({ revoked_at: now })
          .where('user_id', 'in', (query) =>
            query.selectFrom('users').select('users.id').where('tenant_id', '=', tenantId),
          )
          .where(coversSession(scope))
          .where('revoked_at', 'is', null)
          .execute(),
      ),

    async revokedSince(since: number): Promise<Set<string>> {
      const rows = await db
        .selectFrom('sessions')
        .select('family')
        .distinct()
        .where('revoked_at', '>=', since)
        .execute()
      return new Set(rows.map((row) => row.family))
    },

    /** Removes up to `limit` tokens that ended before `before`; resolves with how many. */
    async forget(before: number, limit: number): Promise<number> {
      const gone = await db
        .deleteFrom('sessions')
        .where('id', 'in', (query) =>
          query.selectFrom('sessions').select('id').where('expires_at', '<', before).limit(limit),
        )
        .returning('id')
        .execute()
      return gone.length
    },
  }
}
