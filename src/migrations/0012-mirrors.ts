import type { Kysely } from 'kysely'

const texts = [
  ...['request_id', 'tenant_id', 'key_id', 'model', 'provider_name', 'error_code', 'finish_reason'],
  ...['mirror_model', 'mirror_provider_name', 'mirror_error_code', 'mirror_finish_reason'],
  ...['differences', 'answer', 'mirror_answer'],
] as const
const counts = ['started_at', 'latency_ms', 'tokens_in', 'tokens_out'] as const
const mirrorCounts = ['mirror_latency_ms', 'mirror_tokens_in', 'mirror_tokens_out'] as const
const unknowable = ['cost_nano_usd', 'mirror_cost_nano_usd'] as const
/** Of 1000, or 0 and 1; null where there was nothing to compare. */
const verdicts = ['similarity', 'text_equal', 'tool_calls_equal', 'schema_valid', 'mirror_schema_valid'] as const

/** What a model answered beside what another was asked for comparison, and which models are so compared. */
export const mirrorsMigration = {
  name: '0012-mirrors',

  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .alterTable('models')
      .addColumn('mirror', 'text', (c) => c.notNull().defaultTo('{}'))
      .execute()

    let table = db.schema.createTable('mirrors').addColumn('id', 'text', (c) => c.primaryKey())
    for (const name of texts) table = table.addColumn(name, 'text', (c) => c.notNull())
    for (const name of [...counts, ...mirrorCounts]) table = table.addColumn(name, 'bigint', (c) => c.notNull())
    for (const name of ['status', 'mirror_status', 'is_equal']) {
      table = table.addColumn(name, 'integer', (c) => c.notNull())
    }
    for (const name of unknowable) table = table.addColumn(name, 'bigint')
    for (const name of verdicts) table = table.addColumn(name, 'integer')
    await table.execute()
    for (const columns of [['started_at', 'id'], ['tenant_id', 'started_at', 'id'], ['request_id']]) {
      await db.schema.createIndex(`mirrors_by_${columns[0]}`).on('mirrors').columns(columns).execute()
    }
  },

  async down(db: Kysely<unknown>): Promise<void> {
    await db.schema.dropTable('mirrors').execute()
    await db.schema.alterTable('models').dropColumn('mirror').execute()
  },
}
