import type { Migration } from '../platform/database/index.ts'

/** Plugin services, their instances, who may register, and what their OpenAPI documents said. */
export const servicesMigration: Migration = {
  name: '0017-services',

  async up(db) {
    await db.schema
      .createTable('services')
      .addColumn('id', 'text', (c) => c.primaryKey())
      .addColumn('name', 'text', (c) => c.notNull().unique())
      .addColumn('tenant_id', 'text', (c) => c.notNull())
      .addColumn('display_name', 'text', (c) => c.notNull())
      .addColumn('description', 'text', (c) => c.notNull())
      .addColumn('version', 'text', (c) => c.notNull())
      .addColumn('base_path', 'text', (c) => c.notNull())
      .addColumn('health_check_url', 'text', (c) => c.notNull())
      .addColumn('metadata', 'text', (c) => c.notNull())
      .addColumn('tags', 'text', (c) => c.notNull())
      .addColumn('requires_auth', 'integer', (c) => c.notNull())
      .addColumn('is_shared', 'integer', (c) => c.notNull())
      .addColumn('declared_only', 'integer', (c) => c.notNull())
      .addColumn('enabled', 'integer', (c) => c.notNull())
      .addColumn('endpoints', 'text', (c) => c.notNull())
      .addColumn('routing', 'text', (c) => c.notNull())
      .addColumn('openapi_path', 'text', (c) => c.notNull())
      .addColumn('deregister_after_ms', 'bigint')
      .addColumn('created_at', 'bigint', (c) => c.notNull())
      .addColumn('updated_at', 'bigint', (c) => c.notNull())
      .execute()

    // A state is never stored, only what it follows from: two nodes that each find out one fact do not undo each other.
    await db.schema
      .createTable('service_instances')
      .addColumn('id', 'text', (c) => c.primaryKey())
      .addColumn('service_id', 'text', (c) => c.notNull().references('services.id').onDelete('cascade'))
      .addColumn('instance_key', 'text', (c) => c.notNull())
      .addColumn('host', 'text', (c) => c.notNull())
      .addColumn('port', 'integer', (c) => c.notNull())
      .addColumn('weight', 'integer', (c) => c.notNull())
      .addColumn('version', 'text', (c) => c.notNull())
      .addColumn('tags', 'text', (c) => c.notNull())
      .addColumn('is_ephemeral', 'integer', (c) => c.notNull())
      .addColumn('reported', 'text', (c) => c.notNull())
      .addColumn('silence', 'text', (c) => c.notNull())
      .addColumn('poll', 'text', (c) => c.notNull())
      .addColumn('is_maintenance', 'integer', (c) => c.notNull())
      .addColumn('gone_at', 'bigint')
      .addColumn('last_heard_at', 'bigint', (c) => c.notNull())
      .addColumn('state_since', 'bigint', (c) => c.notNull())
      .addColumn('registered_at', 'bigint', (c) => c.notNull())
      .addUniqueConstraint('service_instances_address_once', ['service_id', 'host', 'port'])
      .execute()

    await db.schema
      .createTable('registration_tokens')
      .addColumn('id', 'text', (c) => c.primaryKey())
      .addColumn('token_hash', 'text', (c) => c.notNull().unique())
      .addColumn('last_four', 'text', (c) => c.notNull())
      .addColumn('tenant_id', 'text', (c) => c.notNull())
      .addColumn('service_name', 'text', (c) => c.notNull())
      .addColumn('is_prefix', 'integer', (c) => c.notNull())
      .addColumn('uses_left', 'integer', (c) => c.notNull())
      .addColumn('max_uses', 'integer', (c) => c.notNull())
      .addColumn('allowed_models', 'text', (c) => c.notNull())
      .addColumn('created_by', 'text', (c) => c.notNull())
      .addColumn('expires_at', 'bigint', (c) => c.notNull())
      .addColumn('created_at', 'bigint', (c) => c.notNull())
      .addColumn('last_used_at', 'bigint')
      .execute()

    // Which API keys are a service's own tokens: removing the service withdraws them.
    await db.schema
      .createTable('service_tokens')
      .addColumn('key_id', 'text', (c) => c.primaryKey())
      .addColumn('service_id', 'text', (c) => c.notNull().references('services.id').onDelete('cascade'))
      .addColumn('created_at', 'bigint', (c) => c.notNull())
      .execute()
    await db.schema.createIndex('service_tokens_by_service').on('service_tokens').column('service_id').execute()

    await db.schema
      .createTable('service_openapi')
      .addColumn('service_id', 'text', (c) => c.primaryKey().references('services.id').onDelete('cascade'))
      .addColumn('document', 'text', (c) => c.notNull())
      .addColumn('digest', 'text', (c) => c.notNull())
      .addColumn('version', 'text', (c) => c.notNull())
      .addColumn('breaks', 'text', (c) => c.notNull())
      .addColumn('failure', 'text', (c) => c.notNull())
      .addColumn('fetched_at', 'bigint', (c) => c.notNull())
      .execute()
  },

  async down(db) {
    for (const table of [
      'service_openapi',
      'service_tokens',
      'registration_tokens',
      'service_instances',
      'services',
    ] as const) {
      await db.schema.dropTable(table).execute()
    }
  },
}
