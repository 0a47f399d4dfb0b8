import { type Kysely, SqliteAdapter, sql, type Transaction } from 'kysely'
import type { Scope } from '../kernel/scope.ts'
import { addMany, bumpRevision, insertMany, type ManyValues, readRevision } from '../platform/database/index.ts'
import { type Cell, foldRows } from './analytics/fold.ts'
import { spread } from './analytics/spread.ts'
import { addToRollUps, deleteDemoRollUps, noteDeleted } from './analytics/sums-store.ts'
import { rollUp } from './roll-up.ts'
import {
  columnsOf,
  type HourlyRow,
  hourlyKeys,
  hourlyMeasures,
  logColumns,
  type PriceRow,
  type RequestLogRow,
  type SettledRow,
  type UsageTables,
} from './rows.ts'

/** What a list of requests is narrowed by; absent members narrow nothing. Times are epoch ms, `to` is exclusive. */
export type LogFilter = {
  /** Id or name. */
  provider?: string | undefined
  /** As asked or as served. */
  model?: string | undefined
  keyId?: string | undefined
  status?: number | undefined
  outcome?: string | undefined
  from?: number | undefined
  to?: number | undefined
  stream?: boolean | undefined
  traceId?: string | undefined
  agent?: string | undefined
  /** Name of a plugin service. */
  service?: string | undefined
  /** Part of the error's text, in any case. */
  errorText?: string | undefined
}

export type LogPosition = { startedAt: number; id: string }

export type UsageStore = ReturnType<typeof createUsageStore>

const priceColumns = columnsOf<PriceRow>({
  id: 0,
  provider_type: 0,
  model: 0,
  above_tokens_in: 0,
  input: 0,
  output: 0,
  cached_read: 0,
  cached_write: 0,
  effective_from: 0,
  service_tier: 0,
  percent: 0,
  cached_write_hour: 0,
  audio_in: 0,
  audio_out: 0,
  image_in: 0,
  image_out: 0,
  per_image: 0,
  per_audio_minute: 0,
  per_million_characters: 0,
  per_search: 0,
  per_request: 0,
  origin: 0,
  source: 0,
  created_at: 0,
})

/** Headers, numbers and the entries of seven indexes. */
const bytesBesideTexts = 450
/** A row of sums with its key, twice: in the table and in the index. */
const bytesOfSums = 400

/** What another room adds to its own tables with rows that are new, in the transaction that stores them. */
export type Alongside = (trx: Transaction<never>, added: readonly SettledRow[]) => Promise<void>

/** Every query of this room. */
export function createUsageStore(db: Kysely<UsageTables>, alongside: Alongside = async () => {}) {
  const isSqlite = db.getExecutor().adapter instanceof SqliteAdapter

  async function settle(rows: readonly SettledRow[], values: readonly ManyValues[]): Promise<number> {
    const byId = new Map<string, SettledRow>()
    for (const row of rows) if (!byId.has(row.id)) byId.set(row.id, row)
    return db.transaction().execute(async (trx) => {
      const inserted = await insertMany(trx, 'request_logs', logColumns, values, {
        ignoreConflictOn: 'id',
        returning: 'id',
      })
      const isAllNew = inserted.length === byId.size
      const added = isAllNew ? [...byId.values()] : inserted.map((id) => byId.get(id)!)
      await addToHours(trx, rollUp(added))
      const cells = new Map<string, Cell>()
      foldRows(cells, added)
      await addToRollUps(trx, spread(cells.values()))
      await alongside(trx as unknown as Transaction<never>, added)
      return inserted.length
    })
  }

  return {
    /**
     * Stores rows and adds those that were new to the hourly sums, in one transaction: a row handed in twice, in one
     * call or in two, is stored and counted once. `texts` are JSON arrays of the rows' values in the order of
     * `logColumns`; `rows` are the same rows as far as sums look at them. Returns how many were new.
     */
    settle: (rows: readonly SettledRow[], texts: readonly string[]) => settle(rows, texts),

    /** The same for whole rows. */
    storeRows: (rows: readonly RequestLogRow[]) =>
      settle(
        rows,
        rows.map((row) => logColumns.map((column) => row[column])),
      ),

    /** Newest first; `attempt_log` and `route_log` are left out, they are read one request at a time. */
    listLogs(scope: Scope, filter: LogFilter, before: LogPosition | null, limit: number) {
      let query = narrow(scope, filter).select(listColumns)
      if (before) {
        query = query.where((eb) => eb(eb.refTuple('started_at', 'id'), '<', eb.tuple(before.startedAt, before.id)))
      }
      return query.orderBy('started_at', 'desc').orderBy('id', 'desc').limit(limit).execute()
    },

    findLog: (scope: Scope, id: string): Promise<RequestLogRow | undefined> =>
      narrow(scope, {}).selectAll().where('id', '=', id).executeTakeFirst(),

    countLogs: async (): Promise<number> =>
      (
        await db
          .selectFrom('request_logs')
          .select((eb) => eb.fn.countAll<number>().as('n'))
          .executeTakeFirstOrThrow()
      ).n,

    /** Deletes up to `limit` of the oldest rows, only such as are older than `olderThan` when given. */
    deleteOldest: (limit: number, olderThan?: number): Promise<number> =>
      db.transaction().execute(async (trx) => {
        let oldest = trx.selectFrom('request_logs').select('id')
        if (olderThan !== undefined) oldest = oldest.where('started_at', '<', olderThan)
        const gone = await trx
          .deleteFrom('request_logs')
          .where('id', 'in', oldest.orderBy('started_at').orderBy('id').limit(limit))
          .returning('started_at')
          .execute()
        // Reports are to know at once from when on rows are whole.
        const latest = gone.reduce((most, row) => Math.max(most, row.started_at), -1)
        if (latest >= 0) await noteDeleted(trx, 'rows', latest + 1)
        return gone.length
      }),

    /**
     * Room that the ledger and its sums take, and one row of it with its indexes. SQLite tells it of the whole store, without
     * pages that are free to be used again; in PostgreSQL, whose files never shrink by themselves, it is worked out from the
     * number of rows.
     */
    async measureBytes(): Promise<{ bytes: number; rowBytes: number; oldestSlot: number | null }> {
      const some = await db
        .selectFrom('request_logs')
        .selectAll()
        .orderBy('started_at')
        .orderBy('id')
        .limit(200)
        .execute()
      const texts = some.reduce((sum, row) => sum + Buffer.byteLength(JSON.stringify(Object.values(row))), 0)
      const rowBytes = some.length === 0 ? 0 : Math.ceil(texts / some.length) + bytesBesideTexts
      const slots = await db
        .selectFrom('usage_cube_quarter')
        .select((eb) => eb.fn.min('slot').as('first'))
        .executeTakeFirstOrThrow()
      const oldestSlot = slots.first === null ? null : Number(slots.first)
      if (isSqlite) {
        const { rows } = await sql<{ bytes: number }>`
          select (page_count - freelist_count) * page_size as bytes
          from pragma_page_count(), pragma_freelist_count(), pragma_page_size()
        `.execute(db)
        return { bytes: Number(rows[0]?.bytes ?? 0), rowBytes, oldestSlot }
      }
      const count = async (table: keyof UsageTables) =>
        Number(
          (
            await db
              .selectFrom(table)
              .select((eb) => eb.fn.countAll().as('n'))
              .executeTakeFirstOrThrow()
          ).n,
        )
      let bytes = (await count('request_logs')) * rowBytes
      for (const table of ['usage_hourly', 'usage_facets_quarter', 'usage_facets_hour', 'usage_facets_day'] as const) {
        bytes += (await count(table)) * bytesOfSums
      }
      for (const table of ['usage_cube_quarter', 'usage_cube_day'] as const)
        bytes += (await count(table)) * 2 * bytesOfSums
      for (const table of ['usage_latency_hour', 'usage_latency_day'] as const)
        bytes += (await count(table)) * bytesOfSums
      return { bytes, rowBytes, oldestSlot }
    },

    /** Deletes up to `limit` synthetic rows; the synthetic sums go with the last of them. */
    async deleteSynthetic(limit: number): Promise<number> {
      const some = db.selectFrom('request_logs').select('id').where('is_synthetic', '=', 1).limit(limit)
      const result = await db.deleteFrom('request_logs').where('id', 'in', some).executeTakeFirst()
      const deleted = Number(result.numDeletedRows)
      if (deleted < limit) {
        await db.deleteFrom('usage_hourly').where('is_synthetic', '=', 1).execute()
        await deleteDemoRollUps(db)
      }
      return deleted
    },

    listPrices: (): Promise<PriceRow[]> =>
      db.selectFrom('prices').selectAll().orderBy('model').orderBy('effective_from').orderBy('id').execute(),

    /** Adds prices whose id is not there yet; what is there is never changed. Returns how many were new. */
    addPrices: (rows: readonly PriceRow[]): Promise<number> =>
      db.transaction().execute(async (trx) => {
        const values = rows.map((row) => priceColumns.map((column) => row[column]))
        const added = await insertMany(trx, 'prices', priceColumns, values, { ignoreConflictOn: 'id', returning: 'id' })
        if (added.length > 0) await bumpRevision(trx, 'prices')
        return added.length
      }),

    priceRevision: (): Promise<number> => readRevision(db, 'prices'),
  }

  function narrow(scope: Scope, filter: LogFilter) {
    let query = db.selectFrom('request_logs')
    const { provider, model, keyId, status, outcome, from, to, stream, traceId, agent, service, errorText } = filter
    // What is asked for by an index that has no row of '' is said to be none.
    const oneOf = (column: 'tenant_id' | 'user_id' | 'trace_id' | 'agent' | 'service', value: string) =>
      value === ''
        ? sql<boolean>`${sql.ref(column)} = ''`
        : sql<boolean>`${sql.ref(column)} = ${value} and ${sql.ref(column)} <> ''`
    // Fewer are found by the person or the trace than by the tenant, which then is only compared.
    const isFewer = scope.kind === 'person' || traceId !== undefined
    if (scope.kind !== 'everything') {
      query = isFewer ? query.where('tenant_id', '=', scope.tenantId) : query.where(oneOf('tenant_id', scope.tenantId))
    }
    if (scope.kind === 'person') query = query.where(oneOf('user_id', scope.userId))
    if (provider !== undefined) {
      query = query.where((eb) => eb.or([eb('provider_id', '=', provider), eb('provider_name', '=', provider)]))
    }
    if (model !== undefined) {
      query = query.where((eb) => eb.or([eb('model_asked', '=', model), eb('model_served', '=', model)]))
    }
    if (keyId !== undefined) query = query.where('key_id', '=', keyId)
    if (status !== undefined) query = query.where('status', '=', status)
    if (outcome !== undefined) query = query.where('outcome', '=', outcome as RequestLogRow['outcome'])
    if (from !== undefined) query = query.where('started_at', '>=', from)
    if (to !== undefined) query = query.where('started_at', '<', to)
    if (stream !== undefined) query = query.where('stream', '=', stream ? 1 : 0)
    if (traceId !== undefined) query = query.where(oneOf('trace_id', traceId))
    if (agent !== undefined) query = query.where(oneOf('agent', agent))
    if (service !== undefined) query = query.where(oneOf('service', service))
    if (errorText !== undefined) {
      const pattern = `%${errorText.toLowerCase().replaceAll(/[\\%_]/g, '\\$&')}%`
      query = query.where(sql<boolean>`lower(error_message) like ${pattern} escape '\\'`)
    }
    return query
  }
}

const listColumns = logColumns.filter((column) => column !== 'attempt_log' && column !== 'route_log')

/** Adds `sums`, which may be negative, to those of the same keys. They are to be in the order of `rollUp`. */
export async function addToHours(trx: Transaction<UsageTables>, sums: readonly HourlyRow[]): Promise<void> {
  await addMany(trx, 'usage_hourly', hourlyKeys, hourlyMeasures, sums)
}
