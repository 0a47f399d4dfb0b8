import type { Clock } from '../../kernel/clock.ts'
import type { Announcements } from '../../kernel/events.ts'
import { createId } from '../../kernel/ids.ts'
import type { Log } from '../../platform/log.ts'
import { type Alert, type Notification, type NotifyReason, traceOf } from '../alert.ts'
import { afterTelling, type Told } from './decide.ts'
import {
  fromGroupRow,
  type Group,
  groupIdOf,
  nextFlush,
  type Plan,
  planGroup,
  type Suppression,
  toGroupRow,
} from './groups.ts'
import { createInhibitor, type Inhibitable } from './inhibition.ts'
import { type Active, mergeAlerts, never, type Posted, toActive, toAlert } from './merge.ts'
import type { PipelineMetrics } from './metrics.ts'
import { groupKeyOf, groupLabelsOf, type RouteNode, type Routing } from './routing.ts'
import { hides, type Silence, stateOf } from './silences.ts'
import { LostTurn, type NoticeRow, type PipelineStore, type PipelineTransaction } from './store.ts'

/** One row of the ledger: why a receiver is not told of an alert. */
export type Suppressed = {
  fingerprint: string
  receiver: string
  groupKey: string
  by: Suppression['by']
  byId: string
  at: number
}

export type EngineParts = {
  store: PipelineStore
  /** Resolves when it is decided; the same id is delivered once. */
  deliver(notification: Notification, options: { signal: AbortSignal }): Promise<'delivered' | 'failed'>
  suppressed(row: Suppressed): Promise<void>
  /** Whether a receiver wants to hear of what is over. */
  sendsResolved(receiver: string): boolean
  announce<N extends 'alert.fired' | 'alert.resolved'>(name: N, news: Announcements[N]): void
  /** Routing and silences as they are stored now. */
  readSettings(): Promise<{ routing: Routing; silences: readonly Silence[] }>
  /** What the thing with these labels depends on and is down, as far as others know: see `nodesOf` of inhibition.ts. */
  dependenciesOf(labels: Readonly<Record<string, string>>): readonly string[]
  clock: Clock
  log: Log
  metrics: PipelineMetrics
}

export type EngineSettings = {
  resolveTimeoutMs: number
  maxAlertsPerNotification: number
  /** 0: no cap. */
  stormMax: number
  stormWindowMs: number
}

export type Engine = ReturnType<typeof createEngine>

type Notice = { id: string; groupId: string; receiver: string; reason: NotifyReason; body: NoticeBody }
/** What is kept of a notification until it is decided; `alerts` of a digest, to tell them again when it failed. */
type NoticeBody = {
  notification: Notification
  told: Told | null
  leaving: [string, number][]
  alerts: Alert[]
  limitMs: number
}

type Digest = { receiver: string; tenantId: string; noticeId: string; alerts: Map<string, Alert>; dueAt: number }

type State = {
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

const inboxBatch = 1000
const mostBatches = 30
const groupsAtOnce = 100
const deliveriesAtOnce = 32
/** A gap in which nobody looked: what was to be said again meanwhile could not be heard. */
const gapMs = 60_000
/** An empty group keeps its timer for so long, as in Alertmanager. */
const emptyMs = 30_000
/** What was told and is routed nowhere any more is remembered for so long. */
const dormantMs = 120 * 3_600_000
const aliveMs = 10_000
const mostHidden = 100
const afterAbortMs = 10_000

/**
 * The pipeline's work, on the one node that holds the lease: reads what was posted, keeps what fires, and tells receivers
 * of groups. All of it is in the store; what is in memory is thrown away whenever a write fails, and read again. A
 * notification is written down before it is delivered and its end after, so a crash tells at most once too often.
 */
export function createEngine(parts: EngineParts, settings: EngineSettings) {
  const { store, clock, log, metrics } = parts
  let state: State | null = null
  let lookedAt = Number.NEGATIVE_INFINITY
  let busy: Promise<unknown> = Promise.resolve()
  let isStopping = false
  const stopping = new AbortController()
  const running = new Map<string, Promise<void>>()
  const waiting: Notice[] = []

  /** One change at a time: memory and store move together. */
  function alone<T>(work: () => Promise<T>): Promise<T> {
    const done = busy.then(work, work)
    busy = done.catch(() => {})
    return done
  }

  async function load(now: number): Promise<State> {
    const { epoch, aliveAt } = await store.take(now)
    const revision = await store.revision()
    const [{ routing, silences }, kept, recent] = await Promise.all([
      parts.readSettings(),
      store.load(),
      store.recentNotices(now - settings.stormWindowMs),
    ])
    const made: State = {
      ...{ epoch, revision, routing, silences, generation: 0 },
      actives: new Map(kept.actives.map((active) => [active.fingerprint, active])),
      groups: new Map(kept.groups.map((row) => [row.id, fromGroupRow(row)])),
      holders: new Map(),
      digests: new Map(
        kept.digests.map((row) => [
          row.id,
          {
            ...{ receiver: row.receiver, tenantId: row.tenant_id, noticeId: row.notice_id },
            alerts: new Map((JSON.parse(row.alerts) as Alert[]).map((alert) => [alert.fingerprint, alert])),
            dueAt: row.due_at,
          },
        ]),
      ),
      recent: new Map(),
    }
    for (const { receiver, at } of recent) made.recent.set(receiver, [...(made.recent.get(receiver) ?? []), at])
    lookedAt = Math.min(aliveAt, now)
    await forgive(made, now)
    routeAll(made, now)
    for (const row of kept.notices) {
      const notice = fromNoticeRow(row)
      const group = made.groups.get(notice.groupId)
      if (group !== undefined) group.isBusy = true
      if (!running.has(notice.id) && !waiting.some(({ id }) => id === notice.id)) waiting.push(notice)
    }
    return made
  }

  /** Who had to say it again while nobody listened gets the whole time once more. */
  async function forgive(at: State, now: number): Promise<void> {
    if (now - lookedAt <= gapMs) return
    const changed = [...at.actives.values()].filter(
      ({ isEnded, endsAt }) =>
        !isEnded && endsAt !== never && endsAt > lookedAt && endsAt < now + settings.resolveTimeoutMs,
    )
    for (const active of changed) active.endsAt = now + settings.resolveTimeoutMs
    await store.work(at.epoch, now, (trx) => store.putActives(trx, changed))
    lookedAt = now
  }

  function routeAll(at: State, now: number): void {
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

  function join(at: State, group: Group, fingerprint: string, isRouted: boolean): void {
    if (!group.members.has(fingerprint)) at.holders.set(fingerprint, (at.holders.get(fingerprint) ?? 0) + 1)
    group.members.set(fingerprint, isRouted)
    group.emptiedAt = 0
  }

  /** Puts an alert into its groups; returns those that are new or whose timer moved. */
  function route(at: State, active: Active, now: number): Group[] {
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
      if (!group.hasFlushed && active.startsAt + node.waitMs < now && group.flushAt > now) {
        group.flushAt = now
        if (!changed.includes(group)) changed.push(group)
      }
    }
    return changed
  }

  function inhibitable(active: Active, now: number): Inhibitable {
    const { fingerprint, labels, tenantId, annotations } = active
    const said = (annotations.depends_on ?? '').split(',').flatMap((name) => {
      const of = name.trim()
      return of === '' ? [] : [of.startsWith('check:') ? of : `check:${of}`]
    })
    const dependsOn = [...said, ...parts.dependenciesOf(labels)]
    return { fingerprint, labels, tenantId, isFiring: active.endsAt > now, dependsOn }
  }

  /** Who hides whom now; read anew when something changed. Returns the alerts whose hider is another than before. */
  function inhibit(at: State, now: number): Active[] {
    const all = [...at.actives.values()].map((active) => inhibitable(active, now))
    const hiderOf = createInhibitor(at.routing.inhibitions, all)
    const changed: Active[] = []
    for (const target of all) {
      const by = hiderOf(target)?.by ?? ''
      const active = at.actives.get(target.fingerprint)!
      if (active.inhibitedBy === by) continue
      active.inhibitedBy = by
      changed.push(active)
    }
    return changed
  }

  function news(active: Active, now: number): Announcements['alert.fired'] {
    const { fingerprint, labels, annotations, startsAt, endsAt } = toAlert(active, now)
    return {
      ...{ fingerprint, labels: { ...labels }, annotations: { ...annotations }, startsAt, endsAt, at: now },
      ...{ tenantId: active.tenantId, inhibitedBy: active.inhibitedBy },
    }
  }

  type Change = {
    actives: Set<Active>
    groups: Set<Group>
    endings: { id: string; alert: Active; seenAt: number }[]
    /** What is announced, in its order. */
    news: { name: 'alert.fired' | 'alert.resolved'; alert: Active }[]
    gone: Set<string>
  }
  const noChange = (): Change => ({ actives: new Set(), groups: new Set(), endings: [], news: [], gone: new Set() })

  function end(at: State, active: Active, now: number, change: Change): void {
    active.isEnded = true
    change.actives.add(active)
    const alert = { ...active }
    change.endings.push({ id: createId('alertEnding', now), alert, seenAt: now })
    change.news.push({ name: 'alert.resolved', alert })
    forgetIfAlone(at, active.fingerprint, change)
  }

  /** What is over and in no group is kept no longer. */
  function forgetIfAlone(at: State, fingerprint: string, change: Change): void {
    const active = at.actives.get(fingerprint)
    if (active === undefined || !active.isEnded || (at.holders.get(fingerprint) ?? 0) > 0) return
    at.actives.delete(fingerprint)
    at.holders.delete(fingerprint)
    change.actives.delete(active)
    change.gone.add(fingerprint)
  }

  function take(at: State, posted: Posted, now: number, change: Change): void {
    const next = toActive(posted)
    let before = at.actives.get(posted.fingerprint)
    if (before !== undefined && !before.isEnded && before.endsAt <= now) {
      end(at, before, now, change)
      before = at.actives.get(posted.fingerprint)
    }
    if (before === undefined) {
      // What is over and was never heard of concerns nobody.
      if (next.endsAt <= now) return
      at.actives.set(next.fingerprint, next)
      change.gone.delete(next.fingerprint)
      change.actives.add(next)
      change.news.push({ name: 'alert.fired', alert: next })
      for (const group of route(at, next, now)) change.groups.add(group)
      return
    }
    const merged = mergeAlerts(before, next, now)
    if (merged === before) return
    const wasEnded = before.isEnded
    Object.assign(before, merged)
    change.actives.add(before)
    if (before.endsAt <= now) {
      if (!wasEnded) end(at, before, now, change)
      return
    }
    if (wasEnded) {
      before.isEnded = false
      change.news.push({ name: 'alert.fired', alert: before })
    }
    for (const group of route(at, before, now)) change.groups.add(group)
  }

  async function commit(at: State, now: number, change: Change, inbox: readonly string[] = []): Promise<void> {
    at.generation++
    for (const active of inhibit(at, now)) change.actives.add(active)
    for (const ending of change.endings)
      ending.alert.inhibitedBy ||= at.actives.get(ending.alert.fingerprint)?.inhibitedBy ?? ''
    await store.work(at.epoch, now, async (trx) => {
      await store.deleteInbox(trx, inbox)
      await store.deleteActives(trx, [...change.gone])
      await store.putActives(
        trx,
        [...change.actives].filter(({ fingerprint }) => !change.gone.has(fingerprint)),
      )
      await store.putEndings(trx, change.endings)
      await store.putGroups(
        trx,
        [...change.groups].map((group) => toGroupRow(group, now)),
      )
    })
    for (const { name, alert } of change.news) parts.announce(name, news(alert, now))
  }

  async function readInbox(at: State, now: number): Promise<void> {
    for (let batch = 0; batch < mostBatches; batch++) {
      const rows = await store.readInbox(inboxBatch)
      if (rows.length === 0) return
      const change = noChange()
      for (const row of rows) take(at, JSON.parse(row.posted) as Posted, now, change)
      await commit(
        at,
        now,
        change,
        rows.map(({ id }) => id),
      )
      if (rows.length < inboxBatch) return
    }
  }

  async function expire(at: State, now: number): Promise<void> {
    const change = noChange()
    for (const active of [...at.actives.values()]) {
      if (!active.isEnded && active.endsAt <= now) end(at, active, now, change)
      else forgetIfAlone(at, active.fingerprint, change)
    }
    if (change.endings.length > 0 || change.gone.size > 0) await commit(at, now, change)
  }

  async function followSettings(at: State, now: number): Promise<void> {
    const revision = await store.revision()
    if (revision === at.revision) return
    const { routing, silences } = await parts.readSettings()
    Object.assign(at, { routing, silences, revision })
    routeAll(at, now)
    const change = noChange()
    for (const group of at.groups.values()) change.groups.add(group)
    await commit(at, now, change)
  }

  function hiddenBy(at: State, active: Active, now: number): Suppression | null {
    if (active.inhibitedBy !== '') return { by: 'inhibition', byId: active.inhibitedBy }
    const silence = at.silences.find((each) => hides(each, active) && stateOf(each, now) === 'active')
    return silence === undefined ? null : { by: 'silence', byId: silence.id }
  }

  function intervalOf(at: State, group: Group): number {
    return (group.node ?? at.routing.root).intervalMs
  }

  async function flushDue(at: State, now: number): Promise<void> {
    const due: Group[] = []
    for (const group of at.groups.values()) {
      if (group.isBusy) continue
      // A clock that was set back must not keep anybody waiting for the difference.
      const longest = group.hasFlushed ? intervalOf(at, group) : (group.node ?? at.routing.root).waitMs
      if (group.flushAt > now + longest) group.flushAt = now + longest
      if (group.flushAt <= now || isOver(group, now)) due.push(group)
    }
    for (let i = 0; i < due.length; i += groupsAtOnce) await flush(at, due.slice(i, i + groupsAtOnce), now)
  }

  function isOver(group: Group, now: number): boolean {
    if (group.members.size > 0) return false
    const restMs = (group.told?.firing.length ?? 0) > 0 ? dormantMs : emptyMs
    return group.emptiedAt !== 0 && group.emptiedAt + restMs <= now
  }

  async function flush(at: State, groups: readonly Group[], now: number): Promise<void> {
    const change = noChange()
    const over: string[] = []
    const notices: Notice[] = []
    const ledger: Suppressed[] = []
    const hiddenBehind = new Map<string, Active[]>()
    for (const active of at.actives.values()) {
      if (active.inhibitedBy === '' || active.endsAt <= now) continue
      hiddenBehind.set(active.inhibitedBy, [...(hiddenBehind.get(active.inhibitedBy) ?? []), active])
    }
    const stormed = new Set<Digest>()
    for (const group of groups) {
      if (isOver(group, now)) {
        at.groups.delete(group.id)
        over.push(group.id)
        continue
      }
      const node = group.node ?? at.routing.root
      const sendsResolved = parts.sendsResolved(group.receiver)
      const plan = planGroup(group, now, {
        find: (fingerprint) => at.actives.get(fingerprint),
        hiddenBy: (active) => hiddenBy(at, active, now),
        mutedBy: group.node === null ? null : at.routing.mutedBy(group.node, now),
        ...{ repeatMs: node.repeatMs, sendsResolved },
      })
      group.flushAt = nextFlush(group, now, node.intervalMs)
      group.hasFlushed = true
      change.groups.add(group)
      const told = plan.verdict === null ? null : afterTelling(group.told, { ...plan, at: now })
      const shown = [...plan.firing, ...(sendsResolved ? plan.resolved : [])]
      if (told !== null && !sendsResolved) {
        for (const fingerprint of plan.resolved) {
          plan.suppressed.push({ fingerprint, suppression: { by: 'send_resolved', byId: 'false' } })
        }
      }
      const isStorm = told !== null && shown.length > 0 && isStormy(at, group, now)
      if (told !== null && shown.length > 0 && !isStorm) {
        const notice = describe(at, group, plan, shown, told, node, now, hiddenBehind)
        notices.push(notice)
        group.isBusy = true
        countRecent(at, group.receiver, now)
      } else {
        if (isStorm) {
          const known = new Set(group.told?.firing)
          const digest = addToDigest(
            at,
            group,
            shown.map((each) => toAlert(at.actives.get(each)!, now)),
            now,
          )
          stormed.add(digest)
          for (const fingerprint of shown) {
            if (known.has(fingerprint) && plan.firing.includes(fingerprint)) continue
            plan.suppressed.push({ fingerprint, suppression: { by: 'storm', byId: digest.noticeId } })
          }
        }
        if (told !== null) group.told = told
        leave(at, group, plan.leaving, now, change)
      }
      note(group, plan, ledger, now)
    }
    await tellLedger(ledger)
    await store.work(at.epoch, now, async (trx) => {
      await store.deleteActives(trx, [...change.gone])
      await store.deleteGroups(trx, over)
      await store.putGroups(
        trx,
        [...change.groups].map((group) => toGroupRow(group, now)),
      )
      await store.putNotices(
        trx,
        notices.map((notice) => toNoticeRow(notice, now)),
      )
      await putDigests(trx, stormed)
    })
    waiting.push(...notices)
  }

  /** Fingerprints leave a group, unless they fire again by now. */
  function leave(at: State, group: Group, prints: readonly string[], now: number, change: Change): void {
    for (const fingerprint of prints) {
      const active = at.actives.get(fingerprint)
      if (active !== undefined && active.endsAt > now) continue
      if (!group.members.delete(fingerprint)) continue
      at.holders.set(fingerprint, (at.holders.get(fingerprint) ?? 1) - 1)
      forgetIfAlone(at, fingerprint, change)
    }
    if (group.members.size === 0 && group.emptiedAt === 0) group.emptiedAt = now
  }

  /** The ledger hears once why an alert is not told of, and again when the reason is another. */
  function note(group: Group, plan: Plan, ledger: Suppressed[], at: number): void {
    const reasons = new Map(plan.suppressed.map(({ fingerprint, suppression }) => [fingerprint, suppression]))
    for (const fingerprint of group.noted.keys()) if (!reasons.has(fingerprint)) group.noted.delete(fingerprint)
    for (const [fingerprint, { by, byId }] of reasons) {
      if (group.noted.get(fingerprint) === `${by}:${byId}`) continue
      if (group.members.has(fingerprint)) group.noted.set(fingerprint, `${by}:${byId}`)
      ledger.push({ fingerprint, receiver: group.receiver, groupKey: group.key, by, byId, at })
    }
  }

  async function tellLedger(ledger: readonly Suppressed[]): Promise<void> {
    for (let i = 0; i < ledger.length; i += 50) {
      await Promise.all(ledger.slice(i, i + 50).map((row) => parts.suppressed(row)))
    }
  }

  function isStormy(at: State, { receiver, tenantId }: Group, now: number): boolean {
    if (settings.stormMax === 0) return false
    if (at.digests.has(digestIdOf(receiver, tenantId))) return true
    const recent = (at.recent.get(receiver) ?? []).filter((each) => each > now - settings.stormWindowMs && each <= now)
    at.recent.set(receiver, recent)
    return recent.length >= settings.stormMax
  }

  function countRecent(at: State, receiver: string, now: number): void {
    if (settings.stormMax > 0) at.recent.set(receiver, [...(at.recent.get(receiver) ?? []), now])
  }

  function addToDigest(
    at: State,
    { receiver, tenantId }: { receiver: string; tenantId: string },
    alerts: readonly Alert[],
    now: number,
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

  async function putDigests(trx: PipelineTransaction, digests: Iterable<Digest>): Promise<void> {
    const rows = [...digests].map(({ receiver, tenantId, noticeId, alerts, dueAt }) => ({
      ...{ id: digestIdOf(receiver, tenantId), receiver, tenant_id: tenantId, notice_id: noticeId },
      ...{ alerts: JSON.stringify([...alerts.values()]), due_at: dueAt },
    }))
    await store.putDigests(trx, rows)
  }

  async function sendDigests(at: State, now: number): Promise<void> {
    for (const [id, digest] of [...at.digests]) {
      const { receiver, tenantId } = digest
      if (digest.dueAt > now + settings.stormWindowMs) digest.dueAt = now + settings.stormWindowMs
      if (digest.dueAt > now) continue
      const alerts = [...digest.alerts.values()].map((alert) => {
        const active = at.actives.get(alert.fingerprint)
        return active === undefined ? { ...alert, endsAt: alert.endsAt ?? now } : toAlert(active, now)
      })
      const isFiring = alerts.some(({ endsAt }) => endsAt === null)
      const sorted = alerts.toSorted((a, b) => Number(a.endsAt !== null) - Number(b.endsAt !== null))
      const most = settings.maxAlertsPerNotification
      const notification: Notification = {
        ...{ id: digest.noticeId, receiver, groupKey: `digest:${receiver}`, reason: 'digest' },
        groupLabels: tenantId === '' ? {} : { tenant_id: tenantId },
        ...{ status: isFiring ? 'firing' : 'resolved', alerts: sorted.slice(0, most) },
        ...{ truncated: Math.max(0, sorted.length - most), hidden: [], traceId: traceOf(sorted), at: now },
      }
      const body = { notification, told: null, leaving: [], alerts: sorted, limitMs: settings.stormWindowMs }
      const notice: Notice = { id: digest.noticeId, groupId: '', receiver, reason: 'digest', body }
      at.digests.delete(id)
      await store.work(at.epoch, now, async (trx) => {
        await store.deleteDigest(trx, id)
        await store.putNotices(trx, [toNoticeRow(notice, now)])
      })
      waiting.push(notice)
    }
  }

  function describe(
    at: State,
    group: Group,
    plan: Plan,
    shown: readonly string[],
    told: Told,
    node: RouteNode,
    now: number,
    hiddenBehind: ReadonlyMap<string, readonly Active[]>,
  ): Notice {
    const most = settings.maxAlertsPerNotification
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

  /** Begins as many deliveries as may run at once. */
  function deliverWaiting(): void {
    while (!isStopping && running.size < deliveriesAtOnce && waiting.length > 0) {
      const notice = waiting.shift()!
      const done = deliverOne(notice).finally(() => {
        running.delete(notice.id)
        deliverWaiting()
      })
      running.set(notice.id, done)
    }
    metrics.queue(waiting.length + running.size)
  }

  async function deliverOne(notice: Notice): Promise<void> {
    const ended = new AbortController()
    const tooLong = new AbortController()
    const signal = AbortSignal.any([tooLong.signal, stopping.signal])
    const limit = clock.sleep(notice.body.limitMs, ended.signal).then(async () => {
      if (ended.signal.aborted) return 'failed' as const
      tooLong.abort()
      // Whoever does not listen to that either must not keep its group silent for ever.
      await clock.sleep(afterAbortMs, ended.signal)
      return 'failed' as const
    })
    let outcome: 'delivered' | 'failed'
    try {
      outcome = await Promise.race([parts.deliver(notice.body.notification, { signal }), limit])
    } catch (error) {
      outcome = 'failed'
      log.error(`The notification ${notice.id} for ${notice.receiver} could not be delivered`, { error })
    }
    ended.abort()
    // It stays an intention: whoever starts next delivers it.
    if (isStopping && outcome === 'failed') return
    metrics.notified(notice.receiver, notice.reason, outcome)
    await alone(() => finish(notice, outcome)).catch((error: unknown) => {
      state = null
      if (!(error instanceof LostTurn))
        log.error(`The end of the notification ${notice.id} could not be written`, { error })
    })
  }

  async function finish(notice: Notice, outcome: 'delivered' | 'failed'): Promise<void> {
    const now = clock.now()
    state ??= await load(now)
    const at = state
    const change = noChange()
    const group = at.groups.get(notice.groupId)
    if (group !== undefined) {
      group.isBusy = false
      change.groups.add(group)
      if (outcome === 'delivered') {
        group.told = notice.body.told
        const unchanged = notice.body.leaving.filter(
          ([print, stamp]) => (at.actives.get(print)?.updatedAt ?? stamp) === stamp,
        )
        leave(
          at,
          group,
          unchanged.map(([print]) => print),
          now,
          change,
        )
      }
    }
    const { receiver, body } = notice
    const again =
      notice.reason === 'digest' && outcome === 'failed'
        ? [addToDigest(at, { receiver, tenantId: body.notification.groupLabels.tenant_id ?? '' }, body.alerts, now)]
        : []
    await store.work(at.epoch, now, async (trx) => {
      await store.endNotice(trx, notice.id, outcome, now)
      await store.deleteActives(trx, [...change.gone])
      await store.putGroups(
        trx,
        [...change.groups].map((each) => toGroupRow(each, now)),
      )
      await putDigests(trx, again)
    })
  }

  async function work(): Promise<void> {
    const now = clock.now()
    try {
      state ??= await load(now)
      const at = state
      await forgive(at, now)
      const wasLookedAt = lookedAt
      await followSettings(at, now)
      await readInbox(at, now)
      await expire(at, now)
      await flushDue(at, now)
      await sendDigests(at, now)
      if (now - wasLookedAt >= aliveMs || now < wasLookedAt) {
        await store.work(at.epoch, now, async () => {})
        lookedAt = now
      }
      metrics.active([...at.actives.values()].filter(({ isEnded }) => !isEnded))
      deliverWaiting()
    } catch (error) {
      state = null
      // What is not begun yet is an intention in the store: it is read again.
      waiting.length = 0
      if (!(error instanceof LostTurn)) throw error
      log.warn('Another node runs the alert pipeline; what was in memory here is thrown away')
    }
  }

  return {
    /** One turn: reads what came, tells what is due. Deliveries it begins go on after it. */
    tick: (): Promise<void> => alone(work),
    /** Resolves when no delivery is under way. */
    async idle(): Promise<void> {
      while (running.size > 0) await Promise.all(running.values())
    },
    /** Nothing in memory holds any more: another node may have worked. */
    rest(): void {
      state = null
      waiting.length = 0
    },
    async stop(): Promise<void> {
      isStopping = true
      stopping.abort()
      await Promise.all(running.values())
      await busy
      state = null
    },
  }
}

function toNoticeRow(notice: Notice, at: number): NoticeRow {
  const { id, groupId, receiver, reason, body } = notice
  return {
    ...{ id, group_id: groupId, receiver, reason, state: 'intended', body: JSON.stringify(body), at, ended_at: 0 },
  }
}

function fromNoticeRow({ id, group_id, receiver, reason, body }: NoticeRow): Notice {
  return { id, groupId: group_id, receiver, reason: reason as NotifyReason, body: JSON.parse(body) as NoticeBody }
}

function digestIdOf(receiver: string, tenantId: string): string {
  return JSON.stringify([receiver, tenantId])
}
