import type { Candidate } from '../../models.ts'
import { definePolicy, drawByWeight, type PolicyAsk, sortBy } from './policy.ts'

/** The cheapest for as much input as output; one without a known price comes last. Equals are drawn by weight. */
export const lowestCost = definePolicy({
  name: 'lowest-cost',
  meaning: 'The cheapest candidate by its price; those without one come last.',
  order: (tier, ask) => sortBy(drawByWeight(tier, ask.random), (candidate) => price(candidate, ask)),
  score: price,
})

function price(candidate: Candidate, { priceNanoUsd }: PolicyAsk): number {
  return priceNanoUsd(candidate) ?? Number.MAX_SAFE_INTEGER
}
