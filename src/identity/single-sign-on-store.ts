import type { Scope } from '../kernel/scope.ts'
import type { Connection, UserRow } from './store.ts'
import { coversUser } from './user-store.ts'

export type SingleSignOnStore = ReturnType<typeof createSingleSignOnStore>

export function createSingleSignOnStore(db: Connection) {
  return {
    /** The person of ours whom a provider knows by that subject. */
    findUser: (scope: Scope, issuer: string, subject: string): Promise<UserRow | undefined> =>
      db
        .selectFrom('users')
        .innerJoin('user_identities', 'user_identities.user_id', 'users.id')
        .selectAll('users')
        .where('issuer', '=', issuer)
        .where('subject', '=', subject)
        .where(coversUser(scope))
        .executeTakeFirst(),

    /** Remembers who somebody is; the first answer stays. */
    link: (row: { issuer: string; subject: string; user_id: string; created_at: number }) =>
      db
        .insertInto('user_identities')
        .values(row)
        .onConflict((conflict) => conflict.columns(['issuer', 'subject']).doNothing())
        .execute(),
  }
}
