import type { Migration } from '../platform/database/index.ts'

/** Files and batches that live at a provider, and whose they are. */
export const pinnedObjectsMigration: Migration = {
  name: '0005-pinned-objects',

  async up(db) {
    await db.schema
      .createTable('pinned_objects')
      .addColumn('kind', 'text', (c) => c.notNull())
      .addColumn('id', 'text', (c) => c.notNull())
      .addColumn('provider_id', 'text', (c) => c.notNull())
      .addColumn('provider_key_id', 'text', (c) => c.notNull())
      .addColumn('tenant_id', 'text', (c) => c.notNull())
      .addColumn('user_id', 'text', (c) => c.notNull())
      .addColumn('key_id', 'text', (c) => c.notNull())
      .addColumn('purpose', 'text', (c) => c.notNull())
      .addColumn('model', 'text', (c) => c.notNull())
      .addColumn('provider_model', 'text', (c) => c.notNull())
      .addColumn('wire', 'text', (c) => c.notNull())
      .addColumn('is_settled', 'integer', (c) => c.notNull())
      .addColumn('created_at', 'bigint', (c) => c.notNull())
      .addColumn('expires_at', 'bigint')
      .addPrimaryKeyConstraint('pinned_objects_once', ['kind', 'provider_id', 'id'])
      .execute()
    await db.schema
      .createIndex('pinned_objects_by_key')
      .on('pinned_objects')
      .columns(['key_id', 'kind', 'created_at'])
      .execute()
  },

  async down(db) {
    await db.schema.dropTable('pinned_objects').execute()
  },
}
