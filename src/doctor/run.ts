import { type Area, areas, type Finding, type Fix, type Seen, type Words } from './finding.ts'
import { messageOf, type World } from './world.ts'

/** What the doctor says of one thing. */
export type Diagnosis = {
  id: string
  area: Area
  severity: Finding['severity']
  status: Seen['status']
  evidence: string
  cause: Words | null
  remedy: Words | null
  /** Its section in the runbook. */
  docs: string
  fixable: boolean
  durationMs: number
  fixes: readonly Fix[]
}

export type Verdict = { verdict: 'ok' | 'warn' | 'fail'; counts: Record<Seen['status'], number> }

const oneMs = 5000
const allMs = 60_000

/** Runs every check of `only` (all areas unless said) at once: 5 s each, 60 s in all. What does not end is `inconclusive`. */
export async function diagnose(
  findings: readonly Finding[],
  world: World,
  only: readonly Area[] = areas,
): Promise<Diagnosis[]> {
  const { clock } = world
  const ending = new AbortController()
  const wholeEnd = clock.sleep(allMs, ending.signal)
  try {
    return await Promise.all(
      findings
        .filter(({ area }) => only.includes(area))
        .map(async (finding): Promise<Diagnosis> => {
          const begun = clock.monotonic()
          const late = Promise.race([clock.sleep(oneMs, ending.signal), wholeEnd]).then(() => tooLate)
          const seen = await Promise.race([look(finding, world), late])
          const { id, area, severity } = finding
          return {
            ...{ id, area, severity, status: seen.status, evidence: seen.evidence },
            ...{ cause: seen.cause ?? null, remedy: seen.remedy ?? null, docs: `docs/runbook/doctor.md#${id}` },
            ...{ fixable: (seen.fixes ?? []).length > 0, fixes: seen.fixes ?? [] },
            durationMs: Math.round(clock.monotonic() - begun),
          }
        }),
    )
  } finally {
    ending.abort()
  }
}

const tooLate: Seen = {
  status: 'inconclusive',
  evidence: `no answer within ${oneMs / 1000} s`,
  cause: { en: 'The check did not end in its time.', zh: '检查未在限定时间内完成。' },
}

async function look(finding: Finding, world: World): Promise<Seen> {
  try {
    return await finding.run(world)
  } catch (error) {
    return {
      status: 'inconclusive',
      evidence: messageOf(error),
      cause: { en: 'The check itself failed, so nobody knows.', zh: '检查本身失败，无法判定。' },
    }
  }
}

/** The whole in a word: fail when anything fails, warn when anything is doubtful or cannot be known. */
export function judge(diagnoses: readonly Diagnosis[]): Verdict {
  const counts = { ok: 0, warn: 0, fail: 0, skip: 0, inconclusive: 0 }
  for (const { status } of diagnoses) counts[status] += 1
  const verdict = counts.fail > 0 ? 'fail' : counts.warn + counts.inconclusive > 0 ? 'warn' : 'ok'
  return { verdict, counts }
}
