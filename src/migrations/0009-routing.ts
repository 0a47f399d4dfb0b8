import type { Kysely } from 'kysely'

/** Columns that say who may be asked for what, how long is waited, and which of several keys is used. */
const added = {
  providers: { tenants: '[]', tags: '[]', key_state: '', key_state_reason: '' },
  models: { alias_of: '', policy: '', access_groups: '[]' },
  model_providers: { tenants: '[]', tags: '[]' },
} as const
const addedNumbers = {
  providers: ['first_token_timeout', 'idle_timeout'],
  models: ['first_token_timeout', 'idle_timeout'],
  model_providers: ['first_token_timeout', 'idle_timeout', 'timeout', 'max_retries', 'context_tokens'],
} as const

export const routingMigration = {
  name: '0009-routing',

  async up(db: Kysely<unknown>): Promise<void> {
    for (const table of ['providers', 'models', 'model_providers'] as const) {
      for (const [column, initial] of Object.entries(added[table])) {
        await db.schema
          .alterTable(table)
          .addColumn(column, 'text', (c) => c.notNull().defaultTo(initial))
          .execute()
      }
      for (const column of addedNumbers[table]) await db.schema.alterTable(table).addColumn(column, 'integer').execute()
    }

    await db.schema
      .createTable('provider_keys')
      .addColumn('id', 'text', (c) => c.primaryKey())
      .addColumn('provider_id', 'text', (c) => c.notNull().references('providers.id').onDelete('cascade'))
      .addColumn('name', 'text', (c) => c.notNull())
      .addColumn('cipher', 'text', (c) => c.notNull())
      .addColumn('last_four', 'text', (c) => c.notNull())
      .addColumn('weight', 'integer', (c) => c.notNull())
      .addColumn('enabled', 'integer', (c) => c.notNull())
      .addColumn('rate_limit', 'integer')
      .addColumn('token_limit', 'integer')
      .addColumn('concurrency_limit', 'integer')
      .addColumn('state', 'text', (c) => c.notNull())
      .addColumn('state_reason', 'text', (c) => c.notNull())
      .addColumn('created_at', 'bigint', (c) => c.notNull())
      .addColumn('updated_at', 'bigint', (c) => c.notNull())
      .addUniqueConstraint('provider_keys_name_once', ['provider_id', 'name'])
      .execute()
  },

  async down(db: Kysely<unknown>): Promise<void> {
    await db.schema.dropTable('provider_keys').execute()
    for (const table of ['providers', 'models', 'model_providers'] as const) {
      for (const column of [...Object.keys(added[table]), ...addedNumbers[table]]) {
        await db.schema.alterTable(table).dropColumn(column).execute()
      }
    }
  },
}
