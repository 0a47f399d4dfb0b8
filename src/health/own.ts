import type { Route } from '../http/route.ts'
import type { Clock } from '../kernel/clock.ts'
import { type Heartbeats, unwatched } from '../kernel/heartbeats.ts'
import type { Bus } from '../platform/bus/bus.ts'
import { readDiskSpace } from '../platform/files.ts'
import type { Log } from '../platform/log.ts'
import type { Metrics } from '../platform/metrics.ts'
import { createLoopLag } from '../platform/process-metrics.ts'
import type { CheckParts } from './check.ts'
import { checks } from './checks/index.ts'
import { healthRoutes } from './routes.ts'
import { createRounds } from './run.ts'
import type { Verdict } from './schema.ts'

export type HealthParts = Pick<CheckParts, 'database' | 'pingRedis' | 'providers' | 'ledger'> & {
  /** Where free space is looked at. */
  dataDir: string
  clock: Clock
  bus: Bus
  metrics: Metrics
  log: Log
  version: string
  environment?: string
  /** The workers of this process, whose progress `/livez` tells. */
  heartbeats?: Heartbeats
  intervalMs?: number
  timeoutMs?: number
}

export type Health = {
  routes: Route[]
  /** Resolves after every check was asked once. */
  start(): Promise<void>
  stop(): Promise<void>
  /** What `/readyz` says: set it when the hub listens, and back before it drains. */
  setReady(isReady: boolean): void
  verdicts(): readonly Verdict[]
}

export function createHealth(parts: HealthParts): Health {
  const { clock, bus, metrics, log, version, environment = '', intervalMs = 10_000, timeoutMs = 5000 } = parts
  const { heartbeats = unwatched } = parts
  const { database, pingRedis, providers, ledger, dataDir } = parts
  const lag = createLoopLag()
  const rounds = createRounds({
    checks,
    parts: { database, pingRedis, providers, ledger, diskSpace: () => readDiskSpace(dataDir), loopLag: lag.read },
    clock,
    bus,
    log,
    metrics,
    intervalMs,
    timeoutMs,
    heartbeats,
  })
  const idle = metrics.readings('gauge', 'gatehouse_worker_idle_seconds', 'Since a worker finished a turn.', ['worker'])
  const turns = metrics.readings('gauge', 'gatehouse_worker_turn_seconds', 'The longest a healthy turn of it takes.', [
    'worker',
  ])
  metrics.beforeRender(() => {
    const workers = heartbeats.list()
    const told = (value: (each: (typeof workers)[number]) => number) =>
      workers.map((each) => ({ labels: { worker: each.worker }, value: value(each) / 1000 }))
    idle.replace(
      'heartbeats',
      told(({ ageMs }) => ageMs),
    )
    turns.replace(
      'heartbeats',
      told(({ everyMs }) => everyMs),
    )
  })
  let isReady = false
  const { verdicts, start } = rounds
  return {
    verdicts,
    start,
    routes: healthRoutes({
      verdicts,
      isReady: () => isReady,
      stalled: heartbeats.stalled,
      clock,
      version,
      environment,
    }),
    async stop() {
      isReady = false
      await rounds.stop()
      lag.close()
    },
    setReady(next) {
      isReady = next
    },
  }
}
