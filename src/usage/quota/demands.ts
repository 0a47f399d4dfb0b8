import type { Principal } from '../../kernel/principal.ts'
import type { Charge, Demand, Hold } from '../../platform/counter/counter.ts'
import type { Subject } from './rules.ts'
import type { BudgetSpending } from './spending.ts'
import type { Budget } from './store.ts'

/** How much a call may use at most, as far as can be told before it is made. */
export type CallSize = {
  tokensIn: number
  /** Null when neither the caller nor the model sets a bound. */
  tokensOut: number | null
  /** Of these tokens at the dearest provider that may serve it; null when no price is known. */
  cost(tokensIn: number, tokensOut: number): number | null
}

export type QuotaCall = { requestId: string; startedAt: number; principal: Principal; size: CallSize }

/** What one admission took: demands, the budgets among them, and when. */
export type Part = { demands: Demand[]; budgets: (Budget | null)[]; at: number }

const minuteMs = 60_000

/**
 * What a call asks of each limit and hard budget of those it counts for. `asked` and `budgets` say of each demand whose it
 * is.
 */
export function demandsOf(
  subjects: readonly Subject[],
  { size, startedAt }: QuotaCall,
  { spending, assumedTokensOut }: { spending: Pick<BudgetSpending, 'keyOf'>; assumedTokensOut: number },
) {
  const demands: Demand[] = []
  const budgets: (Budget | null)[] = []
  const asked: Subject[] = []
  const add = (demand: Demand, subject: Subject, budget: Budget | null) => {
    demands.push(demand)
    budgets.push(budget)
    asked.push(subject)
  }
  const tokensOut = size.tokensOut ?? assumedTokensOut
  for (const subject of subjects) {
    const { scope, id, rpm, tpm, concurrency } = subject
    const name = `${scope}:${id}`
    if (rpm !== null) add(windowOf(`rpm:${name}`, rpm, 1), subject, null)
    if (tpm !== null) {
      const most = size.tokensIn + tokensOut
      // What we only assume must not make a small limit refuse everything.
      const cost = size.tokensOut === null ? Math.max(size.tokensIn, Math.min(most, tpm)) : most
      add(windowOf(`tpm:${name}`, tpm, cost), subject, null)
    }
    if (concurrency !== null) add({ kind: 'slot', key: `slots:${name}`, limit: concurrency }, subject, null)
    for (const budget of subject.budgets) {
      if (budget.is_hard !== 1) continue
      const cost = size.cost(size.tokensIn, tokensOut) ?? 0
      const { key, limit, lifeMs } = spending.keyOf(budget, startedAt)
      add({ kind: 'budget', key, limit, lifeMs, cost }, subject, budget)
    }
  }
  return { demands, budgets, asked }
}

/** A minute's window of one limit. */
export function windowOf(key: string, limit: number, cost: number): Demand {
  return { kind: 'window', key, limit, cost, windowMs: minuteMs }
}

/** What a call holds and must renew. */
export function holdsOf(holder: string, { demands }: Part): Hold[] {
  return demands.flatMap((demand): Hold[] => {
    if (demand.kind === 'window') return []
    const { key } = demand
    if (demand.kind === 'slot') return [{ kind: 'slot', holder, key }]
    return [{ kind: 'budget', holder, key, cost: demand.cost, lifeMs: demand.lifeMs }]
  })
}

/** Gives back slots and turns reserved tokens into used ones; budgets are settled apart. */
export function usedOf({ demands, at }: Part, used: number): Charge[] {
  return demands.flatMap((demand): Charge[] => {
    if (demand.kind === 'slot') return [{ kind: 'slot', key: demand.key }]
    if (demand.kind === 'budget' || !demand.key.startsWith('tpm:')) return []
    const { key, cost, windowMs } = demand
    return [{ kind: 'window', key, windowMs, at, reserved: cost, used }]
  })
}

/** An attempt that failed used nothing that counts but its place among the requests. */
export function returnOf(part: Part): Charge[] {
  const reserved = part.demands.flatMap(({ kind, key }): Charge[] =>
    kind === 'budget' ? [{ kind: 'unreserve', key }] : [],
  )
  return [...usedOf(part, 0), ...reserved]
}
