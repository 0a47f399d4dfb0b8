import type { Readable } from 'node:stream'
import type { LogLevel } from '../../platform/log.ts'
import type { Asked } from './asked.ts'
import type { DigestEntry } from './digest.ts'

export type LogPage = { data: Record<string, unknown>[]; next_cursor: string | null }

export type LogDigest = {
  data: (Omit<DigestEntry, 'firstAt' | 'lastAt' | 'traceIds'> & {
    first_at: string
    last_at: string
    trace_ids: string[]
  })[]
  lines: number
  complete_since: string
}

/** What may be asked of the log, over HTTP and by other rooms. */
export type LogVerbs = {
  /** Newest first. Rejects with `invalid_request`, or `unavailable` where there are no files. */
  find(asked: Asked): Promise<LogPage>
  /** What went wrong in a period, most frequent first; rejects like `find`. */
  digest(asked: Asked): Promise<LogDigest>
  /** Lines as they come, as server-sent events. */
  tail(asked: Asked, signal: AbortSignal): Readable
  levels(): { module: string; level: string; configured: string; until: string | null }[]
  /** For so long, on every node; null goes back to the settings. Throws `not_found` for a module nobody knows. */
  changeLevel(module: string, level: LogLevel | null, forMs: number): void
}
