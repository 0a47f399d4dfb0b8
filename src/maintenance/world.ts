import type { Clock } from '../kernel/clock.ts'
import type { Upkeep } from '../platform/database/upkeep.ts'
import type { Advised } from './advisories.ts'

/** What jobs look at and do: verbs that whoever puts the rooms together passes in. */
export type World = {
  clock: Clock
  /** How the hub's own checks stand. */
  verdicts(): readonly { check: string; state: string; message: string; remedy: string }[]
  /** Workers of this process, and those without a turn for too long. */
  workers(): { known: number; stalled: readonly { worker: string; ageMs: number }[] }
  logs: {
    /** Errors since then, most frequent first; null where no files are written. Rejects when they cannot be read. */
    digest(sinceMs: number): Promise<Digest | null>
    /** Deletes what is too old or too much now, and tells what is left; null where no files are written. */
    tidy(): Promise<{ files: number; bytes: number; oldestDay: string } | null>
    keepDays: number
    maxTotalBytes: number
  }
  /** The value of a PromQL expression now, its largest series; null where nobody has measured it. */
  measure(expression: string): Promise<number | null>
  /** Its values over the last `days`, as a series of moments; [] where nobody has measured it. */
  trend(expression: string, days: number): Promise<readonly (readonly [atMs: number, value: number])[]>
  upkeep: Upkeep
  disk(): { freeBytes: number; totalBytes: number }
  /** What rooms delete by themselves: rows of `table` whose `column` is older than that, a day of grace included. */
  retained: readonly Retained[]
  countOverdue(what: Retained): Promise<number>
  backups: {
    isEnabled: boolean
    fullEveryHours: number
    verifyEveryDays: number
    drillEveryDays: number
    /** Newest first. */
    list(): Promise<readonly KnownBackup[]>
    /** Reads one back; rejects with the cause when it is not what was written. */
    verify(id: string): Promise<{ rows: number; bytes: number }>
    drill(): Promise<DrillTold>
    /** When the last drill that passed ended; null when none did. */
    lastDrillAt(): Promise<number | null>
  }
  secrets(): Promise<readonly KnownSecret[]>
  secretMaxAgeDays: number
  /** When the master key's file was written; null where it comes from the environment. */
  masterKeySince(): number | null
  /** Files of the data folder that others than its owner may read or write. */
  openToOthers(): string[]
  /** Known weaknesses of what is installed, by source; [] where no source is named. */
  advisories(): Promise<readonly Advised[]>
}

export type Retained = { what: string; table: string; column: string; olderThanMs: number }
export type Digest = {
  lines: number
  /** Older lines were not looked at. */
  completeSinceMs: number
  entries: readonly { level: string; module: string; msg: string; error: string; count: number }[]
}
export type KnownBackup = {
  id: string
  kind: string
  takenAt: number
  bytes: number
  verifiedAt: number | null
  fault: string
}
export type KnownSecret = { kind: 'provider' | 'caller'; name: string; since: number; isEndless: boolean }
export type DrillTold = {
  outcome: 'ok' | 'failed' | 'inconclusive'
  cause: string
  rtoMs: number
  rpoMs: number
  restored: readonly string[]
}
