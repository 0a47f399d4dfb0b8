import type { IncomingMessage } from 'node:http'
import { join } from 'node:path'
import type { Loaded } from './config.ts'
import { addToSessions, createCallConversations } from './conversations/calls.ts'
import type { ConversationTables } from './conversations/index.ts'
import { createDemo } from './demo/index.ts'
import { createCallGateway, openSyntheticProviders } from './gateway/calls.ts'
import type { GatewayTables, PinnedTables } from './gateway/index.ts'
import { createHealth } from './health/calls.ts'
import { createPublicPaths } from './http/access/public-paths.ts'
import { bodyLimitOf } from './http/body.ts'
import { contextOf } from './http/context.ts'
import { createCorsHeaders } from './http/cors-headers.ts'
import { createRoles, type ServerRole } from './http/roles.ts'
import type { Route } from './http/route.ts'
import { createCallIdentity } from './identity/calls.ts'
import type { IdentityTables } from './identity/index.ts'
import type { Clock } from './kernel/clock.ts'
import type { Closers } from './kernel/closing.ts'
import { fail } from './kernel/errors.ts'
import { createHeartbeats, type Heartbeats } from './kernel/heartbeats.ts'
import type { Principal } from './kernel/principal.ts'
import { noLeases } from './platform/lease/none.ts'
import type { LogControl } from './platform/log.ts'
import type { Platform } from './platform/open.ts'
import type { Seat } from './platform/processes/seat.ts'
import { createSpools } from './platform/spool.ts'
import { createInForce, type InForce } from './risk/calls.ts'
import type { RiskTables } from './risk/index.ts'
import { contractNames, createCallServices, createServiceProxy, openSyntheticServices } from './services/calls.ts'
import type { ServicesTables } from './services/index.ts'
import { createLevels } from './telemetry/calls.ts'
import { createCallUsage, openSyntheticUsage } from './usage/calls.ts'
import type { MirrorTables, NamesOf, QuotaTables, UsageTables } from './usage/index.ts'
import { version } from './version.ts'
import { leftJournalsOf, ownFolder } from './wiring/own-folder.ts'
import { createWays, isThisMachine } from './wiring/ways.ts'

/** Tables of the store that a process reads or writes which only answers calls. */
export type CallTables = IdentityTables &
  GatewayTables &
  PinnedTables &
  UsageTables &
  QuotaTables &
  MirrorTables &
  ConversationTables &
  ServicesTables &
  RiskTables

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

/** What rooms that are built beside these say of a call. */
export type Beside = Pick<InForce, 'throttleOf' | 'modelFor'> & {
  namesOfSources: NamesOf
}

/** How rooms are made that people ask too: with what they ask, or without it. */
export type Makers = {
  usage(...parts: Parameters<typeof createCallUsage>): ReturnType<typeof createCallUsage>['usage']
  identity: typeof createCallIdentity
  conversations: typeof createCallConversations
  gateway: typeof createCallGateway
  services: typeof createCallServices
}

export type CallRooms<M extends Makers = Makers> = ReturnType<typeof buildCallRooms<M>>

/** Builds the rooms that a call passes through, each once, with what it uses as arguments; nothing has started yet. */
export function buildCallRooms<M extends Makers>(
  {
    metrics,
    database,
    replica,
    clickhouse,
    bus,
    counter,
    leases,
    secrets,
    upstreams,
    mailer,
    openCache,
    pingRedis,
  }: Platform<CallTables>,
  { loaded, clock, log, closers, heartbeats: given, isReadOnly, seat }: RoomSettings,
  beside: Beside,
  make: M,
) {
  const { config } = loaded
  const db = database.kysely
  const roles = createRoles(config.server.roles)
  const leasesOf = (role: ServerRole) => (roles.has(role) ? leases : noLeases)
  const ownDir = ownFolder(config.data.dir, roles, seat)
  const heartbeats = given ?? createHeartbeats(clock)
  const canaryDailyNanoUsd = Math.round(config.gateway.canary_daily_usd * 1e9)
  const { openWay, openWays, openPluginWay } = createWays(config, { closers, log })
  const usage: ReturnType<M['usage']> = make.usage(
    {
      ...{ db, bus, counter, clock, log, metrics, heartbeats, dataDir: ownDir },
      reportsDb: replica?.kysely ?? null,
      ...(clickhouse && { reportsCopy: { clickhouse, config: config.analytics } }),
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
        return others.length === 0 ? own : new Map([...own, ...(await beside.namesOfSources(kind, others))])
      },
      alongside: addToSessions,
      callLines: config.log.access ? log.lines('ai') : undefined,
      throttleOf: (keyId) => beside.throttleOf(keyId),
    },
    config.usage,
    config.limits,
  ) as ReturnType<M['usage']>
  const identity: ReturnType<M['identity']> = make.identity({
    ...{ db, secrets, bus, clock, log, metrics, counter, mailer, upstreams },
    isReadOnly,
    publicUrl: config.server.public_url,
    adminKey: config.auth.admin_key,
    config: config.auth,
    audit: { retentionDays: () => config.audit.retention_days, folder: join(config.data.dir, 'audit') },
    ownedElsewhere: (tenantId) => services.ownedBy(tenantId),
  }) as ReturnType<M['identity']>
  const conversations: ReturnType<M['conversations']> = make.conversations(
    {
      ...{ db, bus, clock, log, metrics, heartbeats, leases: leasesOf('worker') },
      tenantOf: (scope, id) => identity.tenantOf(scope, id),
      sign: (claims) => serviceProxy.sign(claims, 'deletion-receipt+jwt'),
    },
    config.conversations,
  ) as ReturnType<M['conversations']>
  const gateway: ReturnType<M['gateway']> = make.gateway(
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
      modelInstead: (keyId) => beside.modelFor(keyId),
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
  ) as ReturnType<M['gateway']>
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
  const services: ReturnType<M['services']> = make.services(
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
  ) as ReturnType<M['services']>
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
  const demo = createDemo({
    clock,
    providers: openSyntheticProviders({ db, clock }),
    services: openSyntheticServices({ db, clock, bus }),
    usage: openSyntheticUsage({ db, clock }),
  })
  return {
    ...{ identity, gateway, usage, conversations, health, services, serviceProxy, demo },
    ...{ roles, leasesOf, ownDir, heartbeats, canaryDailyNanoUsd, openWays },
  }
}

const isReserved = (name: string) => reserved.has(name)
const reserved: ReadonlySet<string> = new Set(contractNames)

/** What a hub starts, serves and stops, whatever rooms it has. */
export type HubRooms = CallRooms & {
  routes: readonly Route[]
  /** In the order of their start; they are stopped the other way round. */
  inOrder: readonly { start(): unknown; stop(): Promise<void> }[]
  /** Takes over settings that have changed; null for a process that is replaced instead. */
  reload: { onSignal(): Promise<void> } | null
  /** Ends what follows the log, before the socket drains. */
  endTails(): void
}

const forCalls: Makers = {
  usage: (...parts) => createCallUsage(...parts).usage,
  identity: createCallIdentity,
  conversations: createCallConversations,
  gateway: createCallGateway,
  services: createCallServices,
}

/** The rooms of a process that only answers calls, beside another that does everything else for its node. */
export function buildWorkerRooms(platform: Platform<CallTables>, settings: RoomSettings): HubRooms {
  const { bus } = platform
  const { log, clock, closers } = settings
  const inForce = createInForce({ db: platform.database.kysely, clock, log })
  const levels = createLevels({ control: log, bus, clock, log: log.child({ room: 'telemetry' }) })
  closers.push(() => levels.stop())
  const beside = {
    // Only reports ask for them.
    namesOfSources: async () => new Map(),
    ...{ throttleOf: inForce.throttleOf, modelFor: inForce.modelFor },
  }
  const calls = buildCallRooms(platform, settings, beside, forCalls)
  const { usage, identity, conversations, gateway, services, health, serviceProxy } = calls
  return {
    ...calls,
    // What else a gateway is asked, its node's control process answers.
    routes: [...serviceProxy.routes, ...health.routes],
    inOrder: [usage, identity, conversations, inForce, gateway, services, health],
    reload: null,
    endTails() {},
  }
}
