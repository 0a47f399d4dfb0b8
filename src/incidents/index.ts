/**
 * Incidents: from the first alert to the report. What is broken, how severe it is, who has it, what was done and whether
 * that was in time; who is told when nobody comes. Not here: which alerts fire (alerts), and how messages leave the house.
 */
import type { Kysely } from 'kysely'
import type { Route } from '../http/route.ts'
import type { Clock } from '../kernel/clock.ts'
import { lookUp } from '../kernel/derive.ts'
import type { Heartbeats } from '../kernel/heartbeats.ts'
import type { Bus } from '../platform/bus/bus.ts'
import type { Leases } from '../platform/lease/lease.ts'
import type { Log } from '../platform/log.ts'
import type { Metrics } from '../platform/metrics.ts'
import { createSchedule } from '../platform/schedule.ts'
import type { Secrets } from '../platform/secrets.ts'
import type { ActionLevers } from './actions/action.ts'
import { type AskBlast, createAlertIntake } from './alerts.ts'
import type { IncidentsConfig } from './config.ts'
import { createDelivery, type Tell } from './escalation/deliver.ts'
import { createAckLinks } from './escalation/links.ts'
import { createIncidents } from './incidents.ts'
import type { LifeRules } from './life.ts'
import { createOnCallSettings } from './on-call/settings.ts'
import { createRules } from './open.ts'
import { type AlertSource, createReconciler } from './reconcile.ts'
import { createRemedies } from './remedies/remedies.ts'
import { createRemedyStore } from './remedies/store.ts'
import { createReports } from './report/reports.ts'
import { incidentRoutes } from './routes.ts'
import type { Change, ToldAlert } from './schema.ts'
import { createStandby } from './standby.ts'
import { createIncidentsStore } from './store.ts'
import type { IncidentsTables } from './tables.ts'
import { createTimelineChain } from './timeline/chain.ts'

export type { ActionLevers } from './actions/action.ts'
export { onCallShapes } from './on-call/settings.ts'
export { openIncidents } from './open.ts'
export { type ReportFormat, reportFormats } from './report/reports.ts'
export { type State, states, type ToldAlert } from './schema.ts'
export type { IncidentsTables } from './tables.ts'

export type IncidentsRoom = {
  routes: Route[]
  start(): Promise<void>
  stop(): Promise<void>
  /** One turn of all jobs at the clock's time: for tests that drive days. */
  tick(signal?: AbortSignal): Promise<void>
}

export type IncidentsRoomParts = AlertSource & {
  db: Kysely<IncidentsTables>
  secrets: Pick<Secrets, 'derive'>
  bus: Bus
  clock: Clock
  leases: Leases
  log: Log
  metrics: Metrics
  heartbeats?: Heartbeats
  tell: Tell
  /** Over the last quarter of an hour; null where nobody can say. */
  blastRadius: AskBlast
  /** What people and programs changed, by the audit log. */
  changes(from: number, to: number): Promise<readonly Change[]>
  /** What people are called; those that are gone are left out. */
  namesOf(ids: readonly string[]): Promise<ReadonlyMap<string, string>>
  tenantIdOf(written: string): Promise<string | null>
  /** The file that keeps what begins while the store is away. */
  heldPath: string
  /** What actions pull. */
  levers: ActionLevers
  /** Where people reach the hub; '' when it does not know. */
  publicUrl: string
  version: string
}

const blastMinutes = 15
const pageEveryMs = 2000
/** More than these that wait are left to the next comparison. */
const mostHeard = 10_000

export function createIncidentsRoom(parts: IncidentsRoomParts, config: IncidentsConfig): IncidentsRoom {
  const { secrets, bus, clock, leases, metrics } = parts
  const log = parts.log.child({ room: 'incidents' })
  const { zone, calendars, life } = createRules(config)
  const chain = createTimelineChain(secrets)
  const store = createIncidentsStore(parts.db, chain)
  const channels = lookUp({ urgent: () => config.urgent_channels, normal: () => config.normal_channels })
  const onCall = createOnCallSettings({ store, channels, clock, log })
  const rules = (): LifeRules => ({ ...life(), policyOf: onCall.policyOf, onCall: onCall.onCall })
  const message = { language: config.language, zone, calendars }
  const incidents = createIncidents({ store, rules, message, bus, clock })
  const links = createAckLinks(secrets)
  const changes = async (from: number, to: number): Promise<readonly Change[]> => [
    ...(await parts.changes(from, to)),
    ...(await store.marks('deploy', from, to)).map(({ name, at }) => ({
      ...{ at, kind: 'deploy', what: 'deploy', target: name.split('@')[0]!, by: 'gatehouse' },
    })),
  ]
  const intake = createAlertIntake({
    ...{ incidents, store, config, blastRadius: parts.blastRadius, blastMinutes, changes, clock, log },
  })
  const reconciler = createReconciler({ source: parts, intake, store, openAt: () => config.open_at_severity, clock })
  const delivery = createDelivery({
    ...{ store, incidents, tell: parts.tell, links, publicUrl: parts.publicUrl, clock, log, metrics },
    ...{ linkMs: config.link_hours * 3_600_000, language: config.language },
  })
  const standby = createStandby({
    ...{ incidents, store, delivery, config, blastMinutes, path: parts.heldPath, clock, log },
  })
  const reports = createReports({ store, chain, calendars, zone, clock, config })
  const remedies = createRemedies({
    ...{ remedyStore: createRemedyStore(parts.db), store, incidents, levers: parts.levers, secrets, clock, log },
  })
  const schedule = createSchedule({ clock, leases, log, heartbeats: parts.heartbeats })
  const standing = metrics.readings('gauge', 'gatehouse_incidents_active', 'Incidents that are not over.', [
    ...(['severity', 'state'] as const),
  ])
  const offs: (() => void)[] = []
  let heard: { name: 'alert.fired' | 'alert.resolved'; alert: ToldAlert }[] = []
  let hearing: Promise<void> | null = null
  let counts: { labels: { severity: string; state: string }; value: number }[] = []
  metrics.beforeRender(() => standing.replace('incidents', counts))

  async function look(signal?: AbortSignal): Promise<void> {
    // What began while the store was away comes before all that would open it anew.
    await standby.adopt()
    // Timers first: what is due does not wait for whoever keeps the alerts.
    await incidents.settleDue(signal)
    await remedies.settleDue(signal)
    await reconciler.reconcile()
    await incidents.settleDue(signal)
    await reports.digestIfDue()
    counts = (await store.counts()).map(({ severity, state, count }) => ({ labels: { severity, state }, value: count }))
  }

  /**
   * What is heard is only quicker: who misses it reads it in the next comparison. One after the other, in the order in which
   * it was said: what explains another has its incident before that one asks for it.
   */
  function hear(name: 'alert.fired' | 'alert.resolved', alert: ToldAlert): void {
    // It depends on what is down and was not heard of yet: the comparison sees both.
    if (name === 'alert.fired' && alert.inhibitedBy === '' && (alert.annotations.depends_on ?? '') !== '') return
    if (heard.length >= mostHeard) return
    heard.push({ name, alert })
    hearing ??= takeHeard().finally(() => {
      hearing = null
    })
  }

  async function takeHeard(): Promise<void> {
    // Those that are said together are taken together.
    await Promise.resolve()
    while (heard.length > 0) {
      const { name } = heard[0]!
      const end = heard.findIndex((each) => each.name !== name)
      const alerts = heard.slice(0, end === -1 ? undefined : end).map(({ alert }) => alert)
      heard = heard.slice(alerts.length)
      const take = name === 'alert.fired' ? intake.began : intake.ended
      await standby
        .adopt()
        .then(() => take(alerts))
        .catch((error: unknown) =>
          log.warn('Alerts that were heard of are taken up at the next comparison', { error, count: alerts.length }),
        )
    }
  }

  return {
    routes: incidentRoutes({
      ...{ incidents, store, remedies, reports, onCall, links, standby, calendars, zone, clock, chain },
      ...{ namesOf: parts.namesOf, tenantIdOf: parts.tenantIdOf },
    }),
    async tick(signal) {
      await hearing
      await standby.turn(signal)
      await look(signal)
      await delivery.deliver(signal)
    },
    async start() {
      await onCall.ready()
      await noteDeploy()
      offs.push(
        bus.on('alert.fired', (alert) => hear('alert.fired', alert)),
        bus.on('alert.resolved', (alert) => hear('alert.resolved', alert)),
        bus.on('alert.unrecorded', (alert) => {
          // What it writes down first is on the disk; it rejects never.
          void (alert.endsAt === null ? standby.began([alert]) : standby.ended([alert]))
        }),
      )
      schedule.every('incidents', config.reconcile_seconds * 1000, look, { onOneNode: true, firstDelayMs: 1000 })
      schedule.every('incident-pages', pageEveryMs, async (signal) => void (await delivery.deliver(signal)), {
        ...{ onOneNode: true, firstDelayMs: 1500 },
      })
      // Each node keeps its own: of what it heard itself.
      schedule.every('incidents-held', 1000, (signal) => standby.turn(signal), { onOneNode: false, firstDelayMs: 500 })
      const forget = async () => {
        while ((await store.deleteOld(clock.now() - config.retention_days * 86_400_000, 200)) === 200);
      }
      schedule.every('incident-retention', 3_600_000, forget, { onOneNode: true, firstDelayMs: 60_000 })
    },
    async stop() {
      for (const off of offs.splice(0)) off()
      await Promise.all([hearing, schedule.stop()])
      onCall.stop()
    },
  }

  /** A version is a deploy the first time it starts after another. */
  async function noteDeploy(): Promise<void> {
    const [last] = await store.marks('deploy', 0, clock.now())
    const now = clock.now()
    if (last?.name.split('@')[0] !== parts.version) await store.mark('deploy', `${parts.version}@${now}`, now)
  }
}
