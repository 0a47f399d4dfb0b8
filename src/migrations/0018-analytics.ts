import { type CreateTableBuilder, SqliteAdapter, sql } from 'kysely'
import type { AnyDatabase, Migration } from '../platform/database/index.ts'

export const cubeKeys = [
  ...['tenant_id', 'user_id', 'key_id', 'agent', 'model_asked', 'model_served', 'provider_id', 'provider_key_id'],
  ...['endpoint', 'status_class', 'error_kind', 'cache_hit', 'stream'],
]

export const measures = [
  ...['requests', 'successes', 'failures', 'aborted', 'truncated', 'refused', 'attempts', 'tokens_in', 'tokens_out'],
  ...['tokens_cached_read', 'tokens_cached_write', 'tokens_reasoning', 'cost_nano_usd', 'unpriced_requests'],
  ...['wasted_nano_usd', 'unpriced_wasted', 'cache_hits', 'latency_ms_sum', 'first_token_ms_sum'],
  ...['first_token_count', 'generation_ms_sum', 'generation_tokens'],
]

const tables = [
  ...['quarter', 'hour', 'day'].map((grain) => ({
    name: `usage_facets_${grain}`,
    keys: ['facet', 'value', 'tenant_id'],
  })),
  ...['quarter', 'day'].map((grain) => ({ name: `usage_cube_${grain}`, keys: cubeKeys })),
]
const latencyTables = ['usage_latency_hour', 'usage_latency_day']

/** Sums of the ledger by quarter of an hour, hour and day, for reports; one grain a table, so that no sum holds another. */
export const analyticsMigration: Migration = {
  name: '0018-analytics',

  async up(db) {
    for (const { name, keys } of tables) {
      // The facet leads: a report reads one facet over a range, which then lies together.
      const isFacet = keys[0] === 'facet'
      const order = isFacet ? ['facet', 'slot', 'source', 'value', 'tenant_id'] : ['slot', 'source', ...keys]
      let table = db.schema.createTable(name).addColumn('slot', 'bigint', (c) => c.notNull())
      for (const key of ['source', ...keys]) table = table.addColumn(key, 'text', (c) => c.notNull())
      for (const measure of measures) table = table.addColumn(measure, 'bigint', (c) => c.notNull())
      await keyed(db, table.addPrimaryKeyConstraint(`${name}_key`, order as never)).execute()
    }
    for (const name of latencyTables) {
      let table = db.schema.createTable(name).addColumn('slot', 'bigint', (c) => c.notNull())
      const texts = ['source', 'kind', 'tenant_id', 'model_served', 'provider_id']
      for (const key of texts) table = table.addColumn(key, 'text', (c) => c.notNull())
      const whole = table
        .addColumn('bucket', 'integer', (c) => c.notNull())
        .addColumn('amount', 'bigint', (c) => c.notNull())
        .addPrimaryKeyConstraint(`${name}_key`, ['slot', ...texts, 'bucket'] as never)
      await keyed(db, whole).execute()
    }
    await db.schema
      .createTable('usage_analytics_state')
      .addColumn('name', 'text', (c) => c.primaryKey())
      .addColumn('value', 'bigint', (c) => c.notNull())
      .execute()
    // Rows that are there already: the hub adds them up in the background, a day at a time.
    await sql`
      insert into usage_analytics_state (name, value)
      select 'rows_without_sums_before', max(started_at) + 1 from request_logs having count(*) > 0
    `.execute(db)
  },

  async down(db) {
    for (const name of [...tables.map((table) => table.name), ...latencyTables, 'usage_analytics_state']) {
      await db.schema.dropTable(name).execute()
    }
  },
}

/** In SQLite rows live in the order of their key, once: an index beside them would double what every batch writes. */
export function keyed<Table extends string, Column extends string>(
  db: AnyDatabase,
  table: CreateTableBuilder<Table, Column>,
) {
  return db.getExecutor().adapter instanceof SqliteAdapter ? table.modifyEnd(sql`without rowid`) : table
}
