import { hashUnit } from '../../../kernel/hash-unit.ts'
import type { Balance, Weighed } from './policy.ts'
import { powerOfTwo } from './power-of-two.ts'

/** How much more than its share an instance may have under way: https://arxiv.org/abs/1608.01350 */
const slack = 1.25

/**
 * Weighted rendezvous hashing with bounded loads: what belongs together goes to one instance, an instance that leaves or
 * comes moves only its own part, and one that is busy beyond its share passes what is too much to the next in line.
 */
export const consistentHash: Balance = {
  name: 'consistent_hash',
  pick(members, ask) {
    if (ask.hashKey === '') return powerOfTwo.pick(members, ask)
    let weights = 0
    let pending = 1
    for (const member of members) {
      weights += member.weight
      pending += member.pending
    }
    const ranked = members
      .map((member) => ({ member, score: -member.weight / Math.log(hashUnit(`${ask.hashKey}\n${member.id}`)) }))
      .sort((a, b) => b.score - a.score)
    const hasRoom = (member: Weighed) => member.pending < Math.ceil((slack * pending * member.weight) / weights)
    return (ranked.find(({ member }) => hasRoom(member)) ?? ranked[0]!).member
  },
}
