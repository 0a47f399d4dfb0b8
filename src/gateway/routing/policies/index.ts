import { leastBusy } from './least-busy.ts'
import { lowestCost } from './lowest-cost.ts'
import { lowestLatency } from './lowest-latency.ts'
import type { Policy } from './policy.ts'
import { roundRobin } from './round-robin.ts'
import { sticky } from './sticky.ts'
import { weighted } from './weighted.ts'

export type { Policy, PolicyAsk } from './policy.ts'

export const policies = [weighted, roundRobin, leastBusy, lowestLatency, lowestCost, sticky] as const

export type PolicyName = (typeof policies)[number]['name']

export const policyNames = policies.map(({ name }) => name)

const byName = new Map<string, Policy>(policies.map((policy) => [policy.name, policy]))

/** The first policy for a name nobody knows. */
export function policyOf(name: string): Policy {
  return byName.get(name) ?? policies[0]
}
