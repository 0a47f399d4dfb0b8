/** Looks at a stopped hub's ledger from outside: straight into its store and its journal. */
import { globSync } from 'node:fs'
import { join } from 'node:path'
import { sql } from 'kysely'
import { systemClock } from '../../src/kernel/clock.ts'
import { openDatabase } from '../../src/platform/database/index.ts'
import { silentLog } from '../../src/platform/database/testing-log.ts'
import { openJournal } from '../../src/platform/journal/journal.ts'
import { createMetrics } from '../../src/platform/metrics.ts'

export type Audit = {
  rows: number
  /** Answered requests without a row, by trace id. */
  missing: string[]
  /** Trace ids that stand in more than one row. */
  doubled: string[]
  /** Hourly sums and sums of reports that are not what the rows add up to, as the store tells both. */
  wrongSums: unknown[]
  /** Entries that the journal still holds, or has set aside. */
  unsettled: number
  rejected: number
}

export async function auditLedger(
  { databaseUrl, dataDir }: { databaseUrl: string; dataDir: string },
  answered: readonly { traceId: string }[],
): Promise<Audit> {
  const database = await openDatabase({ url: databaseUrl, dataDir, log: silentLog })
  try {
    const { rows: counts } = await sql<{ trace_id: string; n: number }>`
      select trace_id, count(*) as n from request_logs group by trace_id`.execute(database.kysely)
    const { rows: wrongSums } = await sql`${sql.raw(differences)}`.execute(database.kysely)
    for (const { table, facet, difference } of reports) {
      const { rows } = await sql`${sql.raw(difference)}`.execute(database.kysely)
      wrongSums.push(...rows.map((row) => ({ ...(row as object), table, facet })))
    }
    const seen = new Map(counts.map(({ trace_id, n }) => [trace_id, n]))
    return {
      rows: counts.reduce((sum, { n }) => sum + n, 0),
      missing: answered.map(({ traceId }) => traceId).filter((traceId) => !seen.has(traceId)),
      doubled: counts.filter(({ n }) => n > 1).map(({ trace_id }) => trace_id),
      wrongSums,
      ...auditJournals(
        ['journal', ...globSync('workers/*/journal', { cwd: dataDir })].map((path) => join(dataDir, path)),
      ),
    }
  } finally {
    await database.close()
  }
}

/** Of a hub with workers, each process has its own. */
function auditJournals(folders: readonly string[]): Pick<Audit, 'unsettled' | 'rejected'> {
  const all = folders.map(auditJournal)
  return {
    unsettled: all.reduce((sum, { unsettled }) => sum + unsettled, 0),
    rejected: all.reduce((sum, { rejected }) => sum + rejected, 0),
  }
}

function auditJournal(folder: string): Pick<Audit, 'unsettled' | 'rejected'> {
  const journal = openJournal({ folder, clock: systemClock, log: silentLog, metrics: createMetrics() })
  const found = { unsettled: journal.size(), rejected: journal.rejects(Number.MAX_SAFE_INTEGER).length }
  journal.close()
  return found
}

const keys = [
  'tenant_id',
  'user_id',
  'key_id',
  'provider_id',
  'model_asked',
  'model_served',
  'endpoint',
  'outcome',
  'is_synthetic',
]

/** What each hourly sum is, said in SQL and not by the code under test. */
const measures = {
  requests: 'count(*)',
  ...Object.fromEntries(
    [
      ['successes', 'success'],
      ['failures', 'failure'],
      ['aborted', 'aborted'],
      ['truncated', 'truncated'],
      ['refused', 'refused'],
    ].map(([measure, outcome]) => [measure, `sum(case when outcome = '${outcome}' then 1 else 0 end)`]),
  ),
  ...Object.fromEntries(
    ['attempts', 'tokens_in', 'tokens_out', 'tokens_cached_read', 'tokens_cached_write', 'tokens_reasoning'].map(
      (column) => [column, `sum(${column})`],
    ),
  ),
  cost_nano_usd: 'sum(coalesce(cost_nano_usd, 0))',
  unpriced_requests: 'sum(case when cost_nano_usd is null then 1 else 0 end)',
  estimated_requests: "sum(case when usage_source = 'estimated' then 1 else 0 end)",
  latency_ms_sum: 'sum(latency_ms)',
  first_token_ms_sum: 'sum(coalesce(first_token_ms, 0))',
  first_token_count: 'sum(case when first_token_ms is null then 0 else 1 end)',
}

/** Sums of reports have no key for outcomes, and no measure of how usage came to be known. */
const { estimated_requests: _, ...reported } = measures as Record<string, string>
const source = "case when is_synthetic = 1 then 'demo' else '' end"
const grains = { quarter: 900_000, hour: 3_600_000, day: 86_400_000 }

/** Every grain of the sums of reports, cut along one dimension or along all of them, against the rows. */
const reports = [
  ...Object.entries(grains).flatMap(([grain, sizeMs]) =>
    [
      { facet: '', value: "cast('' as text)" },
      { facet: 'user', value: 'user_id' },
      { facet: 'model', value: 'model_served' },
    ].map(({ facet, value }) => ({ sizeMs, table: `usage_facets_${grain}`, facet, names: { value } })),
  ),
  ...(['quarter', 'day'] as const).map((grain) => ({
    ...{ sizeMs: grains[grain], table: `usage_cube_${grain}`, facet: null },
    names: { user_id: 'user_id', key_id: 'key_id', provider_id: 'provider_id', endpoint: 'endpoint' },
  })),
].map(({ sizeMs, table, facet, names }) => {
  const slot = `(started_at / ${sizeMs}) * ${sizeMs}`
  const by = { slot, source, tenant_id: 'tenant_id', ...names }
  const sums = Object.keys(reported).map((name) => `sum(${name}) as ${name}`)
  const told = `select ${[...Object.keys(by), ...sums].join(', ')} from ${table} ${facet === null ? '' : `where facet = '${facet}'`}
    group by ${Object.keys(by).join(', ')}`
  const truth = `select ${Object.entries({ ...by, ...reported })
    .map(([name, expression]) => `${expression} as ${name}`)
    .join(', ')} from request_logs group by ${Object.values(by).join(', ')}`
  return { table, facet, difference: differenceOf(told, truth) }
})

const columns = ['hour', ...keys, ...Object.keys(measures)].join(', ')
const kept = `select ${columns} from usage_hourly`
const added = `select (started_at / 3600000) * 3600000 as hour, ${keys.join(', ')}, ${Object.entries(measures)
  .map(([name, expression]) => `${expression} as ${name}`)
  .join(', ')} from request_logs group by (started_at / 3600000) * 3600000, ${keys.join(', ')}`
const differences = differenceOf(kept, added)

function differenceOf(told: string, truth: string): string {
  return `select * from (${told} except ${truth}) as too_much union all select * from (${truth} except ${told}) as too_little`
}
