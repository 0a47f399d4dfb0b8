/**
 * Maintenance: what is looked after every day, week and month, as seed 003 lists it. Each job has its turns, a window, a
 * row before it begins and a result after: in order, nearly, not, or nobody knows. Rooms delete their own old rows by
 * themselves; here it is proved that they did. Not here: what must be known within minutes (health, alerts).
 */
import { hostname } from 'node:os'
import type { Kysely } from 'kysely'
import type { Route } from '../http/route.ts'
import type { Clock } from '../kernel/clock.ts'
import type { Heartbeats } from '../kernel/heartbeats.ts'
import type { Bus } from '../platform/bus/bus.ts'
import type { Leases } from '../platform/lease/lease.ts'
import type { Log } from '../platform/log.ts'
import type { Metrics } from '../platform/metrics.ts'
import { createSchedule } from '../platform/schedule.ts'
import type { MaintenanceConfig } from './config.ts'
import type { Job } from './job.ts'
import { jobs as allJobs } from './jobs/index.ts'
import { createKeeper, type Keeper } from './keeper.ts'
import { maintenanceRoutes } from './routes.ts'
import { listJobs } from './show.ts'
import { createStore, type MaintenanceTables } from './store.ts'
import { createTimings, type Timings } from './timings.ts'
import type { World } from './world.ts'

export { type Advised, bulkQuestion, readAuditReport, readBulkAnswer } from './advisories.ts'
export { readCalendar } from './calendar.ts'
export { jobs } from './jobs/index.ts'
export { createKeeper } from './keeper.ts'
export type { Run } from './schema.ts'
export { jobShape, showRun } from './schema.ts'
export { listJobs } from './show.ts'
export { createStore, type MaintenanceTables } from './store.ts'
export { createTimings } from './timings.ts'
export type { Retained, World } from './world.ts'

export type Maintenance = {
  routes: Route[]
  keeper: Keeper
  timings: Timings
  start(): Promise<void>
  stop(): Promise<void>
}

export type MaintenanceParts = {
  db: Kysely<MaintenanceTables>
  world: Omit<World, 'clock' | 'secrets' | 'countOverdue'>
  bus: Bus
  clock: Clock
  leases: Leases
  log: Log
  metrics: Metrics
  heartbeats?: Heartbeats
  jobs?: readonly Job[]
}

const lookEveryMs = 5000
const planEveryMs = 60_000

export function createMaintenance(parts: MaintenanceParts, config: MaintenanceConfig): Maintenance {
  const { clock, bus, leases, metrics, heartbeats, jobs = allJobs } = parts
  const log = parts.log.child({ room: 'maintenance' })
  const store = createStore(parts.db)
  const timings = createTimings({ store, jobs, now: clock.now }, config)
  const runs = metrics.counter('gatehouse_maintenance_runs_total', 'Runs of maintenance, by how they ended.', [
    'maintenance',
    'outcome',
  ])
  const seconds = metrics.gauge('gatehouse_maintenance_last_run_seconds', 'How long the last run took.', [
    'maintenance',
  ])
  const late = metrics.gauge(
    'gatehouse_maintenance_late_seconds',
    'Since the first turn of which nobody knows how it ended; 0 when there is none.',
    ['maintenance', 'rhythm'],
  )
  const keeper = createKeeper({
    ...{ store, timings, jobs, clock, bus, log, keepDays: config.keep_days },
    world: { ...parts.world, clock, secrets: store.secrets, countOverdue: (what) => countOverdue(what) },
    node: `${hostname()}:${process.pid}:${clock.now()}`,
    noted({ job }, outcome, took) {
      runs.with({ maintenance: job, outcome }).inc()
      seconds.with({ maintenance: job }).set(took)
    },
  })
  const schedule = createSchedule({ clock, leases, log, heartbeats })
  let plannedAt = Number.NEGATIVE_INFINITY
  let isFirst = true

  const countOverdue: World['countOverdue'] = ({ table, column, olderThanMs }) =>
    store.overdue({ table, column, before: clock.now() - olderThanMs })

  async function tellLate(): Promise<void> {
    for (const job of await listJobs({ store, timings, jobs, now: clock.now() }, config.enabled))
      late.with({ maintenance: job.name, rhythm: job.rhythm }).set(job.late_seconds)
  }

  async function look(): Promise<void> {
    if (isFirst) await timings.see()
    isFirst = false
    const isDue = config.enabled && clock.monotonic() - plannedAt >= planEveryMs
    if (isDue) plannedAt = clock.monotonic()
    await keeper.turn(isDue)
    if (isDue) await tellLate()
  }

  return {
    routes: maintenanceRoutes({ store, timings, keeper, jobs, clock, isEnabled: config.enabled }),
    keeper,
    timings,
    async start() {
      schedule.every('maintenance', lookEveryMs, look, { onOneNode: true, firstDelayMs: 2000 })
    },
    async stop() {
      await keeper.stop()
      await schedule.stop()
    },
  }
}
