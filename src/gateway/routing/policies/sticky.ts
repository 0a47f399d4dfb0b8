import { hashUnit } from '../../../kernel/hash-unit.ts'
import type { Candidate } from '../../models.ts'
import { definePolicy, drawByWeight, sortBy } from './policy.ts'

/**
 * Calls that belong together go to the same candidate, so that its prompt cache is warm: weighted rendezvous hashing of
 * what the caller says. Nothing is remembered, so nothing goes stale: who is out moves only its own sessions, every node
 * chooses alike, and they come home when it is back.
 */
export const sticky = definePolicy({
  name: 'sticky',
  meaning: 'Calls of one session or prompt-cache key go to the same candidate.',
  order: (tier, { affinity, random }) =>
    affinity === '' ? drawByWeight(tier, random) : sortBy(tier, (candidate) => distance(candidate, affinity)),
  score: (candidate, { affinity }) => (affinity === '' ? null : distance(candidate, affinity)),
})

/** https://www.snia.org/sites/default/files/SDC15_presentations/dist_sys/Jason_Resch_New_Consistent_Hashings_Rev.pdf */
function distance({ id, weight }: Candidate, affinity: string): number {
  return weight === 0 ? Number.MAX_SAFE_INTEGER : -Math.log(hashUnit(`${affinity}\n${id}`)) / weight
}
