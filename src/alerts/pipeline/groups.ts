import { createHash } from 'node:crypto'
import { decide, type Told, type Verdict } from './decide.ts'
import { type Active, never } from './merge.ts'
import type { RouteNode } from './routing.ts'
import type { GroupRow } from './store.ts'

/** Why somebody is not told of an alert now. */
export type Suppression = { by: 'silence' | 'inhibition' | 'mute' | 'storm' | 'ended' | 'send_resolved'; byId: string }

/** Alerts that one receiver is told of together, with the timer of when it is next looked at. */
export type Group = {
  id: string
  key: string
  labels: Readonly<Record<string, string>>
  tenantId: string
  receiver: string
  /** null: no route leads here any more; what was told is still told to be over. */
  node: RouteNode | null
  /** By fingerprint; false for those a route no longer leads here. */
  members: Map<string, boolean>
  flushAt: number
  hasFlushed: boolean
  /** Since when nobody is in it; 0 while somebody is. */
  emptiedAt: number
  told: Told | null
  /** What the ledger was last told of why an alert is not told of, by fingerprint. */
  noted: Map<string, string>
  /** A notification is under way: it is not looked at meanwhile. */
  isBusy: boolean
}

/** What comes of looking at a group. */
export type Plan = {
  verdict: Verdict
  /** Fingerprints: what is told of as firing and as over, and what fires and is hidden. */
  firing: string[]
  resolved: string[]
  hiddenFiring: string[]
  /** What is over and leaves the group, now or once it was told of. */
  leaving: string[]
  suppressed: { fingerprint: string; suppression: Suppression }[]
}

export function groupIdOf(receiver: string, key: string): string {
  return createHash('sha256')
    .update(JSON.stringify([receiver, key]))
    .digest('base64url')
    .slice(0, 22)
}

/**
 * Looks at a group: what of it can be told, what is hidden and by what, and whether that is worth a message. What was told
 * as firing is told to be over, silenced and inhibited or not; where the route is muted, once it no longer is.
 */
export function planGroup(
  group: Group,
  now: number,
  view: {
    find(fingerprint: string): Active | undefined
    hiddenBy(alert: Active): Suppression | null
    mutedBy: string | null
    repeatMs: number
    sendsResolved: boolean
  },
): Plan {
  const plan: Plan = { verdict: null, firing: [], resolved: [], hiddenFiring: [], leaving: [], suppressed: [] }
  const told = new Set(group.told?.firing)
  for (const [fingerprint, isRouted] of group.members) {
    const alert = view.find(fingerprint)
    if (alert === undefined) {
      plan.leaving.push(fingerprint)
      continue
    }
    const isFiring = alert.endsAt > now
    const wasTold = told.has(fingerprint)
    if (!isRouted && isFiring) {
      plan.hiddenFiring.push(fingerprint)
      continue
    }
    if (view.mutedBy !== null) {
      plan.suppressed.push({ fingerprint, suppression: { by: 'mute', byId: view.mutedBy } })
      if (isFiring) plan.hiddenFiring.push(fingerprint)
      else if (!wasTold) plan.leaving.push(fingerprint)
      continue
    }
    const hidden = !isFiring && wasTold ? null : view.hiddenBy(alert)
    if (hidden !== null) {
      plan.suppressed.push({ fingerprint, suppression: hidden })
      if (isFiring) plan.hiddenFiring.push(fingerprint)
      else plan.leaving.push(fingerprint)
      continue
    }
    if (isFiring) plan.firing.push(fingerprint)
    else {
      plan.resolved.push(fingerprint)
      plan.leaving.push(fingerprint)
    }
  }
  plan.verdict = decide(group.told, { ...plan, at: now }, view)
  if (plan.verdict !== null) return plan
  const knew = new Set(group.told?.resolved)
  for (const fingerprint of plan.resolved) {
    if (told.has(fingerprint) || knew.has(fingerprint)) continue
    plan.suppressed.push({ fingerprint, suppression: { by: 'ended', byId: 'before anybody was told' } })
  }
  return plan
}

/** When a group is looked at next, in step with when it was due. */
export function nextFlush(group: Group, now: number, intervalMs: number): number {
  const late = now - group.flushAt
  return late >= 0 && late < intervalMs ? group.flushAt + intervalMs : now + intervalMs
}

export function toGroupRow(group: Group, now: number): GroupRow {
  return {
    ...{ id: group.id, group_key: group.key, group_labels: JSON.stringify(group.labels), tenant_id: group.tenantId },
    receiver: group.receiver,
    firing: JSON.stringify(group.told?.firing ?? []),
    resolved: JSON.stringify(group.told?.resolved ?? []),
    noted: JSON.stringify([...group.noted]),
    ...{ flush_at: Math.min(group.flushAt, never), has_flushed: group.hasFlushed ? 1 : 0, emptied_at: group.emptiedAt },
    ...{ told_at: group.told?.at ?? 0, seen_at: now },
  }
}

/** As it was kept: its members are found by routing again. */
export function fromGroupRow(row: GroupRow): Group {
  const told = { firing: JSON.parse(row.firing) as string[], resolved: JSON.parse(row.resolved) as string[] }
  return {
    ...{ id: row.id, key: row.group_key, labels: JSON.parse(row.group_labels) as Record<string, string> },
    ...{ tenantId: row.tenant_id, receiver: row.receiver, node: null, members: new Map<string, boolean>() },
    ...{ flushAt: row.flush_at, hasFlushed: row.has_flushed === 1, emptiedAt: row.emptied_at },
    told: row.told_at === 0 ? null : { ...told, at: row.told_at },
    noted: new Map(JSON.parse(row.noted) as [string, string][]),
    isBusy: false,
  }
}
