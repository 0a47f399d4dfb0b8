import type { Migration } from '../platform/database/index.ts'

/** What the hub did about incidents because somebody asked for it, written down before and after. */
export const incidentActionsMigration: Migration = {
  name: '0031-incident-actions',

  async up(db) {
    await db.schema
      .createTable('incident_actions')
      .addColumn('id', 'text', (c) => c.primaryKey().notNull())
      .addColumn('incident_id', 'text', (c) => c.notNull())
      .addColumn('tenant_id', 'text', (c) => c.notNull())
      .addColumn('action', 'text', (c) => c.notNull())
      .addColumn('target', 'text', (c) => c.notNull())
      .addColumn('parameters', 'text', (c) => c.notNull())
      .addColumn('is_of_tenant', 'integer', (c) => c.notNull())
      .addColumn('before_json', 'text', (c) => c.notNull())
      .addColumn('words', 'text', (c) => c.notNull())
      .addColumn('state', 'text', (c) => c.notNull())
      .addColumn('error', 'text', (c) => c.notNull())
      .addColumn('by_json', 'text', (c) => c.notNull())
      .addColumn('at', 'bigint', (c) => c.notNull())
      .addColumn('ends_at', 'bigint')
      .addColumn('updated_at', 'bigint', (c) => c.notNull())
      .execute()
    await db.schema.createIndex('incident_actions_of').on('incident_actions').columns(['incident_id', 'id']).execute()
    await db.schema
      .createIndex('incident_actions_due')
      .on('incident_actions')
      .columns(['state', 'ends_at', 'updated_at'])
      .execute()
  },

  async down(db) {
    await db.schema.dropTable('incident_actions').execute()
  },
}
