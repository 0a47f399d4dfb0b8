import type { Kysely } from 'kysely'

/** Rules that people made or changed, and what every rule remembers: it goes on where it was after a kill. */
export const alertRulesMigration = {
  name: '0027-alert-rules',

  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .createTable('alert_rules')
      .addColumn('id', 'text', (c) => c.primaryKey().notNull())
      .addColumn('source', 'text', (c) => c.notNull())
      .addColumn('rule', 'text', (c) => c.notNull())
      .addColumn('created_at', 'bigint', (c) => c.notNull())
      .addColumn('updated_at', 'bigint', (c) => c.notNull())
      .execute()
    // A row with fingerprint '' is the rule's own; each other one is one of its alerts.
    await db.schema
      .createTable('alert_states')
      .addColumn('rule_id', 'text', (c) => c.notNull())
      .addColumn('fingerprint', 'text', (c) => c.notNull())
      .addColumn('state', 'text', (c) => c.notNull())
      .addColumn('memory', 'text', (c) => c.notNull())
      .addColumn('updated_at', 'bigint', (c) => c.notNull())
      .addPrimaryKeyConstraint('alert_states_key', ['rule_id', 'fingerprint'] as never)
      .execute()
  },

  async down(db: Kysely<unknown>): Promise<void> {
    for (const table of ['alert_states', 'alert_rules']) await db.schema.dropTable(table).execute()
  },
}
