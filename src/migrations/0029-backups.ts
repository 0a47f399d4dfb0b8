import type { Kysely } from 'kysely'

/** What was done about backups, and how it ended. The files themselves are not in the store they are for. */
export const backupsMigration = {
  name: '0029-backups',

  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .createTable('backup_runs')
      .addColumn('id', 'text', (c) => c.primaryKey().notNull())
      .addColumn('kind', 'text', (c) => c.notNull())
      .addColumn('outcome', 'text', (c) => c.notNull())
      .addColumn('archive_id', 'text', (c) => c.notNull())
      .addColumn('started_at', 'bigint', (c) => c.notNull())
      .addColumn('finished_at', 'bigint', (c) => c.notNull())
      .addColumn('bytes', 'bigint', (c) => c.notNull())
      .addColumn('rows_count', 'bigint', (c) => c.notNull())
      .addColumn('message', 'text', (c) => c.notNull())
      .addColumn('details', 'text', (c) => c.notNull())
      .execute()
    await db.schema
      .createIndex('backup_runs_by_kind')
      .on('backup_runs')
      .columns(['kind', 'outcome', 'started_at'])
      .execute()
  },

  async down(db: Kysely<unknown>): Promise<void> {
    await db.schema.dropTable('backup_runs').execute()
  },
}
