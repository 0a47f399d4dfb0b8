import type { Migration } from '../platform/database/index.ts'

const scopes = ['allowed_services', 'allowed_endpoints', 'allowed_ips', 'service', 'service_account_id'] as const

/** What programs' keys may do, texts that were replaced and still open something, and accounts that are no person. */
export const programsMigration: Migration = {
  name: '0015-programs',

  async up(db) {
    for (const column of scopes) {
      await db.schema
        .alterTable('api_keys')
        .addColumn(column, 'text', (c) => c.notNull().defaultTo(''))
        .execute()
    }
    await db.schema.alterTable('api_keys').addColumn('rotated_at', 'bigint').execute()
    await db.schema.createIndex('api_keys_by_account').on('api_keys').column('service_account_id').execute()

    // A key has one id for life and, for a while after a rotation, more than one text.
    await db.schema
      .createTable('api_key_old_texts')
      .addColumn('key_hash', 'text', (c) => c.primaryKey())
      .addColumn('key_id', 'text', (c) => c.notNull())
      .addColumn('last_four', 'text', (c) => c.notNull())
      .addColumn('expires_at', 'bigint', (c) => c.notNull())
      .execute()
    await db.schema.createIndex('api_key_old_texts_by_key').on('api_key_old_texts').column('key_id').execute()

    await db.schema
      .createTable('service_accounts')
      .addColumn('id', 'text', (c) => c.primaryKey())
      .addColumn('tenant_id', 'text', (c) => c.notNull())
      .addColumn('name', 'text', (c) => c.notNull())
      .addColumn('description', 'text', (c) => c.notNull())
      .addColumn('owner_id', 'text', (c) => c.notNull())
      .addColumn('enabled', 'integer', (c) => c.notNull())
      .addColumn('created_at', 'bigint', (c) => c.notNull())
      .addColumn('updated_at', 'bigint', (c) => c.notNull())
      .addUniqueConstraint('service_accounts_once', ['tenant_id', 'name'])
      .execute()
  },

  async down(db) {
    await db.schema.dropTable('service_accounts').execute()
    await db.schema.dropTable('api_key_old_texts').execute()
    await db.schema.dropIndex('api_keys_by_account').execute()
    for (const column of [...scopes, 'rotated_at']) {
      await db.schema.alterTable('api_keys').dropColumn(column).execute()
    }
  },
}
