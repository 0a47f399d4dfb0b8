import { type ExpressionBuilder, type Kysely, type Selectable, sql, type Transaction } from 'kysely'
import { fail } from '../../kernel/errors.ts'
import type { Scope } from '../../kernel/scope.ts'
import { bumpRevision, insertMany, readRevision } from '../../platform/database/index.ts'
import type { MatcherText } from './matchers.ts'
import type { Active } from './merge.ts'
import type { Recurrence, SilenceRow } from './silences.ts'

type AlertColumns = {
  fingerprint: string
  tenant_id: string
  alertname: string
  severity: string
  /** JSON. */
  labels: string
  annotations: string
  generator_url: string
  inhibited_by: string
  starts_at: number
  ends_at: number
}

export type PipelineTables = {
  alert_pipeline: { id: number; epoch: number; alive_at: number }
  alert_inbox: { id: string; posted: string }
  alerts_active: AlertColumns & { is_guess: number; is_ended: number; updated_at: number }
  alert_endings: AlertColumns & { id: string; seen_at: number }
  alert_groups: {
    id: string
    group_key: string
    group_labels: string
    tenant_id: string
    receiver: string
    firing: string
    resolved: string
    noted: string
    flush_at: number
    has_flushed: number
    emptied_at: number
    /** 0: never told. */
    told_at: number
    seen_at: number
  }
  alert_notices: {
    id: string
    group_id: string
    receiver: string
    reason: string
    state: 'intended' | 'delivered' | 'failed'
    body: string
    at: number
    ended_at: number
  }
  alert_digests: {
    id: string
    receiver: string
    tenant_id: string
    notice_id: string
    alerts: string
    due_at: number
  }
  alert_silences: {
    id: string
    tenant_id: string
    matchers: string
    recurrence: string
    author: string
    comment: string
    starts_at: number
    ends_at: number
    created_at: number
    updated_at: number
  }
  alert_routing: { id: number; settings: string; updated_by: string; updated_at: number }
  alert_hooks: {
    id: string
    tenant_id: string
    name: string
    token_hash: string
    last_four: string
    created_by: string
    created_at: number
  }
}

export type GroupRow = Selectable<PipelineTables['alert_groups']>
export type NoticeRow = Selectable<PipelineTables['alert_notices']>
export type DigestRow = Selectable<PipelineTables['alert_digests']>
export type EndingRow = Selectable<PipelineTables['alert_endings']>
export type HookRow = Selectable<PipelineTables['alert_hooks']>
export type PipelineStore = ReturnType<typeof createPipelineStore>
export type PipelineTransaction = Transaction<PipelineTables>

/** Another node works now: what this one has in memory is to be thrown away. */
export class LostTurn extends Error {
  constructor() {
    super('another node runs the alert pipeline now')
    this.name = 'LostTurn'
  }
}

const rowsAtOnce = 200

/** People below administrators see no alerts. */
function covers(scope: Scope) {
  return (
    row: ExpressionBuilder<PipelineTables, 'alerts_active' | 'alert_endings' | 'alert_silences' | 'alert_hooks'>,
  ) => (scope.kind === 'tenant' ? row('tenant_id', '=', scope.tenantId) : row.lit(scope.kind === 'everything'))
}

export function createPipelineStore(db: Kysely<PipelineTables>) {
  /** Inserts `rows`, or puts them in the place of those with the same key. */
  async function put<T extends keyof PipelineTables>(
    trx: PipelineTransaction,
    table: T,
    key: string,
    rows: readonly Selectable<PipelineTables[T]>[],
  ): Promise<void> {
    for (let i = 0; i < rows.length; i += rowsAtOnce) {
      const some = rows.slice(i, i + rowsAtOnce)
      const changed = Object.keys(some[0]!).filter((column) => column !== key)
      await trx
        .insertInto(table)
        .values(some as never)
        .onConflict((conflict) =>
          conflict
            .column(key as never)
            .doUpdateSet(Object.fromEntries(changed.map((column) => [column, sql.ref(`excluded.${column}`)])) as never),
        )
        .execute()
    }
  }
  async function remove(trx: PipelineTransaction, table: keyof PipelineTables, key: string, values: readonly string[]) {
    for (let i = 0; i < values.length; i += 500) {
      await trx
        .deleteFrom(table)
        .where(key as never, 'in', values.slice(i, i + 500) as never)
        .execute()
    }
  }

  return {
    revision: () => readRevision(db, 'alerts'),

    /** Begins an epoch: whoever worked before is fenced off. Returns it, and when somebody last worked. */
    take: (at: number): Promise<{ epoch: number; aliveAt: number }> =>
      db.transaction().execute(async (trx) => {
        await trx
          .insertInto('alert_pipeline')
          .values({ id: 1, epoch: 0, alive_at: at })
          .onConflict((conflict) => conflict.column('id').doNothing())
          .execute()
        await trx.updateTable('alert_pipeline').set({ epoch: sql`epoch + 1` }).where('id', '=', 1).execute()
        const row = await trx.selectFrom('alert_pipeline').selectAll().where('id', '=', 1).executeTakeFirstOrThrow()
        return { epoch: row.epoch, aliveAt: row.alive_at }
      }),
    /** A transaction of the epoch's holder; throws LostTurn when another began one. */
    work: <T>(epoch: number, at: number, change: (trx: PipelineTransaction) => Promise<T>): Promise<T> =>
      db.transaction().execute(async (trx) => {
        const held = await trx
          .updateTable('alert_pipeline')
          .set({ alive_at: at })
          .where('id', '=', 1)
          .where('epoch', '=', epoch)
          .executeTakeFirst()
        if (Number(held.numUpdatedRows) !== 1) throw new LostTurn()
        return change(trx)
      }),

    async load() {
      const [actives, groups, notices, digests] = await Promise.all([
        db.selectFrom('alerts_active').selectAll().execute(),
        db.selectFrom('alert_groups').selectAll().execute(),
        db.selectFrom('alert_notices').selectAll().where('state', '=', 'intended').orderBy('id').execute(),
        db.selectFrom('alert_digests').selectAll().execute(),
      ])
      return { actives: actives.map(toActive), groups, notices, digests }
    },
    /** When notices of each receiver were decided since `since`, for counting storms. */
    recentNotices: (since: number): Promise<{ receiver: string; at: number }[]> =>
      db.selectFrom('alert_notices').select(['receiver', 'at']).where('at', '>', since).orderBy('at').execute(),

    putInbox: (rows: readonly { id: string; posted: string }[]): Promise<unknown> =>
      insertMany(
        db,
        'alert_inbox',
        ['id', 'posted'],
        rows.map(({ id, posted }) => [id, posted]),
        { ignoreConflictOn: 'id', returning: 'id' },
      ),
    readInbox: (limit: number) => db.selectFrom('alert_inbox').selectAll().orderBy('id').limit(limit).execute(),
    deleteInbox: (trx: PipelineTransaction, ids: readonly string[]) => remove(trx, 'alert_inbox', 'id', ids),
    async countHeld(): Promise<{ waiting: number; active: number }> {
      const count = async (table: 'alert_inbox' | 'alerts_active') =>
        Number(
          (
            await db
              .selectFrom(table)
              .select(({ fn }) => fn.countAll().as('count'))
              .executeTakeFirstOrThrow()
          ).count,
        )
      const [waiting, active] = await Promise.all([count('alert_inbox'), count('alerts_active')])
      return { waiting, active }
    },

    putActives: (trx: PipelineTransaction, actives: readonly Active[]) =>
      put(trx, 'alerts_active', 'fingerprint', actives.map(toActiveRow)),
    deleteActives: (trx: PipelineTransaction, prints: readonly string[]) =>
      remove(trx, 'alerts_active', 'fingerprint', prints),
    putEndings: (trx: PipelineTransaction, endings: readonly { id: string; alert: Active; seenAt: number }[]) =>
      put(
        trx,
        'alert_endings',
        'id',
        endings.map(({ id, alert, seenAt }) => ({ id, ...columnsOf(alert), seen_at: seenAt })),
      ),
    putGroups: (trx: PipelineTransaction, rows: readonly GroupRow[]) => put(trx, 'alert_groups', 'id', rows),
    deleteGroups: (trx: PipelineTransaction, ids: readonly string[]) => remove(trx, 'alert_groups', 'id', ids),
    putNotices: (trx: PipelineTransaction, rows: readonly NoticeRow[]) => put(trx, 'alert_notices', 'id', rows),
    endNotice: (trx: PipelineTransaction, id: string, state: 'delivered' | 'failed', at: number) =>
      // Its body is the ledger's from now on.
      trx.updateTable('alert_notices').set({ state, ended_at: at, body: '' }).where('id', '=', id).execute(),
    putDigests: (trx: PipelineTransaction, rows: readonly DigestRow[]) => put(trx, 'alert_digests', 'id', rows),
    deleteDigest: (trx: PipelineTransaction, id: string) => remove(trx, 'alert_digests', 'id', [id]),
    /** What nobody asks for any more, at most `limit` rows of each kind. */
    async tidy(before: { notices: number; endings: number; silences: number }, limit: number): Promise<void> {
      const old = async (table: 'alert_notices' | 'alert_endings' | 'alert_silences', column: string, at: number) => {
        let query = db
          .selectFrom(table)
          .select('id')
          .where(column as never, '<', at as never)
        if (table === 'alert_notices') query = query.where('state' as never, '!=', 'intended' as never)
        const ids = (await query.limit(limit).execute()).map(({ id }) => id)
        if (ids.length > 0) await db.deleteFrom(table).where('id', 'in', ids).execute()
      }
      await old('alert_notices', 'at', before.notices)
      await old('alert_endings', 'seen_at', before.endings)
      await old('alert_silences', 'ends_at', before.silences)
    },

    /** Alerts in the order of their fingerprints, after `after`. */
    async listActive(
      scope: Scope,
      filter: { severity?: string | undefined; state?: 'firing' | 'ended' | undefined },
      limit: number,
      after = '',
    ): Promise<Active[]> {
      let query = db.selectFrom('alerts_active').selectAll().where(covers(scope)).where('fingerprint', '>', after)
      if (filter.severity !== undefined) query = query.where('severity', '=', filter.severity)
      if (filter.state !== undefined) query = query.where('is_ended', '=', filter.state === 'ended' ? 1 : 0)
      return (await query.orderBy('fingerprint').limit(limit).execute()).map(toActive)
    },
    async findActive(scope: Scope, fingerprint: string): Promise<Active | null> {
      const query = db
        .selectFrom('alerts_active')
        .selectAll()
        .where('fingerprint', '=', fingerprint)
        .where(covers(scope))
      const row = await query.executeTakeFirst()
      return row === undefined ? null : toActive(row)
    },
    /** What ended, newest first, before `before`. */
    listEndings(
      scope: Scope,
      filter: { severity?: string | undefined; fingerprint?: string | undefined; seenFrom?: number },
      limit: number,
      before?: string,
    ): Promise<EndingRow[]> {
      let query = db.selectFrom('alert_endings').selectAll().where(covers(scope))
      if (filter.severity !== undefined) query = query.where('severity', '=', filter.severity)
      if (filter.fingerprint !== undefined) query = query.where('fingerprint', '=', filter.fingerprint)
      if (filter.seenFrom !== undefined) query = query.where('seen_at', '>=', filter.seenFrom)
      if (before !== undefined) query = query.where('id', '<', before)
      return query.orderBy('id', 'desc').limit(limit).execute()
    },
    endedSince: (at: number, limit: number): Promise<EndingRow[]> =>
      db.selectFrom('alert_endings').selectAll().where('seen_at', '>=', at).orderBy('id').limit(limit).execute(),
    /** The groups that were told of something, by receiver. */
    toldGroups: (limit: number): Promise<GroupRow[]> =>
      db.selectFrom('alert_groups').selectAll().orderBy('group_key').limit(limit).execute(),

    async silences(endingAfter: number): Promise<SilenceRow[]> {
      const rows = await db.selectFrom('alert_silences').selectAll().where('ends_at', '>', endingAfter).execute()
      return rows.map(toSilence)
    },
    async listSilences(scope: Scope, limit: number, before?: string): Promise<SilenceRow[]> {
      let query = db.selectFrom('alert_silences').selectAll().where(covers(scope))
      if (before !== undefined) query = query.where('id', '<', before)
      return (await query.orderBy('id', 'desc').limit(limit).execute()).map(toSilence)
    },
    async findSilence(scope: Scope, id: string): Promise<SilenceRow | null> {
      const row = await db
        .selectFrom('alert_silences')
        .selectAll()
        .where('id', '=', id)
        .where(covers(scope))
        .executeTakeFirst()
      return row === undefined ? null : toSilence(row)
    },
    /** Keeps silences; every node follows within a second. */
    writeSilences: (rows: readonly SilenceRow[]): Promise<void> =>
      db.transaction().execute(async (trx) => {
        await put(
          trx,
          'alert_silences',
          'id',
          rows.map((row) => ({
            ...{ id: row.id, tenant_id: row.tenantId, matchers: JSON.stringify(row.matchers) },
            recurrence: row.recurrence === null ? '' : JSON.stringify(row.recurrence),
            ...{ author: row.author, comment: row.comment, starts_at: row.startsAt, ends_at: row.endsAt },
            ...{ created_at: row.createdAt, updated_at: row.updatedAt },
          })),
        )
        await bumpRevision(trx, 'alerts')
      }),
    async countSilences(scope: Scope, endingAfter: number): Promise<number> {
      const query = db
        .selectFrom('alert_silences')
        .select(({ fn }) => fn.countAll().as('count'))
        .where(covers(scope))
      return Number((await query.where('ends_at', '>', endingAfter).executeTakeFirstOrThrow()).count)
    },

    async readRouting(): Promise<{ settings: string; by: string; at: number } | null> {
      const row = await db.selectFrom('alert_routing').selectAll().executeTakeFirst()
      return row === undefined ? null : { settings: row.settings, by: row.updated_by, at: row.updated_at }
    },
    /** null takes the stored tree away: the file's holds again. */
    writeRouting: (written: { settings: string; by: string; at: number } | null): Promise<void> =>
      db.transaction().execute(async (trx) => {
        if (written === null) await trx.deleteFrom('alert_routing').execute()
        else {
          const row = { id: 1, settings: written.settings, updated_by: written.by, updated_at: written.at }
          await trx
            .insertInto('alert_routing')
            .values(row)
            .onConflict((conflict) => conflict.column('id').doUpdateSet(row))
            .execute()
        }
        await bumpRevision(trx, 'alerts')
      }),

    insertHook: (row: HookRow) => db.insertInto('alert_hooks').values(row).execute(),
    findHook: (tokenHash: string): Promise<HookRow | undefined> =>
      db.selectFrom('alert_hooks').selectAll().where('token_hash', '=', tokenHash).executeTakeFirst(),
    listHooks: (scope: Scope, limit: number): Promise<HookRow[]> =>
      db.selectFrom('alert_hooks').selectAll().where(covers(scope)).orderBy('id', 'desc').limit(limit).execute(),
    async deleteHook(scope: Scope, id: string): Promise<void> {
      const gone = await db.deleteFrom('alert_hooks').where('id', '=', id).where(covers(scope)).executeTakeFirst()
      if (Number(gone.numDeletedRows) === 0) throw fail('not_found', `there is no hook ${id}`, { param: 'id' })
    },
  }
}

function columnsOf(alert: Active): AlertColumns {
  return {
    ...{ fingerprint: alert.fingerprint, tenant_id: alert.tenantId },
    ...{ alertname: alert.labels.alertname ?? '', severity: alert.labels.severity ?? '' },
    ...{ labels: JSON.stringify(alert.labels), annotations: JSON.stringify(alert.annotations) },
    ...{ generator_url: alert.generatorUrl, inhibited_by: alert.inhibitedBy },
    ...{ starts_at: alert.startsAt, ends_at: alert.endsAt },
  }
}

function toActiveRow(alert: Active): Selectable<PipelineTables['alerts_active']> {
  return {
    ...columnsOf(alert),
    ...{ is_guess: alert.isGuess ? 1 : 0, is_ended: alert.isEnded ? 1 : 0, updated_at: alert.updatedAt },
  }
}

/** Of an ending too, which is nobody's guess. */
export function toActive(row: AlertColumns & { is_guess?: number; is_ended?: number; updated_at?: number }): Active {
  return {
    ...{ fingerprint: row.fingerprint, tenantId: row.tenant_id, generatorUrl: row.generator_url },
    labels: JSON.parse(row.labels) as Record<string, string>,
    annotations: JSON.parse(row.annotations) as Record<string, string>,
    ...{ startsAt: row.starts_at, endsAt: row.ends_at, isGuess: row.is_guess === 1 },
    ...{ updatedAt: row.updated_at ?? row.ends_at, isEnded: row.is_ended !== 0, inhibitedBy: row.inhibited_by },
  }
}

function toSilence(row: Selectable<PipelineTables['alert_silences']>): SilenceRow {
  return {
    ...{ id: row.id, tenantId: row.tenant_id, matchers: JSON.parse(row.matchers) as MatcherText[] },
    recurrence: row.recurrence === '' ? null : (JSON.parse(row.recurrence) as Recurrence),
    ...{ author: row.author, comment: row.comment, startsAt: row.starts_at, endsAt: row.ends_at },
    ...{ createdAt: row.created_at, updatedAt: row.updated_at },
  }
}
