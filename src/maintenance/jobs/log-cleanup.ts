import { createFindings, defineJob } from '../job.ts'

const dayMs = 86_400_000

/** Seed 003's weekly clearing of logs; tells where files stay that should be gone. */
export const logCleanup = defineJob({
  name: 'log_cleanup',
  rhythm: 'weekly',
  summary: { en: 'Deletes and packs old log files, and proves that they went', zh: '日志清理' },
  cron: '0 3 * * 0',
  windowMinutes: 120,
  async run(world, running) {
    const found = createFindings()
    await running.assertHeld()
    const left = await world.logs.tidy()
    if (left === null) return found.told({ en: 'No log files are written.', zh: '未写入日志文件。' })
    const { keepDays, maxTotalBytes } = world.logs
    found.figure('files', left.files)
    found.figure('bytes', left.bytes)
    found.note(
      `oldest: ${left.oldestDay || 'none was put aside'}; ${keepDays} days and ${maxTotalBytes} bytes are kept`,
    )
    const oldestAllowed = new Date(world.clock.now() - (keepDays + 1) * dayMs).toISOString().slice(0, 10)
    if (left.oldestDay !== '' && left.oldestDay < oldestAllowed)
      found.add('fail', `Files of ${left.oldestDay} could not be deleted.`, `${left.oldestDay} 的日志未能删除。`)
    if (left.bytes > maxTotalBytes * 1.1)
      found.add(
        'fail',
        `The files take ${left.bytes} bytes, more than log.max_total_mb.`,
        `日志占用 ${left.bytes} 字节，超过 log.max_total_mb。`,
      )
    return found.told({
      en: `${left.files} files, ${left.bytes} bytes.`,
      zh: `${left.files} 个文件，${left.bytes} 字节。`,
    })
  },
})
