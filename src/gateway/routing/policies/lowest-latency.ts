import type { Candidate } from '../../models.ts'
import { definePolicy, drawByWeight, type PolicyAsk, sortBy } from './policy.ts'

/**
 * Two are drawn by weight and the one with the lower peak EWMA of the time to first content, times the calls it has
 * under way, goes first: the fast one is preferred and yet not stampeded. One that was never asked counts as fast, so
 * that it is.
 */
export const lowestLatency = definePolicy({
  name: 'lowest-latency',
  meaning: 'The faster of two drawn by weight: time to first content, times the calls under way.',
  order(tier, ask) {
    const [first, second, ...rest] = drawByWeight(tier, ask.random)
    if (second === undefined) return [...tier]
    const chosen = sortBy([first!, second], (candidate) => cost(candidate, ask))
    return [...chosen, ...sortBy(rest, (candidate) => cost(candidate, ask))]
  },
  score: cost,
})

function cost(candidate: Candidate, { latencyMs, inFlight }: PolicyAsk): number {
  return candidate.weight === 0 ? Number.MAX_SAFE_INTEGER : (latencyMs(candidate) ?? 0) * (inFlight(candidate) + 1)
}
