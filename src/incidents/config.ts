import { z } from 'zod'
import { alertSeverities } from './cause.ts'
import { isZoneName } from './zone.ts'

const dates = z.array(z.iso.date('Write dates as 2026-10-01')).max(2000)
const channels = z.array(z.string().trim().min(1).max(100)).max(20)
const span = z
  .string()
  .regex(/^([01]\d|2[0-3]):[0-5]\d-(([01]\d|2[0-3]):[0-5]\d|24:00)$/, 'Write hours as 09:00-18:00')
  .refine((text) => text.slice(0, 5) < text.slice(6), 'Hours end after they begin')

/** `[incidents]`: how faults are handled. Escalation policies and who is on call are set at `/api/on-call`. */
export const incidentsConfig = z
  .strictObject({
    open_at_severity: z
      .enum(alertSeverities)
      .default('high')
      .describe('Alerts of this severity or a higher one open incidents.')
      .meta({ reload: true, zh: '达到该级别的告警会自动创建故障单。' }),
    cause_labels: z
      .array(z.string().regex(/^[a-zA-Z_][a-zA-Z0-9_]*$/, 'Write names of labels'))
      .min(1)
      .max(12)
      .default(['provider', 'key', 'model', 'service', 'route', 'check'])
      .describe('Labels that name what is broken: alerts with the same, or a part of it, are one incident.')
      .meta({ reload: true, zh: '标识故障原因的标签；标签相同（或包含）的告警归入同一故障单。' }),
    zone: z
      .string()
      .max(100)
      .refine(isZoneName, {
        error: 'Write a time zone such as Asia/Shanghai',
        params: { zh: '请填写时区，例如 Asia/Shanghai' },
      })
      .default('UTC')
      .describe('Zone of ids (ALT-2026-03-02-001), working time, reports and digests.')
      .meta({ zh: '故障编号、工作时间、报告与周报使用的时区。' }),
    language: z.enum(['en', 'zh']).default('en').describe('Language of messages and digests.').meta({
      zh: '通知与周报的语言。',
    }),
    working_days: z
      .array(z.int().min(1).max(7))
      .min(1)
      .max(7)
      .default([1, 2, 3, 4, 5])
      .describe('Working days, Monday is 1. P2 and P3 are measured in working time, P0 and P1 around the clock.')
      .meta({ zh: '工作日（周一为 1）。P2、P3 按工作时间计时，P0、P1 全天候计时。' }),
    working_hours: z
      .array(span)
      .min(1)
      .max(6)
      .refine((list) => list.every((text, index) => index === 0 || list[index - 1]!.slice(6) <= text.slice(0, 5)), {
        error: 'Write hours in order, without overlaps',
        params: { zh: '请按先后顺序填写，且不得重叠' },
      })
      .default(['09:00-18:00'])
      .describe('Working hours in that zone; together they are one working day.')
      .meta({ zh: '工作时段；合计为一个工作日。' }),
    holidays: dates
      .default([])
      .describe('Dates on which nobody works.')
      .meta({ zh: '放假日期（YYYY-MM-DD），如国务院公布的节假日。' }),
    make_up_days: dates
      .default([])
      .describe('Dates on which everybody works although it is a weekend or a holiday.')
      .meta({ zh: '调休上班日期（YYYY-MM-DD）。' }),
    reconcile_seconds: z
      .int()
      .min(1)
      .max(300)
      .default(15)
      .describe('How often incidents are compared with the active alerts, and timers looked at.')
      .meta({ zh: '与活动告警核对并检查计时器的间隔（秒）。' }),
    quiet_minutes: z
      .number()
      .min(0)
      .max(1440)
      .default(15)
      .describe('When no alert of an incident has fired for so long, it is resolved.')
      .meta({ reload: true, zh: '故障单的所有告警恢复后，持续多久无告警即自动标记为已解决（分钟）。' }),
    reopen_minutes: z
      .number()
      .min(0)
      .max(10_080)
      .default(30)
      .describe('A resolved incident can be opened again for so long; later the same cause is a new one, linked to it.')
      .meta({ reload: true, zh: '已解决的故障单可重新打开的时限（分钟）；超过后同一原因新建故障单并关联。' }),
    most_reopens: z
      .int()
      .min(0)
      .max(100)
      .default(5)
      .describe('How often an incident is opened again.')
      .meta({ reload: true, zh: '重新打开的次数上限。' }),
    most_open: z
      .int()
      .min(1)
      .max(10_000)
      .default(100)
      .describe('Open incidents of alerts; further causes are gathered in one, so that a storm is one message.')
      .meta({ reload: true, zh: '由告警产生的未结故障单上限；超出后合并为一个“告警风暴”故障单。' }),
    close_after_days: z
      .number()
      .min(0)
      .max(365)
      .default(7)
      .describe('Resolved incidents are closed after so many days; 0 for by hand only.')
      .meta({ reload: true, zh: '已解决的故障单自动关闭的天数；0 表示仅手动关闭。' }),
    suspect_minutes: z
      .int()
      .min(1)
      .max(10_080)
      .default(120)
      .describe('Changes so long before an incident are suspects.')
      .meta({ reload: true, zh: '故障发生前多长时间内的变更列为可疑变更（分钟）。' }),
    urgent_channels: channels
      .default(['phone', 'im', 'mail'])
      .describe('Channels that P0 and P1 are told by, where no escalation policy says otherwise.')
      .meta({ zh: 'P0、P1 的默认通知渠道。' }),
    normal_channels: channels
      .default(['im', 'mail', 'ticket'])
      .describe('Channels that P2 and P3 are told by, where no escalation policy says otherwise.')
      .meta({ zh: 'P2、P3 的默认通知渠道。' }),
    page_wait_seconds: z
      .number()
      .min(0)
      .max(300)
      .default(10)
      .describe(
        'The first page about an incident of alerts waits so long: it says what else broke, and what ends meanwhile wakes nobody.',
      )
      .meta({ reload: true, zh: '告警故障单首次呼叫前的等待时间（秒）：便于合并受影响项，期间恢复则不再呼叫。' }),
    digest_channels: channels
      .default([])
      .describe('Channels that get the weekly digest, Mondays at nine; [] for none.')
      .meta({ reload: true, zh: '接收周报的渠道（每周一 9 点）；[] 表示不发送。' }),
    link_hours: z
      .number()
      .min(0.1)
      .max(168)
      .default(24)
      .describe('How long a link that acknowledges an incident is valid.')
      .meta({ zh: '一键确认链接的有效期（小时）。' }),
    retention_days: z
      .int()
      .min(1)
      .max(36_500)
      .default(1095)
      .describe('Closed incidents are deleted after so many days.')
      .meta({ reload: true, zh: '已关闭故障单的保留天数。' }),
  })
  .describe('Incidents: severity, SLA, escalation.')
  .meta({ zh: '故障管理：分级、SLA 与升级通知。' })

export type IncidentsConfig = z.infer<typeof incidentsConfig>
