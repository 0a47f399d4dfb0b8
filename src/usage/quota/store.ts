import { type ExpressionBuilder, type Kysely, sql, type Transaction } from 'kysely'
import type { Scope } from '../../kernel/scope.ts'
import { bumpRevision, readRevision } from '../../platform/database/index.ts'
import type { UsageTables } from '../rows.ts'
import type { BudgetPeriod, BudgetScope, LimitScope } from './scopes.ts'

export type LimitRow = {
  id: string
  scope: LimitScope
  scope_id: string
  /** Whose thing is limited; '' for what belongs to nobody. */
  tenant_id: string
  rpm: number | null
  tpm: number | null
  concurrency: number | null
  created_at: number
  updated_at: number
}

export type BudgetRow = {
  id: string
  scope: BudgetScope
  scope_id: string
  tenant_id: string
  period: BudgetPeriod
  zone: string
  limit_nano_usd: number
  is_hard: number
  created_at: number
  updated_at: number
}

/** A budget that holds: one that is stored, or one of the hub's own out of its settings. */
export type Budget = Omit<BudgetRow, 'scope'> & { scope: BudgetScope | 'hub' }

export type QuotaTables = {
  limits: LimitRow
  budgets: BudgetRow
  budget_spending: { budget_id: string; starts_at: number; spent_nano_usd: number }
}

export type QuotaStore = ReturnType<typeof createQuotaStore>

const hourMs = 3_600_000
const columns = {
  ...{ key: 'key_id', user: 'user_id', tenant: 'tenant_id', provider: 'provider_id' },
  // What the hub asks for itself is told apart by what it is for, which stands where callers' paths do.
  hub: 'endpoint',
} as const
/** Of what the ledger can sum up: its rows have no tags. */
export type SummedScope = keyof typeof columns

/** A tenant's are those of its keys, its people and itself; people below its administrators see none. */
function covers(scope: Scope) {
  return (row: ExpressionBuilder<QuotaTables, 'limits' | 'budgets'>) => {
    if (scope.kind !== 'tenant') return row.lit(scope.kind === 'everything')
    return row.and([row('tenant_id', '=', scope.tenantId), row('scope', 'in', ['key', 'user', 'tenant'])])
  }
}

/** Limits, budgets, and what the ledger says was spent. Each change moves the `limits` revision with it. */
export function createQuotaStore(db: Kysely<QuotaTables & UsageTables>) {
  const write = <T>(work: (trx: Transaction<QuotaTables>) => Promise<T>): Promise<T> =>
    db.transaction().execute(async (trx) => {
      const result = await work(trx as unknown as Transaction<QuotaTables>)
      await bumpRevision(trx, 'limits')
      return result
    })

  /** Newest first, from before `before`; for a tenant only what stands on its own things. */
  const list = <Name extends 'limits' | 'budgets'>(
    table: Name,
    scope: Scope,
    limit: number,
    before: string | undefined,
  ): Promise<QuotaTables[Name][]> =>
    db
      // The columns asked for are those that both tables have.
      .selectFrom(table as 'limits')
      .selectAll()
      .where(covers(scope))
      .$if(before !== undefined, (query) => query.where('id', '<', before!))
      .orderBy('id', 'desc')
      .limit(limit)
      .execute() as unknown as Promise<QuotaTables[Name][]>

  return {
    revision: () => readRevision(db, 'limits'),
    readAll: async () => ({
      limits: await db.selectFrom('limits').selectAll().orderBy('id').execute(),
      budgets: await db.selectFrom('budgets').selectAll().orderBy('id').execute(),
    }),

    listLimits: (scope: Scope, limit: number, before?: string): Promise<LimitRow[]> =>
      list('limits', scope, limit, before),
    findLimit: (scope: Scope, id: string): Promise<LimitRow | undefined> =>
      db.selectFrom('limits').selectAll().where('id', '=', id).where(covers(scope)).executeTakeFirst(),
    insertLimit: (row: LimitRow) => write((trx) => trx.insertInto('limits').values(row).execute()),
    updateLimit: (scope: Scope, id: string, change: Partial<LimitRow>) =>
      write((trx) => trx.updateTable('limits').set(change).where('id', '=', id).where(covers(scope)).execute()),
    deleteLimit: (scope: Scope, id: string) =>
      write((trx) => trx.deleteFrom('limits').where('id', '=', id).where(covers(scope)).execute()),

    listBudgets: (scope: Scope, limit: number, before?: string): Promise<BudgetRow[]> =>
      list('budgets', scope, limit, before),
    findBudget: (scope: Scope, id: string): Promise<BudgetRow | undefined> =>
      db.selectFrom('budgets').selectAll().where('id', '=', id).where(covers(scope)).executeTakeFirst(),
    insertBudget: (row: BudgetRow) => write((trx) => trx.insertInto('budgets').values(row).execute()),
    updateBudget: (scope: Scope, id: string, change: Partial<BudgetRow>) =>
      write((trx) => trx.updateTable('budgets').set(change).where('id', '=', id).where(covers(scope)).execute()),
    /** What was spent of it goes with it. */
    deleteBudget: (scope: Scope, id: string) =>
      write((trx) => trx.deleteFrom('budgets').where('id', '=', id).where(covers(scope)).execute()),

    /**
     * What the ledger's rows since `startsAt` cost, by id, for these ids of one scope. Whole hours come from the hourly
     * sums; a period that begins within an hour, as days do in Kolkata, has the rest of it summed from the rows.
     */
    async sumSpending(scope: SummedScope, ids: readonly string[], startsAt: number): Promise<Map<string, number>> {
      const column = columns[scope]
      const firstHour = Math.ceil(startsAt / hourMs) * hourMs
      const sums = new Map<string, number>()
      const add = (rows: { id: string; spent: number | string | null }[]) => {
        for (const { id, spent } of rows) sums.set(id, (sums.get(id) ?? 0) + Number(spent ?? 0))
      }
      for (let i = 0; i < ids.length; i += 500) {
        const some = ids.slice(i, i + 500)
        const spent = sql<number | string | null>`sum(cost_nano_usd)`.as('spent')
        add(
          await db
            .selectFrom('usage_hourly')
            .select([sql.ref<string>(column).as('id'), spent])
            .where('hour', '>=', firstHour)
            .where(sql.ref<string>(column), 'in', some)
            .where('is_synthetic', '=', 0)
            .groupBy(sql.ref(column))
            .execute(),
        )
        if (firstHour === startsAt) continue
        add(
          await db
            .selectFrom('request_logs')
            .select([sql.ref<string>(column).as('id'), spent])
            .where('started_at', '>=', startsAt)
            .where('started_at', '<', firstHour)
            .where(sql.ref<string>(column), 'in', some)
            .where('is_synthetic', '=', 0)
            .groupBy(sql.ref(column))
            .execute(),
        )
      }
      return sums
    },

    async savedSpending(budgetId: string, startsAt: number): Promise<number> {
      const row = await db
        .selectFrom('budget_spending')
        .select('spent_nano_usd')
        .where('budget_id', '=', budgetId)
        .where('starts_at', '=', startsAt)
        .executeTakeFirst()
      return row?.spent_nano_usd ?? 0
    },

    /** Never lowers what another node saved. */
    saveSpending: (budgetId: string, startsAt: number, spent: number) =>
      db
        .insertInto('budget_spending')
        .values({ budget_id: budgetId, starts_at: startsAt, spent_nano_usd: spent })
        .onConflict((conflict) =>
          conflict
            .columns(['budget_id', 'starts_at'])
            .doUpdateSet({ spent_nano_usd: spent })
            .where('budget_spending.spent_nano_usd', '<', spent),
        )
        .execute(),
  }
}
