import type { Kysely } from 'kysely'

const findingTexts = [
  ...[
    'open_key',
    'fingerprint',
    'rule',
    'severity',
    'source',
    'kind',
    'entity',
    'tenant_id',
    'key_id',
    'user_id',
    'ip',
  ],
  ...['status', 'numbers', 'evidence', 'closed_by'],
] as const
const findingTimes = [
  'window_from',
  'window_to',
  'first_at',
  'last_at',
  'opened_at',
  'closed_at',
  'muted_until',
] as const
const actionTexts = [
  ...['finding_id', 'kind', 'state', 'tenant_id', 'key_id', 'user_id', 'model', 'before_json', 'error', 'decided_by'],
] as const
const actionCounts = ['step', 'ttl_ms', 'expires_at', 'rpm', 'created_at', 'updated_at'] as const

/** What the risk rules remember, what they found, and what was done about it. */
export const riskMigration = {
  name: '0024-risk',

  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .createTable('risk_settings')
      .addColumn('id', 'integer', (c) => c.primaryKey().notNull())
      .addColumn('settings', 'text', (c) => c.notNull())
      .execute()
    await db.schema
      .createTable('risk_sources')
      .addColumn('source', 'text', (c) => c.primaryKey().notNull())
      .addColumn('since', 'bigint', (c) => c.notNull())
      .addColumn('closed_until', 'bigint', (c) => c.notNull())
      .addColumn('watched_from', 'bigint', (c) => c.notNull())
      .addColumn('version', 'bigint', (c) => c.notNull())
      .execute()
    await db.schema
      .createTable('risk_memories')
      .addColumn('source', 'text', (c) => c.notNull())
      .addColumn('rule', 'text', (c) => c.notNull())
      .addColumn('entity', 'text', (c) => c.notNull())
      .addColumn('memory', 'text', (c) => c.notNull())
      .addColumn('seen_at', 'bigint', (c) => c.notNull())
      .addPrimaryKeyConstraint('risk_memories_key', ['source', 'rule', 'entity'] as never)
      .execute()
    let findings = db.schema.createTable('risk_findings').addColumn('id', 'text', (c) => c.primaryKey().notNull())
    for (const name of findingTexts) findings = findings.addColumn(name, 'text', (c) => c.notNull())
    for (const name of findingTimes) findings = findings.addColumn(name, 'bigint', (c) => c.notNull())
    await findings.addColumn('detections', 'bigint', (c) => c.notNull()).execute()
    // The fingerprint while it is open, its own id afterwards: one open finding of a thing, whichever node found it.
    await db.schema.createIndex('risk_findings_open').on('risk_findings').column('open_key').unique().execute()
    await db.schema.createIndex('risk_findings_by_print').on('risk_findings').columns(['fingerprint', 'id']).execute()
    await db.schema.createIndex('risk_findings_by_tenant').on('risk_findings').columns(['tenant_id', 'id']).execute()
    let actions = db.schema.createTable('risk_actions').addColumn('id', 'text', (c) => c.primaryKey().notNull())
    for (const name of actionTexts) actions = actions.addColumn(name, 'text', (c) => c.notNull())
    for (const name of actionCounts) actions = actions.addColumn(name, 'bigint', (c) => c.notNull())
    await actions.execute()
    await db.schema
      .createIndex('risk_actions_once')
      .on('risk_actions')
      .columns(['finding_id', 'step'])
      .unique()
      .execute()
    await db.schema.createIndex('risk_actions_by_state').on('risk_actions').columns(['state', 'expires_at']).execute()
    await db.schema.createIndex('risk_actions_by_tenant').on('risk_actions').columns(['tenant_id', 'id']).execute()
  },

  async down(db: Kysely<unknown>): Promise<void> {
    for (const table of ['risk_actions', 'risk_findings', 'risk_memories', 'risk_sources', 'risk_settings']) {
      await db.schema.dropTable(table).execute()
    }
  },
}
