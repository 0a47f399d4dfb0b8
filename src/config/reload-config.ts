import { z } from 'zod'

/** `[reload]`: what a hub makes of new settings while it runs. */
export const reloadConfig = z
  .strictObject({
    watch_seconds: z
      .int()
      .min(0)
      .max(3600)
      .default(60)
      .describe('How long health is watched after new settings; if it gets worse they are taken back. 0: never.')
      .meta({ zh: '应用新配置后观察健康状况的时长（秒）；若变差则自动回滚。0 表示不观察。' }),
    failure_percent: z
      .int()
      .min(1)
      .max(100)
      .default(20)
      .describe('By how many points the share of failing calls to models must grow in that time to count as worse.')
      .meta({ zh: '观察期内模型调用失败率上升多少个百分点视为变差。' }),
    min_calls: z
      .int()
      .min(1)
      .max(1_000_000)
      .default(20)
      .describe('Calls that must have ended in that time before their share says anything.')
      .meta({ zh: '观察期内至少结束多少次调用，失败率才有意义。' }),
  })
  .describe('Settings that change while the hub runs: SIGHUP, the API, gatehouse config reload.')
  .meta({ zh: '运行中重新加载配置：SIGHUP、接口、gatehouse config reload。', reload: true })

export type ReloadConfig = z.infer<typeof reloadConfig>
