import type { Migration } from '../platform/database/index.ts'

/** Limits and budgets, and what keys carry of both. */
export const limitsMigration: Migration = {
  name: '0007-limits',

  async up(db) {
    await db.schema.alterTable('api_keys').addColumn('tpm_limit', 'bigint').execute()
    await db.schema.alterTable('api_keys').addColumn('concurrency_limit', 'integer').execute()
    await db.schema
      .alterTable('api_keys')
      .addColumn('tags', 'text', (c) => c.notNull().defaultTo(''))
      .execute()

    // `tenant_id` is whose thing is limited, '' for what belongs to nobody: administrators of a tenant see their own.
    await db.schema
      .createTable('limits')
      .addColumn('id', 'text', (c) => c.primaryKey())
      .addColumn('scope', 'text', (c) => c.notNull())
      .addColumn('scope_id', 'text', (c) => c.notNull())
      .addColumn('tenant_id', 'text', (c) => c.notNull())
      .addColumn('rpm', 'bigint')
      .addColumn('tpm', 'bigint')
      .addColumn('concurrency', 'bigint')
      .addColumn('created_at', 'bigint', (c) => c.notNull())
      .addColumn('updated_at', 'bigint', (c) => c.notNull())
      .addUniqueConstraint('limits_once', ['scope', 'scope_id'])
      .execute()

    await db.schema
      .createTable('budgets')
      .addColumn('id', 'text', (c) => c.primaryKey())
      .addColumn('scope', 'text', (c) => c.notNull())
      .addColumn('scope_id', 'text', (c) => c.notNull())
      .addColumn('tenant_id', 'text', (c) => c.notNull())
      .addColumn('period', 'text', (c) => c.notNull())
      .addColumn('zone', 'text', (c) => c.notNull())
      .addColumn('limit_nano_usd', 'bigint', (c) => c.notNull())
      .addColumn('is_hard', 'integer', (c) => c.notNull())
      .addColumn('created_at', 'bigint', (c) => c.notNull())
      .addColumn('updated_at', 'bigint', (c) => c.notNull())
      .addUniqueConstraint('budgets_once', ['scope', 'scope_id', 'period'])
      .execute()

    // What was spent as the counters knew it: rows of the ledger have no tags to sum up.
    await db.schema
      .createTable('budget_spending')
      .addColumn('budget_id', 'text', (c) => c.notNull().references('budgets.id').onDelete('cascade'))
      .addColumn('starts_at', 'bigint', (c) => c.notNull())
      .addColumn('spent_nano_usd', 'bigint', (c) => c.notNull())
      .addPrimaryKeyConstraint('budget_spending_key', ['budget_id', 'starts_at'])
      .execute()
  },

  async down(db) {
    await db.schema.dropTable('budget_spending').execute()
    await db.schema.dropTable('budgets').execute()
    await db.schema.dropTable('limits').execute()
    for (const column of ['tags', 'concurrency_limit', 'tpm_limit']) {
      await db.schema.alterTable('api_keys').dropColumn(column).execute()
    }
  },
}
