import type { Kysely } from 'kysely'

const tables: Readonly<
  Record<string, { key: readonly string[]; texts: readonly string[]; numbers: readonly string[] }>
> = {
  /** One row: who works (an epoch that fences off whoever did before), and when it last did. */
  alert_pipeline: { key: ['id'], texts: [], numbers: ['id', 'epoch', 'alive_at'] },
  /** What was posted and is not read yet, in the order of its ids. */
  alert_inbox: { key: ['id'], texts: ['id', 'posted'], numbers: [] },
  /** What fires, and what ended and somebody is still to be told of. */
  alerts_active: {
    key: ['fingerprint'],
    texts: [
      ...['fingerprint', 'tenant_id', 'alertname', 'severity', 'labels', 'annotations', 'generator_url'],
      'inhibited_by',
    ],
    numbers: ['starts_at', 'ends_at', 'is_guess', 'is_ended', 'updated_at'],
  },
  /** What is over, a row for each firing. */
  alert_endings: {
    key: ['id'],
    texts: [
      ...['id', 'fingerprint', 'tenant_id', 'alertname', 'severity', 'labels', 'annotations', 'generator_url'],
      'inhibited_by',
    ],
    numbers: ['starts_at', 'ends_at', 'seen_at'],
  },
  /** Timers of groups, and what each receiver was told of its group: Alertmanager's notification log. */
  alert_groups: {
    key: ['id'],
    texts: ['id', 'group_key', 'group_labels', 'tenant_id', 'receiver', 'firing', 'resolved', 'noted'],
    numbers: ['flush_at', 'has_flushed', 'emptied_at', 'told_at', 'seen_at'],
  },
  /** What is to be delivered: the row is there before anybody is told, its end after. */
  alert_notices: {
    key: ['id'],
    texts: ['id', 'group_id', 'receiver', 'reason', 'state', 'body'],
    numbers: ['at', 'ended_at'],
  },
  /** What a receiver is told of in one message, because it had too many. */
  alert_digests: {
    key: ['id'],
    texts: ['id', 'receiver', 'tenant_id', 'notice_id', 'alerts'],
    numbers: ['due_at'],
  },
  alert_silences: {
    key: ['id'],
    texts: ['id', 'tenant_id', 'matchers', 'recurrence', 'author', 'comment'],
    numbers: ['starts_at', 'ends_at', 'created_at', 'updated_at'],
  },
  /** One row: the routing tree that was stored over the API. */
  alert_routing: { key: ['id'], texts: ['settings', 'updated_by'], numbers: ['id', 'updated_at'] },
  /** Tokens of those who post from outside. */
  alert_hooks: {
    key: ['id'],
    texts: ['id', 'tenant_id', 'name', 'token_hash', 'last_four', 'created_by'],
    numbers: ['created_at'],
  },
}

const indexes: readonly (readonly [table: string, columns: readonly string[], isUnique?: true])[] = [
  ['alerts_active', ['tenant_id', 'fingerprint']],
  ['alert_endings', ['seen_at', 'id']],
  ['alert_endings', ['tenant_id', 'id']],
  ['alert_notices', ['state', 'at']],
  ['alert_silences', ['ends_at']],
  ['alert_hooks', ['token_hash'], true],
]

/** Active alerts, their groups, what was told and what is to be; silences, routing, and tokens of those who post. */
export const alertPipelineMigration = {
  name: '0028-alert-pipeline',

  async up(db: Kysely<unknown>): Promise<void> {
    for (const [name, { key, texts, numbers }] of Object.entries(tables)) {
      let table = db.schema.createTable(name)
      for (const column of texts) table = table.addColumn(column, 'text', (c) => c.notNull())
      for (const column of numbers) table = table.addColumn(column, 'bigint', (c) => c.notNull())
      await table.addPrimaryKeyConstraint(`${name}_key`, key as never).execute()
    }
    for (const [table, columns, isUnique] of indexes) {
      const index = db.schema
        .createIndex(`${table}_by_${columns.join('_')}`)
        .on(table)
        .columns([...columns])
      await (isUnique ? index.unique() : index).execute()
    }
  },

  async down(db: Kysely<unknown>): Promise<void> {
    for (const name of Object.keys(tables).reverse()) await db.schema.dropTable(name).execute()
  },
}
