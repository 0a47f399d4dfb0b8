import type { Kysely } from 'kysely'

/** What becomes of a provider's stream when the caller has left, for one model; '' as the settings say. */
export const abortPolicyMigration = {
  name: '0010-abort-policy',

  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .alterTable('models')
      .addColumn('abort_policy', 'text', (c) => c.notNull().defaultTo(''))
      .execute()
  },

  async down(db: Kysely<unknown>): Promise<void> {
    await db.schema.alterTable('models').dropColumn('abort_policy').execute()
  },
}
