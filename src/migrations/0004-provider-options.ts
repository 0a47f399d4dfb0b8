import type { Kysely } from 'kysely'

/** Settings that only some types of provider have: regions, versions, quirks. */
export const providerOptionsMigration = {
  name: '0004-provider-options',

  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .alterTable('providers')
      .addColumn('options', 'text', (c) => c.notNull().defaultTo('{}'))
      .execute()
  },

  async down(db: Kysely<unknown>): Promise<void> {
    await db.schema.alterTable('providers').dropColumn('options').execute()
  },
}
