/**
 * Alerts: what is wrong becomes known, the right people are told once, and a ledger says who was told what. What was posted
 * (by rules over the samples, by announcements of other rooms, from outside) is kept while it fires, routed, grouped and
 * hidden where somebody asked for that, and told to receivers by their channels. Not here: what people do about it
 * (incidents), and how anything is measured (telemetry, health).
 */
import type { Route } from '../http/route.ts'
import { createId } from '../kernel/ids.ts'
import { createSchedule } from '../platform/schedule.ts'
import { type Alert, directKeyOf, traceOf } from './alert.ts'
import type { AlertsConfig } from './config.ts'
import {
  createDelivery,
  type Decided,
  type DeliveryParts,
  type DeliveryTables,
  type Telling,
} from './delivery/index.ts'
import { alertsFromAnnouncements, type Listening, type StandingVerdict } from './from-announcements.ts'
import { createPipeline, type PipelineParts, type PipelineTables } from './pipeline/index.ts'
import { compileRouting, readRouting, routingOf } from './pipeline/routing.ts'
import { type AnnouncedStandings, createAnnouncedReconciler } from './reconcile-announced.ts'
import { createRules, type RulesParts } from './rules/index.ts'
import type { AlertRuleTables } from './rules/store.ts'

export { routingShape } from './pipeline/routing.ts'
export { backtestRuleFile, checkRuleFiles, exportStoredRules, testRuleFiles } from './rules/offline.ts'
export type { AlertRuleTables } from './rules/store.ts'
export type AlertTables = DeliveryTables & AlertRuleTables & PipelineTables

export type AlertsParts = DeliveryParts &
  Omit<RulesParts, 'post'> &
  Omit<PipelineParts, 'deliver' | 'suppressed' | 'receivers'> & {
    /** How the hub's own checks stand. */
    verdicts(): readonly StandingVerdict[]
    standings: AnnouncedStandings
  }

export type Alerts = {
  routes: Route[]
  /** What fires, whoever was told. */
  active(): Promise<readonly (Alert & { inhibitedBy: string })[]>
  /** What was seen to end since `sinceMs`, oldest first. */
  endedSince(sinceMs: number): Promise<readonly Alert[]>
  /**
   * Tells by those of the named channels that there are; by those of the default receiver where there is none of them, and
   * `nobody` where that has none either.
   */
  tell(telling: Telling): Promise<Decided | 'nobody'>
  /** Looks whether new settings can be used; throws `invalid_request` where they cannot. */
  applySettings(): void
  start(): Promise<void>
  stop(): Promise<void>
}

export function createAlerts(parts: AlertsParts, config: AlertsConfig): Alerts {
  const { bus, clock, leases } = parts
  const log = parts.log.child({ room: 'alerts' })
  const delivery = createDelivery(parts, config)
  const pipeline = createPipeline(
    {
      ...{ ...parts, log, deliver: delivery.deliver, suppressed: delivery.suppressed },
      // Each channel says itself whether it tells of what is over.
      receivers: async () => (await delivery.receivers()).map(({ name }) => ({ name, sendsResolved: true })),
    },
    config,
  )
  const rules = createRules({ ...parts, post: pipeline.post }, config)
  const reconciler = createAnnouncedReconciler({
    ...{ standings: parts.standings, channels: delivery.standings, post: pipeline.post, clock },
    active: () => active(),
  })
  const schedule = createSchedule({ clock, leases, log, heartbeats: parts.heartbeats })
  let listening: Listening | null = null
  const stopping = new AbortController()
  /** What was complained of already: settings name a few. */
  const unreachable = new Set<string>()
  /** Each receiver hears the beginning and the end of one alert, in a conversation of its own. */
  async function tellDirectly(alert: Alert, hidden: readonly Alert[]): Promise<void> {
    const now = clock.now()
    const isOver = alert.endsAt !== null
    const notification = {
      ...{ groupKey: directKeyOf(alert), groupLabels: { alertname: alert.labels.alertname ?? '' } },
      ...{
        reason: isOver ? ('all_resolved' as const) : ('first' as const),
        status: isOver ? ('resolved' as const) : ('firing' as const),
      },
      ...{ alerts: [alert], truncated: 0, hidden, traceId: traceOf([alert]), at: now },
    } as const
    for (const receiver of pipeline.receiversOf(alert.labels)) {
      const id = createId('notification', now)
      await delivery.deliver({ ...notification, id, receiver }, { signal: stopping.signal })
    }
  }
  /** With those that wait for the store: whoever compares must not take them for over. */
  async function active(): Promise<readonly (Alert & { inhibitedBy: string })[]> {
    const waiting = listening?.waiting() ?? []
    const kept = await pipeline.active()
    const known = new Set(kept.map(({ fingerprint }) => fingerprint))
    return [
      ...kept,
      ...waiting.filter((each) => !known.has(each.fingerprint)).map((each) => ({ ...each, inhibitedBy: '' })),
    ]
  }
  return {
    routes: [...rules.routes, ...pipeline.routes, ...delivery.routes],
    ...{ active, endedSince: pipeline.endedSince },
    async tell(telling) {
      const instead = await pipeline.defaultReceiver()
      const channels = delivery.channelsOf(telling.channels, instead)
      if (channels.length > 0) return delivery.tell({ ...telling, channels })
      const named = telling.channels.join(', ')
      if (!unreachable.has(named)) {
        unreachable.add(named)
        log.error('Nobody can be told: make a channel of one of these names, or the default receiver', {
          ...{ channels: telling.channels, receiver: instead, traceId: telling.traceId },
        })
      }
      return 'nobody'
    },
    applySettings() {
      compileRouting(readRouting(routingOf(config)))
    },
    async start() {
      await delivery.start()
      const heard = alertsFromAnnouncements({
        ...{ bus, clock, log, post: pipeline.post, tellDirectly, verdicts: parts.verdicts },
        hidersOf: pipeline.hidersOf,
      })
      listening = heard
      schedule.every('alerts-announced', 2000, heard.turn, { onOneNode: false, firstDelayMs: 1000 })
      schedule.every('alerts', 1000, () => pipeline.tick(), { onOneNode: true, firstDelayMs: 100 })
      schedule.every('alerts-reconciled', 15_000, reconciler.turn, { onOneNode: true, firstDelayMs: 2000 })
      schedule.every('alerts-tidy', 600_000, () => pipeline.tidy(), { onOneNode: true, firstDelayMs: 60_000 })
      await rules.start()
    },
    async stop() {
      await rules.stop()
      listening?.stop()
      stopping.abort()
      await schedule.stop()
      await pipeline.stop()
      await delivery.stop()
    },
  }
}
