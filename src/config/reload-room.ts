import { hostname } from 'node:os'
import type { Kysely } from 'kysely'
import { type Loaded, newFileOf, settings } from '../config.ts'
import type { AuditPort } from '../http/audited.ts'
import type { Route } from '../http/route.ts'
import type { Clock } from '../kernel/clock.ts'
import type { Principal } from '../kernel/principal.ts'
import type { Bus } from '../platform/bus/bus.ts'
import type { Log } from '../platform/log.ts'
import type { Metrics } from '../platform/metrics.ts'
import type { Secrets } from '../platform/secrets.ts'
import { outsideParts } from '../wiring/doctor-parts.ts'
import type { Applier } from './live.ts'
import { createReloading } from './reload.ts'
import { createRevisionsStore, type RevisionTables } from './revisions-store.ts'
import { configRoutes } from './routes.ts'
import { tryOut } from './try.ts'
import { createLooker } from './watch.ts'
import { ConfigError } from './words.ts'

const mostListed = 200

export type ReloadRoom = {
  routes: Route[]
  start(): Promise<void>
  stop(): Promise<void>
  /** For remedies: what this node runs and ran with, the newest first, and the way back. */
  settings: {
    list(): Promise<{ id: string; at: number; by: string; origin: string; isTakenBack: boolean; names: string[] }[]>
    rollBackTo(id: string): Promise<void>
  }
  /** Somebody sent SIGHUP. Never rejects: what is wrong is told in the log. */
  onSignal(): Promise<void>
}

/** Settings that change while the hub runs, with everything they need of the hub around them. */
export function createReloadRoom(parts: {
  loaded: Loaded
  db: Kysely<RevisionTables>
  secrets: Secrets
  metrics: Metrics
  verdicts(): readonly { check: string; state: string }[]
  audit: AuditPort
  appliers: readonly Applier[]
  bus: Bus
  clock: Clock
  log: Log
  secretKey: string
  /** '' for the hub that does everything. */
  roles: string
  nameOf(principal: Principal): Promise<string>
}): ReloadRoom {
  const { loaded, db, secrets, bus, clock, log, appliers, audit } = parts
  const store = createRevisionsStore(db)
  const reloading = createReloading({
    ...{ loaded, settings, appliers, store, secrets, audit, bus, clock, log },
    look: createLooker(parts),
    tryOut: (next, changed) =>
      tryOut(next, changed, outsideParts({ loaded: next, env: process.env, secretKey: parts.secretKey, clock })),
    node: parts.roles === '' ? hostname() : `${hostname()}/${parts.roles}`,
    newFile: newFileOf(loaded),
  })
  return {
    routes: configRoutes({ reloading, store, settings, nameOf: parts.nameOf }),
    start: reloading.start,
    stop: reloading.stop,
    settings: {
      async list() {
        const all = await store.list({ limit: mostListed, before: '' })
        return all
          .filter(({ node }) => node === reloading.node)
          .map(({ id, at, author, origin, outcome, diff }) => ({
            ...{ id, at, by: author.name, origin, isTakenBack: outcome === 'rolled_back' },
            names: diff.map(({ name }) => name),
          }))
      },
      rollBackTo: reloading.rollbackAudited,
    },
    async onSignal() {
      try {
        const { revision, waiting } = await reloading.reloadAudited(
          { kind: 'signal', id: 'SIGHUP', name: 'SIGHUP' },
          'signal',
        )
        if (revision === null)
          log.info(
            `Read the settings again: nothing differs${waiting.length === 0 ? '' : `; ${waiting.join(', ')} wait for the next start`}`,
          )
      } catch (error) {
        if (!(error instanceof ConfigError)) return log.error('The settings were not read again', { error })
        for (const { where, setting, cause, remedy } of error.findings) {
          log.error(`The settings are as before: ${where} ${setting}: ${cause.en} ${remedy.en}`, { setting })
        }
      }
    },
  }
}
