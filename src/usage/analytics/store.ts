import { type Kysely, type RawBuilder, SqliteAdapter, sql, type Transaction } from 'kysely'
import type { Scope } from '../../kernel/scope.ts'
import { addMany } from '../../platform/database/index.ts'
import { logColumns, type RequestLogRow, type UsageTables } from '../rows.ts'
import type { Buckets, Segment } from './buckets.ts'
import { agentTag, type RollUps } from './fold.ts'
import {
  cubeKeys,
  type Dimension,
  dayMs,
  demoSource,
  dimensionColumns,
  type Facet,
  grainMs,
  type Measure,
  measures,
  ownSources,
  quarterMs,
} from './schema.ts'
import { growth } from './sketch.ts'

type Db = Kysely<UsageTables>
type Sql = RawBuilder<unknown>

/** Which tables answer: narrow sums of one facet, the full ones, or single rows alone. */
export type Shape = { kind: 'facet'; facet: Facet } | { kind: 'cube' } | { kind: 'latency' } | { kind: 'rows' }

/** What is narrowed to: any of the values of each dimension. */
export type Filters = Partial<Record<Dimension, readonly string[]>>

export type Selection = {
  scope: Scope
  shape: Shape
  segments: readonly Segment[]
  buckets: Buckets
  dimensions: readonly Dimension[]
  filters: Filters
}

export type SumRow = { bucket: number; values: string[] } & Record<Measure, number>

export type AnalyticsStore = ReturnType<typeof createAnalyticsStore>

const requestColumns = logColumns.filter(
  (name): name is Exclude<keyof RequestLogRow, 'attempt_log' | 'route_log'> =>
    name !== 'attempt_log' && name !== 'route_log',
)

export type RequestRow = Omit<RequestLogRow, 'attempt_log' | 'route_log'>

/** Every query that reports ask, over sums and, at the ends of a range, over rows. Nothing here holds up a writer. */
export function createAnalyticsStore(db: Db) {
  const isSqlite = db.getExecutor().adapter instanceof SqliteAdapter
  const parts = createParts(isSqlite)

  async function readState(name: string): Promise<number | null> {
    const row = await db.selectFrom('usage_analytics_state').select('value').where('name', '=', name).executeTakeFirst()
    return row === undefined ? null : Number(row.value)
  }

  return {
    /** Every measure by bucket and dimensions. `order` names a measure, or the buckets in their order. */
    async sums(
      selection: Selection,
      { order, limit }: { order: Measure | 'tokens' | 'bucket'; limit: number },
    ): Promise<SumRow[]> {
      const keys = keysOf(selection)
      const inner = parts.union(selection, (segment) =>
        sql.join(measures.map((name) => sql`sum(${parts.measure(name, segment)}) as ${sql.ref(name)}`)),
      )
      if (inner === null) return []
      const summed = sql.join(measures.map((name) => sql`sum(${sql.ref(name)}) as ${sql.ref(name)}`))
      const orders = {
        bucket: sql`bucket`,
        tokens: sql`sum(tokens_in) + sum(tokens_out) desc`,
      }
      const first = order === 'bucket' || order === 'tokens' ? orders[order] : sql`sum(${sql.ref(order)}) desc`
      // Engines sort texts each by rules of its own, unless told to go by their bytes.
      const ties = keys.map((key, index) => (isSqlite || index === 0 ? key : sql`${key} collate "C"`))
      const { rows } = await sql<Record<string, string | number>>`
        select ${sql.join(keys)}, ${summed} from (${inner}) as parts
        group by ${sql.join(keys)} order by ${sql.join([first, ...ties])} limit ${sql.lit(limit)}
      `.execute(db)
      return rows.map((row) => {
        const sums = Object.fromEntries(measures.map((name) => [name, Number(row[name])])) as Record<Measure, number>
        return { bucket: Number(row.bucket), values: valuesOf(row, selection), ...sums }
      })
    },

    /** How many different values of `counted`, the last of the dimensions, each group has; '' is none. */
    async distinct(selection: Selection, counted: 'user' | 'key' | 'ip', limit: number) {
      const keys = keysOf(selection)
      const inner = parts.union(selection, (segment) => sql`${parts.counted(counted, segment)} as counted`, {
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

    /** How many durations of each order of magnitude each group has. */
    async durations(selection: Selection, kind: 'latency' | 'first_token', limit: number) {
      const keys = [...keysOf(selection), sql.ref('duration')]
      const inner = parts.union(selection, (segment) => parts.durations(kind, segment), { kind })
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
      const all = parts.conditions({ scope, filters, dimensions: [] }, piece)
      let query = db.selectFrom('request_logs').select(requestColumns)
      for (const condition of all) query = query.where(condition as RawBuilder<boolean>)
      if (after !== null) {
        query = query.where((eb) => eb(eb.refTuple('started_at', 'id'), '>', eb.tuple(after.startedAt, after.id)))
      }
      return query.orderBy('started_at').orderBy('id').limit(limit).execute()
    },

    /** Up to when rows of single requests were deleted, epoch ms; 0 when none were. */
    rowsDeletedBefore: async (): Promise<number> => (await readState('rows_deleted_before')) ?? 0,

    /** Up to when rows may lack their sums, because they were there first; null when none do. */
    rowsWithoutSumsBefore: () => readState('rows_without_sums_before'),

    noteAllSummed: async (): Promise<void> => {
      await db.deleteFrom('usage_analytics_state').where('name', '=', 'rows_without_sums_before').execute()
    },

    /** Puts `sums` in the place of what the sources have in these whole hours, in one transaction. */
    replace: (sources: readonly string[], from: number, to: number, sums: readonly RollUps[]): Promise<void> =>
      db.transaction().execute((trx) => replaceSums(trx, sources, from, to, sums)),

    /**
     * Makes the sums of our own traffic in one day of UTC anew. Nobody stores rows meanwhile: `read` gets a page of them
     * at a time.
     */
    rebuildDay: (day: number, fold: (rows: readonly RequestLogRow[]) => void, sums: () => RollUps): Promise<void> =>
      db.transaction().execute(async (trx) => {
        if (!isSqlite) await sql`lock table request_logs in share row exclusive mode`.execute(trx)
        await eachPage(trx, day, fold)
        await replaceSums(trx, ownSources, day, day + dayMs, [sums()])
      }),

    /** Rows of a day and the sums kept of it, as they stood at one moment. */
    readDay: (day: number, fold: (rows: readonly RequestLogRow[]) => void): Promise<RollUps> =>
      db
        .transaction()
        .setIsolationLevel(isSqlite ? 'serializable' : 'repeatable read')
        .execute(async (trx) => {
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

type Trx = Transaction<UsageTables>

/** Notes that rows before `time` are no longer whole; it never goes back. */
export async function noteRowsDeleted(trx: Trx, time: number): Promise<void> {
  await sql`
    insert into usage_analytics_state (name, value) values ('rows_deleted_before', ${time})
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

/** The finest sums are put in place; those of hours and days are added up of them again, whatever they were. */
async function replaceSums(
  trx: Trx,
  sources: readonly string[],
  from: number,
  to: number,
  sums: readonly RollUps[],
): Promise<void> {
  const clear = async (table: SumTable, start: number, end: number) => {
    await trx
      .deleteFrom(table)
      .where('source', 'in', sources)
      .where('slot', '>=', start)
      .where('slot', '<', end)
      .execute()
  }
  for (const table of ['usage_facets_quarter', 'usage_cube_quarter', 'usage_latency_hour'] as const) {
    await clear(table, from, to)
  }
  const none = { usage_facets_hour: [], usage_facets_day: [], usage_cube_day: [], usage_latency_day: [] }
  for (const each of sums) await addToRollUps(trx, { ...each, ...none })
  for (const { coarse, fine, grain, keys, sums: added } of derived) {
    const size = grainMs[grain]
    const [start, end] = [Math.floor(from / size) * size, Math.ceil(to / size) * size]
    await clear(coarse, start, end)
    const names = keys.filter((key) => key !== 'slot').map((key) => sql.ref(key))
    await sql`
      insert into ${sql.table(coarse)} (slot, ${sql.join([...names, ...added.map((name) => sql.ref(name))])})
      select slot - slot % ${sql.lit(size)}, ${sql.join([...names, ...added.map((name) => sql`sum(${sql.ref(name)})`)])}
      from ${sql.table(fine)} where source in (${sql.join(sources)}) and slot >= ${start} and slot < ${end}
      group by ${sql.join([sql.lit(1), ...names])}
    `.execute(trx)
  }
}

const sumTables = [
  ...(['usage_facets_quarter', 'usage_facets_hour', 'usage_facets_day', 'usage_cube_quarter'] as const),
  ...(['usage_cube_day', 'usage_latency_hour', 'usage_latency_day'] as const),
] as const

const sumKeys = {
  facets: ['facet', 'slot', 'source', 'value', 'tenant_id'],
  cube: ['slot', 'source', ...cubeKeys],
  latency: ['slot', 'source', 'kind', 'tenant_id', 'model_served', 'provider_id', 'bucket'],
} as const

export type SumTable = (typeof sumTables)[number]

/** What tells the rows of a table apart. */
export function keysOfTable(table: SumTable): readonly string[] {
  if (table.startsWith('usage_facets')) return sumKeys.facets
  return table.startsWith('usage_cube') ? sumKeys.cube : sumKeys.latency
}

const derived = [
  { coarse: 'usage_facets_hour', fine: 'usage_facets_quarter', grain: 'hour', keys: sumKeys.facets, sums: measures },
  { coarse: 'usage_facets_day', fine: 'usage_facets_quarter', grain: 'day', keys: sumKeys.facets, sums: measures },
  { coarse: 'usage_cube_day', fine: 'usage_cube_quarter', grain: 'day', keys: sumKeys.cube, sums: measures },
  { coarse: 'usage_latency_day', fine: 'usage_latency_hour', grain: 'day', keys: sumKeys.latency, sums: ['amount'] },
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
}

/** Takes away every sum of what `--demo` made up. */
export async function deleteDemoRollUps(db: Db): Promise<void> {
  for (const table of sumTables) await db.deleteFrom(table).where('source', '=', demoSource).execute()
}

function keysOf({ dimensions }: Selection): Sql[] {
  return [sql.ref('bucket'), ...dimensions.map((_, index) => sql.ref(`d${index}`))]
}

function valuesOf(row: Record<string, string | number>, { dimensions }: Selection): string[] {
  return dimensions.map((_, index) => String(row[`d${index}`]))
}

/** A piece of the union: one table over one part of the time. */
type Piece = Segment & { shape: Shape; isForeignOnly: boolean }

function createParts(isSqlite: boolean) {
  const tagList = sql`case when request_logs.tags = '' then '[]' else request_logs.tags end`
  const tagsWithNone = sql`case when request_logs.tags = '' then '[""]' else request_logs.tags end`
  const each = (list: Sql) =>
    isSqlite
      ? sql`json_each(${list})`
      : sql`json_array_elements_text((${list})::json) with ordinality as each_tag(value, key)`
  const agent = sql`coalesce((
    select substr(value, ${sql.lit(agentTag.length + 1)}) from ${each(tagList)}
    where substr(value, 1, ${sql.lit(agentTag.length)}) = ${sql.lit(agentTag)} order by key limit 1
  ), '')`
  const rowColumns: Partial<Record<Dimension, Sql>> = {
    agent,
    model_asked: sql`case when outcome = 'refused' then '' else model_asked end`,
    status_class: sql`cast(status / 100 as text) || 'xx'`,
    error_kind: sql`error_code`,
    stream: sql`cast(stream as text)`,
    source: sql`case when is_synthetic = 1 then ${sql.lit(demoSource)} else '' end`,
    tag: sql`tag_of_row.value`,
  }
  const is = (outcome: string) => sql`case when outcome = ${sql.lit(outcome)} then 1 else 0 end`
  const generated = sql`stream = 1 and first_token_ms is not null and latency_ms > first_token_ms`
  const rowMeasures: Partial<Record<Measure, Sql>> = {
    requests: sql`1`,
    successes: is('success'),
    failures: is('failure'),
    aborted: is('aborted'),
    truncated: is('truncated'),
    refused: is('refused'),
    cost_nano_usd: sql`coalesce(cost_nano_usd, 0)`,
    unpriced_requests: sql`case when cost_nano_usd is null then 1 else 0 end`,
    wasted_nano_usd: sql`coalesce(wasted_nano_usd, 0)`,
    unpriced_wasted: sql`case when wasted_nano_usd is null then 1 else 0 end`,
    cache_hits: sql`case when cache_hit <> '' then 1 else 0 end`,
    latency_ms_sum: sql`latency_ms`,
    first_token_ms_sum: sql`coalesce(first_token_ms, 0)`,
    first_token_count: sql`case when first_token_ms is null then 0 else 1 end`,
    generation_ms_sum: sql`case when ${generated} then latency_ms - first_token_ms else 0 end`,
    generation_tokens: sql`case when ${generated} then tokens_out else 0 end`,
  }

  function column(dimension: Dimension, piece: Piece): Sql {
    if (piece.grain === 'rows') return rowColumns[dimension] ?? sql.ref(dimensionColumns[dimension])
    if (piece.shape.kind === 'facet' && dimension === piece.shape.facet) return sql.ref('value')
    return sql.ref(dimensionColumns[dimension])
  }

  function table(piece: Piece): Sql {
    const { shape, grain } = piece
    if (grain === 'rows') return sql`request_logs`
    const names = { facet: 'usage_facets', cube: 'usage_cube', latency: 'usage_latency', rows: '' } as const
    return sql.table(`${names[shape.kind]}_${grain}`)
  }

  function bucket(buckets: Buckets, piece: Piece): Sql {
    const time = sql.ref(piece.grain === 'rows' ? 'started_at' : 'slot')
    if (buckets.kind === 'one') return sql`0`
    // Sums of a foreign source may begin before the range does: they count in its first bucket.
    const first = sql.lit(buckets.starts[0]!)
    if (buckets.kind === 'equal') {
      const start = sql`${time} - (${time} - ${sql.lit(buckets.shiftMs)}) % ${sql.lit(buckets.sizeMs)}`
      return sql`case when ${time} < ${first} then ${first} else ${start} end`
    }
    const edges = buckets.starts
      .slice(1)
      .map((edge, i) => sql`when ${time} < ${sql.lit(edge)} then ${sql.lit(buckets.starts[i]!)}`)
    const last = sql.lit(buckets.starts.at(-1)!)
    return edges.length === 0 ? last : sql`case ${sql.join(edges, sql` `)} else ${last} end`
  }

  function conditions(
    { scope, filters, dimensions }: Pick<Selection, 'scope' | 'filters' | 'dimensions'>,
    piece: Piece,
    kind?: string,
  ): Sql[] {
    const time = sql.ref(piece.grain === 'rows' ? 'started_at' : 'slot')
    const all = [sql`${time} >= ${sql.lit(piece.from)}`, sql`${time} < ${sql.lit(piece.to)}`]
    if (scope.kind !== 'everything') all.push(sql`${column('tenant', piece)} = ${scope.tenantId}`)
    if (scope.kind === 'person') all.push(sql`${column('user', piece)} = ${scope.userId}`)
    for (const [name, values] of Object.entries(filters) as [Dimension, readonly string[]][]) {
      const list = sql.join(values.length === 0 ? [null] : values)
      if (name === 'tag' && piece.grain === 'rows') {
        all.push(sql`exists (select 1 from ${each(tagsWithNone)} where value in (${list}))`)
        if (hasTagOfRow({ dimensions }, piece)) all.push(sql`tag_of_row.value in (${list})`)
      } else all.push(sql`${column(name, piece)} in (${list})`)
    }
    if (piece.grain !== 'rows') {
      if (piece.shape.kind === 'facet') all.push(sql`facet = ${sql.lit(piece.shape.facet)}`)
      if (kind !== undefined) all.push(sql`kind = ${sql.lit(kind)}`)
      if (piece.isForeignOnly) all.push(sql`source not in (${sql.join(ownSources.map((name) => sql.lit(name)))})`)
    }
    return all
  }
  function from(selection: Selection, piece: Piece): Sql {
    if (!hasTagOfRow(selection, piece)) return table(piece)
    return isSqlite
      ? sql`request_logs, json_each(${tagsWithNone}) as tag_of_row`
      : sql`request_logs, json_array_elements_text((${tagsWithNone})::json) with ordinality as tag_of_row(value, key)`
  }

  return {
    conditions,

    measure(name: Measure, piece: Piece): Sql {
      return piece.grain === 'rows' ? (rowMeasures[name] ?? sql.ref(name)) : sql.ref(name)
    },

    counted(name: 'user' | 'key' | 'ip', piece: Piece): Sql {
      return name === 'ip' ? sql.ref('client_ip') : column(name, piece)
    },

    /** The bucket of a duration and how many there are. */
    durations(kind: 'latency' | 'first_token', piece: Piece): Sql {
      if (piece.grain !== 'rows') return sql`bucket as duration, sum(amount) as amount`
      const ms = sql.ref(kind === 'latency' ? 'latency_ms' : 'first_token_ms')
      const order = isSqlite
        ? sql`ln(${ms}) / ${sql.lit(Math.log(growth))}`
        : sql`ln(${ms}::double precision) / ${sql.lit(Math.log(growth))}::double precision`
      return sql`case when ${ms} <= 1 then 0 else cast(ceil(${order}) as integer) end as duration, count(${ms}) as amount`
    },

    /** One select over every piece, by bucket and dimensions; null when there is no piece at all. */
    union(
      selection: Selection,
      what: (piece: Piece) => Sql,
      { kind, isCounting }: { kind?: string; isCounting?: boolean } = {},
    ): Sql | null {
      const selects = piecesOf(selection).map((piece) => {
        const source = from(selection, piece)
        const names = [
          sql`${bucket(selection.buckets, piece)} as bucket`,
          ...selection.dimensions.map((name, index) => sql`${column(name, piece)} as ${sql.ref(`d${index}`)}`),
        ]
        const all = conditions(selection, piece, kind)
        if (hasTagOfRow(selection, piece)) {
          // A tag that a request carries twice counts once.
          const earlier = isSqlite
            ? sql`json_each(${tagsWithNone}) as earlier`
            : sql`json_array_elements_text((${tagsWithNone})::json) with ordinality as earlier(value, key)`
          all.push(
            sql`not exists (select 1 from ${earlier} where earlier.value = tag_of_row.value and earlier.key < tag_of_row.key)`,
          )
        }
        if (kind !== undefined && piece.grain === 'rows') {
          all.push(sql`${sql.ref(kind === 'latency' ? 'latency_ms' : 'first_token_ms')} is not null`)
        }
        const groups = names.length + (kind === undefined && isCounting !== true ? 0 : 1)
        const positions = sql.join(Array.from({ length: groups }, (_, index) => sql.lit(index + 1)))
        return sql`select ${sql.join(names)}, ${what(piece)} from ${source} where ${sql.join(all, sql` and `)} group by ${positions}`
      })
      return selects.length === 0 ? null : sql.join(selects, sql` union all `)
    },
  }
}

function hasTagOfRow({ dimensions }: Pick<Selection, 'dimensions'>, { grain }: Piece): boolean {
  return grain === 'rows' && dimensions.includes('tag')
}

/** Rows are of our own traffic: where they stand for a part of a sum, foreign sources give the whole sum. */
function piecesOf({ segments, shape }: Selection): Piece[] {
  return segments.flatMap((segment): Piece[] => {
    const piece = { ...segment, shape, isForeignOnly: false }
    if (segment.grain !== 'rows' || shape.kind === 'rows') return [piece]
    const finest =
      shape.kind === 'latency'
        ? ({ grain: 'hour', size: 4 * quarterMs } as const)
        : ({ grain: 'quarter', size: quarterMs } as const)
    const from = segment.from - (segment.from % finest.size)
    return [piece, { ...piece, grain: finest.grain, from, isForeignOnly: true }]
  })
}
