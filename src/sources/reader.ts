import type { UsageFact } from '../usage/index.ts'

/**
 * The contract of a reader of somebody else's gateway. It runs in the thread of `thread.ts`, keeps nothing that cannot
 * be lost, and rejects with the ForeignError of what it asks. Times are epoch ms, hours are whole hours of UTC.
 */
export type Reader = {
  /** What is there, what may be read of it, and what is lost by what may not. */
  probe(): Promise<Probe>
  /** What each hour holds now. An hour without rows is not listed. */
  survey(from: number, to: number): Promise<HourMark[]>
  /** Everything of some whole hours, added up. The same rows give the same facts, however hours are put together. */
  read(wish: ReadWish): Promise<Reading>
  /** What ids are called now; what is gone is left out. */
  names(kind: NameKind, ids: readonly string[]): Promise<{ id: string; name: string }[]>
  close(): Promise<void>
}

export type ReaderOptions = {
  /** Of the source; ids of its users and keys begin with it. */
  name: string
  dsn: string
  /** '' where logs are in the same database. */
  logDsn: string
  /** What the gateway calls one US dollar. */
  quotaPerUsd: number
}

/** Tells whether an hour still holds what was read of it: rows are added and deleted there, never changed. */
export type HourMark = { hour: number; rows: number; lastId: number; mark: number }

export type ReadWish = {
  from: number
  to: number
  /** Rows to expect, as the survey had them. */
  rows: number
  /** Rows a second at most; 0 for no limit. */
  rowsPerSecond: number
  /** Rows of this moment and later are given singly too; null for none. */
  singlyFrom: number | null
}

export type Reading = {
  facts: UsageFact[]
  /** Of what was read, which may be more than the survey saw. */
  hours: HourMark[]
  /** Other hours that have rows of requests which these hours know more about now. */
  touched: number[]
  rows: number
  last: { at: number; id: number } | null
  singles: SourceRow[]
  /** What the rows call their users and keys. */
  names: { kind: NameKind; id: string; name: string }[]
  /** Ids of channels that were seen. */
  channels: string[]
}

/** One call as the source wrote it down; a failed attempt is a row of its own. */
export type SourceRow = {
  /** Of the source; rows of one source are told apart by it. */
  id: number
  /** Epoch ms, when it ended. */
  at: number
  userId: string
  keyId: string
  model: string
  ip: string
  tokensIn: number
  tokensOut: number
  costNanoUsd: number
  status: number
}

export const nameKinds = ['user', 'key', 'provider'] as const
export type NameKind = (typeof nameKinds)[number]

export type Probe = {
  /** Which servers, without secrets. */
  where: string[]
  version: string
  columns: string[]
  /** What may not be read, and what is not known for want of it. */
  degraded: { column: string; why: 'missing' | 'denied' | 'missing or denied'; effect: string }[]
  /** Statements that would give the account what it lacks. */
  grants: string[]
  warnings: string[]
  /** Why nothing can be read at all; null when something can. */
  problem: string | null
  firstRowAt: number | null
  lastRowAt: number | null
}
