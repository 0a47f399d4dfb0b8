import type { Candidate } from '../../models.ts'

/**
 * Decides who comes first among candidates of one priority. A member of this shelf. Pure but for `random` and `turn`,
 * which it is given; it never leaves anybody out.
 */
export type Policy = {
  name: string
  /** One sentence for people who choose. */
  meaning: string
  /** The same candidates, the one to be asked first at the front. */
  order(tier: readonly Candidate[], ask: PolicyAsk): Candidate[]
  /** The number its order rests on, for explanations; lower is better. Null when there is none. */
  score(candidate: Candidate, ask: PolicyAsk): number | null
}

/** What policies may know besides the candidates. */
export type PolicyAsk = {
  /** [0, 1) */
  random(): number
  /** Counts up by one for each call of the model. */
  turn(): number
  nowMs: number
  /** Calls under way at a candidate, from this node. */
  inFlight(candidate: Candidate): number
  /** Milliseconds to the first content, recent calls first; null before any. */
  latencyMs(candidate: Candidate): number | null
  /** Nano-USD for a million tokens in and a million out; null when unknown. */
  priceNanoUsd(candidate: Candidate): number | null
  /** What the caller says belongs together; '' for nothing. */
  affinity: string
}

export function definePolicy<const Name extends string>(policy: Policy & { name: Name }): Policy & { name: Name } {
  return policy
}

/** Sorted by a number, lower first; equal ones stay in the order they had. */
export function sortBy(tier: readonly Candidate[], value: (candidate: Candidate) => number): Candidate[] {
  return tier
    .map((candidate) => ({ candidate, value: value(candidate) }))
    .sort((a, b) => a.value - b.value)
    .map(({ candidate }) => candidate)
}

/** Draws without replacement: each next place goes to a candidate with probability weight / sum of what is left. */
export function drawByWeight(tier: readonly Candidate[], random: () => number): Candidate[] {
  const left = [...tier]
  const drawn: Candidate[] = []
  while (left.length > 0) {
    const total = left.reduce((sum, candidate) => sum + candidate.weight, 0)
    let point = random() * total
    let pick = left.findIndex((candidate) => {
      point -= candidate.weight
      return point < 0
    })
    // All weights 0: any of them is as good as another.
    if (pick === -1) pick = Math.floor(random() * left.length)
    drawn.push(...left.splice(pick, 1))
  }
  return drawn
}
