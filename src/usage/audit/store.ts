import { type Kysely, sql } from 'kysely'
import { type Cell, foldRows } from '../analytics/fold.ts'
import { spread } from '../analytics/spread.ts'
import { addToRollUps } from '../analytics/sums-store.ts'
import { differenceOf, hourMs, rollUp } from '../roll-up.ts'
import type { HourlyRow, RequestLogRow, UsageTables } from '../rows.ts'
import { addToHours, type LogPosition } from '../store.ts'

const summedColumns = [
  ...(['id', 'started_at', 'tenant_id', 'user_id', 'key_id', 'provider_id', 'model_asked', 'model_served'] as const),
  ...(['endpoint', 'outcome', 'is_synthetic', 'attempts', 'tokens_in', 'tokens_out', 'tokens_cached_read'] as const),
  ...(['tokens_cached_write', 'tokens_reasoning', 'cost_nano_usd', 'usage_source', 'latency_ms'] as const),
  ...(['first_token_ms', 'usage_details', 'cache_hit', 'wasted_nano_usd'] as const),
  ...(['provider_key_id', 'status', 'error_code', 'stream', 'tags', 'agent', 'service'] as const),
] as const

const ratedColumns = [...summedColumns, 'price_id', 'provider_type', 'service_tier', 'attempt_log'] as const

/** What the cost of a stored request depends on, and what its sums look at. */
export type RatedRow = Pick<RequestLogRow, (typeof ratedColumns)[number]>
export type NewCost = Pick<RequestLogRow, 'cost_nano_usd' | 'price_id' | 'wasted_nano_usd'>

/** Epoch ms, `to` is exclusive; absent members narrow nothing. */
export type RatedFilter = { from: number; to: number; model?: string | undefined; provider?: string | undefined }

export type AuditStore = ReturnType<typeof createAuditStore>

/** The queries that look at stored rows and their sums once more. */
export function createAuditStore(db: Kysely<UsageTables>) {
  return {
    /** In the order of time, from after `after` on. */
    listRated({ from, to, model, provider }: RatedFilter, after: LogPosition | null, limit: number) {
      let query = db
        .selectFrom('request_logs')
        .select(ratedColumns)
        .where('started_at', '>=', from)
        .where('started_at', '<', to)
      if (model !== undefined) {
        query = query.where((eb) => eb.or([eb('model_asked', '=', model), eb('model_served', '=', model)]))
      }
      if (provider !== undefined) {
        query = query.where((eb) => eb.or([eb('provider_id', '=', provider), eb('provider_name', '=', provider)]))
      }
      if (after !== null) {
        query = query.where((eb) => eb(eb.refTuple('started_at', 'id'), '>', eb.tuple(after.startedAt, after.id)))
      }
      return query.orderBy('started_at').orderBy('id').limit(limit).execute()
    },

    /**
     * Gives rows their new cost and their hours the difference, in one transaction. A row whose cost is no longer what
     * was read, because somebody else was faster, stays as it is. Returns how many were changed.
     */
    recost: (changes: readonly { row: RatedRow; cost: NewCost }[]): Promise<number> =>
      db.transaction().execute(async (trx) => {
        const values = changes.map(
          ({ row, cost }) => sql`(
            cast(${row.id} as text), cast(${cost.cost_nano_usd} as bigint), cast(${cost.price_id} as text),
            cast(${cost.wasted_nano_usd} as bigint), cast(${row.cost_nano_usd} as bigint),
            cast(${row.wasted_nano_usd} as bigint), cast(${row.price_id} as text)
          )`,
        )
        // Both engines call the columns of VALUES column1, column2, …
        const { rows } = await sql<{ id: string }>`
          update request_logs
          set cost_nano_usd = v.column2, price_id = v.column3, wasted_nano_usd = v.column4
          from (values ${sql.join(values)}) as v
          where request_logs.id = v.column1
            and coalesce(request_logs.cost_nano_usd, -1) = coalesce(v.column5, -1)
            and coalesce(request_logs.wasted_nano_usd, -1) = coalesce(v.column6, -1)
            and request_logs.price_id = v.column7
          returning id
        `.execute(trx)
        const done = new Set(rows.map(({ id }) => id))
        const changed = changes.filter(({ row }) => done.has(row.id))
        const [before, after] = [changed.map(({ row }) => row), changed.map(({ row, cost }) => ({ ...row, ...cost }))]
        await addToHours(trx, differenceOf(rollUp(after), rollUp(before)))
        const cells = new Map<string, Cell>()
        foldRows(cells, after)
        foldRows(cells, before, -1)
        await addToRollUps(trx, spread(cells.values()))
        return changed.length
      }),

    async firstRowAt(): Promise<number | null> {
      const first = await db
        .selectFrom('request_logs')
        .select('started_at')
        .orderBy('started_at')
        .limit(1)
        .executeTakeFirst()
      return first?.started_at ?? null
    },

    /** Hours that have rows or sums, in order. */
    async listHours(from: number, to: number): Promise<number[]> {
      const summed = await db
        .selectFrom('usage_hourly')
        .select('hour')
        .distinct()
        .where('hour', '>=', from)
        .where('hour', '<', to)
        .execute()
      const used = await db
        .selectFrom('request_logs')
        .select(sql<number>`started_at - started_at % ${sql.lit(hourMs)}`.as('hour'))
        .distinct()
        .where('started_at', '>=', from)
        .where('started_at', '<', to)
        .execute()
      return [...new Set([...summed, ...used].map(({ hour }) => Number(hour)))].sort((x, y) => x - y)
    },

    listSums: (hour: number): Promise<HourlyRow[]> =>
      db.selectFrom('usage_hourly').selectAll().where('hour', '=', hour).execute() as Promise<HourlyRow[]>,

    /** Rows of one hour for its sums, a page at a time. */
    listSummed(hour: number, after: LogPosition | null, limit: number) {
      let query = db
        .selectFrom('request_logs')
        .select(summedColumns)
        .where('started_at', '>=', hour)
        .where('started_at', '<', hour + hourMs)
      if (after !== null) {
        query = query.where((eb) => eb(eb.refTuple('started_at', 'id'), '>', eb.tuple(after.startedAt, after.id)))
      }
      return query.orderBy('started_at').orderBy('id').limit(limit).execute()
    },

    /** Adds differences to the sums; sums that hold no request any more go. Safe beside nodes that settle. */
    correctSums: (differences: readonly HourlyRow[]): Promise<void> =>
      db.transaction().execute(async (trx) => {
        await addToHours(trx, differences)
        const hours = [...new Set(differences.map(({ hour }) => hour))]
        if (hours.length > 0) {
          await trx.deleteFrom('usage_hourly').where('hour', 'in', hours).where('requests', '=', 0).execute()
        }
      }),

    /** Spend of real requests, from whole hours. */
    async spentBy(scope: 'key' | 'user' | 'tenant' | 'provider', id: string, from: number, to: number) {
      const column = ({ key: 'key_id', user: 'user_id', tenant: 'tenant_id', provider: 'provider_id' } as const)[scope]
      const { spent } = await db
        .selectFrom('usage_hourly')
        .select((eb) => eb.fn.sum('cost_nano_usd').as('spent'))
        .where(column, '=', id)
        .where('is_synthetic', '=', 0)
        .where('hour', '>=', from)
        .where('hour', '<', to)
        .executeTakeFirstOrThrow()
      return Number(spent ?? 0)
    },
  }
}
