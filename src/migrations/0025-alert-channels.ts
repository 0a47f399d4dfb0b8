import type { Migration } from '../platform/database/index.ts'

/** Channels and receivers of alerts, and the ledger of what was sent, tried and left unsaid. */
export const alertChannelsMigration: Migration = {
  name: '0025-alert-channels',

  async up(db) {
    await db.schema
      .createTable('channels')
      .addColumn('id', 'text', (c) => c.primaryKey())
      .addColumn('tenant_id', 'text', (c) => c.notNull())
      .addColumn('name', 'text', (c) => c.notNull())
      .addColumn('type', 'text', (c) => c.notNull())
      .addColumn('description', 'text', (c) => c.notNull())
      .addColumn('parameters', 'text', (c) => c.notNull())
      .addColumn('sealed', 'text', (c) => c.notNull())
      .addColumn('sandbox', 'text', (c) => c.notNull())
      .addColumn('sandbox_sealed', 'text', (c) => c.notNull())
      .addColumn('language', 'text', (c) => c.notNull())
      .addColumn('zone', 'text', (c) => c.notNull())
      .addColumn('title_template', 'text', (c) => c.notNull())
      .addColumn('body_template', 'text', (c) => c.notNull())
      .addColumn('fallback_id', 'text', (c) => c.notNull())
      .addColumn('give_up_seconds', 'integer', (c) => c.notNull())
      .addColumn('send_resolved', 'integer', (c) => c.notNull())
      .addColumn('enabled', 'integer', (c) => c.notNull())
      .addColumn('created_at', 'bigint', (c) => c.notNull())
      .addColumn('updated_at', 'bigint', (c) => c.notNull())
      .addUniqueConstraint('channels_name_once', ['tenant_id', 'name'])
      .execute()

    // Apart from the channels, because these are written with every attempt.
    await db.schema
      .createTable('channel_standings')
      .addColumn('channel_id', 'text', (c) => c.primaryKey())
      .addColumn('standing', 'text', (c) => c.notNull())
      .addColumn('updated_at', 'bigint', (c) => c.notNull())
      .execute()

    // What an earlier message about the same thing began in a foreign system, such as a ticket.
    await db.schema
      .createTable('channel_threads')
      .addColumn('channel_id', 'text', (c) => c.notNull())
      .addColumn('thread_key', 'text', (c) => c.notNull())
      .addColumn('thread', 'text', (c) => c.notNull())
      .addColumn('updated_at', 'bigint', (c) => c.notNull())
      .addPrimaryKeyConstraint('channel_threads_key', ['channel_id', 'thread_key'])
      .execute()

    await db.schema
      .createTable('receivers')
      .addColumn('id', 'text', (c) => c.primaryKey())
      .addColumn('tenant_id', 'text', (c) => c.notNull())
      .addColumn('name', 'text', (c) => c.notNull())
      .addColumn('description', 'text', (c) => c.notNull())
      .addColumn('targets', 'text', (c) => c.notNull())
      .addColumn('created_at', 'bigint', (c) => c.notNull())
      .addColumn('updated_at', 'bigint', (c) => c.notNull())
      .addUniqueConstraint('receivers_name_once', ['tenant_id', 'name'])
      .execute()

    await db.schema
      .createTable('deliveries')
      .addColumn('id', 'text', (c) => c.primaryKey())
      .addColumn('tenant_id', 'text', (c) => c.notNull())
      .addColumn('notification_id', 'text', (c) => c.notNull())
      .addColumn('receiver', 'text', (c) => c.notNull())
      .addColumn('channel_id', 'text', (c) => c.notNull())
      .addColumn('channel_name', 'text', (c) => c.notNull())
      .addColumn('channel_type', 'text', (c) => c.notNull())
      .addColumn('group_key', 'text', (c) => c.notNull())
      .addColumn('title', 'text', (c) => c.notNull())
      .addColumn('severity', 'text', (c) => c.notNull())
      .addColumn('status', 'text', (c) => c.notNull())
      .addColumn('notify_reason', 'text', (c) => c.notNull())
      .addColumn('state', 'text', (c) => c.notNull())
      .addColumn('reason', 'text', (c) => c.notNull())
      .addColumn('message', 'text', (c) => c.notNull())
      .addColumn('suppressed_by', 'text', (c) => c.notNull())
      .addColumn('suppressed_by_id', 'text', (c) => c.notNull())
      .addColumn('times', 'integer', (c) => c.notNull())
      .addColumn('fallback_for', 'text', (c) => c.notNull())
      .addColumn('rendered_hash', 'text', (c) => c.notNull())
      .addColumn('cut_alerts', 'integer', (c) => c.notNull())
      .addColumn('is_text_cut', 'integer', (c) => c.notNull())
      .addColumn('template_error', 'text', (c) => c.notNull())
      .addColumn('reached', 'text', (c) => c.notNull())
      .addColumn('trace_id', 'text', (c) => c.notNull())
      .addColumn('created_at', 'bigint', (c) => c.notNull())
      .addColumn('decided_at', 'bigint', (c) => c.notNull())
      .execute()
    await db.schema.createIndex('deliveries_by_time').on('deliveries').columns(['created_at', 'id']).execute()
    await db.schema.createIndex('deliveries_by_group').on('deliveries').columns(['group_key', 'channel_id']).execute()
    await db.schema.createIndex('deliveries_by_notification').on('deliveries').column('notification_id').execute()
    await db.schema.createIndex('deliveries_by_state').on('deliveries').columns(['state', 'created_at']).execute()

    await db.schema
      .createTable('delivery_alerts')
      .addColumn('fingerprint', 'text', (c) => c.notNull())
      .addColumn('delivery_id', 'text', (c) => c.notNull())
      .addPrimaryKeyConstraint('delivery_alerts_key', ['fingerprint', 'delivery_id'])
      .execute()
    await db.schema.createIndex('delivery_alerts_by_delivery').on('delivery_alerts').column('delivery_id').execute()

    await db.schema
      .createTable('delivery_attempts')
      .addColumn('id', 'text', (c) => c.primaryKey())
      .addColumn('delivery_id', 'text', (c) => c.notNull())
      .addColumn('started_at', 'bigint', (c) => c.notNull())
      .addColumn('outcome', 'text', (c) => c.notNull())
      .addColumn('reason', 'text', (c) => c.notNull())
      .addColumn('message', 'text', (c) => c.notNull())
      .addColumn('http_status', 'integer', (c) => c.notNull())
      .addColumn('body_code', 'text', (c) => c.notNull())
      .addColumn('latency_ms', 'bigint', (c) => c.notNull())
      .addColumn('waited_ms', 'bigint', (c) => c.notNull())
      .addColumn('rendered_hash', 'text', (c) => c.notNull())
      .execute()
    await db.schema.createIndex('delivery_attempts_by_delivery').on('delivery_attempts').column('delivery_id').execute()
  },

  async down(db) {
    const tables = ['delivery_attempts', 'delivery_alerts', 'deliveries', 'receivers', 'channel_threads']
    for (const table of [...tables, 'channel_standings', 'channels']) await db.schema.dropTable(table).execute()
  },
}
