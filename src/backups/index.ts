/**
 * Backups: the whole store as it was at one moment, in one encrypted file that both engines read; taken, read back,
 * restored for practice and cleared away by themselves. Not here: what a table means, and samples of metrics, which are
 * worth less than their copies. `take` → `archive/write`, `verify` → `archive/verify`, `restore` → beside, then in place.
 */
import type { Kysely } from 'kysely'
import type { Route } from '../http/route.ts'
import type { Clock } from '../kernel/clock.ts'
import { systemClock } from '../kernel/clock.ts'
import type { Heartbeats } from '../kernel/heartbeats.ts'
import type { Bus } from '../platform/bus/bus.ts'
import type { StoreAddress } from '../platform/database/copying/index.ts'
import type { Migration } from '../platform/database/index.ts'
import type { Leases } from '../platform/lease/lease.ts'
import type { Log } from '../platform/log.ts'
import type { Metrics } from '../platform/metrics.ts'
import { createSchedule } from '../platform/schedule.ts'
import type { Secrets } from '../platform/secrets.ts'
import type { BackupsConfig } from './config.ts'
import { createDesk, type Desk } from './desk.ts'
import type { Smoke } from './drill.ts'
import { findUnfinishedRestore } from './restore-note.ts'
import { backupRoutes } from './routes.ts'
import { createThreads, direct, type Runner } from './runner.ts'
import { type BackupTables, createStore } from './store.ts'
import { createWatch } from './watch.ts'

export { createRecoveryKey } from './archive/keys.ts'
export { listBackups, placeOf } from './desk.ts'
export type { Smoke } from './drill.ts'
export { restore } from './restore.ts'
export { findUnfinishedRestore, restoringName } from './restore-note.ts'
export { direct } from './runner.ts'
export type { BackupTables } from './store.ts'
export { type Copied, copyStore } from './store-copy.ts'
export { createGauge } from './work.ts'

export type Backups = { routes: Route[]; desk: Desk; start(): Promise<void>; stop(): Promise<void> }

export type BackupsParts = {
  db: Kysely<BackupTables>
  address: StoreAddress
  secrets: Pick<Secrets, 'keyId' | 'derive'>
  masterKey: () => string | null
  configurationPath: string | null
  migrations: readonly Migration[]
  smoke: Smoke | null
  version: string
  bus: Bus
  clock: Clock
  leases: Leases
  log: Log
  metrics: Metrics
  heartbeats?: Heartbeats
  /** Where the heavy part is done; a thread of its own unless said. */
  runner?: Runner
  random?: () => number
}

const minuteMs = 60_000

export function createBackups(parts: BackupsParts, config: BackupsConfig): Backups {
  const { clock, metrics, leases, heartbeats } = parts
  const log = parts.log.child({ room: 'backups' })
  const store = createStore(parts.db)
  const runs = metrics.counter(
    'gatehouse_backups_runs_total',
    'Backups, verifications and drills, by how they ended.',
    ['kind', 'outcome'],
  )
  const seconds = metrics.gauge('gatehouse_backups_last_run_seconds', 'How long the last of its kind took.', ['kind'])
  const bytes = metrics.gauge('gatehouse_backups_last_file_bytes', 'Size of the last file of its kind.', ['kind'])
  const age = metrics.gauge(
    'gatehouse_backups_age_seconds',
    'Since the last backup, full backup, reading back and passed drill; since the store was made where there was none.',
    ['what'],
  )
  const desk = createDesk(
    {
      ...parts,
      ...{ store, log, own: ownKeyOf(parts.secrets), runner: parts.runner ?? createThreads(log) },
      random: parts.random ?? Math.random,
      noted(kind, outcome, took, size) {
        runs.with({ kind, outcome }).inc()
        seconds.with({ kind }).set(took)
        if (size > 0) bytes.with({ kind }).set(size)
      },
    },
    config,
  )
  const watch = createWatch({ store, desk, clock, log }, config)
  const schedule = createSchedule({ clock, leases, log, heartbeats })

  async function tellAges(): Promise<void> {
    for (const [what, ms] of Object.entries(await watch.ages())) age.with({ what }).set(ms / 1000)
  }

  return {
    routes: backupRoutes({ desk, store, clock }),
    desk,
    async start() {
      const unfinished = await findUnfinishedRestore(parts.address)
      if (unfinished !== null) log.warn(`${unfinished.told.en} gatehouse doctor --fix clears up.`)
      if (!config.enabled) return
      await tellAges()
      schedule.every('backup ages', minuteMs, tellAges, { onOneNode: false, firstDelayMs: minuteMs })
      // A hub that just started has more urgent things to do.
      schedule.every('backups', minuteMs, watch.turn, { onOneNode: true, firstDelayMs: 2 * minuteMs })
    },
    async stop() {
      desk.interrupt()
      await schedule.stop()
    },
  }
}

/** What backups are opened and closed with: derived, so that it opens nothing else. */
export function ownKeyOf({ keyId, derive }: Pick<Secrets, 'keyId' | 'derive'>) {
  return { keyId, wrap: derive('backup archive') }
}

export type SnapshotParts = Pick<
  BackupsParts,
  'address' | 'secrets' | 'masterKey' | 'configurationPath' | 'version' | 'log'
>

/**
 * A full backup before migrations change a store, or before something in it is deleted; its id. Those before it stay as
 * `backups.before_migrations` and `backups.before_deletions` say.
 */
export async function takeBefore(
  kind: 'migration' | 'safety',
  parts: SnapshotParts,
  config: BackupsConfig,
): Promise<string> {
  const desk = createDesk(
    {
      ...parts,
      ...{ store: null, own: ownKeyOf(parts.secrets), migrations: [], runner: direct, smoke: null, clock: systemClock },
      ...{ bus: { announce() {}, on: () => () => {}, async close() {} }, random: Math.random, noted() {} },
    },
    config,
  )
  const done = new AbortController()
  const telling = tellProgress(kind === 'migration' ? 'the migrations' : 'anything is deleted', {
    desk,
    log: parts.log,
    done: done.signal,
  })
  try {
    return (await desk.take(kind)).id
  } finally {
    done.abort()
    await telling
  }
}

/** An upgrade waits for it: who looks at the log shall see that it goes on. */
async function tellProgress(
  what: string,
  { desk: { progress }, log, done }: { desk: Desk; log: Log; done: AbortSignal },
): Promise<void> {
  for (;;) {
    await systemClock.sleep(10_000, done)
    const now = progress()
    if (done.aborted || now === null) return
    const megabytes = Math.round(now.bytes / 1_000_000)
    log.info(`The backup before ${what}: ${now.step}, ${now.rows} rows, ${megabytes} MB so far`)
  }
}
