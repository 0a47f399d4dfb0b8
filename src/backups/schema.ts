import { z } from 'zod'

/** `migration` and `safety` are taken before the store is changed or emptied by hand; the others by the calendar. */
export const backupKinds = ['full', 'increment', 'migration', 'safety'] as const
export type BackupKind = (typeof backupKinds)[number]
export const runKinds = [...backupKinds, 'verify', 'drill'] as const
export const outcomes = ['running', 'ok', 'failed', 'inconclusive'] as const
export type RunKind = (typeof runKinds)[number]
export type Outcome = (typeof outcomes)[number]

/** One thing that was done about backups, as it is kept. */
export type Run = {
  id: string
  kind: RunKind
  outcome: Outcome
  /** The backup that was made or looked at; a drill looks at several. */
  archiveId: string
  /** Epoch ms. */
  startedAt: number
  /** 0 while it runs. */
  finishedAt: number
  /** Of the file that was written. */
  bytes: number
  rows: number
  /** In a sentence, what went wrong; '' when nothing did. */
  message: string
  details: Record<string, unknown>
}

/** Taken by the calendar: what intervals, ages, proofs and increments go by. */
export function isScheduled({ kind }: { kind: string }): boolean {
  return kind === 'full' || kind === 'increment'
}

const time = z.int().nullable().describe('Epoch ms.')

export const runReply = z.object({
  id: z.string(),
  kind: z.enum(runKinds),
  outcome: z.enum(outcomes),
  backup_id: z.string().describe('The backup that was made or looked at.'),
  started_at: z.int().describe('Epoch ms.'),
  finished_at: time,
  bytes: z.int(),
  rows: z.int(),
  message: z.string(),
  details: z.record(z.string(), z.unknown()),
})

export const backupReply = z.object({
  id: z.string(),
  kind: z
    .enum(backupKinds)
    .describe('migration: before migrations. safety: before reset or demo remove deleted something.'),
  taken_at: z.int().describe('Epoch ms of the moment it shows.'),
  bytes: z.int().describe('Of its own file.'),
  version: z.string().describe('Of the program that made it.'),
  schema: z.string().describe('Its last migration.'),
  needs: z.array(z.string()).describe('Backups that it cannot be restored without, oldest first.'),
  key_id: z.string().describe('Names the master key that opens it.'),
  opens_with_recovery_key: z.boolean(),
  verified_at: time.describe('When all of it was last read back and found as it was written; epoch ms.'),
  drilled_at: time.describe('When it was last restored in a drill that passed; epoch ms.'),
  fault: z.string().describe("Why it cannot be used, as far as its header tells; '' when nothing is known against it."),
})

export type BackupReply = z.infer<typeof backupReply>

export function showRun(run: Run): z.infer<typeof runReply> {
  return {
    id: run.id,
    kind: run.kind,
    outcome: run.outcome,
    backup_id: run.archiveId,
    started_at: run.startedAt,
    finished_at: run.finishedAt === 0 ? null : run.finishedAt,
    bytes: run.bytes,
    rows: run.rows,
    message: run.message,
    details: run.details,
  }
}
