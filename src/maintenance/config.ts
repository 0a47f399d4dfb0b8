import { z } from 'zod'
import { isZone } from '../kernel/windows.ts'

/** `[maintenance]`: what is looked after by itself. When each job runs is set at `/api/maintenance/jobs`. */
export const maintenanceConfig = z
  .strictObject({
    enabled: z
      .boolean()
      .default(true)
      .describe('Whether the daily, weekly and monthly jobs run by themselves; at wish they run all the same.')
      .meta({ zh: '是否自动执行每日、每周与每月维护任务；关闭后仍可手动执行。' }),
    zone: z
      .string()
      .max(60)
      .default('UTC')
      .refine(isZone, { error: 'This is no time zone such as Asia/Shanghai', params: { zh: '不是有效的时区名称' } })
      .describe('Time zone of the hours at which jobs run, unless a job names its own.')
      .meta({ zh: '维护任务执行时间所用的时区，任务可另行指定。' }),
    keep_days: z
      .int()
      .min(40)
      .max(3650)
      .default(730)
      .describe('How long results of jobs are kept.')
      .meta({ zh: '维护结果的保留天数。' }),
    secret_max_age_days: z
      .int()
      .min(0)
      .max(3650)
      .default(365)
      .describe('Keys of providers and callers older than so many days are told; 0 tells of none.')
      .meta({ zh: '密钥超过多少天会被提示更换；0 表示不提示。' }),
    advisories_file: z
      .string()
      .max(1000)
      .default('')
      .describe('A file with the output of "npm audit --json", which the security scan reads; empty for none.')
      .meta({ zh: '安全扫描读取的 npm audit --json 输出文件；留空则不读取。' }),
    advisories_url: z
      .union([z.literal(''), z.url({ protocol: /^https?$/ })])
      .default('')
      .describe(
        'Where the security scan asks for known weaknesses of the installed packages, such as https://registry.npmjs.org/-/npm/v1/security/advisories/bulk; empty: it asks nobody.',
      )
      .meta({ zh: '安全扫描查询依赖漏洞的地址（npm 的 advisories/bulk 接口）；留空则不联网查询。' }),
  })
  .describe('Jobs that look after the hub: daily, weekly and monthly.')
  .meta({ zh: '每日、每周与每月维护任务。' })

export type MaintenanceConfig = z.infer<typeof maintenanceConfig>
