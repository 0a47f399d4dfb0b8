import { sql } from 'kysely'
import type { Migration } from '../platform/database/index.ts'

/** Who changed what: rows that are only ever appended, each bound to the one before it by its hash. */
export const auditMigration: Migration = {
  name: '0016-audit',

  async up(db, engine) {
    // `seq` has no gaps. A change writes two rows of one `action_id`: an intent before it, a result after it.
    await db.schema
      .createTable('audit_log')
      .addColumn('seq', 'bigint', (c) => c.primaryKey().notNull())
      .addColumn('id', 'text', (c) => c.notNull())
      .addColumn('action_id', 'text', (c) => c.notNull())
      .addColumn('phase', 'text', (c) => c.notNull())
      .addColumn('at', 'bigint', (c) => c.notNull())
      .addColumn('tenant_id', 'text', (c) => c.notNull())
      .addColumn('hub_wide', 'integer', (c) => c.notNull())
      .addColumn('actor_kind', 'text', (c) => c.notNull())
      .addColumn('actor_id', 'text', (c) => c.notNull())
      .addColumn('actor_name', 'text', (c) => c.notNull())
      .addColumn('actor_role', 'text', (c) => c.notNull())
      .addColumn('actor_tenant_id', 'text', (c) => c.notNull())
      .addColumn('action', 'text', (c) => c.notNull())
      .addColumn('target', 'text', (c) => c.notNull())
      .addColumn('before_json', 'text', (c) => c.notNull())
      .addColumn('after_json', 'text', (c) => c.notNull())
      .addColumn('status', 'integer', (c) => c.notNull())
      .addColumn('code', 'text', (c) => c.notNull())
      .addColumn('trace_id', 'text', (c) => c.notNull())
      .addColumn('request_id', 'text', (c) => c.notNull())
      .addColumn('ip', 'text', (c) => c.notNull())
      .addColumn('user_agent', 'text', (c) => c.notNull())
      .addColumn('previous', 'text', (c) => c.notNull())
      .addColumn('hash', 'text', (c) => c.notNull())
      .execute()
    await db.schema.createIndex('audit_by_action_id').on('audit_log').columns(['action_id', 'phase']).execute()
    await db.schema.createIndex('audit_by_tenant').on('audit_log').columns(['tenant_id', 'seq']).execute()
    await db.schema.createIndex('audit_by_actor').on('audit_log').columns(['actor_id', 'seq']).execute()
    await db.schema.createIndex('audit_by_target').on('audit_log').columns(['target', 'seq']).execute()
    await db.schema.createIndex('audit_by_action').on('audit_log').columns(['action', 'seq']).execute()
    await db.schema.createIndex('audit_by_time').on('audit_log').column('at').execute()
    await db.schema.createIndex('audit_by_hash').on('audit_log').column('hash').execute()

    // One row, locked by whoever appends: the end of the chain, signed.
    await db.schema
      .createTable('audit_head')
      .addColumn('id', 'integer', (c) => c.primaryKey().notNull())
      .addColumn('seq', 'bigint', (c) => c.notNull())
      .addColumn('hash', 'text', (c) => c.notNull())
      .addColumn('signature', 'text', (c) => c.notNull())
      .execute()
    await db.insertInto('audit_head').values({ id: 1, seq: 0, hash: '', signature: '' }).execute()

    // Up to where rows were moved to a file. Only those may be deleted.
    await db.schema
      .createTable('audit_checkpoints')
      .addColumn('seq', 'bigint', (c) => c.primaryKey().notNull())
      .addColumn('hash', 'text', (c) => c.notNull())
      .addColumn('first_seq', 'bigint', (c) => c.notNull())
      .addColumn('at', 'bigint', (c) => c.notNull())
      .addColumn('file', 'text', (c) => c.notNull())
      .addColumn('file_sha256', 'text', (c) => c.notNull())
      .addColumn('signature', 'text', (c) => c.notNull())
      .execute()

    for (const statement of engine === 'sqlite' ? sqliteGuards : postgresGuards) await sql.raw(statement).execute(db)
  },

  async down(db, engine) {
    for (const table of ['audit_checkpoints', 'audit_head', 'audit_log']) await db.schema.dropTable(table).execute()
    if (engine === 'postgres')
      await sql.raw('drop function audit_refuse(); drop function audit_refuse_kept()').execute(db)
  },
}

// They stop a slip, and whoever has the rights of the program only. What an owner of the tables does, the chain shows.
const refused = 'audit rows are never changed'
const kept = 'audit rows are deleted only after they were archived'

const sqliteGuards: readonly string[] = [
  `create trigger audit_log_no_update before update on audit_log begin select raise(abort, '${refused}'); end`,
  `create trigger audit_log_no_delete before delete on audit_log
   when old.seq > (select coalesce(max(seq), 0) from audit_checkpoints)
   begin select raise(abort, '${kept}'); end`,
  `create trigger audit_checkpoints_no_update before update on audit_checkpoints
   begin select raise(abort, '${refused}'); end`,
  `create trigger audit_checkpoints_no_delete before delete on audit_checkpoints
   begin select raise(abort, '${refused}'); end`,
  `create trigger audit_head_no_delete before delete on audit_head begin select raise(abort, '${refused}'); end`,
]

const postgresGuards: readonly string[] = [
  `create function audit_refuse() returns trigger language plpgsql as
   $$ begin raise exception '${refused}'; end $$`,
  `create function audit_refuse_kept() returns trigger language plpgsql as $$ begin
     if old.seq > (select coalesce(max(seq), 0) from audit_checkpoints) then raise exception '${kept}'; end if;
     return old;
   end $$`,
  `create trigger audit_log_no_update before update on audit_log for each row execute function audit_refuse()`,
  `create trigger audit_log_no_delete before delete on audit_log for each row execute function audit_refuse_kept()`,
  `create trigger audit_log_no_truncate before truncate on audit_log execute function audit_refuse()`,
  `create trigger audit_checkpoints_no_change before update or delete on audit_checkpoints
   for each row execute function audit_refuse()`,
  `create trigger audit_checkpoints_no_truncate before truncate on audit_checkpoints execute function audit_refuse()`,
  `create trigger audit_head_no_delete before delete on audit_head for each row execute function audit_refuse()`,
]
