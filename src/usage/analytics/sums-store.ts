import { type Kysely, type RawBuilder, SqliteAdapter, sql, type Transaction } from 'kysely'
import { addMany } from '../../platform/database/index.ts'
import type { RequestLogRow, UsageTables } from '../rows.ts'
import { type AgedKind, agedKinds, type DeletedBefore } from './cover.ts'
import { cubeKeys, dayMs, demoSource, durationFacets, facets, grainMs, hourMs, measures, ownSources } from './schema.ts'
import { noRollUps, type RollUps } from './spread.ts'

type Db = Kysely<UsageTables>
type Trx = Transaction<UsageTables>

/** What writes the sums anew, and what proves them. Rows and what they add are written by `addToRollUps`. */
export function createSumsStore(db: Db) {
  const isSqlite = db.getExecutor().adapter instanceof SqliteAdapter

  /** Whoever deletes notes up to when, first of all or last: so nothing is deleted while sums are made of what is there. */
  async function holdRetention(trx: Trx): Promise<void> {
    if (!isSqlite) await sql`lock table usage_analytics_state in share mode`.execute(trx)
  }

  return {
    /**
     * Puts `sums` in the place of what the sources have in these whole hours, in one transaction. Resolves with the days
     * that were left as they are, because only the whole of them can be replaced: their finer sums are gone.
     */
    replace: (sources: readonly string[], from: number, to: number, sums: readonly RollUps[]): Promise<number[]> =>
      db.transaction().execute(async (trx) => {
        await holdRetention(trx)
        return replaceSums(trx, sources, from, to, sums)
      }),

    /**
     * Makes the sums of our own traffic in one day of UTC anew. Nobody stores rows meanwhile: `read` gets a page of them
     * at a time. False, and nothing done, when the day has lost rows.
     */
    rebuildDay: (day: number, fold: (rows: readonly RequestLogRow[]) => void, sums: () => RollUps): Promise<boolean> =>
      db.transaction().execute(async (trx) => {
        if (!isSqlite) await sql`lock table request_logs in share row exclusive mode`.execute(trx)
        await holdRetention(trx)
        if (day < (await readDeletedBefore(trx)).rows) return false
        await eachPage(trx, day, fold)
        await replaceSums(trx, ownSources, day, day + dayMs, [sums()])
        return true
      }),

    /** Rows of a day and the sums kept of it, as they stood at one moment; null when the day has lost rows. */
    readDay: (day: number, fold: (rows: readonly RequestLogRow[]) => void): Promise<RollUps | null> =>
      db
        .transaction()
        .setIsolationLevel(isSqlite ? 'serializable' : 'repeatable read')
        .execute(async (trx) => {
          if (day < (await readDeletedBefore(trx)).rows) return null
          await eachPage(trx, day, fold)
          const kept: Partial<Record<SumTable, unknown[]>> = {}
          for (const table of sumTables) {
            kept[table] = await trx
              .selectFrom(table)
              .selectAll()
              .where('source', 'in', ownSources)
              .where('slot', '>=', day)
              .where('slot', '<', day + dayMs)
              .execute()
          }
          return kept as RollUps
        }),

    /**
     * Deletes sums of one kind that begin before `before`, the oldest first and only a few hours of them: the writer is held
     * for a moment, however many there are. Returns how many rows went, and whether that was all.
     */
    deleteOldestSums: (kind: SumsKind, before: number): Promise<{ deleted: number; isAll: boolean }> =>
      db.transaction().execute(async (trx) => {
        const { tables, hours } = aged[kind]
        const oldest: number[] = []
        for (const table of tables) {
          // What leads first is the sum of everything, which is there whenever any other is.
          const { rows } = await sql<{ slot: number | null }>`
            select min(slot) as slot from ${sql.table(table)} where ${leadsOf(table)[0]!}
          `.execute(trx)
          const slot = rows[0]?.slot ?? null
          if (slot !== null) oldest.push(Number(slot))
        }
        if (kind === 'hour') {
          const { first } = await trx
            .selectFrom('usage_hourly')
            .select((eb) => eb.fn.min('hour').as('first'))
            .executeTakeFirstOrThrow()
          if (first !== null) oldest.push(Number(first))
        }
        const first = Math.min(...oldest)
        if (!(first < before)) return { deleted: 0, isAll: true }
        const end = Math.min(before, first + hours * hourMs)
        // Before anything else: it waits for whoever makes coarser sums of these.
        await noteDeleted(trx, kind, end)
        let deleted = 0
        for (const table of tables) {
          for (const condition of leadsOf(table)) {
            const { numAffectedRows } = await sql`
              delete from ${sql.table(table)} where ${condition} and slot < ${sql.lit(end)}
            `.execute(trx)
            deleted += Number(numAffectedRows ?? 0)
          }
        }
        if (kind === 'hour') {
          const { numDeletedRows } = await trx.deleteFrom('usage_hourly').where('hour', '<', end).executeTakeFirst()
          deleted += Number(numDeletedRows)
          await noteDaysChanged(trx, daysBetween(first, end))
        }
        return { deleted, isAll: end >= before }
      }),

    /** Days of UTC that have rows or sums of ours, in order. */
    async days(from: number, to: number): Promise<number[]> {
      const { rows } = await sql<{ day: number }>`
        select started_at - started_at % ${sql.lit(dayMs)} as day from request_logs
        where started_at >= ${from} and started_at < ${to} group by 1
        union select slot as day from usage_facets_day where facet = '' and slot >= ${from} and slot < ${to}
          and source in (${sql.join(ownSources)}) order by 1
      `.execute(db)
      return rows.map(({ day }) => Number(day))
    },
  }
}

/** Notes that rows or sums before `time` are no longer whole; it never goes back. */
export async function noteDeleted(trx: Trx, kind: AgedKind, time: number): Promise<void> {
  await sql`
    insert into usage_analytics_state (name, value) values (${`${kind}_deleted_before`}, ${time})
    on conflict (name) do update set value = case
      when excluded.value > usage_analytics_state.value then excluded.value else usage_analytics_state.value end
  `.execute(trx)
}

const pageRows = 2000

async function eachPage(trx: Trx, day: number, fold: (rows: readonly RequestLogRow[]) => void): Promise<void> {
  let after: { startedAt: number; id: string } | null = null
  for (;;) {
    let query = trx
      .selectFrom('request_logs')
      .selectAll()
      .where('started_at', '>=', day)
      .where('started_at', '<', day + dayMs)
    if (after !== null) {
      const { startedAt, id }: { startedAt: number; id: string } = after
      query = query.where((eb) => eb(eb.refTuple('started_at', 'id'), '>', eb.tuple(startedAt, id)))
    }
    const rows: RequestLogRow[] = await query.orderBy('started_at').orderBy('id').limit(pageRows).execute()
    fold(rows)
    const last = rows.at(-1)
    if (last === undefined || rows.length < pageRows) return
    after = { startedAt: last.started_at, id: last.id }
  }
}

/** Up to when rows and the sums of each grain were deleted. */
export async function readDeletedBefore(db: Db): Promise<DeletedBefore> {
  const rows = await db.selectFrom('usage_analytics_state').selectAll().execute()
  const times = new Map(rows.map(({ name, value }) => [name, Number(value)]))
  return Object.fromEntries(agedKinds.map((kind) => [kind, times.get(`${kind}_deleted_before`) ?? 0])) as DeletedBefore
}

/** Hours that are replaced together, and whether all of their days are added up anew or they are new to them. */
type Stretch = { from: number; to: number; isAddedUpAnew: boolean }

/**
 * The finest sums are put in place. Those of hours and days are added up of them again, whatever they were, where all of
 * the day is there to be added up. Hours of other days are added to what the days have, when nothing was counted of them
 * before; otherwise nobody knows what to take away, and their day is left as it is and told.
 */
async function replaceSums(
  trx: Trx,
  sources: readonly string[],
  from: number,
  to: number,
  sums: readonly RollUps[],
): Promise<number[]> {
  const clear = async (table: SumTable, start: number, end: number) => {
    await trx
      .deleteFrom(table)
      .where('source', 'in', sources)
      .where('slot', '>=', start)
      .where('slot', '<', end)
      .execute()
  }
  const { stretches, kept } = await stretchesOf(trx, sources, from, to)
  for (const table of fineTables) for (const stretch of stretches) await clear(table, stretch.from, stretch.to)
  const untouched = new Set(kept)
  const isReplaced = ({ slot }: { slot: number }) => !untouched.has(slot - (slot % dayMs))
  for (const each of sums) await addToRollUps(trx, { ...noRollUps, ...fineOf(each, isReplaced) })
  for (const { from, to, isAddedUpAnew } of stretches) {
    for (const { coarse, fine, grain, keys, sums: added } of derived) {
      const size = grainMs[grain]
      const [start, end] = isAddedUpAnew ? [Math.floor(from / size) * size, Math.ceil(to / size) * size] : [from, to]
      if (isAddedUpAnew) await clear(coarse, start, end)
      const names = keys.filter((key) => key !== 'slot').map((key) => sql.ref(key))
      const target = sql.table(coarse)
      await sql`
        insert into ${target} (slot, ${sql.join([...names, ...added.map((name) => sql.ref(name))])})
        select slot - slot % ${sql.lit(size)}, ${sql.join([...names, ...added.map((name) => sql`sum(${sql.ref(name)})`)])}
        from ${sql.table(fine)} where source in (${sql.join(sources)}) and slot >= ${start} and slot < ${end}
        group by ${sql.join([sql.lit(1), ...names])}
        on conflict (slot, ${sql.join(names)}) do update set
          ${sql.join(added.map((name) => sql`${sql.ref(name)} = ${target}.${sql.ref(name)} + excluded.${sql.ref(name)}`))}
      `.execute(trx)
    }
  }
  await noteDaysChanged(
    trx,
    [...daysBetween(from, to)].filter((day) => !untouched.has(day)),
  )
  return kept
}

async function stretchesOf(trx: Trx, sources: readonly string[], from: number, to: number) {
  const { quarter, hour, latency } = await readDeletedBefore(trx)
  const isFine = (day: number) => day >= Math.max(quarter, hour, latency)
  const stretches: Stretch[] = []
  const kept: number[] = []
  for (const day of daysBetween(from, to)) {
    const [start, end] = [Math.max(from, day), Math.min(to, day + dayMs)]
    const isAddedUpAnew = end - start === dayMs || isFine(day)
    if (!isAddedUpAnew && (await isCounted(trx, sources, start, end, hour))) {
      kept.push(day)
      continue
    }
    const before = stretches.at(-1)
    if (isAddedUpAnew && before?.isAddedUpAnew && before.to === start) before.to = end
    else stretches.push({ from: start, to: end, isAddedUpAnew })
  }
  return { stretches, kept }
}

/** Whether the sums of the day have something of these hours in them; where hours are gone, they may. */
async function isCounted(
  trx: Trx,
  sources: readonly string[],
  from: number,
  to: number,
  hoursDeletedBefore: number,
): Promise<boolean> {
  const areHoursGone = from < hoursDeletedBefore
  const found = await trx
    .selectFrom(areHoursGone ? 'usage_facets_day' : 'usage_facets_hour')
    .select('slot')
    .where('facet', '=', '')
    .where('source', 'in', sources)
    .where('slot', '>=', areHoursGone ? from - (from % dayMs) : from)
    .where('slot', '<', to)
    .limit(1)
    .executeTakeFirst()
  return found !== undefined
}

const fineTables = [
  ...(['usage_facets_quarter', 'usage_cube_quarter', 'usage_latency_hour', 'usage_durations_hour'] as const),
] as const

function fineOf(
  sums: RollUps,
  isWanted: (row: { slot: number }) => boolean,
): Pick<RollUps, (typeof fineTables)[number]> {
  return {
    usage_facets_quarter: sums.usage_facets_quarter.filter(isWanted),
    usage_cube_quarter: sums.usage_cube_quarter.filter(isWanted),
    usage_latency_hour: sums.usage_latency_hour.filter(isWanted),
    usage_durations_hour: sums.usage_durations_hour.filter(isWanted),
  }
}

const sumTables = [
  ...(['usage_facets_quarter', 'usage_facets_hour', 'usage_facets_day', 'usage_cube_quarter'] as const),
  ...(['usage_cube_day', 'usage_latency_hour', 'usage_latency_day'] as const),
  ...(['usage_durations_hour', 'usage_durations_day'] as const),
] as const

const sumKeys = {
  facets: ['facet', 'slot', 'source', 'value', 'tenant_id'],
  cube: ['slot', 'source', ...cubeKeys],
  durations: ['facet', 'kind', 'slot', 'source', 'value', 'bucket'],
  latency: ['slot', 'source', 'kind', 'tenant_id', 'model_served', 'provider_id', 'bucket'],
} as const

export type SumTable = (typeof sumTables)[number]

/** What tells the rows of a table apart. */
export function keysOfTable(table: SumTable): readonly string[] {
  if (table.startsWith('usage_facets')) return sumKeys.facets
  if (table.startsWith('usage_durations')) return sumKeys.durations
  return table.startsWith('usage_cube') ? sumKeys.cube : sumKeys.latency
}

const derived = [
  { coarse: 'usage_facets_hour', fine: 'usage_facets_quarter', grain: 'hour', keys: sumKeys.facets, sums: measures },
  { coarse: 'usage_facets_day', fine: 'usage_facets_quarter', grain: 'day', keys: sumKeys.facets, sums: measures },
  { coarse: 'usage_cube_day', fine: 'usage_cube_quarter', grain: 'day', keys: sumKeys.cube, sums: measures },
  { coarse: 'usage_latency_day', fine: 'usage_latency_hour', grain: 'day', keys: sumKeys.latency, sums: ['amount'] },
  {
    coarse: 'usage_durations_day',
    fine: 'usage_durations_hour',
    grain: 'day',
    keys: sumKeys.durations,
    sums: ['amount'],
  },
] as const

/** Adds sums, which may be negative, to those of the same keys, within the transaction that stores their rows. */
export async function addToRollUps(trx: Transaction<UsageTables>, sums: RollUps): Promise<void> {
  for (const table of ['usage_facets_quarter', 'usage_facets_hour', 'usage_facets_day'] as const) {
    await addMany<string>(trx, table, sumKeys.facets, measures, sums[table])
  }
  for (const table of ['usage_cube_quarter', 'usage_cube_day'] as const) {
    await addMany<string>(trx, table, sumKeys.cube, measures, sums[table])
  }
  for (const table of ['usage_latency_hour', 'usage_latency_day'] as const) {
    await addMany<string>(trx, table, sumKeys.latency, ['amount'], sums[table])
  }
  for (const table of ['usage_durations_hour', 'usage_durations_day'] as const) {
    await addMany<string>(trx, table, sumKeys.durations, ['amount'], sums[table])
  }
  await noteDaysChanged(trx, new Set(sums.usage_facets_day.map(({ slot }) => slot)))
}

/** Moves the versions of days, last in their transaction: nobody waits longer for a day than its sums already ask. */
async function noteDaysChanged(db: Db, days: Iterable<number>): Promise<void> {
  const rows = [...days].sort((a, b) => a - b).map((day) => ({ day, version: 1 }))
  await addMany<string>(db, 'usage_day_versions', ['day'], ['version'], rows)
}

function daysBetween(from: number, to: number): Set<number> {
  const days = new Set<number>()
  for (let day = Math.floor(from / dayMs) * dayMs; day < to; day += dayMs) days.add(day)
  return days
}

/** What goes together at one age, and how many hours of it at once. */
const aged = {
  quarter: { tables: ['usage_facets_quarter', 'usage_cube_quarter'], hours: 4 },
  hour: { tables: ['usage_facets_hour', 'usage_durations_hour'], hours: 24 },
  latency: { tables: ['usage_latency_hour', 'usage_latency_day'], hours: 24 },
  day: { tables: ['usage_facets_day', 'usage_cube_day', 'usage_durations_day'], hours: 24 },
} as const satisfies Record<string, { tables: readonly SumTable[]; hours: number }>

export type SumsKind = keyof typeof aged

/** What stands before the time in the key of a table: looked up value by value, its sums lie together. */
function leadsOf(table: SumTable): RawBuilder<unknown>[] {
  const all = ['', 'tag', ...facets]
  if (table.startsWith('usage_facets')) return all.map((facet) => sql`facet = ${sql.lit(facet)}`)
  if (!table.startsWith('usage_durations')) return [sql`1 = 1`]
  return durationFacets.flatMap((facet) =>
    ['latency', 'first_token'].map((kind) => sql`facet = ${sql.lit(facet)} and kind = ${sql.lit(kind)}`),
  )
}

/** Takes away every sum of what `--demo` made up. */
export async function deleteDemoRollUps(db: Db): Promise<void> {
  await db.transaction().execute(async (trx) => {
    const days = await trx
      .selectFrom('usage_facets_day')
      .select('slot')
      .distinct()
      .where('source', '=', demoSource)
      .execute()
    for (const table of sumTables) await trx.deleteFrom(table).where('source', '=', demoSource).execute()
    await noteDaysChanged(trx, new Set(days.map(({ slot }) => slot)))
  })
}
