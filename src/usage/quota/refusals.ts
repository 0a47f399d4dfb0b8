import { fail, type HubError } from '../../kernel/errors.ts'
import { formatUsd } from '../../kernel/money.ts'
import type { Demand, Standing } from '../../platform/counter/counter.ts'
import type { Subject } from './rules.ts'
import type { Budget } from './store.ts'

/**
 * How close to its limits a caller is, in OpenAI's own headers, of the limit that is closest.
 * https://platform.openai.com/docs/guides/rate-limits#rate-limits-in-headers
 * Without standings nobody could count: then nothing remains for the second until it is tried again.
 */
export function tellHeaders(demands: readonly Demand[], standings: readonly Standing[] | null): string[] {
  const headers: string[] = []
  for (const [prefix, unit] of units) {
    let closest: { limit: number; remaining: number; resetMs: number } | null = null
    for (const [i, demand] of demands.entries()) {
      if (demand.kind !== 'window' || !demand.key.startsWith(prefix)) continue
      const { remaining, resetMs } = standings?.[i] ?? { remaining: 0, resetMs: 1000 }
      if (closest === null || remaining < closest.remaining) closest = { limit: demand.limit, remaining, resetMs }
    }
    if (closest === null) continue
    headers.push(`x-ratelimit-limit-${unit}`, String(closest.limit))
    headers.push(`x-ratelimit-remaining-${unit}`, String(closest.remaining))
    headers.push(`x-ratelimit-reset-${unit}`, `${Math.ceil(Math.min(closest.resetMs, longestWaitMs) / 1000)}s`)
  }
  return headers
}

/** OpenAI's clients ignore a longer wait and repeat at once: the last part of a window is not worth that. */
const longestWaitMs = 60_000

const units = [
  ['rpm:', 'requests'],
  ['tpm:', 'tokens'],
] as const

export type RefusalContext = {
  /** Of each demand. */
  subjects: readonly Subject[]
  budgets: readonly (Budget | null)[]
  untilReset(budget: Budget): number
}

/** Why a call is refused. A budget comes first: what it refuses no wait of a minute mends. */
export function refusalOf(
  demands: readonly Demand[],
  standings: readonly Standing[],
  { subjects, budgets, untilReset }: RefusalContext,
): { refusal: HubError; subject: Subject } {
  let longest: { place: number; waitMs: number } | null = null
  for (const [place, { isMet, resetMs, remaining }] of standings.entries()) {
    if (isMet) continue
    const demand = demands[place]!
    const budget = budgets[place]
    if (demand.kind === 'budget' && budget) {
      return {
        refusal: budgetRefusal(subjects[place]!, budget, demand.cost, remaining, untilReset(budget)),
        subject: subjects[place]!,
      }
    }
    const waitMs = demand.kind === 'slot' ? 1000 : resetMs
    if (longest === null || waitMs > longest.waitMs) longest = { place, waitMs }
  }
  const { place, waitMs } = longest!
  const subject = subjects[place]!
  const message = limitMessage(demands[place]!, subject)
  return { refusal: fail('rate_limited', message, { retryAfterMs: Math.min(waitMs, longestWaitMs) }), subject }
}

function limitMessage({ kind, key, limit, ...demand }: Demand, { scope }: Subject): string {
  if (kind === 'slot') return `${whose[scope]} may have ${limit} calls under way at the same time.`
  if (key.startsWith('rpm:'))
    return `${whose[scope]} may make ${limit} ${limit === 1 ? 'request' : 'requests'} a minute.`
  const cost = 'cost' in demand ? demand.cost : 0
  const hint = cost > limit ? ' This call alone may use more: set a lower output limit or send less.' : ''
  return `${whose[scope]} may use ${limit} tokens a minute, and this call may use ${cost}.${hint}`
}

function budgetRefusal(
  { scope }: Subject,
  { period }: Budget,
  cost: number,
  remaining: number,
  resetMs: number,
): HubError {
  const name = `${budgetOf[scope]} budget for this ${period}`
  const message =
    remaining <= 0
      ? `The ${name} is used up.`
      : `The ${name} has too little left for this call, which may cost ${formatUsd(cost)} USD: set a lower output limit.`
  return fail('budget_exhausted', message, { retryAfterMs: resetMs })
}

const whose: Record<Subject['scope'], string> = {
  key: 'This key',
  user: "This key's user",
  tenant: "This key's tenant",
  tag: 'This tag',
  provider: 'The provider',
  ip: 'This address',
  hub: 'The hub',
}

const budgetOf: Record<Subject['scope'], string> = {
  key: "key's",
  user: "user's",
  tenant: "tenant's",
  tag: "tag's",
  provider: "provider's",
  ip: "address's",
  hub: "hub's own",
}
