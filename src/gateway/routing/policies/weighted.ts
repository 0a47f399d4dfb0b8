import { definePolicy, drawByWeight } from './policy.ts'

/** Calls are shared in proportion to weight; a weight of 0 comes last. */
export const weighted = definePolicy({
  name: 'weighted',
  meaning: 'Calls are shared in proportion to weight.',
  order: (tier, { random }) => drawByWeight(tier, random),
  score: () => null,
})
