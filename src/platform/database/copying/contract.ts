import type { Engine } from '../database.ts'
import type { Row, Shape } from './shape.ts'

/** Where a store is, as `database.url` and `data.dir` say it. */
export type StoreAddress = { url: string; dataDir: string }

/**
 * Everything in a store as it was at one moment, while others go on writing to it. It blocks the thread it runs on where
 * the store is SQLite: on a serving process it belongs in a thread of its own.
 */
export type Dump = {
  engine: Engine
  /** By name. */
  tables: readonly Shape[]
  /** In the order of the primary key as the engine sorts it, or as `compareKeys` does; in batches of bounded size. */
  rows(shape: Shape, order?: 'engine' | 'bytes'): AsyncIterable<readonly Row[]>
  close(): Promise<void>
}

/**
 * Puts rows into a store whose tables are there and that nobody uses yet. What migrations have put into the tables is
 * taken out at the beginning, unless it was opened to go on with what is there. Like a dump of SQLite it blocks its thread.
 */
export type Fill = {
  tables: readonly Shape[]
  /** Rows have the columns of `shape`, which must all be there. */
  add(shape: Shape, rows: readonly Row[]): Promise<void>
  /** Of `rows` only the columns of the primary key are read. */
  remove(shape: Shape, rows: readonly Row[]): Promise<void>
  /** Takes all rows out of a table. */
  clear(shape: Shape): Promise<void>
  /** Looks for what the engine itself can find wrong, and brings all of it to the disk. Returns what it found. */
  finish(): Promise<string[]>
  close(): Promise<void>
}
