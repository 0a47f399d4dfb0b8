import type { CounterSeries, Metrics } from '../../platform/metrics.ts'

export type CollectorParts = {
  metrics: Metrics
  /** The text of a file under /proc, null where there is none, as on systems other than Linux. */
  readProc(name: string): string | null
  /** Of the file system that holds the data folder. */
  diskSpace(): { freeBytes: number; totalBytes: number }
}

/**
 * Something outside the hub that is read rather than counted. `open` registers its metrics and returns what brings them up
 * to date; that is called before each round of sampling and each scrape, so it must be quick. What cannot be read is left
 * as it was, and throws nothing: a machine without /proc has fewer metrics, not a hub that complains.
 */
export type Collector = {
  name: string
  open(parts: CollectorParts): () => void
}

/** A counter that follows a total somebody else counts; one that falls has begun anew there. */
export function createFollower(series: CounterSeries): (total: number) => void {
  let before = 0
  return (total) => {
    if (!Number.isFinite(total)) return
    series.inc(total < before ? total : total - before)
    before = total
  }
}

/** One follower for each set of labels, made when it is first needed. */
export function createFollowers(make: (key: string) => CounterSeries): (key: string, total: number) => void {
  const followers = new Map<string, (total: number) => void>()
  return (key, total) => {
    let follow = followers.get(key)
    if (follow === undefined) {
      follow = createFollower(make(key))
      followers.set(key, follow)
    }
    follow(total)
  }
}
