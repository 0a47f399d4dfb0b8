import type { Migration } from '../platform/database/index.ts'

/** One row per request, its hourly sums, and the price book. */
export const usageMigration: Migration = {
  name: '0003-usage',

  async up(db) {
    await db.schema
      .createTable('request_logs')
      .addColumn('id', 'text', (c) => c.primaryKey())
      .addColumn('started_at', 'bigint', (c) => c.notNull())
      .addColumn('tenant_id', 'text', (c) => c.notNull())
      .addColumn('user_id', 'text', (c) => c.notNull())
      .addColumn('key_id', 'text', (c) => c.notNull())
      .addColumn('key_name', 'text', (c) => c.notNull())
      .addColumn('endpoint', 'text', (c) => c.notNull())
      .addColumn('protocol', 'text', (c) => c.notNull())
      .addColumn('model_asked', 'text', (c) => c.notNull())
      .addColumn('model_served', 'text', (c) => c.notNull())
      .addColumn('provider_id', 'text', (c) => c.notNull())
      .addColumn('provider_name', 'text', (c) => c.notNull())
      .addColumn('provider_type', 'text', (c) => c.notNull())
      .addColumn('status', 'integer', (c) => c.notNull())
      .addColumn('outcome', 'text', (c) => c.notNull())
      .addColumn('error_code', 'text', (c) => c.notNull())
      .addColumn('error_message', 'text', (c) => c.notNull())
      .addColumn('stream', 'integer', (c) => c.notNull())
      .addColumn('tokens_in', 'bigint', (c) => c.notNull())
      .addColumn('tokens_out', 'bigint', (c) => c.notNull())
      .addColumn('tokens_cached_read', 'bigint', (c) => c.notNull())
      .addColumn('tokens_cached_write', 'bigint', (c) => c.notNull())
      .addColumn('tokens_reasoning', 'bigint', (c) => c.notNull())
      .addColumn('usage_source', 'text', (c) => c.notNull())
      .addColumn('cost_nano_usd', 'bigint')
      .addColumn('price_id', 'text', (c) => c.notNull())
      .addColumn('first_token_ms', 'bigint')
      .addColumn('latency_ms', 'bigint', (c) => c.notNull())
      .addColumn('attempts', 'integer', (c) => c.notNull())
      .addColumn('attempt_log', 'text', (c) => c.notNull())
      .addColumn('trace_id', 'text', (c) => c.notNull())
      .addColumn('client_ip', 'text', (c) => c.notNull())
      .addColumn('user_agent', 'text', (c) => c.notNull())
      .addColumn('finish_reason', 'text', (c) => c.notNull())
      .addColumn('is_synthetic', 'integer', (c) => c.notNull())
      .execute()
    // Each index costs every insert: sums are read from usage_hourly, so these serve the list of requests only.
    await db.schema.createIndex('request_logs_by_time').on('request_logs').columns(['started_at', 'id']).execute()
    await db.schema.createIndex('request_logs_by_key').on('request_logs').columns(['key_id', 'started_at']).execute()

    await db.schema
      .createTable('usage_hourly')
      .addColumn('hour', 'bigint', (c) => c.notNull())
      .addColumn('tenant_id', 'text', (c) => c.notNull())
      .addColumn('user_id', 'text', (c) => c.notNull())
      .addColumn('key_id', 'text', (c) => c.notNull())
      .addColumn('provider_id', 'text', (c) => c.notNull())
      .addColumn('model_asked', 'text', (c) => c.notNull())
      .addColumn('model_served', 'text', (c) => c.notNull())
      .addColumn('endpoint', 'text', (c) => c.notNull())
      .addColumn('outcome', 'text', (c) => c.notNull())
      .addColumn('is_synthetic', 'integer', (c) => c.notNull())
      .addColumn('requests', 'bigint', (c) => c.notNull())
      .addColumn('successes', 'bigint', (c) => c.notNull())
      .addColumn('failures', 'bigint', (c) => c.notNull())
      .addColumn('aborted', 'bigint', (c) => c.notNull())
      .addColumn('truncated', 'bigint', (c) => c.notNull())
      .addColumn('refused', 'bigint', (c) => c.notNull())
      .addColumn('attempts', 'bigint', (c) => c.notNull())
      .addColumn('tokens_in', 'bigint', (c) => c.notNull())
      .addColumn('tokens_out', 'bigint', (c) => c.notNull())
      .addColumn('tokens_cached_read', 'bigint', (c) => c.notNull())
      .addColumn('tokens_cached_write', 'bigint', (c) => c.notNull())
      .addColumn('tokens_reasoning', 'bigint', (c) => c.notNull())
      .addColumn('cost_nano_usd', 'bigint', (c) => c.notNull())
      .addColumn('unpriced_requests', 'bigint', (c) => c.notNull())
      .addColumn('estimated_requests', 'bigint', (c) => c.notNull())
      .addColumn('latency_ms_sum', 'bigint', (c) => c.notNull())
      .addColumn('first_token_ms_sum', 'bigint', (c) => c.notNull())
      .addColumn('first_token_count', 'bigint', (c) => c.notNull())
      .addPrimaryKeyConstraint('usage_hourly_key', [
        'hour',
        'tenant_id',
        'user_id',
        'key_id',
        'provider_id',
        'model_asked',
        'model_served',
        'endpoint',
        'outcome',
        'is_synthetic',
      ])
      .execute()

    await db.schema
      .createTable('prices')
      .addColumn('id', 'text', (c) => c.primaryKey())
      .addColumn('provider_type', 'text', (c) => c.notNull())
      .addColumn('model', 'text', (c) => c.notNull())
      .addColumn('above_tokens_in', 'bigint', (c) => c.notNull())
      .addColumn('input', 'bigint', (c) => c.notNull())
      .addColumn('output', 'bigint', (c) => c.notNull())
      .addColumn('cached_read', 'bigint')
      .addColumn('cached_write', 'bigint')
      .addColumn('effective_from', 'bigint', (c) => c.notNull())
      .addColumn('origin', 'text', (c) => c.notNull())
      .addColumn('source', 'text', (c) => c.notNull())
      .addColumn('created_at', 'bigint', (c) => c.notNull())
      .execute()
  },

  async down(db) {
    await db.schema.dropTable('prices').execute()
    await db.schema.dropTable('usage_hourly').execute()
    await db.schema.dropTable('request_logs').execute()
  },
}
