/**
 * Response times in buckets that grow by a tenth, so that those of any two spans add up and a quantile is right to five
 * per cent. `i:n,i:n` as text.
 */
export type Latencies = Map<number, number>

const growth = Math.log(1.1)

export function addLatency(into: Latencies, ms: number): void {
  const bucket = ms <= 1 ? 0 : Math.ceil(Math.log(ms) / growth)
  into.set(bucket, (into.get(bucket) ?? 0) + 1)
}

export function addLatencies(into: Latencies, other: Latencies): void {
  for (const [bucket, count] of other) into.set(bucket, (into.get(bucket) ?? 0) + count)
}

/** Milliseconds; null when nothing was measured. */
export function quantileOf(latencies: Latencies, q: number): number | null {
  const sorted = [...latencies].sort(([a], [b]) => a - b)
  const total = sorted.reduce((sum, [, count]) => sum + count, 0)
  if (total === 0) return null
  let left = q * total
  for (const [bucket, count] of sorted) {
    left -= count
    if (left <= 1e-9) return Math.round(Math.exp((bucket - 0.5) * growth) * 10) / 10
  }
  return null
}

export function writeLatencies(latencies: Latencies): string {
  return [...latencies].map(([bucket, count]) => `${bucket}:${count}`).join(',')
}

export function readLatencies(text: string): Latencies {
  if (text === '') return new Map()
  return new Map(text.split(',').map((pair) => pair.split(':').map(Number) as [number, number]))
}
