/** Characters of each text that are looked at. */
export const longestCompared = 8192

/**
 * How alike two texts are, 0 to 1: Sørensen–Dice over pairs of neighbouring characters, with white space run together,
 * of the first `longestCompared` characters. It needs no words, so it serves every language; it says nothing of meaning.
 */
export function similarityOf(first: string, second: string): number {
  const [one, other] = [normalise(first), normalise(second)]
  if (one === other) return 1
  if (one.length < 2 || other.length < 2) return 0
  const pairs = new Map<string, number>()
  for (let at = 0; at < one.length - 1; at++) {
    const pair = one.slice(at, at + 2)
    pairs.set(pair, (pairs.get(pair) ?? 0) + 1)
  }
  let shared = 0
  for (let at = 0; at < other.length - 1; at++) {
    const pair = other.slice(at, at + 2)
    const left = pairs.get(pair) ?? 0
    if (left === 0) continue
    pairs.set(pair, left - 1)
    shared++
  }
  return (2 * shared) / (one.length + other.length - 2)
}

/** Place of the first character in which two texts differ; null when they do not. */
export function firstDifference(first: string, second: string): number | null {
  if (first === second) return null
  const end = Math.min(first.length, second.length)
  let at = 0
  while (at < end && first.charCodeAt(at) === second.charCodeAt(at)) at++
  return at
}

function normalise(text: string): string {
  return text.slice(0, longestCompared).replaceAll(/\s+/g, ' ').trim()
}
