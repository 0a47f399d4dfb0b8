/**
 * Durations by their order of magnitude: bucket `i` holds those of more than `growth^(i-1)` up to `growth^i` ms, after
 * DDSketch (https://arxiv.org/abs/1908.10693). Counts of buckets add up over time and nodes, and every quantile read
 * from them is within 2 % of a duration that was really seen.
 */
export const growth = 1.02 / 0.98
const logGrowth = Math.log(growth)

/** 0 holds everything up to 1 ms. */
export function bucketOf(ms: number): number {
  return ms <= 1 ? 0 : Math.ceil(Math.log(ms) / logGrowth)
}

/** The duration that is within 2 % of every one in the bucket, ms. */
function middleOf(bucket: number): number {
  return bucket === 0 ? 1 : (2 * growth ** bucket) / (growth + 1)
}

/** The duration below which `share` of those counted lie, ms; null when none was counted. */
export function quantileOf(buckets: ReadonlyMap<number, number>, share: number): number | null {
  let all = 0
  for (const amount of buckets.values()) all += amount
  if (all <= 0) return null
  const rank = Math.max(1, Math.ceil(share * all))
  let seen = 0
  for (const bucket of [...buckets.keys()].sort((a, b) => a - b)) {
    seen += buckets.get(bucket)!
    if (seen >= rank) return Math.round(middleOf(bucket))
  }
  return null
}
