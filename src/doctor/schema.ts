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
  fixable: z.boolean().describe('Whether gatehouse doctor --fix mends it.'),
  duration_ms: z.int(),
})

export const doctorReply = z.object({
  verdict: z.enum(['ok', 'warn', 'fail']),
  counts: z.record(z.enum(statuses), z.int()),
  findings: z.array(diagnosisReply),
})

export function showDiagnosis({ durationMs, fixes: _, ...diagnosis }: Diagnosis): z.infer<typeof diagnosisReply> {
  return { ...diagnosis, duration_ms: durationMs }
}
