import { type Kysely, type RawBuilder, SqliteAdapter, sql } from 'kysely'
import type { Scope } from '../../kernel/scope.ts'
import { ClickHouseAdapter } from '../../platform/clickhouse/dialect.ts'
import type { Buckets, Segment } from './buckets.ts'
import { agentTag } from './fold.ts'
import {
  type Dimension,
  type DurationFacet,
  demoSource,
  dimensionColumns,
  type Facet,
  grainMs,
  type Measure,
  ownSources,
  quarterMs,
} from './schema.ts'
import { growth } from './sketch.ts'

type Sql = RawBuilder<unknown>

/** Which tables answer: narrow sums of one facet, the full ones, or single rows alone. */
export type Shape =
  | { kind: 'facet'; facet: Facet }
  | { kind: 'cube' }
  | { kind: 'latency' }
  | { kind: 'durations'; facet: DurationFacet }
  | { kind: 'rows' }

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

/** Above so many slots and values, reading past others costs no more. */
const mostLookedUp = 500

/** A piece of the union: one table over one part of the time. */
export type Piece = Segment & { shape: Shape; isForeignOnly: boolean }

export type ReportEngine = 'sqlite' | 'postgres' | 'clickhouse'

/** Which SQL a database speaks. */
export function engineOf(db: Pick<Kysely<never>, 'getExecutor'>): ReportEngine {
  const { adapter } = db.getExecutor()
  if (adapter instanceof ClickHouseAdapter) return 'clickhouse'
  return adapter instanceof SqliteAdapter ? 'sqlite' : 'postgres'
}

/** What each table says of a part of the time, as pieces of one statement: the same columns, whatever they are read from. */
export function createPieces(engine: ReportEngine) {
  const isSqlite = engine === 'sqlite'
  // There each row brings its different tags as a list, the agent they name and the buckets of its durations.
  const isClickHouse = engine === 'clickhouse'
  const tagList = sql`case when request_logs.tags = '' then '[]' else request_logs.tags end`
  const tagsWithNone = sql`case when request_logs.tags = '' then '[""]' else request_logs.tags end`
  const each = (list: Sql) =>
    isSqlite
      ? sql`json_each(${list})`
      : sql`json_array_elements_text((${list})::json) with ordinality as each_tag(value, key)`
  // By its samples SQLite takes the hour at an end of a range for far more than it is, and rather looks for it key by key.
  const rowsByTime = isSqlite ? sql`request_logs indexed by request_logs_by_time` : sql`request_logs`
  // Rows of former versions name the agent by a tag alone.
  const agent = isClickHouse
    ? sql`agent_named`
    : sql`case when request_logs.agent <> '' then request_logs.agent else coalesce((
    select substr(value, ${sql.lit(agentTag.length + 1)}) from ${each(tagList)}
    where substr(value, 1, ${sql.lit(agentTag.length)}) = ${sql.lit(agentTag)} order by key limit 1
  ), '') end`
  const rowColumns: Partial<Record<Dimension, Sql>> = {
    agent,
    model_asked: sql`case when outcome = 'refused' then '' else model_asked end`,
    status_class: isClickHouse ? sql`toString(intDiv(status, 100)) || 'xx'` : sql`cast(status / 100 as text) || 'xx'`,
    error_kind: sql`error_code`,
    stream: sql`cast(stream as text)`,
    source: sql`case when is_synthetic = 1 then ${sql.lit(demoSource)} else '' end`,
    tag: isClickHouse ? sql`tag_of_row` : sql`tag_of_row.value`,
  }
  const is = (outcome: string) => `case when outcome = '${outcome}' then 1 else 0 end`
  const generated = 'stream = 1 and first_token_ms is not null and latency_ms > first_token_ms'
  const rowMeasures: Partial<Record<Measure, string>> = {
    requests: '1',
    successes: is('success'),
    failures: is('failure'),
    aborted: is('aborted'),
    truncated: is('truncated'),
    refused: is('refused'),
    cost_nano_usd: 'coalesce(cost_nano_usd, 0)',
    unpriced_requests: 'case when cost_nano_usd is null then 1 else 0 end',
    wasted_nano_usd: 'coalesce(wasted_nano_usd, 0)',
    unpriced_wasted: 'case when wasted_nano_usd is null then 1 else 0 end',
    cache_hits: "case when cache_hit <> '' then 1 else 0 end",
    latency_ms_sum: 'latency_ms',
    first_token_ms_sum: 'coalesce(first_token_ms, 0)',
    first_token_count: 'case when first_token_ms is null then 0 else 1 end',
    generation_ms_sum: `case when ${generated} then latency_ms - first_token_ms else 0 end`,
    generation_tokens: `case when ${generated} then tokens_out else 0 end`,
  }

  function column(dimension: Dimension, piece: Piece): Sql {
    if (piece.grain === 'rows') return rowColumns[dimension] ?? sql.ref(dimensionColumns[dimension])
    if ('facet' in piece.shape && dimension === piece.shape.facet) return sql.ref('value')
    return sql.ref(dimensionColumns[dimension])
  }

  function table(piece: Piece): Sql {
    const { shape, grain } = piece
    if (grain === 'rows') return sql`request_logs`
    const names = {
      facet: 'usage_facets',
      cube: 'usage_cube',
      latency: 'usage_latency',
      durations: 'usage_durations',
      rows: '',
    } as const
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
    if (isClickHouse) return sql`roundDown(${time}, ${sql.raw(`[${buckets.starts.join()}]`)})`
    const edges = buckets.starts
      .slice(1)
      .map((edge, i) => sql`when ${time} < ${sql.lit(edge)} then ${sql.lit(buckets.starts[i]!)}`)
    const last = sql.lit(buckets.starts.at(-1)!)
    return edges.length === 0 ? last : sql`case ${sql.join(edges, sql` `)} else ${last} end`
  }

  /**
   * When it is. Few values of many stand in few places of the key of a facet: those of each slot are looked up, instead of
   * reading past everybody else's.
   */
  function times({ scope, filters }: Pick<Selection, 'scope' | 'filters'>, { grain, from, to, shape }: Piece): Sql {
    if (grain === 'rows') return sql.raw(`started_at >= ${from} and started_at < ${to}`)
    const size = grainMs[grain]
    const slots = Math.ceil((to - from) / size)
    const facet = 'facet' in shape ? shape.facet || 'tenant' : null
    const isOfScope =
      (facet === 'tenant' && scope.kind !== 'everything') || (facet === 'user' && scope.kind === 'person')
    const values = isOfScope ? 1 : facet === null ? undefined : filters[facet]?.length
    if (values === undefined || slots * values > mostLookedUp) return sql.raw(`slot >= ${from} and slot < ${to}`)
    const first = Math.ceil(from / size) * size
    return sql.raw(`slot in (${Array.from({ length: slots }, (_, index) => first + index * size).join(', ')})`)
  }

  function conditions(
    { scope, filters, dimensions }: Pick<Selection, 'scope' | 'filters' | 'dimensions'>,
    piece: Piece,
    kind?: string,
  ): Sql[] {
    const all = [times({ scope, filters }, piece)]
    if (scope.kind !== 'everything') all.push(sql`${column('tenant', piece)} = ${scope.tenantId}`)
    if (scope.kind === 'person') all.push(sql`${column('user', piece)} = ${scope.userId}`)
    for (const [name, values] of Object.entries(filters) as [Dimension, readonly string[]][]) {
      // Rows are of nobody else: looked at for each of them, it would have the whole row read where an index has the rest.
      if (name === 'source' && piece.grain === 'rows' && ownSources.every((own) => values.includes(own))) continue
      const list = sql.join(values.length === 0 ? [null] : values)
      if (name === 'tag' && piece.grain === 'rows') {
        all.push(
          isClickHouse
            ? sql`arrayExists(each -> each in (${list}), tag_list)`
            : sql`exists (select 1 from ${each(tagsWithNone)} where value in (${list}))`,
        )
        if (hasTagOfRow({ dimensions }, piece)) all.push(sql`${column('tag', piece)} in (${list})`)
      } else all.push(sql`${column(name, piece)} in (${list})`)
    }
    if (piece.grain !== 'rows') {
      if ('facet' in piece.shape) all.push(sql`facet = ${sql.lit(piece.shape.facet)}`)
      if (piece.shape.kind === 'facet' && piece.shape.facet === '') all.push(sql`value = ''`)
      if (kind !== undefined) all.push(sql`kind = ${sql.lit(kind)}`)
      if (piece.isForeignOnly) all.push(sql`source not in (${sql.join(ownSources.map((name) => sql.lit(name)))})`)
    }
    return all
  }
  function from(selection: Selection, piece: Piece): Sql {
    const isEnd = piece.shape.kind !== 'rows' && selection.filters.key === undefined
    const rows = isEnd ? rowsByTime : sql`request_logs`
    if (!hasTagOfRow(selection, piece)) return piece.grain === 'rows' ? rows : table(piece)
    if (isClickHouse) return sql`request_logs array join tag_list as tag_of_row`
    return isSqlite
      ? sql`${rows}, json_each(${tagsWithNone}) as tag_of_row`
      : sql`request_logs, json_array_elements_text((${tagsWithNone})::json) with ordinality as tag_of_row(value, key)`
  }

  return {
    conditions,

    /** Sums of measures by their names. One text: put together of parts, it would cost more than it is to be answered. */
    sums(names: readonly Measure[], piece: Piece): Sql {
      const expressionOf = (name: Measure) => (piece.grain === 'rows' ? (rowMeasures[name] ?? name) : name)
      // Counts are unsigned in ClickHouse, and sums of both kinds have no type in common.
      const sumOf = (name: Measure) =>
        isClickHouse ? `toInt64(sum(${expressionOf(name)}))` : `sum(${expressionOf(name)})`
      return sql.raw(names.map((name) => `${sumOf(name)} as ${name}`).join(', '))
    },

    counted(name: 'user' | 'key' | 'ip', piece: Piece): Sql {
      return name === 'ip' ? sql.ref('client_ip') : column(name, piece)
    },

    /** The bucket of a duration and how many there are. */
    durations(kind: 'latency' | 'first_token', piece: Piece): Sql {
      if (piece.grain !== 'rows') return sql`bucket as duration, sum(amount) as amount`
      const ms = sql.ref(kind === 'latency' ? 'latency_ms' : 'first_token_ms')
      if (isClickHouse) return sql`${sql.ref(`${kind}_bucket`)} as duration, toInt64(count(${ms})) as amount`
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
        // Who was only paid back, or had a task settled, asked for nothing then.
        if (isCounting === true && piece.grain !== 'rows') all.push(sql`requests <> 0`)
        if (hasTagOfRow(selection, piece) && !isClickHouse) {
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
        // One bucket is a constant: by it, engines would sort every row of the piece.
        const first = selection.buckets.kind === 'one' ? 2 : 1
        const last = names.length + (kind === undefined && isCounting !== true ? 0 : 1)
        const positions = Array.from({ length: last - first + 1 }, (_, index) => first + index)
        const groups = sql.raw(positions.length === 0 ? 'having count(*) > 0' : `group by ${positions.join(', ')}`)
        return sql`select ${sql.join(names)}, ${what(piece)} from ${source} where ${sql.join(all, sql` and `)} ${groups}`
      })
      return selects.length === 0 ? null : sql.join(selects, sql` union all `)
    },
  }
}

function hasTagOfRow({ dimensions }: Pick<Selection, 'dimensions'>, { grain }: Piece): boolean {
  return grain === 'rows' && dimensions.includes('tag')
}

/** Rows are of our own traffic: where they stand for a part of a sum, foreign sources give the whole sum. */
function piecesOf({ segments, shape, filters }: Selection): Piece[] {
  const isOfOthersToo = filters.source?.every((name) => (ownSources as readonly string[]).includes(name)) !== true
  return segments.flatMap((segment): Piece[] => {
    const piece = { ...segment, shape, isForeignOnly: false }
    if (segment.grain !== 'rows' || shape.kind === 'rows' || !isOfOthersToo) return [piece]
    const finest =
      shape.kind === 'latency' || shape.kind === 'durations'
        ? ({ grain: 'hour', size: 4 * quarterMs } as const)
        : ({ grain: 'quarter', size: quarterMs } as const)
    const from = segment.from - (segment.from % finest.size)
    return [piece, { ...piece, grain: finest.grain, from, isForeignOnly: true }]
  })
}
