import { createHash } from 'node:crypto'
import type { Alert, Notification } from './alert.ts'

/** Labels that would be markup, mentions or ends of strings somewhere. */
export const nasty =
  '*bold* _x_ **b** `c` [a](javascript:alert(1)) <@all> <!channel> <at id=all></at> @everyone & " \' \\ {{title}} | ~s~ # h'

export function makeAlert(changes: Partial<Alert> & { name?: string; severity?: string } = {}): Alert {
  const { name = 'DatabaseDown', severity = 'critical', ...rest } = changes
  const labels = { alertname: name, severity, instance: 'db-1', ...rest.labels }
  return {
    fingerprint: createHash('sha256').update(JSON.stringify(labels)).digest('hex').slice(0, 16),
    annotations: { summary: '数据库无法连接 – the database is away', runbook_url: 'https://example.com/runbook(1)' },
    ...{ startsAt: Date.UTC(2026, 0, 1), endsAt: null, generatorUrl: '', tenantId: '' },
    ...rest,
    labels,
  }
}

let made = 0

export function makeNotification(changes: Partial<Notification> = {}): Notification {
  const alerts = changes.alerts ?? [makeAlert()]
  const isOver = alerts.every(({ endsAt }) => endsAt !== null)
  return {
    ...{ id: `ntf_${++made}`, receiver: 'ops', groupKey: '{}:{alertname="DatabaseDown"}' },
    ...{ groupLabels: { alertname: 'DatabaseDown' }, reason: isOver ? 'all_resolved' : 'first' },
    ...{ status: isOver ? 'resolved' : 'firing', truncated: 0, hidden: [], traceId: 'a'.repeat(31) + (made % 10) },
    at: Date.UTC(2026, 0, 1),
    ...changes,
    alerts,
  }
}
