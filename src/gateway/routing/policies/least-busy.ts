import type { Candidate } from '../../models.ts'
import { definePolicy, drawByWeight, type PolicyAsk, sortBy } from './policy.ts'

/** The one with the fewest calls under way for its weight, as this node sees it; equals are drawn by weight. */
export const leastBusy = definePolicy({
  name: 'least-busy',
  meaning: 'The candidate with the fewest calls under way for its weight.',
  order: (tier, ask) => sortBy(drawByWeight(tier, ask.random), (candidate) => load(candidate, ask)),
  score: load,
})

function load(candidate: Candidate, { inFlight }: PolicyAsk): number {
  return candidate.weight === 0 ? Number.MAX_SAFE_INTEGER : inFlight(candidate) / candidate.weight
}
