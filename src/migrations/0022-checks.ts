import type { Migration } from '../platform/database/index.ts'

/** Checks that people configure, how they stand, what came of each asking, and sums of that. */
export const checksMigration: Migration = {
  name: '0022-checks',

  async up(db) {
    await db.schema
      .createTable('checks')
      .addColumn('id', 'text', (c) => c.primaryKey())
      .addColumn('tenant_id', 'text', (c) => c.notNull())
      .addColumn('name', 'text', (c) => c.notNull())
      .addColumn('type', 'text', (c) => c.notNull())
      .addColumn('level', 'text', (c) => c.notNull())
      .addColumn('description', 'text', (c) => c.notNull())
      .addColumn('parameters', 'text', (c) => c.notNull())
      .addColumn('sealed', 'text', (c) => c.notNull())
      .addColumn('interval_ms', 'bigint', (c) => c.notNull())
      .addColumn('retry_interval_ms', 'bigint', (c) => c.notNull())
      .addColumn('timeout_ms', 'bigint', (c) => c.notNull())
      .addColumn('retries', 'integer', (c) => c.notNull())
      .addColumn('failures', 'integer', (c) => c.notNull())
      .addColumn('successes', 'integer', (c) => c.notNull())
      .addColumn('enabled', 'integer', (c) => c.notNull())
      .addColumn('is_public', 'integer', (c) => c.notNull())
      .addColumn('is_upside_down', 'integer', (c) => c.notNull())
      .addColumn('depends_on', 'text', (c) => c.notNull())
      .addColumn('windows', 'text', (c) => c.notNull())
      .addColumn('push_hash', 'text', (c) => c.unique())
      .addColumn('created_at', 'bigint', (c) => c.notNull())
      .addColumn('updated_at', 'bigint', (c) => c.notNull())
      .addUniqueConstraint('checks_name_once', ['tenant_id', 'name'])
      .execute()

    // Apart from the checks, because these are written at every asking.
    await db.schema
      .createTable('check_standings')
      .addColumn('check_id', 'text', (c) => c.primaryKey())
      .addColumn('standing', 'text', (c) => c.notNull())
      .addColumn('updated_at', 'bigint', (c) => c.notNull())
      .execute()

    await db.schema
      .createTable('check_pushes')
      .addColumn('check_id', 'text', (c) => c.primaryKey())
      .addColumn('at', 'bigint', (c) => c.notNull())
      .addColumn('status', 'text', (c) => c.notNull())
      .addColumn('message', 'text', (c) => c.notNull())
      .addColumn('ping_ms', 'bigint')
      .execute()

    await db.schema
      .createTable('check_results')
      .addColumn('check_id', 'text', (c) => c.notNull())
      .addColumn('at', 'bigint', (c) => c.notNull())
      .addColumn('span_ms', 'bigint', (c) => c.notNull())
      .addColumn('state', 'text', (c) => c.notNull())
      .addColumn('in_maintenance', 'integer', (c) => c.notNull())
      .addColumn('latency_ms', 'bigint', (c) => c.notNull())
      .addColumn('reason', 'text', (c) => c.notNull())
      .addColumn('message', 'text', (c) => c.notNull())
      .addPrimaryKeyConstraint('check_results_key', ['check_id', 'at'])
      .execute()
    await db.schema.createIndex('check_results_by_time').on('check_results').column('at').execute()

    await db.schema
      .createTable('check_sums')
      .addColumn('grain_ms', 'bigint', (c) => c.notNull())
      .addColumn('check_id', 'text', (c) => c.notNull())
      .addColumn('at', 'bigint', (c) => c.notNull())
      .addColumn('up_ms', 'bigint', (c) => c.notNull())
      .addColumn('down_ms', 'bigint', (c) => c.notNull())
      .addColumn('unknown_ms', 'bigint', (c) => c.notNull())
      .addColumn('maintenance_up_ms', 'bigint', (c) => c.notNull())
      .addColumn('maintenance_down_ms', 'bigint', (c) => c.notNull())
      .addColumn('results', 'bigint', (c) => c.notNull())
      .addColumn('latencies', 'text', (c) => c.notNull())
      .addPrimaryKeyConstraint('check_sums_key', ['grain_ms', 'check_id', 'at'])
      .execute()
    await db.schema.createIndex('check_sums_by_time').on('check_sums').columns(['grain_ms', 'at']).execute()

    // What was done once and is not done again, such as the first set of checks.
    await db.schema
      .createTable('check_marks')
      .addColumn('name', 'text', (c) => c.primaryKey())
      .addColumn('at', 'bigint', (c) => c.notNull())
      .execute()
  },

  async down(db) {
    for (const table of ['check_marks', 'check_sums', 'check_results', 'check_pushes', 'check_standings', 'checks'])
      await db.schema.dropTable(table).execute()
  },
}
