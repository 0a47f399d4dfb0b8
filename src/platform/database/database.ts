import type { Kysely } from 'kysely'

export type Engine = 'sqlite' | 'postgres'

/**
 * An open main store. `kysely` speaks the same SQL to both engines; rooms take it as `Kysely<TheirTables>`.
 *
 * Rules that keep one SQL: times are integer epoch milliseconds UTC, money integer nano-USD, booleans 0/1, JSON text,
 * every dimension NOT NULL with '', buckets by integer arithmetic, upsert by `onConflict`. Numbers come back as numbers
 * from both engines (bigint, count and sum included).
 */
export type Database<Tables> = {
  engine: Engine
  kysely: Kysely<Tables>
  /** One round trip; throws what the driver says when the store cannot answer. */
  ping(): Promise<void>
  /** What the embedded store tells of itself; null on PostgreSQL, which has statistics of its own. */
  sqlite: (() => Promise<SqliteStatistics>) | null
  close(): Promise<void>
}

export type SqliteStatistics = WriteCounts & {
  fileBytes: number
  walBytes: number
  pages: number
  freePages: number
  pageBytes: number
}

/** Of transactions and single writes, which take turns. */
export type WriteCounts = {
  writes: number
  /** What they have waited for each other, all in all. */
  waitedMs: number
  /** That wait now. */
  waiting: number
  /** Statements refused because another process held the file longer than they may wait. */
  busy: number
}
