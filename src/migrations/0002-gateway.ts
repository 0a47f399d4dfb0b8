import type { Kysely } from 'kysely'

/** Providers, models, and which provider serves which model under which name. */
export const gatewayMigration = {
  name: '0002-gateway',

  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .createTable('providers')
      .addColumn('id', 'text', (c) => c.primaryKey())
      .addColumn('name', 'text', (c) => c.notNull().unique())
      .addColumn('type', 'text', (c) => c.notNull())
      .addColumn('base_url', 'text', (c) => c.notNull())
      .addColumn('api_key_cipher', 'text', (c) => c.notNull())
      .addColumn('api_key_last_four', 'text', (c) => c.notNull())
      .addColumn('enabled', 'integer', (c) => c.notNull())
      .addColumn('priority', 'integer', (c) => c.notNull())
      .addColumn('weight', 'integer', (c) => c.notNull())
      .addColumn('max_retries', 'integer', (c) => c.notNull())
      .addColumn('timeout', 'integer', (c) => c.notNull())
      .addColumn('rate_limit', 'integer')
      .addColumn('is_synthetic', 'integer', (c) => c.notNull())
      .addColumn('created_at', 'bigint', (c) => c.notNull())
      .addColumn('updated_at', 'bigint', (c) => c.notNull())
      .execute()

    await db.schema
      .createTable('models')
      .addColumn('id', 'text', (c) => c.primaryKey())
      .addColumn('name', 'text', (c) => c.notNull().unique())
      .addColumn('remark', 'text', (c) => c.notNull())
      .addColumn('max_retry', 'integer')
      .addColumn('timeout', 'integer')
      .addColumn('max_output_tokens', 'integer')
      .addColumn('enabled', 'integer', (c) => c.notNull())
      .addColumn('is_synthetic', 'integer', (c) => c.notNull())
      .addColumn('created_at', 'bigint', (c) => c.notNull())
      .addColumn('updated_at', 'bigint', (c) => c.notNull())
      .execute()

    await db.schema
      .createTable('model_providers')
      .addColumn('id', 'text', (c) => c.primaryKey())
      .addColumn('model_id', 'text', (c) => c.notNull().references('models.id').onDelete('cascade'))
      .addColumn('provider_id', 'text', (c) => c.notNull().references('providers.id').onDelete('cascade'))
      .addColumn('provider_model', 'text', (c) => c.notNull())
      .addColumn('priority', 'integer')
      .addColumn('weight', 'integer', (c) => c.notNull())
      .addColumn('tool_call', 'integer', (c) => c.notNull())
      .addColumn('structured_output', 'integer', (c) => c.notNull())
      .addColumn('image', 'integer', (c) => c.notNull())
      .addColumn('enabled', 'integer', (c) => c.notNull())
      .addColumn('created_at', 'bigint', (c) => c.notNull())
      .addColumn('updated_at', 'bigint', (c) => c.notNull())
      .addUniqueConstraint('model_providers_once', ['model_id', 'provider_id', 'provider_model'])
      .execute()
    await db.schema.createIndex('model_providers_by_provider').on('model_providers').column('provider_id').execute()
  },

  async down(db: Kysely<unknown>): Promise<void> {
    await db.schema.dropTable('model_providers').execute()
    await db.schema.dropTable('models').execute()
    await db.schema.dropTable('providers').execute()
  },
}
