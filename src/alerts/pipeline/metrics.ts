import type { Metrics } from '../../platform/metrics.ts'
import type { Active } from './merge.ts'

export type PipelineMetrics = ReturnType<typeof createPipelineMetrics>

export function createPipelineMetrics(metrics: Metrics) {
  const received = metrics.counter('gatehouse_alerts_received_total', 'Alerts posted to this node, by where from', [
    'source',
    'result',
  ])
  const active = metrics.readings('gauge', 'gatehouse_alerts_active', 'Alerts that fire now, on the node that works', [
    'severity',
  ])
  const notifications = metrics.counter('gatehouse_alerts_notifications_total', 'Notifications decided and handed on', [
    ...(['receiver', 'reason', 'result'] as const),
  ])
  const queue = metrics.gauge('gatehouse_alerts_queue_notifications', 'Notifications under way or waiting')
  const inbox = metrics.gauge('gatehouse_alerts_inbox_alerts', 'Posted alerts that are not read yet, as last counted')
  return {
    received: (source: string, result: 'accepted' | 'refused', count: number) =>
      received.with({ source, result }).inc(count),
    active(all: readonly Active[]) {
      const counts = new Map<string, number>()
      for (const { labels } of all) counts.set(labels.severity ?? '', (counts.get(labels.severity ?? '') ?? 0) + 1)
      active.replace(
        'pipeline',
        [...counts].map(([severity, value]) => ({ labels: { severity }, value })),
      )
    },
    notified: (receiver: string, reason: string, result: string) =>
      notifications.with({ receiver, reason, result }).inc(),
    queue: (count: number) => queue.with({}).set(count),
    inbox: (count: number) => inbox.with({}).set(count),
  }
}
