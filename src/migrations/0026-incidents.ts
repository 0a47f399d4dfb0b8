import type { Migration } from '../platform/database/index.ts'

/** Incidents with their alerts and timelines, who is told of them, who is on call, and what was changed by the hub itself. */
export const incidentsMigration: Migration = {
  name: '0026-incidents',

  async up(db) {
    await db.schema
      .createTable('incidents')
      .addColumn('id', 'text', (c) => c.primaryKey())
      .addColumn('tenant_id', 'text', (c) => c.notNull())
      .addColumn('state', 'text', (c) => c.notNull())
      .addColumn('severity', 'text', (c) => c.notNull())
      .addColumn('cause_key', 'text', (c) => c.notNull())
      // Tenant and cause while it is not over, else its own id: of a cause there is one at a time.
      .addColumn('open_key', 'text', (c) => c.notNull().unique())
      .addColumn('declared_at', 'bigint', (c) => c.notNull())
      .addColumn('resolved_at', 'bigint')
      .addColumn('due_at', 'bigint')
      .addColumn('facts', 'text', (c) => c.notNull())
      .addColumn('timeline_seq', 'bigint', (c) => c.notNull())
      .addColumn('timeline_hash', 'text', (c) => c.notNull())
      .addColumn('timeline_signature', 'text', (c) => c.notNull())
      .execute()
    await db.schema.createIndex('incidents_due').on('incidents').column('due_at').execute()
    await db.schema.createIndex('incidents_by_time').on('incidents').columns(['declared_at', 'id']).execute()
    await db.schema.createIndex('incidents_by_state').on('incidents').columns(['state', 'declared_at']).execute()
    await db.schema.createIndex('incidents_by_cause').on('incidents').columns(['cause_key', 'declared_at']).execute()

    await db.schema
      .createTable('incident_alerts')
      .addColumn('fingerprint', 'text', (c) => c.notNull())
      .addColumn('starts_at', 'bigint', (c) => c.notNull())
      .addColumn('tenant_id', 'text', (c) => c.notNull())
      .addColumn('incident_id', 'text', (c) => c.notNull())
      .addColumn('ended_at', 'bigint')
      .addColumn('labels', 'text', (c) => c.notNull())
      .addColumn('annotations', 'text', (c) => c.notNull())
      .addColumn('inhibited_by', 'text', (c) => c.notNull())
      .addColumn('joined_at', 'bigint', (c) => c.notNull())
      .addPrimaryKeyConstraint('incident_alerts_key', ['tenant_id', 'fingerprint', 'starts_at'])
      .execute()
    await db.schema
      .createIndex('incident_alerts_by_incident')
      .on('incident_alerts')
      .columns(['incident_id', 'ended_at'])
      .execute()
    await db.schema.createIndex('incident_alerts_open').on('incident_alerts').column('ended_at').execute()

    await db.schema
      .createTable('incident_timeline')
      .addColumn('incident_id', 'text', (c) => c.notNull())
      .addColumn('seq', 'bigint', (c) => c.notNull())
      .addColumn('at', 'bigint', (c) => c.notNull())
      .addColumn('kind', 'text', (c) => c.notNull())
      .addColumn('actor_kind', 'text', (c) => c.notNull())
      .addColumn('actor_id', 'text', (c) => c.notNull())
      .addColumn('actor_name', 'text', (c) => c.notNull())
      .addColumn('text', 'text', (c) => c.notNull())
      .addColumn('data', 'text', (c) => c.notNull())
      .addColumn('hash', 'text', (c) => c.notNull())
      .addPrimaryKeyConstraint('incident_timeline_key', ['incident_id', 'seq'])
      .execute()

    // The last number given out in a day: in one transaction with the incident, so that none is lost.
    await db.schema
      .createTable('incident_days')
      .addColumn('day', 'text', (c) => c.primaryKey())
      .addColumn('last', 'bigint', (c) => c.notNull())
      .execute()

    // Intent before, result after: what was under way when a node died is told by the next.
    await db.schema
      .createTable('incident_pages')
      .addColumn('id', 'text', (c) => c.primaryKey())
      .addColumn('incident_id', 'text', (c) => c.notNull())
      .addColumn('at', 'bigint', (c) => c.notNull())
      .addColumn('reason', 'text', (c) => c.notNull())
      .addColumn('channels', 'text', (c) => c.notNull())
      .addColumn('person', 'text', (c) => c.notNull())
      .addColumn('cycle', 'integer', (c) => c.notNull())
      .addColumn('title', 'text', (c) => c.notNull())
      .addColumn('text', 'text', (c) => c.notNull())
      .addColumn('severity', 'text', (c) => c.notNull())
      .addColumn('state', 'text', (c) => c.notNull())
      .addColumn('tries', 'integer', (c) => c.notNull())
      .addColumn('due_at', 'bigint', (c) => c.notNull())
      .execute()
    await db.schema.createIndex('incident_pages_due').on('incident_pages').columns(['state', 'due_at']).execute()
    await db.schema.createIndex('incident_pages_by_incident').on('incident_pages').column('incident_id').execute()

    // Schedules and policies, by kind and name.
    await db.schema
      .createTable('on_call_settings')
      .addColumn('kind', 'text', (c) => c.notNull())
      .addColumn('name', 'text', (c) => c.notNull())
      .addColumn('body', 'text', (c) => c.notNull())
      .addColumn('updated_at', 'bigint', (c) => c.notNull())
      .addPrimaryKeyConstraint('on_call_settings_key', ['kind', 'name'])
      .execute()

    // Starts of versions, and digests that were sent: each once.
    await db.schema
      .createTable('incident_marks')
      .addColumn('kind', 'text', (c) => c.notNull())
      .addColumn('name', 'text', (c) => c.notNull())
      .addColumn('at', 'bigint', (c) => c.notNull())
      .addPrimaryKeyConstraint('incident_marks_key', ['kind', 'name'])
      .execute()
  },

  async down(db) {
    for (const table of [
      ...['incident_marks', 'on_call_settings', 'incident_pages', 'incident_days', 'incident_timeline'],
      ...['incident_alerts', 'incidents'],
    ]) {
      await db.schema.dropTable(table).execute()
    }
  },
}
