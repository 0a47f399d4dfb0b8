import type { Kysely } from 'kysely'

/** Each configuration that a node has run with: who changed what, and what came of it. */
export const configRevisionsMigration = {
  name: '0030-config-revisions',

  async up(db: Kysely<unknown>): Promise<void> {
    const texts = [
      ...['node', 'author_kind', 'author_id', 'author_name', 'origin', 'outcome'],
      ...['reason', 'diff', 'applied', 'waiting', 'sealed'],
    ]
    let table = db.schema
      .createTable('config_revisions')
      .addColumn('id', 'text', (c) => c.primaryKey().notNull())
      .addColumn('at', 'bigint', (c) => c.notNull())
    for (const name of texts) table = table.addColumn(name, 'text', (c) => c.notNull())
    await table.execute()
    await db.schema.createIndex('config_revisions_by_node').on('config_revisions').columns(['node', 'id']).execute()
  },

  async down(db: Kysely<unknown>): Promise<void> {
    await db.schema.dropTable('config_revisions').execute()
  },
}
