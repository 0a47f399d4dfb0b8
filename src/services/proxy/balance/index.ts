import type { BalancePolicy } from '../../directory.ts'
import { consistentHash } from './consistent-hash.ts'
import type { Balance } from './policy.ts'
import { powerOfTwo } from './power-of-two.ts'
import { weightedRoundRobin } from './weighted-round-robin.ts'

export type { Balance, Weighed } from './policy.ts'

/** The shelf of ways to choose among the fit instances of a service. */
export const balances: readonly Balance[] = [weightedRoundRobin, powerOfTwo, consistentHash]

const byName = new Map(balances.map((balance) => [balance.name, balance]))

export function balanceOf(name: BalancePolicy): Balance {
  return byName.get(name) ?? balances[0]!
}
