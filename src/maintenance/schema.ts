import { z } from 'zod'
import { isCron, isZone } from '../kernel/windows.ts'

export const rhythms = ['daily', 'weekly', 'monthly'] as const
export type Rhythm = (typeof rhythms)[number]

/** What a job comes to. `inconclusive` says that nobody knows, which is neither good nor bad. */
export const outcomes = ['ok', 'warn', 'fail', 'inconclusive'] as const
export type Outcome = (typeof outcomes)[number]

export const states = ['waiting', 'running', ...outcomes] as const
export type State = (typeof states)[number]

/** Why nobody knows, for machines; '' where somebody does. */
export const reasons = ['', 'job', 'error', 'window', 'killed', 'missed', 'stopped'] as const
export type Reason = (typeof reasons)[number]

export type Words = { en: string; zh: string }

/** What a job found: figures for comparison with later ones, evidence for people. */
export type Told = { outcome: Outcome; message: Words; figures: Record<string, number>; evidence: readonly string[] }

export type Run = {
  id: string
  job: string
  state: State
  reason: Reason
  /** Epoch ms of the turn, or of the wish. */
  dueAt: number
  /** When its window ends. */
  untilAt: number
  /** Who wished it; '' for the calendar. */
  wantedBy: string
  node: string
  /** 0 before. */
  begunAt: number
  beatAt: number
  finishedAt: number
  progress: { done: number; total: number; note: string }
  message: Words
  figures: Record<string, number>
  evidence: readonly string[]
}

/** When a job runs: what is built in, and what people changed. */
export type Timing = { isEnabled: boolean; cron: string; zone: string; windowMinutes: number; seenAt: number }

const time = z.int().nullable().describe('Epoch ms.')
const words = z.object({ en: z.string(), zh: z.string() })

export const runReply = z.object({
  id: z.string(),
  job: z.string(),
  state: z.enum(states).describe('inconclusive: nobody can tell, which is neither good nor bad.'),
  reason: z
    .enum(reasons)
    .describe(
      'Why nobody can tell: the job says so itself, it broke, its window ended, it was killed, missed or stopped.',
    ),
  due_at: z.int().describe('Epoch ms of its turn, or of the wish.'),
  until_at: z.int().describe('When its window ends.'),
  wanted_by: z.string().describe('Empty for the calendar.'),
  node: z.string(),
  begun_at: time,
  finished_at: time,
  progress: z.object({ done: z.int(), total: z.int().describe('0: nobody knows yet.'), note: z.string() }).nullable(),
  message: words,
  figures: z.record(z.string(), z.number()),
  evidence: z.array(z.string()),
})

export const jobReply = z.object({
  name: z.string(),
  rhythm: z.enum(rhythms),
  summary: words,
  enabled: z.boolean(),
  cron: z.string(),
  zone: z.string(),
  window_minutes: z.int(),
  is_changed: z.boolean().describe('Somebody changed when it runs.'),
  next_at: time.describe('Its next turn; null while it is off.'),
  late_seconds: z.int().describe('Since the first turn of which nobody knows how it ended; 0 when there is none.'),
  last: runReply.nullable(),
})

export const jobPatch = z
  .strictObject({
    enabled: z.boolean(),
    cron: z.string().max(100).refine(isCron, 'This is no cron expression, such as 30 3 * * 0'),
    zone: z.string().max(60).refine(isZone, 'This is no time zone, such as Asia/Shanghai'),
    window_minutes: z.int().min(5).max(1440),
  })
  .partial()

/** A job's timing as the store has it, where '' and 0 are the job's own: for whoever reads it in from elsewhere. */
export const jobShape = {
  name: z.string().regex(/^[a-z][a-z0-9_]{0,60}$/, 'This is no name of a job'),
  ...{ cron: jobPatch.shape.cron.unwrap().or(z.literal('')), zone: jobPatch.shape.zone.unwrap().or(z.literal('')) },
  window_minutes: jobPatch.shape.window_minutes.unwrap().or(z.literal(0)),
}

export const calendarReply = z.object({
  from: z.int(),
  to: z.int(),
  data: z.array(
    z.object({
      kind: z.enum(['planned', 'run', 'window']).describe('window: time in which checks tell nobody.'),
      from: z.int().describe('Epoch ms.'),
      to: z.int().nullable(),
      name: z.string().describe('The job, or the check.'),
      state: z.enum(states).nullable(),
      run_id: z.string().nullable(),
    }),
  ),
  is_cut: z.boolean().describe('There is more than is told.'),
})

export function showRun(run: Run): z.infer<typeof runReply> {
  const { id, job, state, reason, node, message, figures, evidence, progress } = run
  return {
    ...{ id, job, state, reason, node, message, figures, evidence: [...evidence] },
    ...{ due_at: run.dueAt, until_at: run.untilAt, wanted_by: run.wantedBy },
    ...{ begun_at: run.begunAt || null, finished_at: run.finishedAt || null },
    progress: state === 'running' ? progress : null,
  }
}
