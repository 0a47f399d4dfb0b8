import type { Balance, Weighed } from './policy.ts'

/**
 * Two at random, and of them the one that would answer sooner: calls under way times the time a call takes, by weight.
 * Nearly as even as asking all of them, and nodes that do not know of each other do not all run to the same one.
 */
export const powerOfTwo: Balance = {
  name: 'power_of_two',
  pick(members, { random }) {
    if (members.length === 1) return members[0]!
    const first = Math.floor(random() * members.length)
    const step = 1 + Math.floor(random() * (members.length - 1))
    const one = members[first]!
    const other = members[(first + step) % members.length]!
    return load(other) < load(one) ? other : one
  },
}

// Who has not answered yet counts as quick, so that it is asked and known soon.
function load({ pending, latencyMs, weight }: Weighed): number {
  return ((pending + 1) * Math.max(latencyMs, 1)) / weight
}
