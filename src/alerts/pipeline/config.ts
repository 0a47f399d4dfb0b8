import { z } from 'zod'

const text = z.record(z.string(), z.unknown())

/** Members of `[alerts]` that are the pipeline's. `route`, `inhibit_rules` and `time_intervals` are Alertmanager's. */
export const pipelineSettings = {
  route: text
    .default({})
    .describe("Who is told: Alertmanager's routing tree. {}: everything goes to the receiver default.")
    .meta({ reload: true, zh: '通知对象：Alertmanager 格式的路由树。{} 表示全部发往接收者 default。' }),
  inhibit_rules: z
    .array(text)
    .default([])
    .describe("Which alerts hide which: Alertmanager's rules.")
    .meta({ reload: true, zh: '抑制规则（Alertmanager 格式）。' }),
  time_intervals: z
    .array(text)
    .default([])
    .describe("Times that routes are muted or active in: Alertmanager's format, with zones.")
    .meta({ reload: true, zh: '供路由静音或启用的时间段（Alertmanager 格式，含时区）。' }),
  resolve_timeout_seconds: z
    .int()
    .min(1)
    .max(7 * 86_400)
    .default(300)
    .describe('An alert from outside that names no end is over so long after it was last posted.')
    .meta({ zh: '外部告警未注明结束时间时，最后一次上报后多久视为恢复（秒）。' }),
  notification_max_alerts: z
    .int()
    .min(1)
    .max(10_000)
    .default(100)
    .describe('Alerts that one notification shows; it says how many more there are.')
    .meta({ reload: true, zh: '单条通知最多列出的告警数，其余只报数量。' }),
  storm_max_notifications: z
    .int()
    .min(0)
    .max(100_000)
    .default(20)
    .describe('Notifications a receiver gets in a window; what is beyond comes as one digest. 0: no cap.')
    .meta({ reload: true, zh: '每个接收者在时间窗内的通知数上限，超出部分合并为一条摘要；0 表示不限。' }),
  storm_window_seconds: z
    .int()
    .min(1)
    .max(86_400)
    .default(60)
    .describe('That window.')
    .meta({ reload: true, zh: '告警风暴时间窗（秒）。' }),
  max_active: z
    .int()
    .min(100)
    .max(1_000_000)
    .default(50_000)
    .describe('Alerts that may be active; beyond that new posts are refused with 503 and come again.')
    .meta({ reload: true, zh: '活动告警数上限，超出后新上报返回 503。' }),
  max_waiting: z
    .int()
    .min(100)
    .max(1_000_000)
    .default(50_000)
    .describe('Posted alerts that may wait to be read; beyond that posts are refused with 503 and come again.')
    .meta({ reload: true, zh: '待处理上报数上限，超出后新上报返回 503。' }),
  ended_retention_days: z
    .int()
    .min(1)
    .max(3650)
    .default(30)
    .describe('For how long it is kept what fired.')
    .meta({ reload: true, zh: '已恢复告警的保留天数。' }),
}

const pipelineConfig = z.strictObject(pipelineSettings)
export type PipelineConfig = z.infer<typeof pipelineConfig>
