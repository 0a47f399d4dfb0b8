import { createFindings, defineJob } from '../job.ts'

const dayMs = 86_400_000

/** Seed 003's monthly drill. The hub drills by itself, too: one that passed lately is not done again. */
export const recoveryDrill = defineJob({
  name: 'recovery_drill',
  rhythm: 'monthly',
  summary: { en: 'A drill of the last month, or one now', zh: '灾备演练' },
  cron: '0 2 2 * *',
  windowMinutes: 300,
  async run(world, running) {
    const found = createFindings()
    const last = await world.backups.lastDrillAt()
    const days = last === null ? null : (world.clock.now() - last) / dayMs
    found.figure('last_drill_days', days)
    if (days !== null && days <= 31) {
      return found.told({
        en: `A drill passed ${Math.floor(days)} days ago.`,
        zh: `最近一次演练通过于 ${Math.floor(days)} 天前。`,
      })
    }
    await running.assertHeld()
    running.progress(0, 0, 'restoring beside the store')
    const { outcome, cause, rtoMs, rpoMs, restored } = await world.backups.drill()
    found.figure('rto_seconds', rtoMs / 1000)
    found.figure('rpo_seconds', rpoMs / 1000)
    for (const each of restored) found.note(each)
    if (outcome === 'failed') found.add('fail', `The drill failed: ${cause}.`, `演练失败：${cause}。`)
    if (outcome === 'inconclusive') found.add('inconclusive', `Nobody could try: ${cause}.`, `演练条件不足：${cause}。`)
    return found.told({
      en: `The drill passed: ${Math.round(rtoMs / 1000)} s to restore (RTO), ${Math.round(rpoMs / 1000)} s would have been lost (RPO).`,
      zh: `演练通过：恢复用时（RTO）${Math.round(rtoMs / 1000)} 秒，可能丢失（RPO）${Math.round(rpoMs / 1000)} 秒。`,
    })
  },
})
