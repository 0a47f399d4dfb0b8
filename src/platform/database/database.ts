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
  close(): Promise<void>
}
