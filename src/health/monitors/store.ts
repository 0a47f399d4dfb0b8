import { type ExpressionBuilder, type Kysely, sql, type Transaction } from 'kysely'
import type { Scope } from '../../kernel/scope.ts'
import { readRevision } from '../../platform/database/index.ts'

export type MonitorRow = {
  id: string
  tenant_id: string
  name: string
  type: string
  level: string
  description: string
  parameters: string
  /** An envelope around the secret parameters; '' for none. */
  sealed: string
  interval_ms: number
  retry_interval_ms: number
  timeout_ms: number
  retries: number
  failures: number
  successes: number
  enabled: number
  is_public: number
  is_upside_down: number
  depends_on: string
  windows: string
  push_hash: string | null
  created_at: number
  updated_at: number
}

export type ResultRow = {
  check_id: string
  at: number
  /** How long this result stands for: since the one before, within reason. */
  span_ms: number
  state: string
  in_maintenance: number
  latency_ms: number
  reason: string
  message: string
}

export type SumRow = {
  grain_ms: number
  check_id: string
  /** Beginning of the span, epoch ms. */
  at: number
  up_ms: number
  down_ms: number
  unknown_ms: number
  maintenance_up_ms: number
  maintenance_down_ms: number
  results: number
  latencies: string
}

export type PushRow = { check_id: string; at: number; status: string; message: string; ping_ms: number | null }

export type ChecksTables = {
  checks: MonitorRow
  check_standings: { check_id: string; standing: string; updated_at: number }
  check_pushes: PushRow
  check_results: ResultRow
  check_sums: SumRow
  check_marks: { name: string; at: number }
}

export type MonitorStore = ReturnType<typeof createMonitorStore>
type Db = Kysely<ChecksTables> | Transaction<ChecksTables>

const children = ['check_standings', 'check_pushes', 'check_results', 'check_sums'] as const

/** Checks have no person: whoever is none of an administrator covers nothing. */
function covers(scope: Scope) {
  return (row: ExpressionBuilder<ChecksTables, 'checks'>) =>
    scope.kind === 'tenant' ? row('checks.tenant_id', '=', scope.tenantId) : row.lit(scope.kind === 'everything')
}

export function createMonitorStore(db: Kysely<ChecksTables>) {
  const joined = (on: Db) =>
    on
      .selectFrom('checks')
      .leftJoin('check_standings', 'check_standings.check_id', 'checks.id')
      .selectAll('checks')
      .select('check_standings.standing as standing')

  return {
    list: (scope: Scope, limit: number, before?: string) =>
      joined(db)
        .where(covers(scope))
        .$if(before !== undefined, (query) => query.where('checks.id', '<', before!))
        .orderBy('checks.id', 'desc')
        .limit(limit)
        .execute(),
    find: (scope: Scope, id: string) => joined(db).where('checks.id', '=', id).where(covers(scope)).executeTakeFirst(),
    findPublic: (id: string) =>
      joined(db).where('checks.id', '=', id).where('is_public', '=', 1).where('enabled', '=', 1).executeTakeFirst(),
    listPublic: () =>
      joined(db).where('is_public', '=', 1).where('enabled', '=', 1).orderBy('checks.name').limit(500).execute(),
    loadAll: () => joined(db).where('enabled', '=', 1).execute(),
    /** Which of these ids a tenant has. */
    async idsWithin(tenantId: string, ids: readonly string[]): Promise<Map<string, string[]>> {
      if (ids.length === 0) return new Map()
      const rows = await db
        .selectFrom('checks')
        .select(['id', 'depends_on'])
        .where('tenant_id', '=', tenantId)
        .execute()
      return new Map(rows.map(({ id, depends_on }) => [id, JSON.parse(depends_on) as string[]]))
    },
    async counts(tenantId: string): Promise<{ all: number; ofTenant: number }> {
      const row = await db
        .selectFrom('checks')
        .select((row) => [
          row.fn.countAll<number>().as('all'),
          sql<number>`sum(case when tenant_id = ${tenantId} then 1 else 0 end)`.as('own'),
        ])
        .executeTakeFirstOrThrow()
      return { all: Number(row.all), ofTenant: Number(row.own ?? 0) }
    },
    /** Changes when any check does: by the number, too, for two changes of one moment, or of clocks that differ, are two. */
    async stamp(): Promise<string> {
      const row = await db
        .selectFrom('checks')
        .select((row) => [row.fn.countAll<number>().as('all'), row.fn.max('updated_at').as('last')])
        .executeTakeFirstOrThrow()
      return `${row.all}:${row.last ?? 0}:${await readRevision(db, 'checks')}`
    },

    insert: async (row: MonitorRow) => void (await db.insertInto('checks').values(row).execute()),
    patch: (scope: Scope, id: string, patch: Partial<Omit<MonitorRow, 'id'>>) =>
      db.updateTable('checks').set(patch).where('id', '=', id).where(covers(scope)).returning('id').executeTakeFirst(),
    delete: (scope: Scope, id: string): Promise<boolean> =>
      db.transaction().execute(async (trx) => {
        const gone = await trx.deleteFrom('checks').where('id', '=', id).where(covers(scope)).returning('id').execute()
        if (gone.length > 0)
          for (const table of children) await trx.deleteFrom(table).where('check_id', '=', id).execute()
        return gone.length > 0
      }),

    /** The enabled check behind a push address. */
    byPushHash: (hash: string) =>
      db
        .selectFrom('checks')
        .select(['id', 'enabled'])
        .where('push_hash', '=', hash)
        .where('type', '=', 'push')
        .executeTakeFirst(),
    async keepPush(push: PushRow): Promise<void> {
      const { check_id: _, ...rest } = push
      await db
        .insertInto('check_pushes')
        .values(push)
        .onConflict((conflict) => conflict.column('check_id').doUpdateSet(rest))
        .execute()
    },
    findPush: (id: string) => db.selectFrom('check_pushes').selectAll().where('check_id', '=', id).executeTakeFirst(),

    /** Standings and results of one moment, together: what was told is what is written down. */
    async keep(
      standings: readonly { id: string; standing: string; at: number }[],
      results: readonly ResultRow[],
    ): Promise<void> {
      await db.transaction().execute(async (trx) => {
        for (const part of slices(standings, 200)) {
          await trx
            .insertInto('check_standings')
            .values(part.map(({ id, standing, at }) => ({ check_id: id, standing, updated_at: at })))
            .onConflict((conflict) =>
              conflict.column('check_id').doUpdateSet((row) => ({
                standing: row.ref('excluded.standing'),
                updated_at: row.ref('excluded.updated_at'),
              })),
            )
            .execute()
        }
        for (const part of slices(results, 200)) {
          await trx
            .insertInto('check_results')
            .values([...part])
            .onConflict((conflict) => conflict.columns(['check_id', 'at']).doNothing())
            .execute()
        }
      })
    },

    results: (checkId: string, from: number, to: number, limit: number): Promise<ResultRow[]> =>
      db
        .selectFrom('check_results')
        .selectAll()
        .where('check_id', '=', checkId)
        .where('at', '>=', from)
        .where('at', '<', to)
        .orderBy('at', 'desc')
        .limit(limit)
        .execute(),
    resultsOfAll: (from: number, to: number): Promise<ResultRow[]> =>
      db.selectFrom('check_results').selectAll().where('at', '>=', from).where('at', '<', to).execute(),
    sums: (grainMs: number, checkId: string, from: number, to: number): Promise<SumRow[]> =>
      db
        .selectFrom('check_sums')
        .selectAll()
        .where('grain_ms', '=', grainMs)
        .where('check_id', '=', checkId)
        .where('at', '>=', from)
        .where('at', '<', to)
        .orderBy('at')
        .execute(),
    sumsOfAll: (grainMs: number, from: number, to: number): Promise<SumRow[]> =>
      db
        .selectFrom('check_sums')
        .selectAll()
        .where('grain_ms', '=', grainMs)
        .where('at', '>=', from)
        .where('at', '<', to)
        .execute(),
    /** How far sums of a grain reach; 0 for not at all. */
    async summedUntil(grainMs: number): Promise<number> {
      const row = await db
        .selectFrom('check_marks')
        .select('at')
        .where('name', '=', `summed:${grainMs}`)
        .executeTakeFirst()
      return Number(row?.at ?? 0)
    },
    async firstResultAt(): Promise<number | null> {
      const row = await db
        .selectFrom('check_results')
        .select((row) => row.fn.min('at').as('at'))
        .executeTakeFirst()
      return row?.at === null || row === undefined ? null : Number(row.at)
    },
    /** Puts the sums of whole spans in place of what is there: doing it twice changes nothing. */
    async putSums(grainMs: number, rows: readonly SumRow[], until: number): Promise<void> {
      await db.transaction().execute(async (trx) => {
        for (const part of slices(rows, 100)) {
          await trx
            .insertInto('check_sums')
            .values([...part])
            .onConflict((conflict) =>
              conflict.columns(['grain_ms', 'check_id', 'at']).doUpdateSet((row) => ({
                up_ms: row.ref('excluded.up_ms'),
                down_ms: row.ref('excluded.down_ms'),
                unknown_ms: row.ref('excluded.unknown_ms'),
                maintenance_up_ms: row.ref('excluded.maintenance_up_ms'),
                maintenance_down_ms: row.ref('excluded.maintenance_down_ms'),
                results: row.ref('excluded.results'),
                latencies: row.ref('excluded.latencies'),
              })),
            )
            .execute()
        }
        await trx
          .insertInto('check_marks')
          .values({ name: `summed:${grainMs}`, at: until })
          .onConflict((conflict) => conflict.column('name').doUpdateSet({ at: until }))
          .execute()
      })
    },

    /** Deletes at most `limit` results older than `before`; says how many. */
    async deleteResults(before: number, limit: number): Promise<number> {
      const old = db.selectFrom('check_results').select('at').where('at', '<', before).orderBy('at').limit(limit)
      const last = await db
        .selectFrom(old.as('old'))
        .select((row) => row.fn.max('at').as('at'))
        .executeTakeFirst()
      if (last?.at === null || last === undefined) return 0
      const gone = await db.deleteFrom('check_results').where('at', '<=', Number(last.at)).executeTakeFirst()
      return Number(gone.numDeletedRows)
    },
    async deleteSums(grainMs: number, before: number): Promise<number> {
      const gone = await db
        .deleteFrom('check_sums')
        .where('grain_ms', '=', grainMs)
        .where('at', '<', before)
        .executeTakeFirst()
      return Number(gone.numDeletedRows)
    },
    /** What was written of a check while it was being deleted. */
    async deleteOrphans(): Promise<void> {
      for (const table of ['check_standings', 'check_pushes'] as const) {
        await db.deleteFrom(table).where('check_id', 'not in', db.selectFrom('checks').select('id')).execute()
      }
    },
    /** Whether this is the first to say it: `work` happens once. */
    once: (name: string, at: number, rows: readonly MonitorRow[]): Promise<boolean> =>
      db.transaction().execute(async (trx) => {
        const said = await trx
          .insertInto('check_marks')
          .values({ name, at })
          .onConflict((conflict) => conflict.column('name').doNothing())
          .returning('name')
          .executeTakeFirst()
        if (said === undefined) return false
        if (rows.length > 0) {
          await trx
            .insertInto('checks')
            .values([...rows])
            .onConflict((conflict) => conflict.columns(['tenant_id', 'name']).doNothing())
            .execute()
        }
        return true
      }),
  }
}

function* slices<T>(items: readonly T[], size: number): Generator<readonly T[]> {
  for (let at = 0; at < items.length; at += size) yield items.slice(at, at + size)
}
