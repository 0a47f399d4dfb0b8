import { beginTrace } from '../kernel/trace.ts'

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
export type PostedAlert = Omit<Alert, 'fingerprint'> & {
  expiresAt: number | null
  /** It waited here for the store: whoever is to be told was, or need not be in a hurry, for much may be over by now. */
  isLate?: boolean
}

/** Of a message about one alert that goes past the pipeline, because the store is away. */
export function directKeyOf({ fingerprint, startsAt }: Pick<Alert, 'fingerprint' | 'startsAt'>): string {
  return `direct:${fingerprint}/${startsAt}`
}

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
  /** 32 hex digits: the trace that one of its alerts names as what brought it about, else one of its own. */
  traceId: string
  /** Epoch ms at which it was decided. */
  at: number
}

/**
 * The trace of a message about `alerts`: that of the first that says in `annotations.trace_id` what request brought it about,
 * so that one id leads from a call to who was told of it; else one that begins here.
 */
export function traceOf(alerts: readonly Pick<Alert, 'annotations'>[]): string {
  const named = alerts.find(({ annotations }) => isTraceId(annotations.trace_id))
  return named?.annotations.trace_id ?? beginTrace().traceId
}

function isTraceId(text: string | undefined): boolean {
  return text !== undefined && /^(?!0{32})[0-9a-f]{32}$/.test(text)
}
