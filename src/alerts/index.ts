/**
 * Alerts: what is wrong becomes known, the right people are told once, and a ledger says who was told what. What was posted
 * (by rules over the samples, by announcements of other rooms, from outside) is kept while it fires, routed, grouped and
 * hidden where somebody asked for that, and told to receivers by their channels. Not here: what people do about it
 * (incidents), and how anything is measured (telemetry, health).
 */
import type { Route } from '../http/route.ts'
import { createSchedule } from '../platform/schedule.ts'
import type { Alert } from './alert.ts'
import type { AlertsConfig } from './config.ts'
import { createDelivery, type Delivery, type DeliveryParts, type DeliveryTables } from './delivery/index.ts'
import { alertsFromAnnouncements } from './from-announcements.ts'
import { createPipeline, type PipelineParts, type PipelineTables } from './pipeline/index.ts'
import { createRules, type RulesParts } from './rules/index.ts'
import type { AlertRuleTables } from './rules/store.ts'

export { backtestRuleFile, checkRuleFiles, exportStoredRules, testRuleFiles } from './rules/offline.ts'
export type { AlertRuleTables } from './rules/store.ts'
export type AlertTables = DeliveryTables & AlertRuleTables & PipelineTables

export type AlertsParts = DeliveryParts &
  Omit<RulesParts, 'post'> &
  Omit<PipelineParts, 'deliver' | 'suppressed' | 'receivers'>

export type Alerts = {
  routes: Route[]
  /** What fires, whoever was told. */
  active(): Promise<readonly (Alert & { inhibitedBy: string })[]>
  /** What was seen to end since `sinceMs`, oldest first. */
  endedSince(sinceMs: number): Promise<readonly Alert[]>
  tell: Delivery['tell']
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
  const schedule = createSchedule({ clock, leases, log, heartbeats: parts.heartbeats })
  let stopListening = () => {}
  return {
    routes: [...rules.routes, ...pipeline.routes, ...delivery.routes],
    ...{ active: pipeline.active, endedSince: pipeline.endedSince, tell: delivery.tell },
    async start() {
      await delivery.start()
      stopListening = alertsFromAnnouncements({ bus, clock, log, post: pipeline.post })
      schedule.every('alerts', 1000, () => pipeline.tick(), { onOneNode: true, firstDelayMs: 100 })
      schedule.every('alerts-tidy', 600_000, () => pipeline.tidy(), { onOneNode: true, firstDelayMs: 60_000 })
      await rules.start()
    },
    async stop() {
      await rules.stop()
      stopListening()
      await schedule.stop()
      await pipeline.stop()
      await delivery.stop()
    },
  }
}
