import type { ExpressionBuilder, Kysely, Selectable, Transaction } from 'kysely'
import type { Scope } from '../kernel/scope.ts'
import { bumpRevision, readRevision } from '../platform/database/index.ts'
import type { UsageTables } from '../usage/index.ts'
import type { Memory } from './detect.ts'
import { type ActionKind, type EntityKind, ownSource, type RiskRow, type Severity } from './schema.ts'

export type RiskTables = {
  risk_settings: { id: number; settings: string }
  risk_sources: { source: string; since: number; closed_until: number; watched_from: number; version: number }
  risk_memories: { source: string; rule: string; entity: string; memory: string; seen_at: number }
  risk_findings: {
    id: string
    open_key: string
    fingerprint: string
    rule: string
    severity: Severity
    source: string
    kind: EntityKind
    entity: string
    /** `*` for what belongs to no one tenant. */
    tenant_id: string
    key_id: string
    user_id: string
    ip: string
    status: 'open' | 'closed'
    /** JSON. */
    numbers: string
    evidence: string
    closed_by: string
    window_from: number
    window_to: number
    first_at: number
    last_at: number
    opened_at: number
    closed_at: number
    muted_until: number
    detections: number
  }
  risk_actions: {
    id: string
    finding_id: string
    kind: ActionKind
    state: ActionState
    tenant_id: string
    key_id: string
    user_id: string
    model: string
    before_json: string
    error: string
    decided_by: string
    step: number
    ttl_ms: number
    expires_at: number
    rpm: number
    created_at: number
    updated_at: number
  }
}

export const actionStates = [
  ...(['proposed', 'intended', 'done', 'undoing', 'expiring', 'undone', 'expired', 'refused', 'failed'] as const),
] as const
export type ActionState = (typeof actionStates)[number]
export type FindingRow = Selectable<RiskTables['risk_findings']>
export type ActionRow = Selectable<RiskTables['risk_actions']>
export type SourceRow = Selectable<RiskTables['risk_sources']>
export type RiskStore = ReturnType<typeof createRiskStore>
/** Where a reader of the ledger stands; rows after it are read. */
export type RowPosition = { at: number; id: string }

type Both = RiskTables & UsageTables

/** People below administrators see no findings. */
function covers(scope: Scope) {
  return (row: ExpressionBuilder<RiskTables, 'risk_findings' | 'risk_actions'>) =>
    scope.kind === 'tenant' ? row('tenant_id', '=', scope.tenantId) : row.lit(scope.kind === 'everything')
}

export function createRiskStore(db: Kysely<Both>) {
  const own = db as unknown as Kysely<RiskTables>
  return {
    revision: () => readRevision(db, 'risk'),
    transaction: <T>(work: (trx: Transaction<RiskTables>) => Promise<T>): Promise<T> => own.transaction().execute(work),

    async readSettings(): Promise<string> {
      return (await own.selectFrom('risk_settings').select('settings').executeTakeFirst())?.settings ?? '{}'
    },
    writeSettings: (settings: string) =>
      own.transaction().execute(async (trx) => {
        await trx
          .insertInto('risk_settings')
          .values({ id: 1, settings })
          .onConflict((conflict) => conflict.column('id').doUpdateSet({ settings }))
          .execute()
        await bumpRevision(trx, 'risk')
      }),

    /** Calls of the ledger in the order of their time, after `after`; those the demo made only when asked for. */
    async rows(scope: Scope, to: number, after: RowPosition, limit: number, withDemo = false): Promise<RiskRow[]> {
      let query = (db as unknown as Kysely<UsageTables>)
        .selectFrom('request_logs')
        .select(['id', 'started_at', 'tenant_id', 'user_id', 'key_id', 'key_name', 'model_asked', 'provider_name'])
        .select(['client_ip', 'tokens_in', 'tokens_out', 'cost_nano_usd', 'status', 'outcome'])
        .where((eb) => eb(eb.refTuple('started_at', 'id'), '>', eb.tuple(after.at, after.id)))
        .where('started_at', '<', to)
      if (!withDemo) query = query.where('is_synthetic', '=', 0)
      if (scope.kind !== 'everything') query = query.where('tenant_id', '=', scope.tenantId)
      if (scope.kind === 'person') query = query.where('user_id', '=', scope.userId)
      const rows = await query.orderBy('started_at').orderBy('id').limit(limit).execute()
      return rows.map((row) => ({
        ...{ id: row.id, at: row.started_at, source: ownSource, tenantId: row.tenant_id, userId: row.user_id },
        ...{ keyId: row.key_id, keyName: row.key_name, model: row.model_asked, provider: row.provider_name },
        ...{ ip: row.client_ip, tokensIn: row.tokens_in, tokensOut: row.tokens_out, costNanoUsd: row.cost_nano_usd },
        ...{ status: row.status, outcome: row.outcome },
      }))
    },

    findSource: (source: string): Promise<SourceRow | undefined> =>
      own.selectFrom('risk_sources').selectAll().where('source', '=', source).executeTakeFirst(),
    listSources: (): Promise<SourceRow[]> => own.selectFrom('risk_sources').selectAll().orderBy('source').execute(),
    async memories(source: string, limit: number): Promise<Memory[]> {
      const rows = await own
        .selectFrom('risk_memories')
        .select(['rule', 'entity', 'memory'])
        .where('source', '=', source)
        .orderBy('seen_at', 'desc')
        .limit(limit)
        .execute()
      // What was silent for longest is forgotten first: it goes in front.
      return rows.reverse().map((row) => ({ ...row, memory: JSON.parse(row.memory) as unknown }))
    },
    async saveMemories(trx: Transaction<RiskTables>, source: string, changed: readonly Memory[], at: number) {
      for (let i = 0; i < changed.length; i += 100) {
        await trx
          .insertInto('risk_memories')
          .values(
            changed.slice(i, i + 100).map(({ rule, entity, memory }) => ({
              ...{ source, rule, entity, memory: JSON.stringify(memory), seen_at: at },
            })),
          )
          .onConflict((conflict) =>
            conflict.columns(['source', 'rule', 'entity']).doUpdateSet((eb) => ({
              memory: eb.ref('excluded.memory'),
              seen_at: eb.ref('excluded.seen_at'),
            })),
          )
          .execute()
      }
    },
    /** False when another node saved since `row.version - 1`: what was computed is to be thrown away. */
    async saveSource(trx: Transaction<RiskTables>, row: SourceRow): Promise<boolean> {
      const { source, version, ...rest } = row
      if (version === 1) {
        const made = await trx
          .insertInto('risk_sources')
          .values(row)
          .onConflict((conflict) => conflict.column('source').doNothing())
          .executeTakeFirst()
        return Number(made.numInsertedOrUpdatedRows ?? 0) === 1
      }
      const moved = await trx
        .updateTable('risk_sources')
        .set({ ...rest, version })
        .where('source', '=', source)
        .where('version', '=', version - 1)
        .executeTakeFirst()
      return Number(moved.numUpdatedRows) === 1
    },
    forgetMemories: async (olderThan: number): Promise<number> =>
      Number(
        (await own.deleteFrom('risk_memories').where('seen_at', '<', olderThan).executeTakeFirst()).numDeletedRows,
      ),

    latestFinding: (trx: Transaction<RiskTables>, fingerprint: string): Promise<FindingRow | undefined> =>
      trx
        .selectFrom('risk_findings')
        .selectAll()
        .where('fingerprint', '=', fingerprint)
        .orderBy('id', 'desc')
        .limit(1)
        .executeTakeFirst(),
    async insertFinding(trx: Transaction<RiskTables>, row: FindingRow): Promise<boolean> {
      const made = await trx
        .insertInto('risk_findings')
        .values(row)
        .onConflict((conflict) => conflict.column('open_key').doNothing())
        .executeTakeFirst()
      return Number(made.numInsertedOrUpdatedRows ?? 0) === 1
    },
    updateFinding: (trx: Transaction<RiskTables>, id: string, change: Partial<FindingRow>) =>
      trx.updateTable('risk_findings').set(change).where('id', '=', id).execute(),
    /** False when it was closed already. */
    async closeFinding(scope: Scope, id: string, at: number, by: string, mutedUntil: number): Promise<boolean> {
      const result = await own
        .updateTable('risk_findings')
        .set({ status: 'closed', open_key: id, closed_at: at, closed_by: by, muted_until: mutedUntil })
        .where('id', '=', id)
        .where('status', '=', 'open')
        .where(covers(scope))
        .executeTakeFirst()
      return Number(result.numUpdatedRows) === 1
    },
    openFindings: (limit: number): Promise<FindingRow[]> =>
      own
        .selectFrom('risk_findings')
        .selectAll()
        .where('status', '=', 'open')
        .orderBy('last_at')
        .limit(limit)
        .execute(),
    findFinding: (scope: Scope, id: string): Promise<FindingRow | undefined> =>
      own.selectFrom('risk_findings').selectAll().where('id', '=', id).where(covers(scope)).executeTakeFirst(),
    listFindings(scope: Scope, filter: { status?: string; rule?: string }, limit: number, before?: string) {
      let query = own.selectFrom('risk_findings').selectAll().where(covers(scope))
      if (filter.status !== undefined) query = query.where('status', '=', filter.status as FindingRow['status'])
      if (filter.rule !== undefined) query = query.where('rule', '=', filter.rule)
      if (before !== undefined) query = query.where('id', '<', before)
      return query.orderBy('id', 'desc').limit(limit).execute()
    },

    async proposeAction(row: ActionRow): Promise<boolean> {
      const made = await own
        .insertInto('risk_actions')
        .values(row)
        .onConflict((conflict) => conflict.columns(['finding_id', 'step']).doNothing())
        .executeTakeFirst()
      return Number(made.numInsertedOrUpdatedRows ?? 0) === 1
    },
    /** Moves an action on from one of the states `from`; false when it was in none of them. Nodes follow within a second. */
    moveAction: (id: string, from: readonly ActionState[], change: Partial<ActionRow>): Promise<boolean> =>
      own.transaction().execute(async (trx) => {
        const moved = await trx
          .updateTable('risk_actions')
          .set(change)
          .where('id', '=', id)
          .where('state', 'in', from)
          .executeTakeFirst()
        await bumpRevision(trx, 'risk')
        return Number(moved.numUpdatedRows) === 1
      }),
    actionsIn: (states: readonly ActionState[], limit: number): Promise<ActionRow[]> =>
      own.selectFrom('risk_actions').selectAll().where('state', 'in', states).orderBy('id').limit(limit).execute(),
    dueActions: (at: number, limit: number): Promise<ActionRow[]> =>
      own
        .selectFrom('risk_actions')
        .selectAll()
        .where('state', '=', 'done')
        .where('expires_at', '<=', at)
        .orderBy('expires_at')
        .limit(limit)
        .execute(),
    actionsOf: (findingId: string): Promise<ActionRow[]> =>
      own.selectFrom('risk_actions').selectAll().where('finding_id', '=', findingId).orderBy('step').execute(),
    findAction: (scope: Scope, id: string): Promise<ActionRow | undefined> =>
      own.selectFrom('risk_actions').selectAll().where('id', '=', id).where(covers(scope)).executeTakeFirst(),
    listActions(scope: Scope, filter: { state?: ActionState; findingId?: string }, limit: number, before?: string) {
      let query = own.selectFrom('risk_actions').selectAll().where(covers(scope))
      if (filter.state !== undefined) query = query.where('state', '=', filter.state)
      if (filter.findingId !== undefined) query = query.where('finding_id', '=', filter.findingId)
      if (before !== undefined) query = query.where('id', '<', before)
      return query.orderBy('id', 'desc').limit(limit).execute()
    },
    /** Closed findings older than `olderThan` with what was done about them; those whose actions still hold stay. */
    async deleteOld(olderThan: number, limit: number): Promise<number> {
      const old = await own
        .selectFrom('risk_findings')
        .select('id')
        .where('status', '=', 'closed')
        .where('closed_at', '<', olderThan)
        .where(({ not, exists, selectFrom }) =>
          not(
            exists(
              selectFrom('risk_actions')
                .select('risk_actions.id')
                .whereRef('risk_actions.finding_id', '=', 'risk_findings.id')
                .where('risk_actions.state', 'in', ['intended', 'done', 'undoing', 'expiring']),
            ),
          ),
        )
        .limit(limit)
        .execute()
      const ids = old.map(({ id }) => id)
      if (ids.length === 0) return 0
      await own.deleteFrom('risk_actions').where('finding_id', 'in', ids).execute()
      await own.deleteFrom('risk_findings').where('id', 'in', ids).execute()
      return ids.length
    },
  }
}
