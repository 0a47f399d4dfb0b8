import type { Kysely } from 'kysely'

/** Jobs as people changed them, and every run: its row is there before anything is done. */
export const maintenanceMigration = {
  name: '0032-maintenance',

  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .createTable('maintenance_jobs')
      .addColumn('name', 'text', (c) => c.primaryKey().notNull())
      .addColumn('enabled', 'integer', (c) => c.notNull())
      .addColumn('cron', 'text', (c) => c.notNull())
      .addColumn('zone', 'text', (c) => c.notNull())
      .addColumn('window_minutes', 'integer', (c) => c.notNull())
      .addColumn('seen_at', 'bigint', (c) => c.notNull())
      .addColumn('updated_at', 'bigint', (c) => c.notNull())
      .execute()
    await db.schema
      .createTable('maintenance_runs')
      .addColumn('id', 'text', (c) => c.primaryKey().notNull())
      .addColumn('job', 'text', (c) => c.notNull())
      .addColumn('outcome', 'text', (c) => c.notNull())
      .addColumn('reason', 'text', (c) => c.notNull())
      .addColumn('due_at', 'bigint', (c) => c.notNull())
      .addColumn('until_at', 'bigint', (c) => c.notNull())
      .addColumn('wanted_by', 'text', (c) => c.notNull())
      .addColumn('node', 'text', (c) => c.notNull())
      .addColumn('begun_at', 'bigint', (c) => c.notNull())
      .addColumn('beat_at', 'bigint', (c) => c.notNull())
      .addColumn('finished_at', 'bigint', (c) => c.notNull())
      .addColumn('progress_done', 'bigint', (c) => c.notNull())
      .addColumn('progress_total', 'bigint', (c) => c.notNull())
      .addColumn('progress_note', 'text', (c) => c.notNull())
      .addColumn('message', 'text', (c) => c.notNull())
      .addColumn('message_zh', 'text', (c) => c.notNull())
      .addColumn('figures', 'text', (c) => c.notNull())
      .addColumn('evidence', 'text', (c) => c.notNull())
      // Whichever node comes first has the turn.
      .addUniqueConstraint('maintenance_runs_once', ['job', 'due_at'])
      .execute()
    await db.schema.createIndex('maintenance_runs_by_outcome').on('maintenance_runs').column('outcome').execute()
  },

  async down(db: Kysely<unknown>): Promise<void> {
    for (const table of ['maintenance_runs', 'maintenance_jobs']) await db.schema.dropTable(table).execute()
  },
}
