import { z } from 'zod'
import { isAddressRange } from '../../platform/address.ts'

const ranges = z
  .array(
    z.string().refine(isAddressRange, {
      error: 'This is not an address or a CIDR block such as 10.0.0.0/8',
      params: { zh: '不是地址或 CIDR 网段（例如 10.0.0.0/8）' },
    }),
  )
  .default([])

/** Of `[alerts]`: how messages go out. */
export const deliverySettings = {
  allow_private: ranges
    .describe("Non-public addresses that the hub's own channels may reach, beside those of network.allow_private.")
    .meta({ zh: '除 network.allow_private 之外，系统告警渠道还可访问的非公网地址段。' }),
  tenant_allow_private: ranges
    .describe('Non-public addresses that channels of tenants may reach; [] for none.')
    .meta({ zh: '租户告警渠道可访问的非公网地址段；[] 表示不允许。' }),
  attempt_timeout_seconds: z
    .number()
    .min(1)
    .max(120)
    .default(10)
    .describe('How long one attempt to deliver may take.')
    .meta({ reload: true, zh: '单次投递的超时时间（秒）。' }),
  channel_max_waiting: z
    .int()
    .min(1)
    .max(100_000)
    .default(200)
    .describe("Messages that wait for a channel's rate limit; beyond it they take the fallback channel.")
    .meta({ reload: true, zh: '每个渠道因限流排队的消息上限；超出后改走备用渠道。' }),
  max_in_doubt: z
    .int()
    .min(1)
    .max(1000)
    .default(1)
    .describe(
      'Messages that may be on their way without an answer at a time: so many come twice at most when the process is killed. More tells faster.',
    )
    .meta({
      reload: true,
      zh: '同时允许“已发出、结果未落盘”的消息数，即进程被强杀时最多重复投递的条数；调大可加快投递。',
    }),
  broken_after: z
    .int()
    .min(1)
    .max(100)
    .default(3)
    .describe('Failures in a row after which a channel is broken and its fallback is asked at once.')
    .meta({ reload: true, zh: '连续失败多少次后判定渠道故障，并立即改走备用渠道。' }),
  proof_hour: z
    .int()
    .min(-1)
    .max(23)
    .default(3)
    .describe('Hour of the day (UTC) at which channels with a sandbox prove that they deliver; -1 for never.')
    .meta({ reload: true, zh: '每日投递自检的时刻（UTC 小时）；-1 表示不自检。' }),
  max_channels: z
    .int()
    .min(1)
    .max(10_000)
    .default(500)
    .describe('Channels in all.')
    .meta({ reload: true, zh: '告警渠道总数上限。' }),
  delivery_days: z
    .number()
    .min(1)
    .max(3660)
    .default(90)
    .describe('How long the ledger of deliveries is kept.')
    .meta({ reload: true, zh: '投递台账的保留天数。' }),
}
