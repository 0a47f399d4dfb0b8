import type { Alert, Notification } from '../../alert.ts'
import type { Message } from '../../channels/channel.ts'
import { shortenText } from '../../writing/shorten.ts'
import type { Words } from './words.ts'

const mostShown = 200
const longestTexts = 200_000

/** What templates may name. Times are texts in the channel's zone. */
export function viewNotification(
  notification: Notification,
  { words, zone, url, severity }: { words: Words; zone: string; url: string; severity: Message['severity'] },
) {
  const { alerts, hidden, groupLabels, groupKey, receiver, reason, status, truncated, traceId, at } = notification
  // No vendor shows more; programs get all of them, not these words.
  const shown = alerts.slice(0, mostShown)
  const room = Math.max(500, Math.floor(longestTexts / Math.max(1, shown.length)))
  const told = shown.map((alert) => viewAlert(alert, words, zone, room))
  const firing = alerts.filter(({ endsAt }) => endsAt === null).length
  const { alertname, severity: _, ...scope } = groupLabels
  const names = [...new Set(told.map(({ name }) => name))]
  return {
    ...{ status, reason, severity, receiver, group_key: groupKey, group_labels: groupLabels },
    name: alertname ?? (names.length > 3 ? `${names.slice(0, 3).join(', ')} …` : names.join(', ')),
    scope: Object.entries(scope)
      .map(([name, value]) => `${name}=${value}`)
      .join(', '),
    is_firing: status === 'firing',
    is_resolved: status === 'resolved',
    status_text: words.status[status],
    severity_text: words.severity[severity],
    reason_text: words.reason[reason],
    ...{ alerts: told, count: alerts.length + truncated, firing_count: firing, resolved_count: alerts.length - firing },
    ...{ more: truncated + alerts.length - shown.length, hidden_count: hidden.length },
    hidden: hidden.slice(0, 20).map((alert) => viewAlert(alert, words, zone, 500)),
    hidden_text: `${hidden
      .slice(0, 10)
      .map(({ labels }) => labels.instance ?? labels.service ?? labels.alertname ?? '')
      .filter((text) => text !== '')
      .join(', ')}${hidden.length > 10 ? ' …' : ''}`,
    ...{ url, trace_id: traceId, at: showTime(at, zone) },
  }
}

/** First parts of paths that may stand at the top of a template. */
export const viewNames: ReadonlySet<string> = new Set([
  ...['status', 'reason', 'severity', 'receiver', 'group_key', 'group_labels', 'name', 'scope', 'is_firing'],
  ...['is_resolved', 'status_text', 'severity_text', 'reason_text', 'alerts', 'count', 'firing_count'],
  ...['resolved_count', 'more', 'hidden_count', 'hidden', 'hidden_text', 'url', 'trace_id', 'at'],
])

function viewAlert(alert: Alert, words: Words, zone: string, room: number) {
  const clip = (text: string) => shortenText(text, (each) => each.length <= room)
  const { labels, annotations, startsAt, endsAt, generatorUrl, fingerprint } = alert
  const { alertname = '', severity, ...others } = labels
  const status = endsAt === null ? 'firing' : 'resolved'
  return {
    ...{ status, fingerprint, labels, annotations },
    name: alertname,
    severity: severityOf(alert),
    severity_text: words.severity[severityOf(alert)],
    status_text: words.status[status],
    is_firing: endsAt === null,
    summary: clip(annotations.summary ?? ''),
    description: clip(annotations.description ?? ''),
    runbook_url: annotations.runbook_url ?? '',
    source_url: generatorUrl,
    labels_text: clip(
      Object.entries(others)
        .map(([name, value]) => `${name}=${value}`)
        .join(', '),
    ),
    label_list: Object.entries(others).map(([name, value]) => ({ name, value })),
    starts_at: showTime(startsAt, zone),
    ends_at: endsAt === null ? '' : showTime(endsAt, zone),
    duration: endsAt === null ? '' : showDuration(endsAt - startsAt, words.days),
  }
}

const ranks = { critical: 3, high: 2, warning: 1, info: 0 } as const

/** By the label; what is named otherwise is a warning, so that it is neither lost nor wakes people. */
export function severityOf({ labels }: Pick<Alert, 'labels'>): Message['severity'] {
  const written = labels.severity ?? ''
  return Object.hasOwn(ranks, written) ? (written as Message['severity']) : 'warning'
}

/** The worst of what fires; of what is over, where nothing does. */
export function worstOf(alerts: readonly Alert[]): Message['severity'] {
  const firing = alerts.filter(({ endsAt }) => endsAt === null)
  const all = (firing.length > 0 ? firing : alerts).map(severityOf)
  return all.sort((a, b) => ranks[b] - ranks[a])[0] ?? 'info'
}

function showTime(at: number, zone: string): string {
  // Swedish is written as ISO 8601 is.
  const text = new Intl.DateTimeFormat('sv-SE', {
    ...{ timeZone: zone, year: 'numeric', month: '2-digit', day: '2-digit' },
    ...{ hour: '2-digit', minute: '2-digit', second: '2-digit' },
  }).format(at)
  return `${text} ${zone}`
}

function showDuration(ms: number, days: string): string {
  const seconds = Math.max(0, Math.round(ms / 1000))
  const parts = [
    [Math.floor(seconds / 86_400), ` ${days}`],
    [Math.floor((seconds % 86_400) / 3600), ' h'],
    [Math.floor((seconds % 3600) / 60), ' min'],
    [seconds % 60, ' s'],
  ] as const
  const from = parts.findIndex(([value]) => value > 0)
  const told = from === -1 ? [parts[3]] : parts.slice(from, from + 2)
  return told
    .filter(([value], i) => value > 0 || i === 0)
    .map(([value, unit]) => `${value}${unit}`)
    .join(' ')
}
