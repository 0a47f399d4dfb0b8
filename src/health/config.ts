import { z } from 'zod'
import { isAddressRange } from '../platform/address.ts'

const ranges = z.array(
  z.string().refine(isAddressRange, {
    error: 'This is not an address or a CIDR block such as 10.0.0.0/8',
    params: { zh: '不是地址或 CIDR 网段（例如 10.0.0.0/8）' },
  }),
)

/** `[health]`: checks that people configure. */
export const healthConfig = z
  .strictObject({
    allow_private: ranges
      .default([])
      .describe("Non-public addresses that the hub's own checks may ask, beside those of network.allow_private.")
      .meta({ zh: '除 network.allow_private 之外，系统检查项还可访问的非公网地址段。' }),
    tenant_allow_private: ranges
      .default([])
      .describe('Non-public addresses that checks of tenants may ask; [] for none.')
      .meta({ zh: '租户检查项可访问的非公网地址段；[] 表示不允许。' }),
    reference_targets: z
      .array(z.string().regex(/^[A-Za-z0-9.:[\]-]+:\d{1,5}$/, 'Write host:port, as in 1.1.1.1:53'))
      .max(10)
      .default([])
      .describe(
        'Hosts and ports outside, as in 1.1.1.1:53: when none can be reached, our own network is down and checks are inconclusive. [] judges by whether all hosts fail together.',
      )
      .meta({
        zh: '外部参照目标（host:port）；全部不可达时判定为自身网络故障，检查结果记为“无法判断”。[] 表示按是否全部目标同时失败来判断。',
      }),
    doubt_minutes: z
      .number()
      .min(0)
      .max(1440)
      .default(5)
      .describe('How long the hub doubts its own network before what cannot be reached is down after all.')
      .meta({ zh: '怀疑自身网络的最长时间（分钟），超过后按故障处理。' }),
    max_concurrent: z.int().min(1).max(1000).default(50).describe('Checks asked at a time.').meta({
      zh: '同时执行的检查数上限。',
    }),
    max_checks: z
      .int()
      .min(1)
      .max(100_000)
      .default(1000)
      .describe('Configured checks in all.')
      .meta({ reload: true, zh: '检查项总数上限。' }),
    max_checks_per_tenant: z
      .int()
      .min(1)
      .max(100_000)
      .default(1000)
      .describe('Configured checks of a tenant.')
      .meta({ reload: true, zh: '每个租户的检查项上限。' }),
    raw_days: z
      .number()
      .min(0.1)
      .max(366)
      .default(7)
      .describe('How long single results are kept.')
      .meta({ reload: true, zh: '单次检查结果的保留天数。' }),
    minute_days: z
      .number()
      .min(1)
      .max(3660)
      .default(30)
      .describe('How long sums of minutes are kept.')
      .meta({ reload: true, zh: '分钟级汇总的保留天数。' }),
    hour_days: z
      .number()
      .min(1)
      .max(3660)
      .default(730)
      .describe('How long sums of hours are kept.')
      .meta({ reload: true, zh: '小时级汇总的保留天数。' }),
    status_title: z
      .string()
      .max(200)
      .default('')
      .describe('Title of the public status page; empty for that of the product.')
      .meta({ zh: '公开状态页的标题；留空使用产品名称。' }),
  })
  .describe('Checks that people configure, and the status page.')
  .meta({ zh: '自定义健康检查与公开状态页。' })

export type HealthConfig = z.infer<typeof healthConfig>
