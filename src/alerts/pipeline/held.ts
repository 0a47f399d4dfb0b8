import type { Alert } from '../alert.ts'
import { type Group, groupIdOf } from './groups.ts'
import type { Active } from './merge.ts'
import { groupKeyOf, groupLabelsOf, type Routing } from './routing.ts'
import type { Silence } from './silences.ts'

export type Digest = { receiver: string; tenantId: string; noticeId: string; alerts: Map<string, Alert>; dueAt: number }

/** What the node that works holds in memory: all of it is in the store, and read again when a write failed. */
export type State = {
  epoch: number
  revision: number
  routing: Routing
  silences: readonly Silence[]
  actives: Map<string, Active>
  groups: Map<string, Group>
  /** In how many groups an alert is. */
  holders: Map<string, number>
  /** By receiver and tenant. */
  digests: Map<string, Digest>
  /** When notices of each receiver were decided, the newest last. */
  recent: Map<string, number[]>
  /** Moves with every change of what fires. */
  generation: number
}

/** What one step changed in memory, to be written in one transaction and announced after it. */
export type Change = {
  actives: Set<Active>
  groups: Set<Group>
  endings: { id: string; alert: Active; seenAt: number }[]
  /** What is announced, in its order. */
  news: { name: 'alert.fired' | 'alert.resolved'; alert: Active }[]
  gone: Set<string>
}
export const noChange = (): Change => ({
  actives: new Set(),
  groups: new Set(),
  endings: [],
  news: [],
  gone: new Set(),
})

/** Finds the members of every group anew: after a start, and when routes changed. */
export function routeAll(at: State, now: number): void {
  at.holders.clear()
  for (const group of at.groups.values()) {
    group.members.clear()
    group.node = null
  }
  for (const active of at.actives.values()) route(at, active, now)
  // What was told in a group that no route leads to any more is told to be over there.
  for (const group of at.groups.values()) {
    for (const fingerprint of group.told?.firing ?? []) {
      if (at.actives.has(fingerprint) && !group.members.has(fingerprint)) join(at, group, fingerprint, false)
    }
    if (group.members.size === 0 && group.emptiedAt === 0) group.emptiedAt = now
  }
}

/** Puts a fingerprint into a group; `isRouted` is false for one that no route leads there any more. */
function join(at: State, group: Group, fingerprint: string, isRouted: boolean): void {
  if (!group.members.has(fingerprint)) at.holders.set(fingerprint, (at.holders.get(fingerprint) ?? 0) + 1)
  group.members.set(fingerprint, isRouted)
  group.emptiedAt = 0
}

/** Puts an alert into its groups; returns those that are new or whose timer moved. */
export function route(at: State, active: Active, now: number, isLate = false): Group[] {
  const changed: Group[] = []
  for (const { node } of at.routing.find(active.labels)) {
    const labels = groupLabelsOf(node, active.labels, active.tenantId)
    const key = groupKeyOf(node, labels)
    const id = groupIdOf(node.receiver, key)
    let group = at.groups.get(id)
    if (group === undefined) {
      // Nobody needs to hear of what is over before anybody was told of it.
      if (active.endsAt <= now) continue
      group = {
        ...{ id, key, labels, tenantId: active.tenantId, receiver: node.receiver, node, members: new Map() },
        ...{ flushAt: now + node.waitMs, hasFlushed: false, emptiedAt: 0, told: null, noted: new Map() },
        isBusy: false,
      }
      at.groups.set(id, group)
      changed.push(group)
    }
    if (group.node === null) group.node = node
    join(at, group, active.fingerprint, true)
    // It waited long enough elsewhere.
    if (!isLate && !group.hasFlushed && active.startsAt + node.waitMs < now && group.flushAt > now) {
      group.flushAt = now
      if (!changed.includes(group)) changed.push(group)
    }
  }
  return changed
}

/** Fingerprints leave a group, unless they fire again by now. */
export function leave(at: State, group: Group, prints: readonly string[], now: number, change: Change): void {
  for (const fingerprint of prints) {
    const active = at.actives.get(fingerprint)
    if (active !== undefined && active.endsAt > now) continue
    if (!group.members.delete(fingerprint)) continue
    at.holders.set(fingerprint, (at.holders.get(fingerprint) ?? 1) - 1)
    forgetIfAlone(at, fingerprint, change)
  }
  if (group.members.size === 0 && group.emptiedAt === 0) group.emptiedAt = now
}

/** What is over and in no group is kept no longer. */
export function forgetIfAlone(at: State, fingerprint: string, change: Change): void {
  const active = at.actives.get(fingerprint)
  if (active === undefined || !active.isEnded || (at.holders.get(fingerprint) ?? 0) > 0) return
  at.actives.delete(fingerprint)
  at.holders.delete(fingerprint)
  change.actives.delete(active)
  change.gone.add(fingerprint)
}
