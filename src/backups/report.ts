import type { DrillResult } from './drill.ts'
import type { Run } from './schema.ts'

/** Seed 003's five steps of a recovery, filled in from drills. */
export type DrillReport = {
  quarter: string
  drills: number
  passed: number
  failed: number
  inconclusive: number
  steps: { step: string; zh: string; told: string[] }[]
}

const dayMs = 86_400_000

/** `2026-Q4` as from and to, epoch ms UTC; null when it is none. */
export function readQuarter(text: string): { from: number; to: number } | null {
  const found = /^(\d{4})-Q([1-4])$/.exec(text)
  if (found === null) return null
  const [year, month] = [Number(found[1]), (Number(found[2]) - 1) * 3]
  return { from: Date.UTC(year, month), to: Date.UTC(year, month + 3) }
}

export function quarterOf(at: number): string {
  const date = new Date(at)
  return `${date.getUTCFullYear()}-Q${Math.floor(date.getUTCMonth() / 3) + 1}`
}

/** What the drills of a quarter showed, newest first, and what there is to mend. */
export function writeReport(quarter: string, runs: readonly Run[]): DrillReport {
  const drills = runs.filter(({ outcome }) => outcome !== 'running')
  const results = drills.map((run) => ({ run, result: run.details as Partial<DrillResult> }))
  const count = (outcome: string) => drills.filter((run) => run.outcome === outcome).length
  const of = (tell: (told: (typeof results)[number]) => string) => results.map(tell)
  const day = (at: number) => new Date(at).toISOString().slice(0, 16).replace('T', ' ')
  return {
    quarter,
    drills: drills.length,
    passed: count('ok'),
    failed: count('failed'),
    inconclusive: count('inconclusive'),
    steps: [
      {
        step: 'Confirm the failure',
        zh: '确认故障',
        told: of(({ run }) => `${day(run.startedAt)}: taken to be lost: the whole store (${run.id})`),
      },
      {
        step: 'Assess the impact',
        zh: '评估影响',
        told: of(
          ({ result }) =>
            `the newest backup was ${minutes(result.rpo_ms)} old, which is what would have been lost; at worst ${minutes(result.worst_gap_ms)} within a week`,
        ),
      },
      {
        step: 'Start the recovery',
        zh: '启动恢复',
        told: results.flatMap(({ result }) =>
          (result.backups ?? []).map(
            (each) =>
              `${each.id} of ${day(each.taken_at)}: ${each.rows} rows restored and asked within ${each.rto_ms} ms`,
          ),
        ),
      },
      {
        step: 'Verify the result',
        zh: '验证结果',
        told: results.flatMap(({ run, result }) =>
          (result.backups ?? []).length === 0
            ? [run.message]
            : result.backups!.map((each) => {
                const good = each.steps.filter((step) => step.is_good).map(({ step }) => step)
                const tail = each.cause === '' ? '' : `; ${each.cause}`
                return `${each.id}: ${each.outcome}: ${good.join(', ')}${tail}`
              }),
        ),
      },
      { step: 'Sum up and improve', zh: '总结改进', told: improvements(results, quarter) },
    ],
  }
}

function improvements(results: readonly { run: Run; result: Partial<DrillResult> }[], quarter: string): string[] {
  const told: string[] = []
  if (results.length === 0) told.push(`No drill ended in ${quarter}: run one with "gatehouse backup drill".`)
  for (const { run } of results) if (run.outcome !== 'ok') told.push(`${run.id}: ${run.message}`)
  const last = results[0]?.result
  if (last?.is_recoverable_without_master_key === false) {
    told.push(
      'Backups open with the master key alone: make a recovery key ("gatehouse backup recovery-key") and set backups.recovery_key.',
    )
  }
  if ((last?.worst_gap_ms ?? 0) > dayMs * 1.1)
    told.push('There was more than a day between two backups: look at backups.*_every_*.')
  return told.length > 0 ? told : ['Nothing to mend.']
}

function minutes(ms: number | undefined): string {
  return ms === undefined ? 'of unknown age' : `${Math.round(ms / 60_000)} min`
}

export function toMarkdown(report: DrillReport): string {
  const { quarter, drills, passed, failed, inconclusive } = report
  const head = `# Recovery drills ${quarter} · 灾备演练报告\n\n${drills} drills: ${passed} passed, ${failed} failed, ${inconclusive} inconclusive.\n`
  const parts = report.steps.map(
    ({ step, zh, told }, index) =>
      `## ${index + 1}. ${step} · ${zh}\n\n${told.map((line) => `- ${line}`).join('\n')}\n`,
  )
  return [head, ...parts].join('\n')
}
