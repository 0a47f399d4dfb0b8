import { type ExpressionBuilder, type Kysely, sql, type Transaction } from 'kysely'
import type { Scope } from '../../kernel/scope.ts'
import { bumpRevision, readRevision } from '../../platform/database/index.ts'

export type ChannelRow = {
  id: string
  tenant_id: string
  name: string
  type: string
  description: string
  parameters: string
  sealed: string
  /** JSON like `parameters`; '' for no proof. */
  sandbox: string
  sandbox_sealed: string
  language: string
  zone: string
  title_template: string
  body_template: string
  fallback_id: string
  give_up_seconds: number
  send_resolved: number
  enabled: number
  created_at: number
  updated_at: number
}

export type ReceiverRow = {
  id: string
  tenant_id: string
  name: string
  description: string
  targets: string
  created_at: number
  updated_at: number
}

export type DeliveryRow = {
  id: string
  tenant_id: string
  notification_id: string
  receiver: string
  channel_id: string
  channel_name: string
  channel_type: string
  group_key: string
  title: string
  severity: string
  status: string
  notify_reason: string
  state: string
  reason: string
  message: string
  suppressed_by: string
  suppressed_by_id: string
  times: number
  fallback_for: string
  rendered_hash: string
  cut_alerts: number
  is_text_cut: number
  template_error: string
  /** JSON: of several addresses those that took it. */
  reached: string
  trace_id: string
  created_at: number
  decided_at: number
}

export type AttemptRow = {
  id: string
  delivery_id: string
  started_at: number
  outcome: string
  reason: string
  message: string
  http_status: number
  body_code: string
  latency_ms: number
  waited_ms: number
  rendered_hash: string
}

export type DeliveryTables = {
  channels: ChannelRow
  channel_standings: { channel_id: string; standing: string; updated_at: number }
  channel_threads: { channel_id: string; thread_key: string; thread: string; updated_at: number }
  receivers: ReceiverRow
  deliveries: DeliveryRow
  delivery_alerts: { fingerprint: string; delivery_id: string }
  delivery_attempts: AttemptRow
}

export type DeliveryStore = ReturnType<typeof createDeliveryStore>
export type DeliveryFilter = {
  alert?: string | undefined
  receiver?: string | undefined
  channelId?: string | undefined
  notificationId?: string | undefined
  traceId?: string | undefined
  state?: string | undefined
}

/** Channels, receivers and deliveries have no person: whoever is no administrator covers nothing. */
function covers<T extends 'channels' | 'receivers' | 'deliveries'>(scope: Scope, table: T) {
  return (row: ExpressionBuilder<DeliveryTables, T>) =>
    scope.kind === 'tenant'
      ? row(sql.ref<string>(`${table}.tenant_id`), '=', scope.tenantId)
      : row.lit(scope.kind === 'everything')
}

export function createDeliveryStore(db: Kysely<DeliveryTables>) {
  const joined = () =>
    db
      .selectFrom('channels')
      .leftJoin('channel_standings', 'channel_standings.channel_id', 'channels.id')
      .selectAll('channels')
      .select('channel_standings.standing as standing')
  /** A change of what nodes hold in memory, and the sign that they read it again. */
  const changing = <T>(work: (trx: Transaction<DeliveryTables>) => Promise<T>): Promise<T> =>
    db.transaction().execute(async (trx) => {
      const result = await work(trx)
      await bumpRevision(trx, 'channels')
      // Whoever routes reads anew who there is to be told.
      await bumpRevision(trx, 'alerts')
      return result
    })

  return {
    revision: () => readRevision(db, 'channels'),
    loadChannels: () => db.selectFrom('channels').selectAll().execute(),
    loadReceivers: () => db.selectFrom('receivers').selectAll().execute(),

    listChannels: (scope: Scope, limit: number, before?: string) =>
      joined()
        .where(covers(scope, 'channels'))
        .$if(before !== undefined, (query) => query.where('channels.id', '<', before!))
        .orderBy('channels.id', 'desc')
        .limit(limit)
        .execute(),
    findChannel: (scope: Scope, id: string) =>
      joined().where('channels.id', '=', id).where(covers(scope, 'channels')).executeTakeFirst(),
    async countChannels(): Promise<number> {
      const row = await db
        .selectFrom('channels')
        .select((row) => row.fn.countAll<number>().as('all'))
        .executeTakeFirstOrThrow()
      return Number(row.all)
    },
    insertChannel: (row: ChannelRow) =>
      changing(async (trx) => void (await trx.insertInto('channels').values(row).execute())),
    patchChannel: (scope: Scope, id: string, patch: Partial<Omit<ChannelRow, 'id'>>) =>
      changing((trx) =>
        trx
          .updateTable('channels')
          .set(patch)
          .where('id', '=', id)
          .where(covers(scope, 'channels'))
          .returning('id')
          .executeTakeFirst(),
      ),
    deleteChannel: (scope: Scope, id: string): Promise<boolean> =>
      changing(async (trx) => {
        const gone = await trx
          .deleteFrom('channels')
          .where('id', '=', id)
          .where(covers(scope, 'channels'))
          .returning('id')
          .execute()
        if (gone.length === 0) return false
        for (const table of ['channel_standings', 'channel_threads'] as const) {
          await trx.deleteFrom(table).where('channel_id', '=', id).execute()
        }
        return true
      }),

    listReceivers: (scope: Scope, limit: number, before?: string) =>
      db
        .selectFrom('receivers')
        .selectAll()
        .where(covers(scope, 'receivers'))
        .$if(before !== undefined, (query) => query.where('id', '<', before!))
        .orderBy('id', 'desc')
        .limit(limit)
        .execute(),
    findReceiver: (scope: Scope, id: string) =>
      db.selectFrom('receivers').selectAll().where('id', '=', id).where(covers(scope, 'receivers')).executeTakeFirst(),
    insertReceiver: (row: ReceiverRow) =>
      changing(async (trx) => void (await trx.insertInto('receivers').values(row).execute())),
    patchReceiver: (scope: Scope, id: string, patch: Partial<Omit<ReceiverRow, 'id'>>) =>
      changing((trx) =>
        trx
          .updateTable('receivers')
          .set(patch)
          .where('id', '=', id)
          .where(covers(scope, 'receivers'))
          .returning('id')
          .executeTakeFirst(),
      ),
    deleteReceiver: (scope: Scope, id: string): Promise<boolean> =>
      changing(async (trx) => {
        const gone = await trx
          .deleteFrom('receivers')
          .where('id', '=', id)
          .where(covers(scope, 'receivers'))
          .returning('id')
          .execute()
        return gone.length > 0
      }),

    async standings(): Promise<Map<string, string>> {
      const rows = await db.selectFrom('channel_standings').selectAll().execute()
      return new Map(rows.map(({ channel_id, standing }) => [channel_id, standing]))
    },
    async keepStanding(channelId: string, standing: string, at: number): Promise<void> {
      await db
        .insertInto('channel_standings')
        .values({ channel_id: channelId, standing, updated_at: at })
        .onConflict((conflict) => conflict.column('channel_id').doUpdateSet({ standing, updated_at: at }))
        .execute()
    },

    async thread(channelId: string, key: string): Promise<string> {
      const row = await db
        .selectFrom('channel_threads')
        .select('thread')
        .where('channel_id', '=', channelId)
        .where('thread_key', '=', key)
        .executeTakeFirst()
      return row?.thread ?? ''
    },
    async keepThread(channelId: string, key: string, thread: string | null, at: number): Promise<void> {
      if (thread === null) {
        const own = db.deleteFrom('channel_threads').where('channel_id', '=', channelId)
        return void (await own.where('thread_key', '=', key).execute())
      }
      await db
        .insertInto('channel_threads')
        .values({ channel_id: channelId, thread_key: key, thread, updated_at: at })
        .onConflict((conflict) =>
          conflict.columns(['channel_id', 'thread_key']).doUpdateSet({ thread, updated_at: at }),
        )
        .execute()
    },

    findDelivery: (id: string) => db.selectFrom('deliveries').selectAll().where('id', '=', id).executeTakeFirst(),
    attemptsOf: (ids: readonly string[]): Promise<AttemptRow[]> =>
      ids.length === 0
        ? Promise.resolve([])
        : db
            .selectFrom('delivery_attempts')
            .selectAll()
            .where('delivery_id', 'in', [...ids])
            .orderBy('started_at')
            .orderBy('id')
            .execute(),
    /** Writes a delivery and what is given of its attempts as they are now; doing it twice changes nothing. */
    async saveDelivery(
      row: DeliveryRow,
      attempts: readonly AttemptRow[],
      fingerprints: readonly string[],
    ): Promise<void> {
      await db.transaction().execute(async (trx) => {
        const { id: _, created_at: __, ...changing } = row
        await trx
          .insertInto('deliveries')
          .values(row)
          .onConflict((conflict) => conflict.column('id').doUpdateSet(changing))
          .execute()
        for (const attempt of attempts) {
          const { id: ___, ...rest } = attempt
          await trx
            .insertInto('delivery_attempts')
            .values(attempt)
            .onConflict((conflict) => conflict.column('id').doUpdateSet(rest))
            .execute()
        }
        await linkAlerts(
          trx,
          fingerprints.map((fingerprint) => ({ fingerprint, delivery_id: row.id })),
        )
      })
    },
    /** Counts what was held back, once a day for the same alert, receiver and cause. */
    async countSuppressed(
      rows: readonly DeliveryRow[],
      links: readonly { fingerprint: string; delivery_id: string }[],
    ) {
      await db.transaction().execute(async (trx) => {
        for (let at = 0; at < rows.length; at += 100) {
          await trx
            .insertInto('deliveries')
            .values(rows.slice(at, at + 100))
            .onConflict((conflict) =>
              conflict.column('id').doUpdateSet((row) => ({
                times: sql<number>`deliveries.times + excluded.times`,
                decided_at: row.ref('excluded.decided_at'),
              })),
            )
            .execute()
        }
        await linkAlerts(trx, links)
      })
    },
    /** Whether a channel was told that something of this group began. */
    async wasTold(channelId: string, groupKey: string): Promise<boolean> {
      const row = await db
        .selectFrom('deliveries')
        .select('id')
        .where('group_key', '=', groupKey)
        .where('channel_id', '=', channelId)
        .where('state', '=', 'delivered')
        .where('status', '=', 'firing')
        .limit(1)
        .executeTakeFirst()
      return row !== undefined
    },
    /** When a channel was last paged about each of these alerts, and by which incident. */
    async pagesOver(channelId: string, fingerprints: readonly string[]) {
      const found = new Map<string, { at: number; incidentId: string }>()
      if (fingerprints.length === 0) return found
      const rows = await db
        .selectFrom('delivery_alerts')
        .innerJoin('deliveries', 'deliveries.id', 'delivery_alerts.delivery_id')
        .select(['delivery_alerts.fingerprint', 'deliveries.decided_at', 'deliveries.group_key'])
        .where('delivery_alerts.fingerprint', 'in', fingerprints.slice(0, 500))
        .where('deliveries.channel_id', '=', channelId)
        .where('deliveries.notify_reason', '=', 'escalation')
        .where('deliveries.state', '=', 'delivered')
        .orderBy('deliveries.decided_at')
        .execute()
      // The key of a page begins with its incident.
      for (const { fingerprint, decided_at: at, group_key: key } of rows) {
        found.set(fingerprint, { at, incidentId: key.split('/', 1)[0]! })
      }
      return found
    },
    /** When the last messages went out over a channel, for its rate limit after a restart. */
    async recentAttempts(channelId: string, since: number, limit: number): Promise<number[]> {
      const rows = await db
        .selectFrom('delivery_attempts')
        .innerJoin('deliveries', 'deliveries.id', 'delivery_attempts.delivery_id')
        .select('delivery_attempts.started_at as at')
        .where('deliveries.channel_id', '=', channelId)
        .where('deliveries.created_at', '>=', since - 86_400_000)
        .where('delivery_attempts.started_at', '>=', since)
        .orderBy('delivery_attempts.started_at', 'desc')
        .limit(limit)
        .execute()
      return rows.map(({ at }) => Number(at)).reverse()
    },

    async listDeliveries(scope: Scope, filter: DeliveryFilter, limit: number, before?: { at: number; id: string }) {
      let query = db.selectFrom('deliveries').selectAll('deliveries').where(covers(scope, 'deliveries'))
      const { alert, receiver, channelId, notificationId, traceId, state } = filter
      if (alert !== undefined) {
        const told = db.selectFrom('delivery_alerts').select('delivery_id').where('fingerprint', '=', alert)
        query = query.where('deliveries.id', 'in', told)
      }
      if (receiver !== undefined) query = query.where('receiver', '=', receiver)
      if (channelId !== undefined) query = query.where('channel_id', '=', channelId)
      if (notificationId !== undefined) query = query.where('notification_id', '=', notificationId)
      if (traceId !== undefined) query = query.where('trace_id', '=', traceId)
      if (state !== undefined) query = query.where('state', '=', state)
      if (before !== undefined) {
        query = query.where((row) =>
          row(row.refTuple('created_at', 'deliveries.id'), '<', row.tuple(before.at, before.id)),
        )
      }
      return query.orderBy('created_at', 'desc').orderBy('deliveries.id', 'desc').limit(limit).execute()
    },
    /** What nobody has been at for a long time: whoever was told to send it is gone. */
    abandon: (before: number, at: number) =>
      db
        .updateTable('deliveries')
        .set({ state: 'failed', reason: 'abandoned', message: 'Nobody went on with it after a stop.', decided_at: at })
        .where('state', '=', 'pending')
        .where('created_at', '<', before)
        .returning('id')
        .execute(),
    /** Deletes at most `limit` deliveries older than `before` with all that belongs to them; says how many. */
    async deleteOld(before: number, limit: number): Promise<number> {
      const rows = await db
        .selectFrom('deliveries')
        .select('id')
        .where('created_at', '<', before)
        .where('decided_at', '<', before)
        .orderBy('created_at')
        .limit(limit)
        .execute()
      const ids = rows.map(({ id }) => id)
      if (ids.length === 0) return 0
      await db.transaction().execute(async (trx) => {
        for (const table of ['delivery_attempts', 'delivery_alerts'] as const) {
          await trx.deleteFrom(table).where('delivery_id', 'in', ids).execute()
        }
        await trx.deleteFrom('deliveries').where('id', 'in', ids).execute()
      })
      return ids.length
    },
  }
}

async function linkAlerts(
  trx: Transaction<DeliveryTables>,
  links: readonly { fingerprint: string; delivery_id: string }[],
): Promise<void> {
  for (let at = 0; at < links.length; at += 200) {
    await trx
      .insertInto('delivery_alerts')
      .values(links.slice(at, at + 200))
      .onConflict((conflict) => conflict.columns(['fingerprint', 'delivery_id']).doNothing())
      .execute()
  }
}
