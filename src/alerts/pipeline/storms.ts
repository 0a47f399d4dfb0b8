import { createId } from '../../kernel/ids.ts'
import { type Alert, type Notification, traceOf } from '../alert.ts'
import type { Group } from './groups.ts'
import type { Digest, State } from './held.ts'
import { toAlert } from './merge.ts'
import type { Notice } from './notices.ts'
import type { DigestRow } from './store.ts'

export type StormSettings = {
  /** 0: no cap. */
  stormMax: number
  stormWindowMs: number
}

/** Whether a receiver was told so much within the window that the rest waits for one digest. */
export function isStormy(
  at: State,
  { receiver, tenantId }: Pick<Group, 'receiver' | 'tenantId'>,
  now: number,
  settings: StormSettings,
): boolean {
  if (settings.stormMax === 0) return false
  if (at.digests.has(digestIdOf(receiver, tenantId))) return true
  const recent = (at.recent.get(receiver) ?? []).filter((each) => each > now - settings.stormWindowMs && each <= now)
  at.recent.set(receiver, recent)
  return recent.length >= settings.stormMax
}

export function countRecent(at: State, receiver: string, now: number, settings: StormSettings): void {
  if (settings.stormMax > 0) at.recent.set(receiver, [...(at.recent.get(receiver) ?? []), now])
}

export function addToDigest(
  at: State,
  { receiver, tenantId }: { receiver: string; tenantId: string },
  alerts: readonly Alert[],
  now: number,
  settings: StormSettings,
): Digest {
  const id = digestIdOf(receiver, tenantId)
  const digest = at.digests.get(id) ?? {
    ...{ receiver, tenantId, noticeId: createId('notification', now), alerts: new Map<string, Alert>() },
    dueAt: now + settings.stormWindowMs,
  }
  for (const alert of alerts) digest.alerts.set(alert.fingerprint, alert)
  at.digests.set(id, digest)
  return digest
}

export function toDigestRows(digests: Iterable<Digest>): DigestRow[] {
  return [...digests].map(({ receiver, tenantId, noticeId, alerts, dueAt }) => ({
    ...{ id: digestIdOf(receiver, tenantId), receiver, tenant_id: tenantId, notice_id: noticeId },
    ...{ alerts: JSON.stringify([...alerts.values()]), due_at: dueAt },
  }))
}

export function fromDigestRow({ receiver, tenant_id, notice_id, alerts, due_at }: DigestRow): Digest {
  const held = (JSON.parse(alerts) as Alert[]).map((alert) => [alert.fingerprint, alert] as const)
  return { receiver, tenantId: tenant_id, noticeId: notice_id, alerts: new Map(held), dueAt: due_at }
}

/** All that waited, as one notification: what fires first, each as it is now. */
export function toDigestNotice(
  at: State,
  digest: Digest,
  now: number,
  { stormWindowMs, maxAlertsPerNotification: most }: StormSettings & { maxAlertsPerNotification: number },
): Notice {
  const { receiver, tenantId } = digest
  const alerts = [...digest.alerts.values()].map((alert) => {
    const active = at.actives.get(alert.fingerprint)
    return active === undefined ? { ...alert, endsAt: alert.endsAt ?? now } : toAlert(active, now)
  })
  const isFiring = alerts.some(({ endsAt }) => endsAt === null)
  const sorted = alerts.toSorted((a, b) => Number(a.endsAt !== null) - Number(b.endsAt !== null))
  const notification: Notification = {
    ...{ id: digest.noticeId, receiver, groupKey: `digest:${receiver}`, reason: 'digest' },
    groupLabels: tenantId === '' ? {} : { tenant_id: tenantId },
    ...{ status: isFiring ? 'firing' : 'resolved', alerts: sorted.slice(0, most) },
    ...{ truncated: Math.max(0, sorted.length - most), hidden: [], traceId: traceOf(sorted), at: now },
  }
  const body = { notification, told: null, leaving: [], alerts: sorted, limitMs: stormWindowMs }
  return { id: digest.noticeId, groupId: '', receiver, reason: 'digest', body }
}

function digestIdOf(receiver: string, tenantId: string): string {
  return JSON.stringify([receiver, tenantId])
}
