import type { Selectable } from 'kysely'
import type { Scope } from '../kernel/scope.ts'
import type { Connection, IdentityTables } from './store.ts'
import { coversUser } from './user-store.ts'

export type SecondFactorRow = Selectable<IdentityTables['second_factors']>
export type SecondFactorStore = ReturnType<typeof createSecondFactorStore>

export function createSecondFactorStore(db: Connection) {
  const people = (scope: Scope) => db.selectFrom('users').select('users.id').where(coversUser(scope))

  return {
    find: (scope: Scope, userId: string): Promise<SecondFactorRow | undefined> =>
      db
        .selectFrom('second_factors')
        .selectAll()
        .where('user_id', '=', userId)
        .where('user_id', 'in', people(scope))
        .executeTakeFirst(),

    /** Which of these people have one. */
    async enrolled(scope: Scope, userIds: readonly string[]): Promise<ReadonlySet<string>> {
      if (userIds.length === 0) return new Set()
      const rows = await db
        .selectFrom('second_factors')
        .select('user_id')
        .where('user_id', 'in', [...userIds])
        .where('user_id', 'in', people(scope))
        .where('confirmed_at', 'is not', null)
        .execute()
      return new Set(rows.map((row) => row.user_id))
    },

    /** Keeps a secret that waits for its first code; false when one is confirmed already. */
    async begin(row: Omit<SecondFactorRow, 'confirmed_at' | 'last_step'>): Promise<boolean> {
      const kept = await db
        .insertInto('second_factors')
        .values({ ...row, confirmed_at: null, last_step: 0 })
        .onConflict((conflict) =>
          conflict
            .column('user_id')
            .doUpdateSet({ secret: row.secret, created_at: row.created_at, last_step: 0 })
            .where('second_factors.confirmed_at', 'is', null),
        )
        .returning('user_id')
        .execute()
      return kept.length > 0
    },

    /** Makes the pending secret count, with its first code and these recovery codes; false when there is none pending. */
    confirm: (scope: Scope, userId: string, secret: string, step: number, now: number, codeHashes: readonly string[]) =>
      db.transaction().execute(async (trx) => {
        const done = await trx
          .updateTable('second_factors')
          .set({ confirmed_at: now, last_step: step })
          .where('user_id', '=', userId)
          .where('user_id', 'in', people(scope))
          .where('secret', '=', secret)
          .where('confirmed_at', 'is', null)
          .returning('user_id')
          .execute()
        if (done.length === 0) return false
        await trx.deleteFrom('recovery_codes').where('user_id', '=', userId).execute()
        await trx
          .insertInto('recovery_codes')
          .values(codeHashes.map((code_hash) => ({ user_id: userId, code_hash })))
          .execute()
        return true
      }),

    /** Uses up the code of a step and all before it; false when it was used up: of two at once only one succeeds. */
    async takeStep(scope: Scope, userId: string, step: number): Promise<boolean> {
      const taken = await db
        .updateTable('second_factors')
        .set({ last_step: step })
        .where('user_id', '=', userId)
        .where('user_id', 'in', people(scope))
        .where('last_step', '<', step)
        .returning('user_id')
        .execute()
      return taken.length > 0
    },

    async takeRecoveryCode(scope: Scope, userId: string, codeHash: string): Promise<boolean> {
      const taken = await db
        .deleteFrom('recovery_codes')
        .where('user_id', '=', userId)
        .where('user_id', 'in', people(scope))
        .where('code_hash', '=', codeHash)
        .returning('user_id')
        .execute()
      return taken.length > 0
    },

    async recoveryCodesLeft(scope: Scope, userId: string): Promise<number> {
      const row = await db
        .selectFrom('recovery_codes')
        .select(({ fn }) => fn.countAll<number>().as('count'))
        .where('user_id', '=', userId)
        .where('user_id', 'in', people(scope))
        .executeTakeFirstOrThrow()
      return Number(row.count)
    },

    renewRecoveryCodes: (scope: Scope, userId: string, codeHashes: readonly string[]): Promise<void> =>
      db.transaction().execute(async (trx) => {
        await trx
          .deleteFrom('recovery_codes')
          .where('user_id', '=', userId)
          .where('user_id', 'in', people(scope))
          .execute()
        await trx
          .insertInto('recovery_codes')
          .values(codeHashes.map((code_hash) => ({ user_id: userId, code_hash })))
          .execute()
      }),

    /** Whether there was one. */
    remove: (scope: Scope, userId: string): Promise<boolean> =>
      db.transaction().execute(async (trx) => {
        const gone = await trx
          .deleteFrom('second_factors')
          .where('user_id', '=', userId)
          .where('user_id', 'in', people(scope))
          .returning('user_id')
          .execute()
        if (gone.length > 0) await trx.deleteFrom('recovery_codes').where('user_id', '=', userId).execute()
        return gone.length > 0
      }),
  }
}
