/**
 * Checks that people configure: asked at their times on one node, judged over several askings, kept as history, told when
 * they change, and shown to the public where they are meant to be.
 */
import type { Kysely } from 'kysely'
import type { Route } from '../../http/route.ts'
import type { Clock } from '../../kernel/clock.ts'
import { lookUp } from '../../kernel/derive.ts'
import type { Announcements } from '../../kernel/events.ts'
import type { Heartbeats } from '../../kernel/heartbeats.ts'
import type { Bus } from '../../platform/bus/bus.ts'
import { exchangeTcp } from '../../platform/dial/sockets.ts'
import type { Upstreams } from '../../platform/fetch.ts'
import type { Leases } from '../../platform/lease/lease.ts'
import type { Log } from '../../platform/log.ts'
import type { Metrics } from '../../platform/metrics.ts'
import type { Secrets } from '../../platform/secrets.ts'
import type { HealthConfig } from '../config.ts'
import { askMonitor, type World } from './ask.ts'
import { createDoubt } from './doubt.ts'
import { listFirstChecks } from './first-checks.ts'
import { readHistory } from './history.ts'
import { type Imported, makeImported, readForeign } from './import.ts'
import { createMonitors, type Monitors, toRow } from './monitors.ts'
import { statusRoutes } from './public-routes.ts'
import { createPushes } from './pushes.ts'
import { toStanding } from './records.ts'
import { checksRoutes } from './routes.ts'
import { createRunner, type Runner } from './runner.ts'
import { toInstant } from './show.ts'
import { judgePublic, type PublicOverview } from './status-page.ts'
import { type ChecksTables, createMonitorStore } from './store.ts'
import { describeSum } from './sums.ts'
import { createTidy } from './tidy.ts'

export type ChecksParts = {
  db: Kysely<ChecksTables>
  secrets: Pick<Secrets, 'encrypt' | 'decrypt' | 'hashKey'>
  leases: Leases
  heartbeats: Heartbeats
  bus: Bus
  clock: Clock
  log: Log
  metrics: Metrics
  /** The guarded ways out, for checks of the hub and for those of tenants. */
  ways: { hub: Upstreams; tenant: Upstreams }
  world: Omit<World, 'wayOf' | 'stalled'>
  /** The id of a tenant that is written as id or name; null when there is none. */
  tenantIdOf(written: string): Promise<string | null>
  /** What canaries cost today, and what they may. */
  spend(): Promise<{ canaryNanoUsd: number; limitNanoUsd: number }>
}

export type Checks = {
  routes: Route[]
  /** After the migrations: makes the first checks, once ever, and begins to ask. */
  start(): Promise<void>
  stop(): Promise<void>
  monitors: Monitors
  /** How every check that is asked stands, as it was announced last. */
  standings(): Promise<Announcements['check.changed'][]>
  /** For tests and measurements. */
  runner: Pick<Runner, 'turn' | 'idle' | 'isHolding'>
}

const dayMs = 86_400_000
const overviewMs = 10_000

/** Takes over a foreign configuration for the hub's own tenant; a dry run only says what would be made. */
export async function importChecks(
  parts: Pick<ChecksParts, 'db' | 'secrets' | 'bus' | 'clock'>,
  config: HealthConfig,
  text: string,
  isDry: boolean,
): Promise<Imported & { from: string; made: number }> {
  const found = readForeign(text)
  const most = lookUp({ all: () => config.max_checks, ofTenant: () => config.max_checks_per_tenant })
  const monitors = createMonitors({ ...parts, store: createMonitorStore(parts.db), most })
  return { ...found, made: isDry ? 0 : await makeImported(monitors, '', found) }
}

export function createChecks(parts: ChecksParts, config: HealthConfig): Checks {
  const { bus, clock, metrics, secrets, heartbeats } = parts
  const log = parts.log.child({ room: 'health' })
  const store = createMonitorStore(parts.db)
  const world: World = {
    ...parts.world,
    stalled: () => heartbeats.stalled(),
    wayOf: (tenantId) => (tenantId === '' ? parts.ways.hub : parts.ways.tenant),
  }
  const doubt = createDoubt({
    clock,
    references: config.reference_targets,
    longestMs: config.doubt_minutes * 60_000,
    reach(reference) {
      const [, host, port] = /^\[?(.+?)\]?:(\d+)$/.exec(reference)!
      const target = { host: host!, port: Number(port), timeoutMs: 3000 }
      return exchangeTcp(parts.ways.hub, target, { send: '', until: '', maxBytes: 0 })
    },
  })
  const tidy = createTidy({
    ...{ store, clock },
    keepMs: () => ({
      raw: config.raw_days * dayMs,
      minute: config.minute_days * dayMs,
      hour: config.hour_days * dayMs,
    }),
  })
  const most = lookUp({ all: () => config.max_checks, ofTenant: () => config.max_checks_per_tenant })
  const monitors = createMonitors({ store, secrets, bus, clock, most })
  const runner = createRunner({
    ...{ store, secrets, world, doubt, tidy, heartbeats, bus, clock, log, metrics },
    leases: parts.leases,
    mostAtOnce: config.max_concurrent,
  })

  let overview: { at: number; told: Promise<PublicOverview> } | null = null
  /** Asked by everybody, read once in a while. */
  function readOverview(): Promise<PublicOverview> {
    const now = clock.monotonic()
    if (overview === null || now - overview.at > overviewMs) {
      const told = readPublic()
      overview = { at: now, told }
      // What failed is asked again at once.
      told.catch(() => {
        overview = null
      })
    }
    return overview.told
  }

  async function readPublic(): Promise<PublicOverview> {
    const now = clock.now()
    const checks = []
    for (const row of await store.listPublic()) {
      const standing = toStanding(row.standing)
      const [day, month] = await Promise.all([dayMs, 30 * dayMs].map((ms) => readHistory(store, row.id, now - ms, now)))
      checks.push({
        ...{ id: row.id, name: row.name, level: row.level as 'service', state: standing.state },
        uptime_day: describeSum(day!.total).uptime,
        uptime_month: describeSum(month!.total).uptime,
        state_since: toInstant(standing.since),
      })
    }
    return { status: judgePublic(checks), at: new Date(now).toISOString(), checks }
  }

  async function standings(): Promise<Announcements['check.changed'][]> {
    return (await store.loadAll()).map((row) => {
      const { told, message, reason, suppressedBy } = toStanding(row.standing)
      return {
        ...{ check: row.name, from: told, to: told, message },
        configured: {
          ...{ id: row.id, tenantId: row.tenant_id, level: row.level, reason, durationMs: 0, suppressedBy },
        },
      }
    })
  }

  return {
    monitors,
    runner,
    standings,
    routes: [
      ...checksRoutes({
        ...{ monitors, tenantIdOf: parts.tenantIdOf, spend: parts.spend, now: clock.now },
        test: async (monitor) => {
          const push = monitor.type === 'push' ? await store.findPush(monitor.id) : undefined
          const last = push && { at: push.at, status: push.status as 'up', message: push.message, pingMs: push.ping_ms }
          return askMonitor(monitor, last ?? null, { world, clock, log })
        },
        history: (id, from, to) => readHistory(store, id, from, to),
        results: store.results,
        push: createPushes({ store, secrets, bus, clock }),
      }),
      ...statusRoutes({ overview: readOverview, title: config.status_title }),
    ],
    async start() {
      const now = clock.now()
      await store.once(
        'first-checks',
        now,
        listFirstChecks().map((wish) => toRow('', wish, secrets, now)),
      )
      runner.start()
    },
    stop: runner.stop,
  }
}
