import type { Kysely } from 'kysely'

/** Responses that callers may come back to: whose they are, who keeps them, and what the hub keeps of them itself. */
export const responsesMigration = {
  name: '0008-responses',

  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .createTable('responses')
      .addColumn('id', 'text', (c) => c.primaryKey())
      .addColumn('tenant_id', 'text', (c) => c.notNull())
      .addColumn('user_id', 'text', (c) => c.notNull())
      .addColumn('key_id', 'text', (c) => c.notNull())
      .addColumn('owner', 'text', (c) => c.notNull())
      .addColumn('provider_id', 'text', (c) => c.notNull())
      .addColumn('provider_key', 'text', (c) => c.notNull())
      .addColumn('previous_id', 'text', (c) => c.notNull())
      .addColumn('model', 'text', (c) => c.notNull())
      .addColumn('status', 'text', (c) => c.notNull())
      .addColumn('is_background', 'integer', (c) => c.notNull())
      .addColumn('node', 'text', (c) => c.notNull())
      .addColumn('beat_at', 'bigint', (c) => c.notNull())
      .addColumn('input', 'text', (c) => c.notNull())
      .addColumn('response', 'text', (c) => c.notNull())
      .addColumn('last_sequence', 'integer', (c) => c.notNull())
      .addColumn('created_at', 'bigint', (c) => c.notNull())
      .addColumn('expires_at', 'bigint', (c) => c.notNull())
      .execute()
    await db.schema.createIndex('responses_by_expiry').on('responses').column('expires_at').execute()
    await db.schema.createIndex('responses_by_status').on('responses').columns(['status', 'beat_at']).execute()

    await db.schema
      .createTable('response_items')
      .addColumn('item_id', 'text', (c) => c.notNull())
      .addColumn('response_id', 'text', (c) => c.notNull().references('responses.id').onDelete('cascade'))
      .addPrimaryKeyConstraint('response_items_key', ['item_id', 'response_id'])
      .execute()
    await db.schema.createIndex('response_items_by_response').on('response_items').column('response_id').execute()
  },

  async down(db: Kysely<unknown>): Promise<void> {
    await db.schema.dropTable('response_items').execute()
    await db.schema.dropTable('responses').execute()
  },
}
