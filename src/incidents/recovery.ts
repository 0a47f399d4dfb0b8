import type { Category, Incident, TimelineEntry } from './schema.ts'

/** The flow of seed 004: what was found, which remedy its kind has, whether it helped, and whom to call if not. */
export const recoverySteps = [
  'found',
  'kind',
  'remedy',
  'verify',
  'solved',
  'monitoring',
  'escalate',
  'support',
] as const
export type RecoveryStep = (typeof recoverySteps)[number]

export type RecoveryItem = {
  step: RecoveryStep
  title: { en: string; zh: string }
  isDone: boolean
  at: number | null
  by: string
  note: string
}

const titles: Readonly<Record<Exclude<RecoveryStep, 'remedy'>, { en: string; zh: string }>> = {
  found: { en: 'The fault was found', zh: '发现问题' },
  kind: { en: 'Which kind is it?', zh: '判断问题类型' },
  verify: { en: 'Verify that services are well', zh: '验证服务状态' },
  solved: { en: 'Is it solved?', zh: '问题解决？' },
  monitoring: { en: 'Back to watching', zh: '恢复正常监控' },
  escalate: { en: 'Take it a level up', zh: '升级处理级别' },
  support: { en: 'Call support', zh: '联系技术支持' },
}

/** Seed 004: what is unavailable is restarted, what is slow gets more, what is damaged is restored. */
function remedyOf(category: Category): { en: string; zh: string } {
  if (category === 'performance') return { en: 'Give it more resources', zh: '扩容资源' }
  if (category === 'data') return { en: 'Restore the data', zh: '数据恢复' }
  return { en: 'Restart the service', zh: '重启服务' }
}

/**
 * The checklist, filled by what happened and by what people ticked: nobody has to write down twice what the hub saw. What
 * was ticked before it was opened again counts no more.
 */
export function recoveryOf(incident: Incident, timeline: readonly TimelineEntry[]): RecoveryItem[] {
  const restart = timeline.findLast(({ kind }) => kind === 'reopened' || kind === 'relapsed')?.seq ?? 0
  const since = timeline.filter(({ seq }) => seq > restart)
  const last = (entries: readonly TimelineEntry[], ...kinds: string[]) =>
    entries.findLast(({ kind }) => kinds.includes(kind))
  const seen: Record<RecoveryStep, TimelineEntry | undefined> = {
    found: last(timeline, 'opened'),
    kind: last(timeline, 'diagnosed'),
    remedy: last(since, 'mitigated'),
    verify: undefined,
    solved: last(since, 'resolved'),
    monitoring: last(since, 'resolved', 'closed'),
    escalate: since.findLast(({ kind, data }) => kind === 'escalated' && (data.step !== 0 || data.round !== 0)),
    support: undefined,
  }
  // It was quiet for the hold time: that is how the hub verifies.
  if (incident.isMitigatedByHub) seen.verify = last(since, 'resolved')
  return recoverySteps.map((step) => {
    const ticked = since.findLast(({ kind, data }) => kind === 'recovery' && data.step === step)
    const entry = ticked ?? seen[step]
    return {
      ...{ step, title: step === 'remedy' ? remedyOf(incident.category) : titles[step] },
      isDone: ticked === undefined ? entry !== undefined : ticked.data.done === true,
      ...{ at: entry?.at ?? null, by: entry?.actor.name ?? '', note: entry?.text ?? '' },
    }
  })
}
