import { createFindings, defineJob } from '../job.ts'

/** Seed 003's daily look at the services: the hub's own checks and its workers. */
export const serviceStatus = defineJob({
  name: 'service_status',
  rhythm: 'daily',
  summary: { en: 'How every part of the hub stands', zh: '服务状态检查' },
  cron: '0 6 * * *',
  windowMinutes: 60,
  run(world) {
    const found = createFindings()
    const verdicts = world.verdicts()
    const { known, stalled } = world.workers()
    found.figure('checks', verdicts.length)
    found.figure('checks_failed', verdicts.filter(({ state }) => state === 'failed').length)
    found.figure('checks_degraded', verdicts.filter(({ state }) => state === 'degraded').length)
    found.figure('workers', known)
    found.figure('workers_stalled', stalled.length)
    for (const { check, state, message } of verdicts) found.note(`${check}: ${state}${message && ` – ${message}`}`)
    for (const { worker, ageMs } of stalled) found.note(`worker ${worker}: no turn for ${Math.round(ageMs / 1000)} s`)
    const named = (state: string) => verdicts.filter((each) => each.state === state).map(({ check }) => check)
    const [failed, degraded] = [named('failed'), named('degraded')]
    if (failed.length > 0) found.add('fail', `Failed: ${failed.join(', ')}.`, `故障：${failed.join('、')}。`)
    if (stalled.length > 0) {
      const names = stalled.map(({ worker }) => worker)
      found.add('fail', `Workers stand still: ${names.join(', ')}.`, `后台任务停滞：${names.join('、')}。`)
    }
    if (degraded.length > 0) found.add('warn', `Degraded: ${degraded.join(', ')}.`, `降级：${degraded.join('、')}。`)
    if (verdicts.length === 0) found.add('inconclusive', 'No check has looked yet.', '尚无任何检查结果。')
    return found.told({
      en: `${verdicts.length} checks and ${known} workers are in order.`,
      zh: `${verdicts.length} 项检查与 ${known} 个后台任务正常。`,
    })
  },
})
