import { z } from 'zod'

/** `[risk]`: who abuses what. Rules, allow-lists and steps are set at `/api/risk/rules`. */
export const riskConfig = z
  .strictObject({
    enabled: z
      .boolean()
      .default(true)
      .describe('Whether rules look at the traffic of this hub.')
      .meta({ reload: true, zh: '是否对本网关流量执行风控规则。' }),
    interval_seconds: z
      .int()
      .min(1)
      .max(300)
      .default(10)
      .describe('How often new calls are looked at.')
      .meta({ zh: '检查新请求的间隔（秒）。' }),
    max_entities: z
      .int()
      .min(100)
      .max(1_000_000)
      .default(20_000)
      .describe('Keys, addresses and users each rule remembers; those silent for longest are forgotten first.')
      .meta({ zh: '每条规则记住的对象数上限，最久无活动者先遗忘。' }),
    retention_days: z
      .int()
      .min(1)
      .max(3650)
      .default(180)
      .describe('Closed findings are deleted after so many days.')
      .meta({ reload: true, zh: '已关闭风险事件的保留天数。' }),
  })
  .describe('Detection of abuse.')
  .meta({ zh: '风险检测。' })

export type RiskConfig = z.infer<typeof riskConfig>
