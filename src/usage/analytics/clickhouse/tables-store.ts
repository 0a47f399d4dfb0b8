import { cubeKeys, measures } from '../schema.ts'
import { keysOfTable, type SumTable } from '../sums-store.ts'
import { addedColumns, requestColumns } from './rows.ts'

/** What changes together: all that belongs to one slot of this length is copied and shown at once. */
export const copyGrains = ['quarter', 'hour', 'day'] as const
export type CopyGrain = (typeof copyGrains)[number]

export type CopiedTable = SumTable | 'request_logs'

export const tablesOf = {
  quarter: ['request_logs', 'usage_facets_quarter', 'usage_cube_quarter'],
  hour: ['usage_facets_hour', 'usage_latency_hour', 'usage_durations_hour'],
  day: ['usage_facets_day', 'usage_cube_day', 'usage_latency_day', 'usage_durations_day'],
} as const satisfies Record<CopyGrain, readonly CopiedTable[]>

/** Moves with every change of the statements below; a test holds them together. */
export const shape = 1

const numbers = new Set<string>([
  ...measures,
  ...(['slot', 'bucket', 'amount', 'started_at', 'status', 'stream', 'latency_ms', 'attempts'] as const),
  ...(['is_synthetic', 'latency_bucket', 'first_token_bucket'] as const),
])
const numbersOrNull = new Set<string>(['cost_nano_usd', 'wasted_nano_usd', 'first_token_ms'])

export function columnsOfCopy(table: CopiedTable): readonly string[] {
  if (table === 'request_logs') return [...requestColumns, ...addedColumns]
  return [...keysOfTable(table), ...(/^usage_(latency|durations)/.test(table) ? ['amount'] : measures)]
}

function typeOf(table: CopiedTable, column: string): string {
  if (column === 'tag_list') return 'Array(String)'
  if (table === 'request_logs') {
    if (numbersOrNull.has(column)) return 'Nullable(Int64)'
    return numbers.has(column) ? 'Int64' : 'String'
  }
  // A dimension of sums is a text, whatever it is of a request.
  if ((cubeKeys as readonly string[]).includes(column)) return 'String'
  return numbers.has(column) ? 'Int64' : 'String'
}

const orders: Record<string, string> = {
  request_logs: 'slot, started_at, id',
  facets: 'facet, slot, source, value, tenant_id',
  cube: 'slot, source, tenant_id, model_served, user_id, key_id',
  latency: 'kind, slot, source, tenant_id, model_served, provider_id, bucket',
  durations: 'facet, kind, slot, source, value, bucket',
}

/**
 * Every row has the number of the copy it came with. `usage_copies` says which copies are whole; the views, which have the
 * names of the main store's tables, show of each slot its last whole one and nothing else: what is half written, or was
 * there before, is never seen.
 */
export function createStatements(): string[] {
  const made = [
    `create table if not exists usage_copies (grain String, slot Int64, copy Int64, version Int64, noted Int64, is_whole Int64)
      engine = MergeTree order by (grain, slot, copy)`,
    `create table if not exists usage_state_copies (name String, value Int64, copy Int64)
      engine = ReplacingMergeTree(copy) order by name`,
    `create or replace view usage_analytics_state as
      select name, argMax(value, copy) as value from usage_state_copies group by name`,
    // Whoever keeps what it read of a day reads it again after each copy.
    `create or replace view usage_day_versions as
      select slot as day, max(copy) as version from usage_copies where grain = 'day' and is_whole = 1 group by slot`,
  ]
  for (const grain of copyGrains) {
    for (const table of tablesOf[grain]) {
      const columns = columnsOfCopy(table)
      const typed = columns.map((name) => `"${name}" ${typeOf(table, name)}`).join(', ')
      const order = orders[table === 'request_logs' ? table : table.split('_')[1]!]
      // A month of days together; else each day by itself, for that is what is replaced and what grows old.
      const partition = grain === 'day' ? `toYYYYMM(fromUnixTimestamp64Milli(slot, 'UTC'))` : 'intDiv(slot, 86400000)'
      made.push(
        `create table if not exists ${table}_copies (${typed}, copy Int64)
          engine = MergeTree partition by ${partition} order by (${order})`,
        `create or replace view ${table} as select * from ${table}_copies where (slot, copy) in (
          select slot, max(copy) from usage_copies where grain = '${grain}' and is_whole = 1 group by slot)`,
      )
    }
  }
  return made
}

/** Tables and views by their names, for whoever looks whether all are there. */
export function madeNames(): string[] {
  const tables = copyGrains.flatMap((grain): CopiedTable[] => [...tablesOf[grain]])
  const beside = ['usage_analytics_state', 'usage_day_versions', 'usage_copies', 'usage_state_copies']
  return [...tables, ...tables.map((name) => `${name}_copies`), ...beside]
}

/** Everything that was made, for a copy of another shape. */
export function dropStatements(): string[] {
  const tables = copyGrains.flatMap((grain): CopiedTable[] => [...tablesOf[grain]])
  return [
    ...[...tables, 'usage_analytics_state', 'usage_day_versions'].map((name) => `drop view if exists ${name}`),
    ...tables.map((name) => `drop table if exists ${name}_copies sync`),
    ...['usage_copies', 'usage_state_copies'].map((name) => `drop table if exists ${name} sync`),
  ]
}
