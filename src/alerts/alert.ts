/** What is wrong, as everybody in this room passes it on; times are epoch ms UTC. */
export type Alert = {
  /** Alertmanager's: FNV-1a over the sorted labels, 16 hex digits. The same labels are the same alert. */
  fingerprint: string
  /** With `alertname` and `severity` (critical, high, warning, info). */
  labels: Readonly<Record<string, string>>
  annotations: Readonly<Record<string, string>>
  startsAt: number
  /** When it ended; null while it fires. */
  endsAt: number | null
  /** Where it comes from: a link to the expression, or ''. */
  generatorUrl: string
  /** Whose it is; '' for the hub's own. */
  tenantId: string
}

/** What a part says of alerts: `expiresAt` is when it is over unless it is said again (null: until it is said to be over). */
export type PostedAlert = Omit<Alert, 'fingerprint'> & { expiresAt: number | null }

/** Why somebody is told (Alertmanager's reasons). */
export type NotifyReason =
  | 'first'
  | 'new_alerts'
  | 'new_resolved'
  | 'all_resolved'
  | 'repeat'
  | 'escalation'
  | 'digest'
  | 'test'

/** One message to one receiver about one group of alerts. */
export type Notification = {
  /** `ntf_…`: the same again after a crash is the same notification. */
  id: string
  receiver: string
  groupKey: string
  groupLabels: Readonly<Record<string, string>>
  reason: NotifyReason
  status: 'firing' | 'resolved'
  alerts: readonly Alert[]
  /** How many more there are than `alerts` shows. */
  truncated: number
  /** What is hidden behind these, for the message to say: alerts inhibited by one of them. */
  hidden: readonly Alert[]
  /** Notification's trace (32 hex digits). */
  traceId: string
  /** Epoch ms at which it was decided. */
  at: number
}
