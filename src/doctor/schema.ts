import { z } from 'zod'
import { areas, severities, statuses } from './finding.ts'
import type { Diagnosis } from './run.ts'

const words = z.object({ en: z.string(), zh: z.string() }).nullable()

export const diagnosisReply = z.object({
  id: z.string(),
  area: z.enum(areas),
  severity: z.enum(severities).describe('How bad it is where it is found.'),
  status: z.enum(statuses).describe('skip: does not concern this hub. inconclusive: nobody can tell.'),
  evidence: z.string(),
  cause: words,
  remedy: words,
  docs: z.string().describe('Its section in the runbook.'),
  fixable: z.boolean().describe('Whether gatehouse doctor --fix and POST /api/doctor/fix mend it.'),
  duration_ms: z.int(),
})

export const doctorReply = z.object({
  verdict: z.enum(['ok', 'warn', 'fail']),
  counts: z.record(z.enum(statuses), z.int()),
  findings: z.array(diagnosisReply),
})

const fix = z.object({
  finding: z.string(),
  what: z.object({ en: z.string(), zh: z.string() }),
  undo: z.string().describe("As a shell would undo it; '' where nothing is lost."),
  error: z.string().nullable(),
})

export const fixReply = doctorReply.extend({
  dry_run: z.boolean(),
  fixes: z.array(fix).describe('What was done, or would be.'),
  undo_id: z.string().nullable().describe('For /api/doctor/undo; null where there is nothing to undo.'),
})

export const mendingsReply = z.array(
  z.object({
    id: z.string(),
    at: z.int().describe('Epoch ms.'),
    fixes: z.array(fix.pick({ finding: true, what: true })),
  }),
)

export const undoReply = z.object({ undone: z.array(fix.omit({ what: true })) })

export function showDiagnosis({ durationMs, fixes: _, ...diagnosis }: Diagnosis): z.infer<typeof diagnosisReply> {
  return { ...diagnosis, duration_ms: durationMs }
}
