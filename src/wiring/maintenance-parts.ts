import { resolve } from 'node:path'
import type { Backups } from '../backups/index.ts'
import type { Config } from '../config.ts'
import type { Health } from '../health/index.ts'
import type { Clock } from '../kernel/clock.ts'
import type { Heartbeats } from '../kernel/heartbeats.ts'
import type { MaintenanceParts, Retained } from '../maintenance/index.ts'
import type { Database } from '../platform/database/index.ts'
import { createUpkeep } from '../platform/database/upkeep.ts'
import { listOpenToOthers } from '../platform/diagnose/machine.ts'
import { readChangeTime } from '../platform/diagnose/packages.ts'
import type { Upstreams } from '../platform/fetch.ts'
import { readDiskSpace } from '../platform/files.ts'
import { measureArchives } from '../platform/log/archive.ts'
import type { LogControl } from '../platform/log.ts'
import { masterKeyPath } from '../platform/secrets.ts'
import type { SystemLogs, Telemetry } from '../telemetry/index.ts'
import { readAdvisories } from './advisories.ts'

type Around = {
  config: Config
  clock: Clock
  log: LogControl
  database: Database<unknown>
  heartbeats: Heartbeats
  health: Pick<Health, 'verdicts'>
  systemLogs: Pick<SystemLogs, 'digest'>
  telemetry: Pick<Telemetry, 'query' | 'queryRange'>
  desk: Pick<Backups['desk'], 'list' | 'verify' | 'drill'>
  upstreams: Pick<Upstreams, 'send'>
}

const dayMs = 86_400_000
/** Points of a trend: enough for a slope and for an average. */
const trendPoints = 120

/** What maintenance looks at and does, of the rooms that know it. */
export function maintenanceWorld(around: Around): MaintenanceParts['world'] {
  const { config, clock, log, database, heartbeats, health, systemLogs, telemetry, desk } = around
  const dataDir = resolve(config.data.dir)
  const disk = () => readDiskSpace(dataDir)
  return {
    verdicts: () => health.verdicts().map(({ check, state, message, remedy }) => ({ check, state, message, remedy })),
    workers: () => ({ known: heartbeats.list().length, stalled: heartbeats.stalled() }),
    logs: {
      ...{ keepDays: config.log.keep_days, maxTotalBytes: config.log.max_total_mb * 1024 ** 2 },
      async digest(sinceMs) {
        if (log.files() === null) return null
        const { lines, complete_since, data } = await systemLogs.digest({
          since: new Date(sinceMs).toISOString(),
          limit: 100,
        })
        return { lines, completeSinceMs: Date.parse(complete_since), entries: data }
      },
      async tidy() {
        const files = log.files()
        if (files === null) return null
        await files.tidy()
        return measureArchives(files.folder)
      },
    },
    async measure(expression) {
      const found = await telemetry.query(expression, clock.now())
      const values =
        found.type === 'vector' ? found.series.map(({ value }) => value) : found.type === 'scalar' ? [found.value] : []
      const known = values.filter(Number.isFinite)
      return known.length === 0 ? null : Math.max(...known)
    },
    async trend(expression, days) {
      const endMs = clock.now()
      const stepMs = Math.ceil((days * dayMs) / trendPoints)
      const found = await telemetry.queryRange(expression, { startMs: endMs - days * dayMs, endMs, stepMs })
      // Of several nodes the one that stands worst at the end is told.
      return found.sort((a, b) => (b.points.at(-1)?.[1] ?? 0) - (a.points.at(-1)?.[1] ?? 0))[0]?.points ?? []
    },
    upkeep: createUpkeep({
      ...{ database, url: config.database.url, dataDir, log },
      freeDiskBytes: () => disk().freeBytes,
    }),
    disk,
    retained: listRetained(config),
    backups: {
      isEnabled: config.backups.enabled,
      fullEveryHours: config.backups.full_every_hours,
      verifyEveryDays: config.backups.verify_every_days,
      drillEveryDays: config.backups.drill_every_days,
      async list() {
        const found = (await desk.list()).map(({ id, kind, taken_at, bytes, verified_at, fault }) => ({
          ...{ id, kind, bytes, fault, takenAt: taken_at, verifiedAt: verified_at },
        }))
        return found.sort((a, b) => b.takenAt - a.takenAt)
      },
      verify: (id) => desk.verify(id),
      async drill() {
        const { outcome, cause, backups, rpo_ms } = await desk.drill()
        return {
          ...{ outcome, cause, rpoMs: rpo_ms, rtoMs: Math.max(0, ...backups.map(({ rto_ms }) => rto_ms)) },
          restored: backups.map((each) => `${each.id}: ${each.outcome}${each.cause && `, ${each.cause}`}`),
        }
      },
      async lastDrillAt() {
        return Math.max(0, ...(await desk.list()).map(({ drilled_at }) => drilled_at ?? 0)) || null
      },
    },
    secretMaxAgeDays: config.maintenance.secret_max_age_days,
    masterKeySince: () => readChangeTime(masterKeyPath(dataDir)),
    openToOthers: () => listOpenToOthers(dataDir, 200),
    advisories: () => readAdvisories(around),
  }
}

/** What rooms delete by themselves, an hour at a time; after a day more nothing of it may be left. */
function listRetained({ usage }: Config): Retained[] {
  const of = (what: string, table: string, column: string, days: number): Retained => ({
    ...{ what, table, column, olderThanMs: (days + 1) * dayMs },
  })
  return [
    of('usage.retention_days', 'request_logs', 'started_at', usage.retention_days),
    of('usage.mirror_retention_days', 'mirrors', 'started_at', usage.mirror_retention_days),
    of('its own end', 'conversation_messages', 'expires_at', 1),
    of('its own end', 'responses', 'expires_at', 1),
    of('its own end', 'sessions', 'expires_at', 1),
  ]
}
