import type { Clock } from '../../kernel/clock.ts'
import type { Announcements } from '../../kernel/events.ts'
import type { Log } from '../../platform/log.ts'
import type { Notification } from '../alert.ts'
import { afterTelling } from './decide.ts'
import { createDeliveries } from './deliveries.ts'
import { fromGroupRow, type Group, nextFlush, type Plan, planGroup, type Suppression, toGroupRow } from './groups.ts'
import { type Change, type Digest, forgetIfAlone, leave, noChange, routeAll, type State } from './held.ts'
import { createInhibitor, toInhibitable } from './inhibition.ts'
import { type Active, never, type Posted, toAlert } from './merge.ts'
import type { PipelineMetrics } from './metrics.ts'
import { describeGroup, fromNoticeRow, type Notice, toNoticeRow } from './notices.ts'
import type { Routing } from './routing.ts'
import { hides, type Silence, stateOf } from './silences.ts'
import { LostTurn, type PipelineStore } from './store.ts'
import {
  addToDigest,
  countRecent,
  fromDigestRow,
  isStormy,
  type StormSettings,
  toDigestNotice,
  toDigestRows,
} from './storms.ts'
import { end, takePosted } from './take-posted.ts'

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

export type EngineSettings = StormSettings & { resolveTimeoutMs: number; maxAlertsPerNotification: number }

export type Engine = ReturnType<typeof createEngine>

const inboxBatch = 1000
const mostBatches = 30
const groupsAtOnce = 100
/** A gap in which nobody looked: what was to be said again meanwhile could not be heard. */
const gapMs = 60_000
/** An empty group keeps its timer for so long, as in Alertmanager. */
const emptyMs = 30_000
/** What was told and is routed nowhere any more is remembered for so long. */
const dormantMs = 120 * 3_600_000
const aliveMs = 10_000

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
  const deliveries = createDeliveries({
    ...{ deliver: parts.deliver, clock, log, metrics },
    ended: (notice, outcome) =>
      alone(() => finish(notice, outcome)).catch((error: unknown) => {
        state = null
        if (!(error instanceof LostTurn))
          log.error(`The end of the notification ${notice.id} could not be written`, { error })
      }),
  })

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
      digests: new Map(kept.digests.map((row) => [row.id, fromDigestRow(row)])),
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
      if (!deliveries.has(notice.id)) deliveries.add([notice])
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

  /** Who hides whom now; read anew when something changed. Returns the alerts whose hider is another than before. */
  function inhibit(at: State, now: number): Active[] {
    const all = [...at.actives.values()].map((active) =>
      toInhibitable(active, active.endsAt > now, parts.dependenciesOf(active.labels)),
    )
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
      for (const row of rows) takePosted(at, JSON.parse(row.posted) as Posted, now, change)
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
    const most = settings.maxAlertsPerNotification
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
      const isStorm = told !== null && shown.length > 0 && isStormy(at, group, now, settings)
      if (told !== null && shown.length > 0 && !isStorm) {
        const notice = describeGroup(at, group, plan, { shown, told, node, now, hiddenBehind, most })
        notices.push(notice)
        group.isBusy = true
        countRecent(at, group.receiver, now, settings)
      } else {
        if (isStorm) {
          const known = new Set(group.told?.firing)
          const digest = addToDigest(
            at,
            group,
            shown.map((each) => toAlert(at.actives.get(each)!, now)),
            now,
            settings,
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
      await store.putDigests(trx, toDigestRows(stormed))
    })
    deliveries.add(notices)
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

  async function sendDigests(at: State, now: number): Promise<void> {
    for (const [id, digest] of [...at.digests]) {
      if (digest.dueAt > now + settings.stormWindowMs) digest.dueAt = now + settings.stormWindowMs
      if (digest.dueAt > now) continue
      const notice = toDigestNotice(at, digest, now, settings)
      at.digests.delete(id)
      await store.work(at.epoch, now, async (trx) => {
        await store.deleteDigest(trx, id)
        await store.putNotices(trx, [toNoticeRow(notice, now)])
      })
      deliveries.add([notice])
    }
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
        ? [
            addToDigest(
              at,
              { receiver, tenantId: body.notification.groupLabels.tenant_id ?? '' },
              body.alerts,
              now,
              settings,
            ),
          ]
        : []
    await store.work(at.epoch, now, async (trx) => {
      await store.endNotice(trx, notice.id, outcome, now)
      await store.deleteActives(trx, [...change.gone])
      await store.putGroups(
        trx,
        [...change.groups].map((each) => toGroupRow(each, now)),
      )
      await store.putDigests(trx, toDigestRows(again))
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
      deliveries.begin()
    } catch (error) {
      state = null
      deliveries.forgetWaiting()
      if (!(error instanceof LostTurn)) throw error
      log.warn('Another node runs the alert pipeline; what was in memory here is thrown away')
    }
  }

  return {
    /** One turn: reads what came, tells what is due. Deliveries it begins go on after it. */
    tick: (): Promise<void> => alone(work),
    /** Resolves when no delivery is under way. */
    idle: deliveries.idle,
    /** Nothing in memory holds any more: another node may have worked. */
    rest(): void {
      state = null
      deliveries.forgetWaiting()
    },
    async stop(): Promise<void> {
      await deliveries.stop()
      await busy
      state = null
    },
  }
}
