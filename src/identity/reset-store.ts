import type { Scope } from '../kernel/scope.ts'
import type { Connection } from './store.ts'
import { coversUser } from './user-store.ts'

export type ResetStore = ReturnType<typeof createResetStore>

export function createResetStore(db: Connection) {
  return {
    insert: (row: { token_hash: string; user_id: string; created_at: number; expires_at: number }) =>
      db.insertInto('password_resets').values(row).execute(),

    /** Whose token it is, without using it up; whoever holds one is in nobody's scope yet. */
    async find(tokenHash: string, now: number): Promise<string | undefined> {
      const row = await db
        .selectFrom('password_resets')
        .select('user_id')
        .where('token_hash', '=', tokenHash)
        .where('expires_at', '>', now)
        .executeTakeFirst()
      return row?.user_id
    },

    /** Sets the password and uses up every token of the person, together; false when this one was used up before. */
    redeem: (tokenHash: string, userId: string, password_hash: string, now: number): Promise<boolean> =>
      db.transaction().execute(async (trx) => {
        const taken = await trx
          .deleteFrom('password_resets')
          .where('token_hash', '=', tokenHash)
          .where('expires_at', '>', now)
          .returning('user_id')
          .execute()
        if (taken.length === 0) return false
        await trx.deleteFrom('password_resets').where('user_id', '=', userId).execute()
        // Whoever reads the person's mail may try again at once.
        await trx
          .updateTable('users')
          .set({ password_hash, updated_at: now, unlocked_at: now })
          .where('id', '=', userId)
          .execute()
        return true
      }),

    /** Sets a password that its owner knows; tokens that were mailed before end. */
    setPassword: (scope: Scope, userId: string, password_hash: string, now: number): Promise<void> =>
      db.transaction().execute(async (trx) => {
        await trx.deleteFrom('password_resets').where('user_id', '=', userId).execute()
        await trx
          .updateTable('users')
          .set({ password_hash, updated_at: now })
          .where('id', '=', userId)
          .where(coversUser(scope))
          .execute()
      }),

    forget: (before: number) => db.deleteFrom('password_resets').where('expires_at', '<', before).execute(),
  }
}
