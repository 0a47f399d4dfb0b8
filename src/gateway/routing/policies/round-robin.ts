import type { Candidate } from '../../models.ts'
import { definePolicy } from './policy.ts'

/** Each in turn, whatever its weight; a weight of 0 comes last. */
export const roundRobin = definePolicy({
  name: 'round-robin',
  meaning: 'Each candidate in turn, whatever its weight.',
  order(tier, { turn }) {
    const [asked, spare]: [Candidate[], Candidate[]] = [[], []]
    for (const candidate of tier) (candidate.weight > 0 ? asked : spare).push(candidate)
    if (asked.length === 0) return spare
    const start = turn() % asked.length
    return [...asked.slice(start), ...asked.slice(0, start), ...spare]
  },
  score: () => null,
})
