import { join } from 'node:path'
import type { Kysely } from 'kysely'
import { type AlertTables, createAlerts } from './alerts/index.ts'
import { type BackupTables, createBackups } from './backups/index.ts'
import { type Beside, buildCallRooms, type CallTables, type HubRooms, type RoomSettings } from './call-rooms.ts'
import type { Applier } from './config/live.ts'
import { createReloadRoom } from './config/reload-room.ts'
import type { RevisionTables } from './config/revisions-store.ts'
import { createConversations } from './conversations/index.ts'
import { type DoctorTables, doctorRoutes } from './doctor/index.ts'
import { createGateway } from './gateway/index.ts'
import { type ChecksTables, createChecks } from './health/index.ts'
import { createIdentity } from './identity/index.ts'
import { createIncidentsRoom, type IncidentsTables } from './incidents/index.ts'
import { createMaintenance, type MaintenanceTables } from './maintenance/index.ts'
import { migrations } from './migrations/index.ts'
import { type Database, migrate } from './platform/database/index.ts'
import type { Platform } from './platform/open.ts'
import { logSettings } from './platform/open-log.ts'
import { createHubQuestions } from './read-only-hub/index.ts'
import { createRisk } from './risk/index.ts'
import { createServices, downDependencies, instanceStandings } from './services/index.ts'
import { createSources, type SourcesTables } from './sources/index.ts'
import { createSystemLogs, createTelemetry } from './telemetry/index.ts'
import { createTransfer } from './transfer/index.ts'
import { createUsage, readImpact } from './usage/index.ts'
import { version } from './version.ts'
import { doctorParts } from './wiring/doctor-parts.ts'
import { createQuestions } from './wiring/drill-questions.ts'
import { createActionLevers, createRiskLevers, riskRow } from './wiring/levers.ts'
import { maintenanceWorld } from './wiring/maintenance-parts.ts'
import { snapshotBefore } from './wiring/migration-snapshot.ts'
import { routesOf } from './wiring/routes.ts'
import { transferShapes } from './wiring/transfer-shapes.ts'

/** Every table of the store. */
export type Tables = CallTables &
  SourcesTables &
  ChecksTables &
  AlertTables &
  IncidentsTables &
  BackupTables &
  RevisionTables &
  MaintenanceTables

/** Brings the store into shape, after a backup of it as it was. Rejects when a step fails: nothing may be built on it. */
export async function shapeStore(
  { database, secrets }: Platform<CallTables>,
  { loaded, log, configurationPath, masterKey }: RoomSettings,
): Promise<void> {
  log.info('Running database migrations')
  const kept = { configurationPath, masterKey }
  const beforeFirst = snapshotBefore(loaded.config, { secrets, version, log, ...kept })
  await migrate(database, migrations, { log, version, beforeFirst })
  log.info('Initializing')
}

const forPeopleToo = {
  usage: createUsage,
  identity: createIdentity,
  conversations: createConversations,
  gateway: createGateway,
  services: createServices,
}

/** Builds each room once, with what it uses as arguments; nothing has started yet. */
export function buildRooms(platform: Platform<CallTables>, settings: RoomSettings): HubRooms {
  const { metrics, database, bus, secrets, upstreams, mailer } = platform
  const { loaded, clock, log, closers, configurationPath, masterKey } = settings
  const { config } = loaded
  // One store holds the tables of every room; each names its own.
  const db = database.kysely as unknown as Kysely<Tables>
  const beside: Beside = {
    namesOfSources: (kind, ids) => sources.namesOf(kind, ids),
    throttleOf: (keyId) => risk.throttleOf(keyId),
    modelFor: (keyId) => risk.modelFor(keyId),
  }
  const calls = buildCallRooms(platform, settings, beside, forPeopleToo)
  const { identity, gateway, usage, conversations, health, services, serviceProxy } = calls
  const { roles, leasesOf, ownDir, heartbeats, canaryDailyNanoUsd, openWays } = calls
  const risk = createRisk(
    {
      ...{ db, bus, clock, log, metrics, heartbeats },
      leases: leasesOf('worker'),
      levers: createRiskLevers(identity),
      budgets: usage.budgets,
      namesOf: (ids) => identity.namesOf('user', ids),
    },
    config.risk,
  )
  for (const secret of [config.prometheus.authorization, config.prometheus.remote_write_authorization]) {
    // The scheme in front of it is no secret.
    log.scrubber.add(secret.replace(/^\S+ /, ''))
  }
  const telemetry = createTelemetry(
    {
      ...{ metrics, clock, log, upstreams, version, heartbeats, dataDir: ownDir, sqlite: database.sqlite },
      own: { postgres: database.engine === 'postgres' ? config.database.url : '', redis: config.redis.url },
      guardSecret: (secret) => log.scrubber.add(secret),
    },
    config.telemetry,
    config.prometheus,
    config.collectors,
  )
  const systemLogs = createSystemLogs({ control: log, bus, clock })
  closers.push(() => systemLogs.stop())
  const sources = createSources(
    {
      ...{ db, secrets, clock, log, metrics, heartbeats, leases: leasesOf('worker'), ingest: usage.analytics.ingest },
      guardSecret: (secret) => log.scrubber.add(secret),
      onRows: (rows, { source }) => risk.observe(rows.map((row) => riskRow(row, source))),
    },
    config.sources,
  )
  log.scrubber.add(config.backups.s3_secret_access_key)
  const backups = createBackups(
    {
      ...{ db, secrets, bus, clock, log, metrics, heartbeats, migrations, version, configurationPath, masterKey },
      address: { url: config.database.url, dataDir: config.data.dir },
      smoke: createQuestions({ secrets, log, askHub: createHubQuestions(config, { masterKey, log }) }),
      leases: leasesOf('worker'),
    },
    config.backups,
  )
  const checks = createChecks(
    {
      ...{
        db,
        secrets,
        heartbeats,
        bus,
        clock,
        log,
        metrics,
        ways: openWays(config.health),
        leases: leasesOf('worker'),
      },
      world: {
        own: (name) => health.verdicts().find(({ check }) => check === name) ?? null,
        provider: gateway.providerStanding,
        askProvider: gateway.askProvider,
        service(tenantId, name) {
          const found = services.directory.find(name)
          return found && (tenantId === '' || found.tenantId === tenantId || found.isShared) ? found : null
        },
      },
      tenantIdOf: (written) => identity.tenantOf('tenant', written),
      spend: async () => ({ canaryNanoUsd: await usage.spentOfOwn('canary'), limitNanoUsd: canaryDailyNanoUsd }),
    },
    config.health,
  )
  const alerts = createAlerts(
    {
      ...{ db, secrets, bus, clock, log, metrics, mailer, telemetry, heartbeats, leases: leasesOf('worker') },
      ...{ ways: openWays(config.alerts), publicUrl: config.server.public_url, version, verdicts: health.verdicts },
      tenantIdOf: (written) => identity.tenantOf('tenant', written),
      standings: {
        ...{ checks: checks.standings, findings: risk.standings },
        instances: () => instanceStandings(services.directory),
      },
      dependenciesOf: ({ service }) => downDependencies(services.directory, service),
    },
    config.alerts,
  )
  const incidents = createIncidentsRoom(
    {
      ...{ db, secrets, bus, clock, log, metrics, heartbeats, leases: leasesOf('worker') },
      ...{ activeAlerts: alerts.active, endedAlertsSince: alerts.endedSince, tell: alerts.tell },
      blastRadius: (cause, tenantId) => readImpact(db, cause, { tenantId, from: clock.now() - 15 * 60_000 }),
      changes: async (from, to) =>
        (await identity.audit.changes(from, to, 500))
          .filter(({ action }) => !/^(incidents|auth|on-call)\./.test(action))
          .map(({ action, ...rest }) => ({ ...rest, what: action, kind: action.split('.')[0]! })),
      namesOf: (ids) => identity.namesOf('user', ids),
      tenantIdOf: (written) => identity.tenantOf('tenant', written),
      levers: createActionLevers(gateway, identity.keys, telemetry.collectors, () => reload.settings),
      ...{ publicUrl: config.server.public_url, version, heldPath: join(ownDir, 'incidents', 'held.json') },
    },
    config.incidents,
  )
  const maintenance = createMaintenance(
    {
      ...{ db, bus, clock, log, metrics, heartbeats, leases: leasesOf('worker') },
      world: maintenanceWorld({
        ...{ config, clock, log, heartbeats, health, systemLogs, telemetry, upstreams, desk: backups.desk },
        database: database as unknown as Database<unknown>,
      }),
    },
    config.maintenance,
  )
  const doctor = doctorRoutes(
    doctorParts({
      ...{ loaded: { config }, env: process.env, secretKey: masterKey() ?? '', clock, isHub: true },
      openStore: async () => ({
        database: database as unknown as Database<DoctorTables>,
        close: async () => {},
      }),
      openUpstreams: () => ({ upstreams, close: async () => {} }),
    }),
  )
  const appliers: Applier[] = [{ applySettings: () => log.configure(logSettings(config.log)) }, alerts]
  const reload = createReloadRoom({
    ...{ loaded, db, secrets, metrics, bus, clock, appliers, verdicts: health.verdicts, audit: identity.audit },
    ...{ log: log.child({ room: 'config' }), secretKey: masterKey() ?? '', roles: roles.isWhole ? '' : roles.name },
    nameOf: async ({ userId }) => (userId && (await identity.namesOf('user', [userId])).get(userId)) || 'ADMIN_KEY',
  })
  const transfer = createTransfer({
    ...{ db, secrets, bus, clock, version, env: process.env, shapes: transferShapes },
  })
  const others = [telemetry, systemLogs, sources, checks, conversations, risk, alerts, incidents, backups, maintenance]
  const routes = routesOf(
    {
      core: [identity, gateway, ...others, { routes: doctor }, reload, transfer],
      ...{ usage, services, serviceProxy, health },
    },
    roles,
  )
  return {
    ...calls,
    ...{ routes, reload },
    inOrder: [
      ...[usage, identity, conversations, risk, gateway, services, health, telemetry, sources],
      ...[checks, alerts, incidents, backups, maintenance, reload],
    ],
    endTails: () => systemLogs.endTails(),
  }
}
