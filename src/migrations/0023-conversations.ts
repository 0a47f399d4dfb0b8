import { type Kysely, sql } from 'kysely'

/** Calls that belong together, what was said in them where that is kept, and proofs of what was deleted. */
export const conversationsMigration = {
  name: '0023-conversations',

  async up(db: Kysely<unknown>): Promise<void> {
    let sessions = db.schema.createTable('conversations').addColumn('id', 'text', (c) => c.primaryKey())
    for (const name of ['tenant_id', 'user_id', 'key_id', 'session_id', 'model']) {
      sessions = sessions.addColumn(name, 'text', (c) => c.notNull())
    }
    const counts = ['first_at', 'last_at', 'calls', 'failures', 'tokens_in', 'tokens_out']
    for (const name of [...counts, 'cost_nano_usd', 'unpriced_calls', 'deleted_at']) {
      sessions = sessions.addColumn(name, 'bigint', (c) => c.notNull())
    }
    await sessions.execute()
    await indexes(db, 'conversations', {
      by_time: 'last_at desc, id desc',
      by_tenant: 'tenant_id, last_at desc, id desc',
      by_user: 'user_id, last_at desc, id desc',
      by_session: 'session_id',
    })

    // Whoever stores for an owner takes this row first: what is deleted meanwhile stays deleted.
    await db.schema
      .createTable('conversation_owners')
      .addColumn('user_id', 'text', (c) => c.notNull())
      .addColumn('tenant_id', 'text', (c) => c.notNull())
      .addColumn('erased_before', 'bigint', (c) => c.notNull())
      .addPrimaryKeyConstraint('conversation_owners_key', ['user_id', 'tenant_id'])
      .execute()

    let messages = db.schema.createTable('conversation_messages').addColumn('id', 'text', (c) => c.primaryKey())
    const texts = ['conversation_id', 'tenant_id', 'user_id', 'request_id', 'role', 'name', 'content', 'tool_calls']
    for (const name of [...texts, 'digest']) messages = messages.addColumn(name, 'text', (c) => c.notNull())
    for (const name of ['said_at', 'expires_at']) messages = messages.addColumn(name, 'bigint', (c) => c.notNull())
    await messages.execute()
    await indexes(db, 'conversation_messages', {
      by_conversation: 'conversation_id, said_at, id',
      by_user: 'user_id, tenant_id, said_at desc, id desc',
      by_expiry: 'expires_at',
    })

    await db.schema
      .createTable('conversation_settings')
      .addColumn('scope', 'text', (c) => c.notNull())
      .addColumn('scope_id', 'text', (c) => c.notNull())
      .addColumn('tenant_id', 'text', (c) => c.notNull())
      .addColumn('is_stored', 'integer', (c) => c.notNull())
      .addColumn('redact', 'text', (c) => c.notNull())
      .addColumn('words', 'text', (c) => c.notNull())
      .addColumn('retention_days', 'integer')
      .addColumn('updated_at', 'bigint', (c) => c.notNull())
      .addPrimaryKeyConstraint('conversation_settings_key', ['scope', 'scope_id'])
      .execute()

    let receipts = db.schema.createTable('deletion_receipts').addColumn('id', 'text', (c) => c.primaryKey())
    for (const name of ['tenant_id', 'user_id', 'conversation_id', 'requested_by', 'digest', 'signature']) {
      receipts = receipts.addColumn(name, 'text', (c) => c.notNull())
    }
    for (const name of ['erased_before', 'finished_at', 'sessions', 'messages']) {
      receipts = receipts.addColumn(name, 'bigint', (c) => c.notNull())
    }
    await receipts.execute()
    await indexes(db, 'deletion_receipts', {
      by_tenant: 'tenant_id, id desc',
      by_user: 'user_id, tenant_id, id desc',
      by_finish: 'finished_at',
    })

    await db.schema
      .alterTable('responses')
      .addColumn('session_id', 'text', (c) => c.notNull().defaultTo(''))
      .execute()
  },

  async down(db: Kysely<unknown>): Promise<void> {
    await db.schema.alterTable('responses').dropColumn('session_id').execute()
    const settings = ['conversation_settings', 'conversation_owners']
    for (const name of ['deletion_receipts', ...settings, 'conversation_messages', 'conversations']) {
      await db.schema.dropTable(name).execute()
    }
  },
}

async function indexes(db: Kysely<unknown>, table: string, named: Record<string, string>): Promise<void> {
  for (const [name, columns] of Object.entries(named)) {
    await sql`create index ${sql.id(`${table}_${name}`)} on ${sql.id(table)} (${sql.raw(columns)})`.execute(db)
  }
}
