import type { Kysely, Selectable, Transaction } from 'kysely'

export type AuditTables = {
  audit_log: {
    /** Place in the chain, from 1, without gaps. */
    seq: number
    id: string
    /** What an intent and its result have in common. */
    action_id: string
    phase: 'intent' | 'result'
    at: number
    /** Whose thing was changed; the actor's own tenant when that is nobody's. */
    tenant_id: string
    /** 1 for what concerns the whole hub: administrators of a tenant do not see it. */
    hub_wide: number
    actor_kind: string
    actor_id: string
    actor_name: string
    actor_role: string
    actor_tenant_id: string
    action: string
    target: string
    /** JSON, '' for nothing. */
    before_json: string
    after_json: string
    /** HTTP status; 0 in an intent. */
    status: number
    code: string
    trace_id: string
    request_id: string
    ip: string
    user_agent: string
    previous: string
    hash: string
  }
  audit_head: { id: number; seq: number; hash: string; signature: string }
  audit_checkpoints: {
    seq: number
    hash: string
    first_seq: number
    at: number
    file: string
    file_sha256: string
    signature: string
  }
}

export type AuditRow = Selectable<AuditTables['audit_log']>
export type HeadRow = Selectable<AuditTables['audit_head']>
export type CheckpointRow = Selectable<AuditTables['audit_checkpoints']>
export type Link = Pick<AuditRow, 'seq' | 'hash'>

export type AuditFilter = {
  /** Undefined for every tenant and what concerns the whole hub. */
  tenantId?: string | undefined
  /** Narrows further; for who sees every tenant. */
  ofTenant?: string | undefined
  actor?: string | undefined
  /** Exact, or a beginning that ends in `*`. */
  action?: string | undefined
  target?: string | undefined
  from?: number | undefined
  to?: number | undefined
}

export type AuditStore = ReturnType<typeof createAuditStore>

export function createAuditStore(db: Kysely<AuditTables>) {
  const lastRow = (trx: Transaction<AuditTables>): Promise<Link | undefined> =>
    trx.selectFrom('audit_log').select(['seq', 'hash']).orderBy('seq', 'desc').limit(1).executeTakeFirst()

  // An update that changes nothing locks the row on PostgreSQL; SQLite has one writer anyway.
  const lockHead = (trx: Transaction<AuditTables>): Promise<HeadRow | undefined> =>
    trx.updateTable('audit_head').set({ id: 1 }).where('id', '=', 1).returningAll().executeTakeFirst()

  return {
    /** Appends what `build` makes of the end of the chain. Nobody else appends meanwhile, on any node. */
    append: (
      build: (
        head: HeadRow | undefined,
        last: () => Promise<Link | undefined>,
      ) => Promise<{ rows: readonly AuditRow[]; head: HeadRow }>,
    ) =>
      db.transaction().execute(async (trx) => {
        const made = await build(await lockHead(trx), () => lastRow(trx))
        await trx.insertInto('audit_log').values(made.rows).execute()
        const { id, ...end } = made.head
        await trx
          .insertInto('audit_head')
          .values({ id, ...end })
          .onConflict((conflict) => conflict.column('id').doUpdateSet(end))
          .execute()
      }),

    head: () => db.selectFrom('audit_head').selectAll().where('id', '=', 1).executeTakeFirst(),
    /** Rows after `seq` in the order of the chain. */
    page: (seq: number, limit: number): Promise<AuditRow[]> =>
      db.selectFrom('audit_log').selectAll().where('seq', '>', seq).orderBy('seq').limit(limit).execute(),
    at: (seq: number) => db.selectFrom('audit_log').selectAll().where('seq', '=', seq).executeTakeFirst(),
    withHash: (hash: string): Promise<Link | undefined> =>
      db.selectFrom('audit_log').select(['seq', 'hash']).where('hash', '=', hash).executeTakeFirst(),
    /** The first row written at `time` or later, by its place. */
    async firstSince(time: number): Promise<number | null> {
      const row = await db
        .selectFrom('audit_log')
        .select((eb) => eb.fn.min<number | null>('seq').as('seq'))
        .where('at', '>=', time)
        .executeTakeFirst()
      return row?.seq ?? null
    },
    /** The last row written before `time`, by its place. */
    async lastBefore(time: number): Promise<number | null> {
      const row = await db
        .selectFrom('audit_log')
        .select((eb) => eb.fn.max<number | null>('seq').as('seq'))
        .where('at', '<', time)
        .executeTakeFirst()
      return row?.seq ?? null
    },

    checkpoint: () => db.selectFrom('audit_checkpoints').selectAll().orderBy('seq', 'desc').limit(1).executeTakeFirst(),
    /** All of them, oldest first: one for thousands of rows. */
    checkpoints: () => db.selectFrom('audit_checkpoints').selectAll().orderBy('seq').execute(),
    /** Notes the checkpoint and deletes the rows up to it; false when another node archived meanwhile. */
    prune: (checkpoint: CheckpointRow, previousSeq: number) =>
      db.transaction().execute(async (trx) => {
        await lockHead(trx)
        const latest = await trx
          .selectFrom('audit_checkpoints')
          .select('seq')
          .orderBy('seq', 'desc')
          .limit(1)
          .executeTakeFirst()
        if ((latest?.seq ?? 0) !== previousSeq) return false
        await trx.insertInto('audit_checkpoints').values(checkpoint).execute()
        await trx.deleteFrom('audit_log').where('seq', '<=', checkpoint.seq).execute()
        return true
      }),

    /** What was done, latest first: results, and intents that have none. */
    list: (filter: AuditFilter, limit: number, before?: number): Promise<AuditRow[]> => {
      const { tenantId, ofTenant, actor, action, target, from, to } = filter
      return db
        .selectFrom('audit_log')
        .selectAll()
        .where((eb) =>
          eb.or([
            eb('phase', '=', 'result'),
            eb.not(
              eb.exists(
                eb
                  .selectFrom('audit_log as other')
                  .select('other.seq')
                  .whereRef('other.action_id', '=', 'audit_log.action_id')
                  .where('other.phase', '=', 'result'),
              ),
            ),
          ]),
        )
        .$if(tenantId !== undefined, (query) => query.where('tenant_id', '=', tenantId!).where('hub_wide', '=', 0))
        .$if(ofTenant !== undefined, (query) => query.where('tenant_id', '=', ofTenant!))
        .$if(actor !== undefined, (query) => query.where('actor_id', '=', actor!))
        .$if(action !== undefined, (query) =>
          action!.endsWith('*')
            ? query
                .where('action', '>=', action!.slice(0, -1))
                .where('action', '<', `${action!.slice(0, -1)}\u{10ffff}`)
            : query.where('action', '=', action!),
        )
        .$if(target !== undefined, (query) => query.where('target', '=', target!))
        .$if(from !== undefined, (query) => query.where('at', '>=', from!))
        .$if(to !== undefined, (query) => query.where('at', '<', to!))
        .$if(before !== undefined, (query) => query.where('seq', '<', before!))
        .orderBy('seq', 'desc')
        .limit(limit)
        .execute()
    },
  }
}
