import type { Kysely } from 'kysely'

/** Other gateways that are read, how far, what their hours held, and what their ids are called. */
export const sourcesMigration = {
  name: '0021-sources',

  async up(db: Kysely<unknown>): Promise<void> {
    let sources = db.schema.createTable('sources').addColumn('id', 'text', (c) => c.primaryKey())
    sources = sources.addColumn('name', 'text', (c) => c.notNull().unique())
    for (const name of ['kind', 'dsn', 'log_dsn', 'place'])
      sources = sources.addColumn(name, 'text', (c) => c.notNull())
    sources = sources.addColumn('enabled', 'integer', (c) => c.notNull()).addColumn('rows_per_second', 'bigint')
    for (const name of ['quota_per_usd_millionths', 'created_at', 'updated_at']) {
      sources = sources.addColumn(name, 'bigint', (c) => c.notNull())
    }
    await sources.execute()

    let cursors = db.schema.createTable('source_cursors').addColumn('source_id', 'text', (c) => c.primaryKey())
    for (const name of ['state', 'message', 'probe']) cursors = cursors.addColumn(name, 'text', (c) => c.notNull())
    for (const name of ['rows_read', 'rows_per_second', 'backfill_rows']) {
      cursors = cursors.addColumn(name, 'bigint', (c) => c.notNull())
    }
    for (const name of [
      ...['read_up_to', 'last_row_at', 'last_row_id'],
      ...['backfill_from', 'backfill_to', 'backfill_reached'],
    ]) {
      cursors = cursors.addColumn(name, 'bigint')
    }
    await cursors.execute()

    await db.schema
      .createTable('source_hours')
      .addColumn('source_id', 'text', (c) => c.notNull())
      .addColumn('hour', 'bigint', (c) => c.notNull())
      .addColumn('rows', 'bigint', (c) => c.notNull())
      .addColumn('last_id', 'bigint', (c) => c.notNull())
      .addColumn('mark', 'bigint', (c) => c.notNull())
      .addPrimaryKeyConstraint('source_hours_key', ['source_id', 'hour'])
      .execute()

    await db.schema
      .createTable('source_names')
      .addColumn('source_id', 'text', (c) => c.notNull())
      .addColumn('kind', 'text', (c) => c.notNull())
      .addColumn('id', 'text', (c) => c.notNull())
      .addColumn('name', 'text', (c) => c.notNull())
      .addColumn('looked_up_at', 'bigint', (c) => c.notNull())
      .addPrimaryKeyConstraint('source_names_key', ['source_id', 'kind', 'id'])
      .execute()
    await db.schema.createIndex('source_names_by_id').on('source_names').columns(['kind', 'id']).execute()
  },

  async down(db: Kysely<unknown>): Promise<void> {
    for (const table of ['source_names', 'source_hours', 'source_cursors', 'sources']) {
      await db.schema.dropTable(table).execute()
    }
  },
}
