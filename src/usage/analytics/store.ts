import { type Kysely, type RawBuilder, sql } from 'kysely'
import type { Scope } from '../../kernel/scope.ts'
import { logColumns, type RequestLogRow, type UsageTables } from '../rows.ts'
import type { DeletedBefore } from './cover.ts'
import { createKeptDays, type DaySeen, type SeenRow } from './kept-days.ts'
import { createPieces, engineOf, type Filters, type Piece, type Selection } from './pieces-store.ts'
import { dayMs, hourMs, type Measure } from './schema.ts'
import { createSumsStore, readDeletedBefore } from './sums-store.ts'

type Db = Kysely<UsageTables>
type Sql = RawBuilder<unknown>

/** The sums of what was asked for, by name. */
export type SumRow = { bucket: number; values: string[]; sums: Partial<Record<Measure, number>> }

export type Order = Measure | 'tokens' | 'bucket'

/** Who is counted: those of one tenant or of all (null), of some sources or of every one (null). */
export type Whose = { tenantId: string | null; sources: readonly string[] | null }

export type AnalyticsStore = ReturnType<typeof createAnalyticsStore>

const requestColumns = logColumns.filter(
  (name): name is Exclude<keyof RequestLogRow, 'attempt_log' | 'route_log'> =>
    name !== 'attempt_log' && name !== 'route_log',
)

export type RequestRow = Omit<RequestLogRow, 'attempt_log' | 'route_log'>

/** Every query that reports ask, over sums and, at the ends of a range, over rows. Nothing here holds up a writer. */
export function createAnalyticsStore(db: Db) {
  const engine = engineOf(db)
  const pieces = createPieces(engine)
  const keptDays = createKeptDays()

  async function readState(name: string): Promise<number | null> {
    const row = await db.selectFrom('usage_analytics_state').select('value').where('name', '=', name).executeTakeFirst()
    return row === undefined ? null : Number(row.value)
  }

  async function seenOn(day: number, counted: 'user' | 'key', { tenantId, sources }: Whose): Promise<SeenRow[]> {
    const ofTenant = tenantId === null ? sql`` : sql`and tenant_id = ${tenantId}`
    const ofSources =
      sources === null ? sql`` : sql`and source in (${sql.join(sources.length === 0 ? [null] : sources)})`
    const hour = sql`cast((slot - ${sql.lit(day)}) / ${sql.lit(hourMs)} as integer)`
    const bit = engine === 'clickhouse' ? sql`bitShiftLeft(toUInt32(1), ${hour})` : sql`1 << ${hour}`
    const { rows } = await sql<{ value: string; hours: number }>`
      select value, sum(hour) as hours from (
        select distinct value, ${bit} as hour
        from usage_facets_hour
        where facet = ${sql.lit(counted)} and slot >= ${sql.lit(day)} and slot < ${sql.lit(day + dayMs)}
          and value <> '' and requests <> 0 ${ofTenant} ${ofSources}
      ) as seen group by value
    `.execute(db)
    return rows.map(({ value, hours }) => ({ value, hours: Number(hours) }))
  }

  return {
    /** `measures` by bucket and dimensions. `order` names one of them, or the buckets in their order. */
    async sums(
      selection: Selection,
      { measures, order, limit }: { measures: readonly Measure[]; order: Order; limit: number },
    ): Promise<SumRow[]> {
      const keys = keysOf(selection)
      const inner = pieces.union(selection, (piece) => pieces.sums(measures, piece))
      if (inner === null) return []
      const summed = sql.raw(measures.map((name) => `sum(${name}) as ${name}`).join(', '))
      const orders = {
        bucket: sql`bucket`,
        tokens: sql`sum(tokens_in) + sum(tokens_out) desc`,
      }
      const first = order === 'bucket' || order === 'tokens' ? orders[order] : sql`sum(${sql.ref(order)}) desc`
      // Engines sort texts each by rules of its own, unless told to go by their bytes.
      const ties = keys.map((key, index) => (engine !== 'postgres' || index === 0 ? key : sql`${key} collate "C"`))
      const { rows } = await sql<Record<string, string | number>>`
        select ${sql.join(keys)}, ${summed} from (${inner}) as parts
        group by ${sql.join(keys)} order by ${sql.join([first, ...ties])} limit ${sql.lit(limit)}
      `.execute(db)
      return rows.map((row) => {
        const sums = Object.fromEntries(measures.map((name) => [name, Number(row[name])]))
        return { bucket: Number(row.bucket), values: valuesOf(row, selection), sums }
      })
    },

    /** How many different values of `counted` each group has that made a request; '' is none. */
    async distinct(selection: Selection, counted: 'user' | 'key' | 'ip', limit: number) {
      const keys = keysOf(selection)
      const inner = pieces.union(selection, (segment) => sql`${pieces.counted(counted, segment)} as counted`, {
        isCounting: true,
      })
      if (inner === null) return []
      const { rows } = await sql<Record<string, string | number>>`
        select ${sql.join(keys)}, count(distinct counted) as amount from (${inner}) as parts
        where counted <> '' group by ${sql.join(keys)} limit ${sql.lit(limit)}
      `.execute(db)
      return rows.map((row) => ({
        bucket: Number(row.bucket),
        values: valuesOf(row, selection),
        amount: Number(row.amount),
      }))
    },

    /**
     * Who was seen in which hour of each day of UTC from `firstDay` to below `to`; the days
     * that nobody changed since are not read again. `numberOf` tells the number of an id, `size` is above all of them.
     */
    async seenByDay(counted: 'user' | 'key', whose: Whose, firstDay: number, to: number) {
      const kept = keptDays()
      const versions = await db
        .selectFrom('usage_day_versions')
        .selectAll()
        .where('day', '>=', firstDay)
        .where('day', '<', to)
        .execute()
      const versionOf = new Map(versions.map(({ day, version }) => [Number(day), Number(version)]))
      const days: DaySeen[] = []
      for (let day = firstDay; day < to; day += dayMs) {
        const key = JSON.stringify([counted, whose.tenantId, whose.sources, day])
        // Read before the day is: at worst the day is newer than its version says, and read once more.
        const version = versionOf.get(day) ?? 0
        days.push(kept.get(key, version) ?? kept.set(key, version, await seenOn(day, counted, whose)))
      }
      return { days, numberOf: kept.numberOf, size: kept.size }
    },

    /** How many durations of each order of magnitude each group has. */
    async durations(selection: Selection, kind: 'latency' | 'first_token', limit: number) {
      const keys = [...keysOf(selection), sql.ref('duration')]
      const inner = pieces.union(selection, (segment) => pieces.durations(kind, segment), { kind })
      if (inner === null) return []
      const { rows } = await sql<Record<string, string | number>>`
        select ${sql.join(keys)}, sum(amount) as amount from (${inner}) as parts
        group by ${sql.join(keys)} limit ${sql.lit(limit)}
      `.execute(db)
      return rows.map((row) => ({
        bucket: Number(row.bucket),
        values: valuesOf(row, selection),
        duration: Number(row.duration),
        amount: Number(row.amount),
      }))
    },

    /** Single requests, oldest first, from after `after` on; every filter narrows them. */
    requests(
      { scope, from, to, filters }: { scope: Scope; from: number; to: number; filters: Filters },
      after: { startedAt: number; id: string } | null,
      limit: number,
    ): Promise<RequestRow[]> {
      const piece: Piece = { grain: 'rows', from, to, shape: { kind: 'rows' }, isForeignOnly: false }
      const all = pieces.conditions({ scope, filters, dimensions: [] }, piece)
      let query = db.selectFrom('request_logs').select(requestColumns)
      for (const condition of all) query = query.where(condition as RawBuilder<boolean>)
      if (after !== null) {
        query = query.where((eb) => eb(eb.refTuple('started_at', 'id'), '>', eb.tuple(after.startedAt, after.id)))
      }
      return query.orderBy('started_at').orderBy('id').limit(limit).execute()
    },

    deletedBefore: (): Promise<DeletedBefore> => readDeletedBefore(db),

    /** The first day of UTC that anything is known of, epoch ms; null when nothing is. */
    async firstDay(): Promise<number | null> {
      const first = db.selectFrom('usage_facets_day').select((eb) => eb.fn.min('slot').as('slot'))
      const row = await first.where('facet', '=', '').executeTakeFirst()
      return row?.slot == null ? null : Number(row.slot)
    },

    /** Up to when rows may lack their sums, because they were there first; null when none do. */
    rowsWithoutSumsBefore: () => readState('rows_without_sums_before'),

    noteAllSummed: async (): Promise<void> => {
      await db.deleteFrom('usage_analytics_state').where('name', '=', 'rows_without_sums_before').execute()
    },

    ...createSumsStore(db),
  }
}

function keysOf({ dimensions }: Selection): Sql[] {
  return [sql.ref('bucket'), ...dimensions.map((_, index) => sql.ref(`d${index}`))]
}

function valuesOf(row: Record<string, string | number>, { dimensions }: Selection): string[] {
  return dimensions.map((_, index) => String(row[`d${index}`]))
}
