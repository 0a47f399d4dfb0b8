import type { Clock } from '../../kernel/clock.ts'
import type { Bus } from '../../platform/bus/bus.ts'
import type { Balance, BudgetKey, Counter, Spending } from '../../platform/counter/counter.ts'
import type { Metrics } from '../../platform/metrics.ts'
import { budgetCounterKey } from './counter-keys.ts'
import { createPeriods, type Period } from './periods.ts'
import { budgetSteps } from './schema.ts'
import type { Budget, QuotaStore } from './store.ts'

export type SpendingParts = {
  store: Pick<QuotaStore, 'sumSpending' | 'savedSpending' | 'saveSpending'>
  counter: Counter
  budgets(): readonly Budget[]
  bus: Bus
  clock: Clock
  metrics: Metrics
}

/** A counter of one budget in one period stays a while after it, for calls that began in it. */
const afterlifeMs = 86_400_000

/** What budgets have spent. The ledger is the truth; counters know it sooner, and are raised to it where they lag. */
export type BudgetSpending = ReturnType<typeof createSpending>

export function createSpending({ store, counter, budgets, bus, clock, metrics }: SpendingParts) {
  const periodOf = createPeriods()
  const seeding = new Map<string, Promise<void>>()
  const drift = metrics
    .gauge('gatehouse_usage_budget_drift_nano_usd', 'What the ledger had spent beyond the counters at the last look.')
    .with({})
  const reconciledTotal = metrics
    .counter('gatehouse_usage_budget_reconciles_total', 'Looks at what the ledger says budgets have spent.')
    .with({})

  const period = (budget: Budget, at: number): Period => periodOf(budget.period, budget.zone, at)

  function keyOf(budget: Budget, at: number): BudgetKey & Period {
    const { startsAt, endsAt } = period(budget, at)
    const lifeMs = Math.max(endsAt - clock.now(), 0) + afterlifeMs
    return { key: budgetCounterKey(budget.id, startsAt), limit: budget.limit_nano_usd, lifeMs, startsAt, endsAt }
  }

  function tell(budget: Budget, at: number, { spent, fromPercent, toPercent }: Spending): void {
    for (const percent of budgetSteps) {
      if (percent <= fromPercent || percent > toPercent) continue
      const { startsAt, endsAt } = period(budget, at)
      bus.announce('budget.threshold', {
        ...{ budgetId: budget.id, scope: budget.scope, scopeId: budget.scope_id, period: budget.period },
        ...{ startsAt, endsAt, percent, spentNanoUsd: spent, limitNanoUsd: budget.limit_nano_usd },
      })
    }
  }

  /** By budget id, for one scope and period at a time: a look costs as many queries as there are of those. */
  async function sumLedger(all: readonly Budget[], at: number): Promise<Map<string, number>> {
    const groups = new Map<string, Budget[]>()
    for (const budget of all) {
      const key = `${budget.scope} ${period(budget, at).startsAt}`
      const group = groups.get(key)
      if (group) group.push(budget)
      else groups.set(key, [budget])
    }
    const sums = new Map<string, number>()
    for (const group of groups.values()) {
      const { scope } = group[0]!
      const { startsAt } = period(group[0]!, at)
      if (scope === 'tag') {
        for (const { id } of group) sums.set(id, await store.savedSpending(id, startsAt))
        continue
      }
      const ids = group.map((budget) => budget.scope_id)
      const byId = await store.sumSpending(scope, ids, startsAt)
      for (const { id, scope_id } of group) sums.set(id, byId.get(scope_id) ?? 0)
    }
    return sums
  }

  async function raise(all: readonly Budget[], at: number): Promise<void> {
    const sums = await sumLedger(all, at)
    for (const budget of all) tell(budget, at, await counter.raise(keyOf(budget, at), sums.get(budget.id) ?? 0))
  }

  return {
    period,
    keyOf,
    tell,

    /** Tells a counter that nobody has told yet what was spent; shared by those who ask at once. */
    async seed(budget: Budget, at: number): Promise<void> {
      const { key } = keyOf(budget, at)
      let running = seeding.get(key)
      if (running === undefined) {
        running = raise([budget], at).finally(() => seeding.delete(key))
        seeding.set(key, running)
      }
      await running
    },

    /** Raises every budget of now to what the ledger says, and keeps what the ledger cannot say. */
    async reconcile(): Promise<void> {
      const at = clock.now()
      const all = budgets()
      if (all.length === 0) return drift.set(0)
      reconciledTotal.inc()
      const before = await counter.read(all.map((budget) => keyOf(budget, at).key))
      await raise(all, at)
      const after = await counter.read(all.map((budget) => keyOf(budget, at).key))
      drift.set(Math.max(...after.map(({ spent }, i) => spent - before[i]!.spent), 0))
      for (const [i, budget] of all.entries()) {
        const spent = after[i]!.spent
        if (budget.scope === 'tag' && spent > 0) {
          await store.saveSpending(budget.id, period(budget, at).startsAt, spent)
        }
      }
    },

    /** What the ledger says that budgets have spent, by their ids; no counter is asked or told. */
    spent: (all: readonly Budget[]): Promise<ReadonlyMap<string, number>> => sumLedger(all, clock.now()),

    /** Null where the counters do not answer: unknown is not nothing. */
    async balances(all: readonly Budget[]): Promise<(Balance | null)[]> {
      const at = clock.now()
      try {
        await raise(all, at)
        return await counter.read(all.map((budget) => keyOf(budget, at).key))
      } catch {
        return all.map(() => null)
      }
    },
  }
}
