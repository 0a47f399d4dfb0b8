import { createFindings, defineJob } from '../job.ts'

/** Seed 003's weekly rebuilding of indexes: those that are broken or bloated, after the engine has looked at all of them. */
export const indexRebuild = defineJob({
  name: 'index_rebuild',
  rhythm: 'weekly',
  summary: { en: 'Lets the engine look at pages and indexes, and makes bad ones anew', zh: '索引重建' },
  cron: '30 3 * * 0',
  windowMinutes: 240,
  async run(world, running) {
    const found = createFindings()
    running.progress(0, 0, 'looking')
    const faults = await world.upkeep.check()
    for (const each of faults) found.note(each)
    found.figure('faults_before', faults.length)
    const isNeeded = world.upkeep.engine === 'postgres' || faults.some((each) => /index/i.test(each))
    const done = isNeeded
      ? await world.upkeep.reindex(async (at, total, what) => {
          await running.assertHeld()
          running.progress(at, total, what)
        })
      : []
    for (const { step, freedBytes } of done) found.note(freedBytes > 0 ? `${step}: ${freedBytes} bytes` : step)
    found.figure('rebuilt', done.length)
    found.figure(
      'freed_bytes',
      done.reduce((sum, { freedBytes }) => sum + freedBytes, 0),
    )
    const left = faults.length === 0 ? [] : await world.upkeep.check()
    found.figure('faults', left.length)
    if (left.length > 0)
      found.add(
        'fail',
        `The store is damaged: ${left[0]}. Keep it as it is, and restore a backup (gatehouse backup restore newest).`,
        `存储损坏：${left[0]}。请保留现场并恢复备份（gatehouse backup restore newest）。`,
      )
    else if (faults.length > 0)
      found.add('warn', `${faults.length} faults of indexes were mended.`, `已修复 ${faults.length} 处索引故障。`)
    return found.told({
      en: done.length === 0 ? 'Sound; nothing had to be made anew.' : `${done.length} indexes were made anew.`,
      zh: done.length === 0 ? '结构完好，无需重建。' : `已重建 ${done.length} 个索引。`,
    })
  },
})
