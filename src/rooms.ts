import type { IncomingMessage } from 'node:http'
import { join } from 'node:path'
import { type AlertTables, createAlerts } from './alerts/index.ts'
import { type BackupTables, createBackups } from './backups/index.ts'
import type { Applier } from './config/live.ts'
import { createReloadRoom } from './config/reload-room.ts'
import type { RevisionTables } from './config/revisions-store.ts'
import type { Loaded } from './config.ts'
import { addToSessions, type ConversationTables, createConversations } from './conversations/index.ts'
import { createDemo } from './demo/index.ts'
import { type DoctorTables, doctorRoutes } from './doctor/index.ts'
import {
  createGateway,
  type GatewayTables,
  gatewayShapes,
  openSyntheticProviders,
  type PinnedTables,
} from './gateway/index.ts'
import { type ChecksTables, createChecks, createHealth } from './health/index.ts'
import { createPublicPaths } from './http/access/public-paths.ts'
import { bodyLimitOf } from './http/body.ts'
import { contextOf } from './http/context.ts'
import { createCorsHeaders } from './http/cors-headers.ts'
import { createRoles, type ServerRole } from './http/roles.ts'
import { createIdentity, type IdentityTables } from './identity/index.ts'
import { createIncidentsRoom, type IncidentsTables } from './incidents/index.ts'
import type { Clock } from './kernel/clock.ts'
import type { Closers } from './kernel/closing.ts'
import { fail } from './kernel/errors.ts'
import { createHeartbeats, type Heartbeats } from './kernel/heartbeats.ts'
import type { Principal } from './kernel/principal.ts'
import { createMaintenance, type MaintenanceTables } from './maintenance/index.ts'
import { migrations } from './migrations/index.ts'
import type { Database } from './platform/database/index.ts'
import { noLeases } from './platform/lease/none.ts'
import type { LogControl } from './platform/log.ts'
import { logSettings, type Platform } from './platform/open.ts'
import type { Seat } from './platform/processes/seat.ts'
import { createSpools } from './platform/spool.ts'
import { createHubQuestions } from './read-only-hub/index.ts'
import { createRisk, type RiskTables } from './risk/index.ts'
import {
  contractNames,
  createServiceProxy,
  createServices,
  downDependencies,
  instanceStandings,
  openSyntheticServices,
  type ServicesTables,
} from './services/index.ts'
import { createSources, type SourcesTables } from './sources/index.ts'
import { createSystemLogs, createTelemetry } from './telemetry/index.ts'
import { createTransfer } from './transfer/index.ts'
import {
  createUsage,
  type MirrorTables,
  openSyntheticUsage,
  type QuotaTables,
  readImpact,
  type UsageTables,
} from './usage/index.ts'
import { version } from './version.ts'
import { doctorParts } from './wiring/doctor-parts.ts'
import { createQuestions } from './wiring/drill-questions.ts'
import { createActionLevers, createRiskLevers, riskRow } from './wiring/levers.ts'
import { maintenanceWorld } from './wiring/maintenance-parts.ts'
import { leftJournalsOf, ownFolder } from './wiring/own-folder.ts'
import { routesOf } from './wiring/routes.ts'
import { createWays, isThisMachine } from './wiring/ways.ts'

/** Every table of the store. */
export type Tables = IdentityTables &
  GatewayTables &
  PinnedTables &
  UsageTables &
  QuotaTables &
  MirrorTables &
  ConversationTables &
  ServicesTables &
  SourcesTables &
  ChecksTables &
  RiskTables &
  AlertTables &
  IncidentsTables &
  BackupTables &
  RevisionTables &
  MaintenanceTables

export type RoomSettings = {
  loaded: Loaded
  clock: Clock
  log: LogControl
  heartbeats?: Heartbeats | undefined
  /** Set in one of several processes of a node. */
  seat?: Seat | undefined
  /** null where it is not known, as for a hub made in a test. */
  configurationPath: string | null
  masterKey: () => string | null
  /** Nobody changes the store. */
  isReadOnly?: boolean
  /** What is opened here and closed with the hub, last opened first. */
  closers: Closers
}

export type Rooms = ReturnType<typeof buildRooms>

/** Builds each room once, with what it uses as arguments; nothing has started yet. */
export function buildRooms(
  {
    metrics,
    database,
    replica,
    bus,
    counter,
    leases,
    secrets,
    upstreams,
    mailer,
    openCache,
    pingRedis,
  }: Platform<Tables>,
  { loaded, clock, log, closers, configurationPath, masterKey, heartbeats: given, isReadOnly, seat }: RoomSettings,
) {
  const { config } = loaded
  const db = database.kysely
  const roles = createRoles(config.server.roles)
  const leasesOf = (role: ServerRole) => (roles.has(role) ? leases : noLeases)
  const ownDir = ownFolder(config.data.dir, roles, seat)
  const heartbeats = given ?? createHeartbeats(clock)
  const canaryDailyNanoUsd = Math.round(config.gateway.canary_daily_usd * 1e9)
  const ownSegments = new Set<string>(contractNames)
  /** First segments below /api that are the hub's own: no plugin service may have them. */
  const isReserved = (name: string) => ownSegments.has(name)
  const { openWay, openWays, openPluginWay } = createWays(config, { closers, log })
  const usage = createUsage(
    {
      ...{ db, bus, counter, clock, log, metrics, heartbeats, dataDir: ownDir },
      reportsDb: replica?.kysely ?? null,
      leases: leasesOf('worker'),
      quotaLeases: leasesOf('gateway'),
      longestCallMs: () => config.gateway.deadline_seconds * 1000 + 60_000,
      ...(seat?.kind !== 'worker' && { leftJournals: leftJournalsOf(config.data.dir, seat) }),
      ownDaily: {
        mirror: Math.round(config.gateway.mirror_daily_usd * 1e9),
        canary: canaryDailyNanoUsd,
      },
      tenantOf: (scope, id) => identity.tenantOf(scope, id),
      async namesOf(kind, ids) {
        const own = kind === 'provider' ? await gateway.providerNames() : await identity.namesOf(kind, ids)
        // Ids of sources begin with the name of theirs; ours have no colon.
        const others = ids.filter((id) => id.includes(':'))
        return others.length === 0 ? own : new Map([...own, ...(await sources.namesOf(kind, others))])
      },
      alongside: addToSessions,
      callLines: config.log.access ? log.lines('ai') : undefined,
      throttleOf: (keyId) => risk.throttleOf(keyId),
    },
    config.usage,
    config.limits,
  )
  const identity = createIdentity({
    ...{ db, secrets, bus, clock, log, metrics, counter, mailer, upstreams },
    isReadOnly,
    publicUrl: config.server.public_url,
    adminKey: config.auth.admin_key,
    config: config.auth,
    audit: { retentionDays: () => config.audit.retention_days, folder: join(config.data.dir, 'audit') },
    ownedElsewhere: (tenantId) => services.ownedBy(tenantId),
  })
  const conversations = createConversations(
    {
      ...{ db, bus, clock, log, metrics, heartbeats, leases: leasesOf('worker') },
      tenantOf: (scope, id) => identity.tenantOf(scope, id),
      sign: (claims) => serviceProxy.sign(claims, 'deletion-receipt+jwt'),
    },
    config.conversations,
  )
  const gateway = createGateway(
    {
      db,
      isReadOnly,
      secrets,
      upstreams,
      imageFetch: openWay(config.gateway.image_allow_private),
      quota: usage.quota,
      prices: usage.prices,
      priceOf: usage.priceOfMillions,
      storedRoute: usage.routeOf,
      keepMirror: usage.keepMirror,
      scribe: conversations,
      tenantOfKey: (keyId) => identity.tenantOf('key', keyId),
      keyName: identity.keyName,
      modelInstead: (keyId) => risk.modelFor(keyId),
      bus,
      openCache,
      leases,
      ledger: usage,
      authenticate(request) {
        const refuse = (error: unknown) =>
          usage.quota.refuseStranger(error, contextOf(request as IncomingMessage)?.clientIp ?? '')
        try {
          const credential = identity.readCredential(request.headers, request.url ?? '')
          if (credential === null) throw fail('unauthenticated', 'Send an API key: Authorization: Bearer sk-gh-…')
          const known = identity.byApiKey(credential)
          return known instanceof Promise ? known.catch(refuse) : known
        } catch (error) {
          return refuse(error)
        }
      },
      checkScope: identity.checkScope,
      corsHeaders: createCorsHeaders(() => config.server.cors_origins),
      guardSecret: (secret) => log.scrubber.add(secret),
      maxBodyBytes: bodyLimitOf(config.access.llm.max_body_bytes, config.server.max_body_bytes),
      spools: createSpools({
        folder: join(ownDir, 'spool'),
        maxTotalBytes: () => config.gateway.max_spooled_bytes,
      }),
      clock,
      log: log.child({ room: 'gateway' }),
      metrics,
      heartbeats,
    },
    config.gateway,
  )
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
  const health = createHealth({
    database,
    pingRedis,
    providers: gateway.providerHealth,
    ledger: usage,
    dataDir: config.data.dir,
    clock,
    bus,
    metrics,
    log: log.child({ room: 'health' }),
    version,
    heartbeats,
  })
  const services = createServices(
    {
      ...{ db, secrets, bus, clock, log, metrics, heartbeats, upstreams: openPluginWay() },
      leases: leasesOf('registry'),
      serviceTokens: identity.serviceTokens,
      byServiceCredential: identity.byServiceCredential,
      // What its endpoints say is for calls: the registry's own routes say themselves what a service may do.
      assertAddress: (principal, ip) => identity.checkScope({ ...principal, allowedEndpoints: null }, '', ip),
      tenantIdOf: (written) => identity.tenantOf('tenant', written),
      isReserved,
      // Without Redis the store alone tells one process what another has heard; one on SQLite, whole, has no other.
      followMs: config.redis.url !== '' || (roles.isWhole && database.engine === 'sqlite') ? 1000 : 250,
      checkAddress(host, port) {
        if (port !== config.server.port || !isThisMachine(host)) return
        throw fail(
          'invalid_request',
          `${host}:${port} is this hub itself; register the address the plugin listens on`,
          {
            param: 'port',
          },
        )
      },
    },
    config.services,
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
  const demo = createDemo({
    clock,
    providers: openSyntheticProviders({ db, clock }),
    services: openSyntheticServices({ db, clock, bus }),
    usage: openSyntheticUsage({ db, clock }),
  })
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
  const serviceProxy = createServiceProxy(
    {
      directory: services.directory,
      authenticate(request) {
        const url = request.url ?? ''
        const ip = contextOf(request)?.clientIp ?? ''
        const credential = identity.readCredential(request.headers, url)
        if (!credential?.startsWith('sk-gh-')) return identity.byControlCredential(request.headers)
        const check = (known: Principal) => {
          // A plugin's own token is for models and the registry by its scopes; other plugins it calls as itself.
          const principal = known.service === '' ? known : { ...known, allowedEndpoints: null }
          identity.checkScope(principal, url.split('?', 1)[0]!, ip)
          return principal
        }
        const known = identity.byApiKey(credential)
        return known instanceof Promise ? known.then(check) : check(known)
      },
      isReserved,
      isEnabledFor: (tenantId, { name }) => identity.tenant(tenantId)?.enabledServices?.includes(name) ?? true,
      corsOrigins: () => config.server.cors_origins,
      isPublic: createPublicPaths(() => config.access.public_paths),
      ...{ counter, secrets, clock, log, metrics },
    },
    Object.create(config.service_proxy, {
      max_body_bytes: {
        value: bodyLimitOf(config.access.services.max_body_bytes, config.service_proxy.max_body_bytes),
      },
    }) as Loaded['config']['service_proxy'],
  )
  closers.push(() => serviceProxy.stop())
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
    ...{ db, secrets, bus, clock, version, env: process.env, shapes: gatewayShapes },
  })
  const others = [telemetry, systemLogs, sources, checks, conversations, risk, alerts, incidents, backups, maintenance]
  const { routes, segments } = routesOf(
    {
      core: [identity, gateway, ...others, { routes: doctor }, reload, transfer],
      ...{ usage, services, serviceProxy, health },
    },
    roles,
  )
  for (const segment of segments) ownSegments.add(segment)
  return {
    ...{ identity, gateway, usage, conversations, health, checks, services, serviceProxy, telemetry, systemLogs },
    ...{ sources, risk, alerts, incidents, backups, maintenance, demo, routes, roles, reload },
  }
}
