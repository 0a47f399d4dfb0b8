import type { Clock } from '../../kernel/clock.ts'
import type { SqliteStatistics } from '../../platform/database/database.ts'
import type { Upstreams } from '../../platform/fetch.ts'
import type { Log } from '../../platform/log.ts'
import type { Metrics, Readings } from '../../platform/metrics.ts'
import type { CollectorsConfig } from '../config.ts'

export type CollectorParts = {
  metrics: Metrics
  clock: Clock
  log: Log
  config: CollectorsConfig
  /** The text of a file under /proc, null where there is none, as on systems other than Linux. */
  readProc(name: string): string | null
  /** Of the file system that holds the data folder. */
  diskSpace(): { freeBytes: number; totalBytes: number }
  /** Addresses of the hub's own store and Redis; '' where it has none of that kind. */
  own: { postgres: string; redis: string }
  /** What the embedded store tells of itself; null on PostgreSQL. */
  sqlite: (() => Promise<SqliteStatistics>) | null
  /** The guarded way out, for addresses that the settings name. */
  upstreams: Upstreams
  /** Told of each secret that a setting refers to, so that no log line shows it. */
  guardSecret(secret: string): void
}

/** What was found: a family, a number, and its labels. A number that is none, or null, is no finding. */
export type Reading = readonly [family: Readings, value: number | null, labels?: Readonly<Record<string, string>>]

/**
 * Reads one thing outside the hub. It resolves with all there is of its readings, which take the place of those before;
 * when it rejects, or takes too long, those before are taken back: no number stands for what was not measured. The error is
 * told in the log, so its message must hold no secret.
 */
export type Reader = {
  /** What is read, as its own metrics name it in the label `target`; '' where there is but one. */
  target: string
  /**
   * `scrape`: at once, before each round of sampling and each scrape, so it must be quick and may not wait. `interval`:
   * in the background, as often as samples are taken.
   */
  when: 'scrape' | 'interval'
  read(signal: AbortSignal): readonly Reading[] | Promise<readonly Reading[]>
  close?(): void | Promise<void>
}

/** Something outside the hub that is read rather than counted. */
export type Collector = {
  name: string
  /** Registers its metrics. An empty list where there is nothing to read. */
  open(parts: CollectorParts): readonly Reader[]
}
