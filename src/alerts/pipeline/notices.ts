import { createId } from '../../kernel/ids.ts'
import { type Alert, type Notification, type NotifyReason, traceOf } from '../alert.ts'
import type { Told } from './decide.ts'
import type { Group, Plan } from './groups.ts'
import type { State } from './held.ts'
import { type Active, toAlert } from './merge.ts'
import type { RouteNode } from './routing.ts'
import type { NoticeRow } from './store.ts'

const mostHidden = 100

/** A notification as it is kept until it is decided. */
export type Notice = { id: string; groupId: string; receiver: string; reason: NotifyReason; body: NoticeBody }
/** What is kept of a notification until it is decided; `alerts` of a digest, to tell them again when it failed. */
type NoticeBody = {
  notification: Notification
  told: Told | null
  leaving: [string, number][]
  alerts: Alert[]
  limitMs: number
}

/** The notification of a group that is to be told; of alerts it shows `most`. */
export function describeGroup(
  at: State,
  group: Group,
  plan: Plan,
  {
    shown,
    told,
    node,
    now,
    hiddenBehind,
    most,
  }: {
    shown: readonly string[]
    told: Told
    node: RouteNode
    now: number
    /** What is inhibited by an alert, by its fingerprint. */
    hiddenBehind: ReadonlyMap<string, readonly Active[]>
    most: number
  },
): Notice {
  const alerts = shown.slice(0, most).map((fingerprint) => toAlert(at.actives.get(fingerprint)!, now))
  const hidden: Alert[] = []
  for (const fingerprint of plan.firing) {
    for (const active of hiddenBehind.get(fingerprint) ?? []) {
      // Nobody reads of another tenant's.
      if (group.tenantId !== '' && active.tenantId !== group.tenantId) continue
      if (hidden.length < mostHidden) hidden.push(toAlert(active, now))
    }
  }
  const id = createId('notification', now)
  const notification: Notification = {
    ...{ id, receiver: group.receiver, groupKey: group.key, groupLabels: group.labels, reason: plan.verdict! },
    ...{ status: plan.firing.length > 0 ? 'firing' : 'resolved', alerts },
    ...{ truncated: shown.length - alerts.length, hidden, traceId: traceOf(alerts), at: now },
  }
  const leaving = plan.leaving.map((each): [string, number] => [each, at.actives.get(each)?.updatedAt ?? 0])
  const body: NoticeBody = { notification, told, leaving, alerts: [], limitMs: Math.max(node.intervalMs, 10_000) }
  return { id, groupId: group.id, receiver: group.receiver, reason: plan.verdict!, body }
}

export function toNoticeRow(notice: Notice, at: number): NoticeRow {
  const { id, groupId, receiver, reason, body } = notice
  return {
    ...{ id, group_id: groupId, receiver, reason, state: 'intended', body: JSON.stringify(body), at, ended_at: 0 },
  }
}

export function fromNoticeRow({ id, group_id, receiver, reason, body }: NoticeRow): Notice {
  return { id, groupId: group_id, receiver, reason: reason as NotifyReason, body: JSON.parse(body) as NoticeBody }
}
