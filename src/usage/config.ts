import { z } from 'zod'
import { isZone } from './quota/periods.ts'

export { type LimitsConfig, limitsConfig } from './quota/config.ts'

/** `[usage]`: the ledger and how long its rows are kept. */
export const usageConfig = z
  .strictObject({
    durability: z
      .enum(['crash', 'power-loss'])
      .default('crash')
      .describe(
        'What an answered request survives: the end of the process, or of the machine (one disk sync per commit).',
      )
      .meta({ zh: '账本可承受的故障：进程崩溃，或整机断电（每次提交需一次磁盘同步）。' }),
    journal_max_mb: z
      .int()
      .min(16)
      .max(1_000_000)
      .default(4096)
      .describe(
        'Largest journal on this node, in MiB; when it is full because the store is away, requests are refused.',
      )
      .meta({ zh: '本节点账本日志的大小上限（MiB）；主库长期不可用导致写满时拒绝新请求。' }),
    retention_days: z
      .int()
      .min(1)
      .max(3650)
      .default(30)
      .describe('Rows of single requests are deleted after so many days; the hourly sums stay.')
      .meta({ reload: true, zh: '请求明细保留天数；按小时的汇总长期保留。' }),
    max_rows: z
      .int()
      .min(1000)
      .default(5_000_000)
      .describe('Most rows of single requests kept; the oldest go first, the hourly sums stay.')
      .meta({ reload: true, zh: '请求明细的最大行数，超出时先删最旧的；按小时的汇总保留。' }),
    quarter_retention_days: z
      .int()
      .min(1)
      .max(3650)
      .default(100)
      .describe(
        'Sums of quarters of an hour are deleted after so many days, never before the rows; sums of hours and days stay.',
      )
      .meta({ reload: true, zh: '按 15 分钟的汇总的保留天数，不短于请求明细；按小时和按天的汇总保留。' }),
    hour_retention_days: z
      .int()
      .min(62)
      .max(3650)
      .default(400)
      .describe('Sums of hours are deleted after so many days, never before those of quarters; sums of days stay.')
      .meta({ reload: true, zh: '按小时的汇总的保留天数，不短于 15 分钟汇总；按天的汇总保留。' }),
    latency_retention_days: z
      .int()
      .min(1)
      .max(3650)
      .default(100)
      .describe(
        'Durations by tenant, model and provider, for percentiles, are deleted after so many days, never before the rows.',
      )
      .meta({ reload: true, zh: '按租户、模型和服务商的耗时分布（用于分位数）的保留天数，不短于请求明细。' }),
    day_retention_days: z
      .int()
      .min(62)
      .max(36500)
      .default(3650)
      .describe('Sums of whole days are deleted after so many days, never before those of hours.')
      .meta({ reload: true, zh: '按天的汇总的保留天数，不短于按小时的汇总。' }),
    max_mb: z
      .int()
      .min(0)
      .max(100000000)
      .default(0)
      .describe(
        'Most room, in MiB, that the ledger and its sums may take; 0 is no limit. The oldest rows go first, then the finest sums. With SQLite the whole store counts.',
      )
      .meta({
        reload: true,
        zh: '账本及其汇总占用空间上限（MiB），0 为不限；先删最旧的明细，再删最细的汇总。SQLite 按整个主库计算。',
      }),
    mirror_retention_days: z
      .int()
      .min(1)
      .max(3650)
      .default(30)
      .describe('Comparisons of mirrored requests, with the texts some of them hold, are deleted after so many days.')
      .meta({ reload: true, zh: '镜像请求对比结果（含按设置保存的文本）的保留天数。' }),
    time_zone: z
      .string()
      .max(60)
      .refine(isZone, 'is no time zone: write a name such as Asia/Shanghai')
      .default('UTC')
      .describe('Whose days, weeks and months reports tell where nobody asks for another zone.')
      .meta({ zh: '报表默认使用的时区（天、周、月的划分），如 Asia/Shanghai。' }),
    max_agents: z
      .int()
      .min(1)
      .max(100_000)
      .default(1000)
      .describe(
        'Names of agents that the callers of one tenant may make up in a day, on each node; more count as (other).',
      )
      .meta({ zh: '每个租户每天（每个节点）可由调用方自行命名的智能体数量上限；超出部分计入 (other)。' }),
    flush_seconds: z
      .number()
      .min(0)
      .max(600)
      .default(5)
      .describe('How long a stopping hub moves rows from its journal to the store; the rest waits for the next start.')
      .meta({ reload: true, zh: '停止时将日志写入主库的最长时间（秒）；其余留待下次启动。' }),
  })
  .describe('The ledger of requests.')
  .meta({ zh: '请求账本。' })

export type UsageConfig = z.infer<typeof usageConfig>
