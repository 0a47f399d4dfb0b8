import type { Kysely } from 'kysely'

const tables = ['providers', 'models', 'model_providers'] as const

/** What an operator wants otherwise in the calls that go out, as JSON. */
export const transformsMigration = {
  name: '0011-transforms',

  async up(db: Kysely<unknown>): Promise<void> {
    for (const table of tables) {
      await db.schema
        .alterTable(table)
        .addColumn('transform', 'text', (c) => c.notNull().defaultTo('{}'))
        .execute()
    }
  },

  async down(db: Kysely<unknown>): Promise<void> {
    for (const table of tables) await db.schema.alterTable(table).dropColumn('transform').execute()
  },
}
