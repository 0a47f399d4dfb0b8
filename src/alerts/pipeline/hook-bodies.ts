import { z } from 'zod'
import type { PostedAlert } from '../alert.ts'

const words = z.record(z.string(), z.unknown())
const text = z.string().max(20_000)

const webhookAlert = z.looseObject({
  status: z.string().max(50).optional(),
  labels: words,
  annotations: words.optional(),
  startsAt: z.string().max(64).optional(),
  endsAt: z.string().max(64).optional(),
  generatorURL: z.string().max(8192).optional(),
})

/** Alertmanager's webhook, version 4; Grafana's has the same members and some more. */
export const webhookBody = z.looseObject({
  status: z.string().max(50).optional(),
  truncatedAlerts: z.number().optional(),
  alerts: z.array(webhookAlert).max(10_000),
})

/** Uptime Kuma's webhook: both are null when it is only tried. */
export const kumaBody = z.looseObject({
  heartbeat: z
    .looseObject({ status: z.number().int(), msg: text.nullish(), time: z.string().max(64).nullish() })
    .nullish(),
  monitor: z
    .looseObject({
      id: z.union([z.number(), z.string().max(64)]),
      name: z.string().max(300),
      type: z.string().max(64).nullish(),
      url: z.string().max(4096).nullish(),
      hostname: z.string().max(300).nullish(),
    })
    .nullish(),
  msg: text.nullish(),
})

/**
 * What a webhook says of alerts. They do not come again until something changes, so nothing is over because it was not
 * said again.
 */
export function readWebhook(body: z.infer<typeof webhookBody>, tenantId: string, now: number): PostedAlert[] {
  return body.alerts.map((alert) => {
    const startsAt = readTime(alert.startsAt) ?? now
    const isOver = (alert.status ?? body.status) === 'resolved'
    return {
      ...{ labels: texts(alert.labels), annotations: texts(alert.annotations ?? {}), tenantId, startsAt },
      endsAt: isOver ? Math.max(startsAt, Math.min(readTime(alert.endsAt) ?? now, now)) : null,
      ...{ expiresAt: null, generatorUrl: alert.generatorURL ?? '' },
    }
  })
}

const kuma = { down: 0, up: 1 }

/** Nothing for what is neither up nor down: pending and maintenance say nothing of an alert. */
export function readKuma(
  { heartbeat, monitor, msg }: z.infer<typeof kumaBody>,
  tenantId: string,
  now: number,
): PostedAlert[] {
  if (heartbeat == null || monitor == null) return []
  if (heartbeat.status !== kuma.down && heartbeat.status !== kuma.up) return []
  const about = heartbeat.msg ?? msg ?? ''
  return [
    {
      labels: {
        ...{ alertname: 'UptimeKumaMonitorDown', severity: 'critical', source: 'uptime_kuma' },
        ...{ monitor: monitor.name, monitor_id: String(monitor.id) },
      },
      annotations: {
        summary: `${monitor.name} is down: ${about}`,
        summary_zh: `${monitor.name} 不可用：${about}`,
        ...(monitor.type ? { type: monitor.type } : {}),
      },
      // Kuma writes its times in the zone of its own: ours is when we were told.
      startsAt: now,
      endsAt: heartbeat.status === kuma.up ? now : null,
      expiresAt: null,
      generatorUrl: monitor.url && /^https?:\/\/./.test(monitor.url) ? monitor.url : '',
      tenantId,
    },
  ]
}

function texts(some: Record<string, unknown>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(some).map(([name, value]) => [
      name,
      typeof value === 'string' ? value : (JSON.stringify(value) ?? ''),
    ]),
  )
}

/** null for what is not said; Go's zero time is nothing said. */
function readTime(written: string | undefined): number | null {
  const at = written === undefined ? Number.NaN : Date.parse(written)
  return Number.isNaN(at) || at <= 0 ? null : at
}
