import { createFindings, defineJob } from '../job.ts'

type Resource = { name: string; en: string; zh: string; expression: string; warnAt: number; failAt: number }

/** Seed 003's targets for a system: processors below 80 %, memory and disk below 85 %; and what else can run out. */
const resources: readonly Resource[] = [
  {
    ...{ name: 'cpu', en: 'processors', zh: 'CPU', warnAt: 80, failAt: 95 },
    expression:
      '100 * (1 - sum by (instance, job) (rate(gatehouse_host_cpu_seconds_total{mode=~"idle|iowait"}[15m])) / sum by (instance, job) (gatehouse_host_cpus))',
  },
  {
    ...{ name: 'memory', en: 'memory', zh: '内存', warnAt: 85, failAt: 95 },
    expression:
      '100 * (1 - gatehouse_host_memory_bytes{kind="available"} / ignoring (kind) gatehouse_host_memory_bytes{kind="total"})',
  },
  {
    ...{ name: 'disk', en: 'disk', zh: '磁盘', warnAt: 85, failAt: 95 },
    expression:
      '100 * (1 - gatehouse_host_disk_bytes{kind="free"} / ignoring (kind) gatehouse_host_disk_bytes{kind="total"})',
  },
  {
    ...{ name: 'open_files', en: 'open files', zh: '文件句柄', warnAt: 80, failAt: 95 },
    expression: '100 * gatehouse_process_open_fds / gatehouse_process_max_fds',
  },
  {
    ...{ name: 'database_connections', en: 'database connections', zh: '数据库连接', warnAt: 80, failAt: 95 },
    expression:
      '100 * sum by (instance, job, target) (gatehouse_postgres_connections) / sum by (instance, job, target) (gatehouse_postgres_max_connections)',
  },
]

/** Seed 003's daily look at resources, over the whole day and not at one moment. */
export const resourceUsage = defineJob({
  name: 'resource_usage',
  rhythm: 'daily',
  summary: { en: 'Processors, memory, disk, files and connections of the last day', zh: '资源使用检查' },
  cron: '20 6 * * *',
  windowMinutes: 60,
  async run(world, running) {
    const found = createFindings()
    let measured = 0
    for (const [index, { name, en, zh, expression, warnAt, failAt }] of resources.entries()) {
      running.progress(index, resources.length, name)
      const values = (await world.trend(expression, 1)).map(([, value]) => value).filter(Number.isFinite)
      if (values.length === 0) continue
      measured += 1
      const mean = values.reduce((sum, value) => sum + value, 0) / values.length
      const most = values.reduce((sofar, value) => Math.max(sofar, value), 0)
      found.figure(`${name}_percent_mean`, mean)
      found.figure(`${name}_percent_most`, most)
      found.note(`${en}: ${mean.toFixed(1)} % on average, ${most.toFixed(1)} % at most`)
      // What only fills up is judged by where it is; what comes and goes by how it was.
      const level = name === 'disk' ? values.at(-1)! : mean
      if (level < warnAt) continue
      const told = `${level.toFixed(0)} %`
      found.add(level >= failAt ? 'fail' : 'warn', `${en} used to ${told}.`, `${zh}使用率 ${told}。`)
    }
    const { freeBytes, totalBytes } = world.disk()
    found.figure('disk_free_bytes', freeBytes)
    found.figure('disk_total_bytes', totalBytes)
    const room = await world.upkeep.room()
    found.figure('store_bytes', room.bytes)
    found.figure('store_free_bytes', room.freeBytes)
    if (measured === 0) found.add('inconclusive', 'Nothing was measured in the last day.', '最近一天没有任何采样数据。')
    return found.told({ en: 'Within the limits all day.', zh: '全天均在限值之内。' })
  },
})
