/**
 * Alerts: what is wrong, and who is told of it. What was posted (by rules, by announcements of other rooms, from outside)
 * is kept while it fires, routed, grouped and hidden where somebody asked for that, and told to receivers. Not here: what
 * people do about it (incidents).
 */
import type { Kysely } from 'kysely'
import type { Route } from '../http/route.ts'
import type { Clock } from '../kernel/clock.ts'
import { fail } from '../kernel/errors.ts'
import type { Bus } from '../platform/bus/bus.ts'
import type { Leases } from '../platform/lease/lease.ts'
import type { Log } from '../platform/log.ts'
import type { Metrics } from '../platform/metrics.ts'
import { createSchedule } from '../platform/schedule.ts'
import type { Secrets } from '../platform/secrets.ts'
import type { Alert } from './alert.ts'
import type { AlertsConfig } from './config.ts'
import { alertsFromAnnouncements } from './from-announcements.ts'
import { createPipeline, type PipelineTables } from './pipeline/index.ts'

export type AlertsTables = PipelineTables

export type AlertsParts = {
  db: Kysely<AlertsTables>
  secrets: Pick<Secrets, 'hashKey'>
  version: string
  bus: Bus
  leases: Leases
  clock: Clock
  log: Log
  metrics: Metrics
}

export type Alerts = {
  routes: Route[]
  /** What fires, whoever was told. */
  active(): Promise<readonly (Alert & { inhibitedBy: string })[]>
  /** What was seen to end since `sinceMs`, oldest first. */
  endedSince(sinceMs: number): Promise<readonly Alert[]>
  start(): Promise<void>
  stop(): Promise<void>
}

export function createAlerts(parts: AlertsParts, config: AlertsConfig): Alerts {
  const { db, secrets, bus, clock, metrics, leases, version } = parts
  const log = parts.log.child({ room: 'alerts' })
  const pipeline = createPipeline(
    {
      ...{ db, secrets, bus, clock, log, metrics, version },
      async deliver() {
        throw fail('unavailable', 'no channel exists that a notification could go to')
      },
      async suppressed({ fingerprint, receiver, by, byId }) {
        log.info(`The receiver ${receiver} is not told of the alert ${fingerprint}: ${by} ${byId}`)
      },
      receivers: async () => null,
    },
    config,
  )
  const schedule = createSchedule({ clock, leases, log })
  let stopListening = () => {}
  return {
    routes: pipeline.routes,
    ...{ active: pipeline.active, endedSince: pipeline.endedSince },
    async start() {
      stopListening = alertsFromAnnouncements({ bus, clock, log, post: pipeline.post })
      schedule.every('alerts', 1000, () => pipeline.tick(), { onOneNode: true, firstDelayMs: 100 })
      schedule.every('alerts-tidy', 600_000, () => pipeline.tidy(), { onOneNode: true, firstDelayMs: 60_000 })
    },
    async stop() {
      stopListening()
      await schedule.stop()
      await pipeline.stop()
    },
  }
}
