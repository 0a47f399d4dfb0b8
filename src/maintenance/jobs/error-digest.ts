import { createFindings, defineJob } from '../job.ts'

const dayMs = 86_400_000
/** So many times as on the former day, and at least so many, is no accident. */
const surge = { times: 10, least: 100 }

/** Seed 003's daily look at the error log: what was said, how often, and how that compares with the day before. */
export const errorDigest = defineJob({
  name: 'error_digest',
  rhythm: 'daily',
  summary: { en: 'Errors of the last day, by what they say', zh: '错误日志检查' },
  cron: '10 6 * * *',
  windowMinutes: 60,
  async run(world, running) {
    const found = createFindings()
    const since = world.clock.now() - dayMs
    const digest = await world.logs.digest(since)
    if (digest === null) {
      found.add('inconclusive', 'No log files are written (log.files).', '未写入日志文件（log.files）。')
      return found.told({ en: '', zh: '' })
    }
    const critical = digest.entries
      .filter(({ level }) => level === 'CRITICAL')
      .reduce((sum, { count }) => sum + count, 0)
    found.figure('errors', digest.lines)
    found.figure('kinds', digest.entries.length)
    found.figure('critical', critical)
    for (const { level, module, msg, error, count } of digest.entries.slice(0, 20))
      found.note(`${count} × ${level} ${module}: ${msg}${error && ` (${error})`}`)
    if (digest.completeSinceMs > since + 60_000)
      found.note(`lines older than ${new Date(digest.completeSinceMs).toISOString()} were not looked at`)
    const before = (await running.former(1))[0]?.figures.errors
    found.figure('errors_before', before ?? null)
    const isSurge =
      before !== undefined && digest.lines >= surge.least && digest.lines >= surge.times * Math.max(1, before)
    if (critical > 0) found.add('fail', `${critical} critical lines.`, `${critical} 行严重错误。`)
    if (isSurge)
      found.add(
        'fail',
        `${digest.lines} errors, after ${before} the day before.`,
        `错误 ${digest.lines} 行，前一日 ${before} 行。`,
      )
    else if (digest.lines > 0)
      found.add(
        'warn',
        `${digest.lines} errors of ${digest.entries.length} kinds.`,
        `${digest.lines} 行错误，共 ${digest.entries.length} 类。`,
      )
    return found.told({ en: 'No error in the log of the last day.', zh: '最近一天日志无错误。' })
  },
})
