import type { Balance } from './policy.ts'

/**
 * Smooth weighted round-robin, as nginx does it: with weights 5, 1, 1 the turns are a a b a c a a and not a a a a a b c.
 * https://github.com/nginx/nginx/commit/52327e0627f49dbda1e8db695e63a4b0af4448b1
 */
export const weightedRoundRobin: Balance = {
  name: 'weighted_round_robin',
  pick(members) {
    let best = members[0]!
    let total = 0
    for (const member of members) {
      member.credit += member.weight
      total += member.weight
      if (member.credit > best.credit) best = member
    }
    best.credit -= total
    return best
  },
}
