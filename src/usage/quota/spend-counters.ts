import type { Kysely } from 'kysely'
import type { Clock } from '../../kernel/clock.ts'
import type { Counter } from '../../platform/counter/counter.ts'
import type { CounterTotal, SpendCounters } from '../audit/index.ts'
import type { UsageTables } from '../rows.ts'
import { budgetCounterKey } from './counter-keys.ts'
import { createPeriods } from './periods.ts'
import { type BudgetRow, createQuotaStore, type QuotaTables } from './store.ts'

/**
 * What the counters of budgets have spent in the periods of now, for a look from outside of a running hub. Budgets of tags
 * are left out, because rows say nothing of tags, and so are those that nobody has counted for yet.
 */
export function readSpendCounters(parts: {
  db: Kysely<QuotaTables & UsageTables>
  counter: Counter
  clock: Clock
}): SpendCounters {
  const { counter, clock } = parts
  const store = createQuotaStore(parts.db)
  const periodOf = createPeriods()
  const budgetsOfNow = async () => {
    const { budgets } = await store.readAll()
    return budgets
      .filter(({ scope }) => scope !== 'tag')
      .map((budget) => ({ budget, ...periodOf(budget.period, budget.zone, clock.now()) }))
  }
  return {
    async totals() {
      const known = await budgetsOfNow()
      const balances = await counter.read(known.map(({ budget, startsAt }) => budgetCounterKey(budget.id, startsAt)))
      return known
        .map(({ budget, startsAt, endsAt }, i) => totalOf(budget, startsAt, endsAt, balances[i]!.spent))
        .filter(({ spentNanoUsd }) => spentNanoUsd > 0)
    },
    /** Only ever upwards: what a counter knows beyond the ledger may be on its way there. */
    async correct({ scope, id, from }, spentNanoUsd) {
      for (const { budget, startsAt, endsAt } of await budgetsOfNow()) {
        if (budget.scope !== scope || budget.scope_id !== id || startsAt !== from) continue
        const lifeMs = Math.max(1, endsAt - clock.now())
        await counter.raise(
          { key: budgetCounterKey(budget.id, startsAt), limit: budget.limit_nano_usd, lifeMs },
          spentNanoUsd,
        )
      }
    },
  }
}

function totalOf(budget: BudgetRow, from: number, to: number, spentNanoUsd: number): CounterTotal {
  return { scope: budget.scope as CounterTotal['scope'], id: budget.scope_id, from, to, spentNanoUsd }
}
