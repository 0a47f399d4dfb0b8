import type { Clock } from '../../kernel/clock.ts'
import type { Period } from './periods.ts'
import type { KeptQuota } from './quota.ts'

/** A budget of somebody's, and what the ledger says was spent of it in the period of `readAt`. */
export type BudgetStanding = {
  id: string
  of: 'key' | 'user' | 'tenant'
  ofId: string
  tenantId: string
  limitNanoUsd: number
  periodAt(at: number): Period
  spentNanoUsd: number
  readAt: number
}

/** Of all that belong to somebody: not those of providers, of tags and of the hub itself. */
export async function standingBudgets(
  { rules, spending }: Pick<KeptQuota, 'rules' | 'spending'>,
  clock: Clock,
): Promise<BudgetStanding[]> {
  const budgets = rules().budgets.flatMap((budget) => {
    const { scope } = budget
    return scope === 'key' || scope === 'user' || scope === 'tenant' ? [{ budget, of: scope }] : []
  })
  const readAt = clock.now()
  const spent = await spending.spent(budgets.map(({ budget }) => budget))
  return budgets.map(({ budget, of }) => ({
    ...{ id: budget.id, of, ofId: budget.scope_id, tenantId: budget.tenant_id, limitNanoUsd: budget.limit_nano_usd },
    ...{ periodAt: (at) => spending.period(budget, at), spentNanoUsd: spent.get(budget.id) ?? 0, readAt },
  }))
}
