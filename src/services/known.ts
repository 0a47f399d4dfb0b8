import type { IncomingHttpHeaders } from 'node:http'
import type { Kysely } from 'kysely'
import type { Clock } from '../kernel/clock.ts'
import { type Heartbeats, unwatched } from '../kernel/heartbeats.ts'
import type { Principal } from '../kernel/principal.ts'
import type { ServiceTokens } from '../kernel/service-tokens.ts'
import type { Bus } from '../platform/bus/bus.ts'
import type { Upstreams } from '../platform/fetch.ts'
import type { Leases } from '../platform/lease/lease.ts'
import type { Log } from '../platform/log.ts'
import type { Metrics } from '../platform/metrics.ts'
import type { Secrets } from '../platform/secrets.ts'
import type { ServicesConfig } from './config.ts'
import { type Directory, instanceStates } from './directory.ts'
import { createBeats } from './registry/beats.ts'
import { createCatalogue } from './registry/catalogue.ts'
import { createChanges } from './registry/changes.ts'
import { createHearing } from './registry/hearing.ts'
import { createKeepWatch } from './registry/keep-watch.ts'
import { createPluginDocuments } from './registry/openapi.ts'
import { createPolling } from './registry/polling.ts'
import { createRegistration } from './registry/register.ts'
import { createRegistrationTokens } from './registry/tokens.ts'
import { createWatches } from './registry/watches.ts'
import type { registryRoutes } from './routes.ts'
import { createServicesStore, type ServicesTables } from './store.ts'

/** The registry without what plugins and people ask of it. */
export type CallServices = {
  /** What the routes of the registry are made of. */
  control: Parameters<typeof registryRoutes>[0]
  /** What the proxy routes by. */
  directory: Directory
  /** What there is of a tenant: services, and tokens that register more. */
  ownedBy(tenantId: string): Promise<{ services: number; registrationTokens: number }>
  /** After the migrations. Rejects when the store is away. */
  start(): Promise<void>
  /** Answers everybody who waits for changes, before the socket drains. */
  endWatches(): void
  stop(): Promise<void>
  /** One round of hearing and judging, as the loop makes it each second; for tests. */
  round(): Promise<void>
  /** How many wait for changes here. */
  watchers(): number
  /** Resolves when nothing is under way in the background. */
  idle(): Promise<void>
}

export type ServicesOptions = {
  db: Kysely<ServicesTables>
  secrets: Pick<Secrets, 'hashKey'>
  bus: Bus
  leases: Leases
  clock: Clock
  log: Log
  metrics: Metrics
  /** Guarded, and through no proxy: plugins stand beside the hub. */
  upstreams: Pick<Upstreams, 'get' | 'checkUrl'>
  serviceTokens: ServiceTokens
  byServiceCredential(headers: IncomingHttpHeaders): Principal | null | Promise<Principal | null>
  /** Throws `forbidden` for a key that may not come from there. */
  assertAddress(principal: Principal, clientIp: string): void
  /** The id of a tenant that is written as id or name; null when there is none. */
  tenantIdOf(written: string): Promise<string | null>
  /** First segments below /api that are the hub's own. */
  isReserved(name: string): boolean
  /** Throws when the address is the hub itself. */
  checkAddress(host: string, port: number): void
  random?: () => number
  heartbeats?: Heartbeats
  /** How often the store is asked whether another process changed something. */
  followMs?: number
}

export function createCallServices(options: ServicesOptions, config: ServicesConfig): CallServices {
  const { bus, leases, clock, metrics, upstreams, serviceTokens, isReserved } = options
  const log = options.log.child({ room: 'services' })
  const random = options.random ?? Math.random
  const store = createServicesStore(options.db)
  const catalogue = createCatalogue({ store, clock, log, intervalMs: options.followMs ?? 1000 })
  const hearing = createHearing(clock)
  const polls = metrics.counter('gatehouse_services_polls_total', 'Answers of health paths of plugin instances.', [
    'outcome',
  ])
  const polling = createPolling({
    ...{ upstreams, clock, random },
    intervalMs: config.health_interval_seconds * 1000,
    timeoutMs: config.health_timeout_seconds * 1000,
    concurrency: config.health_concurrency,
    failuresBeforeCritical: config.failures_before_critical,
    successesBeforePassing: config.successes_before_passing,
    count: (outcome) => polls.with({ outcome }).inc(),
  })
  const beats = createBeats({ store, catalogue, hearing, bus, clock })
  const registration = createRegistration({
    ...{ store, catalogue, hearing, serviceTokens, isReserved, bus, clock, log, config },
    checkAddress(host, port) {
      options.checkAddress(host, port)
      upstreams.checkUrl(`http://${host.includes(':') && !host.startsWith('[') ? `[${host}]` : host}:${port}/`, 'host')
    },
  })
  const changes = createChanges({ store, catalogue, polling, bus, clock, log })
  const maxBytes = config.openapi_max_bytes
  const documents = createPluginDocuments({ store, catalogue, upstreams, bus, clock, log, maxBytes })
  const tokens = createRegistrationTokens({ store, secrets: options.secrets, clock })
  const watches = createWatches({ catalogue, clock, mostWatchers: config.max_watchers, random })
  const keepWatch = createKeepWatch({
    ...{ store, catalogue, hearing, polling, leases, bus, clock, log, config },
    heartbeats: options.heartbeats ?? unwatched,
    flushMetadata: beats.flushMetadata,
  })
  const unsubscribe: (() => void)[] = []

  function watchNumbers(): void {
    const services = metrics.gauge('gatehouse_services_registered', 'Plugin services that are registered.').with({})
    const instances = metrics.gauge('gatehouse_services_instances', 'Instances of plugin services by state.', ['state'])
    const watchers = metrics.gauge('gatehouse_services_watchers', 'Callers that wait for changes of services.').with({})
    const isProtected = metrics
      .gauge('gatehouse_services_protected', '1 while silent instances are kept because too many fell silent together.')
      .with({})
    const stale = metrics.gauge('gatehouse_services_stale', '1 while services are routed without the store.').with({})
    metrics.beforeRender(() => {
      const counts = new Map<string, number>(instanceStates.map((state) => [state, 0]))
      for (const { state } of catalogue.list().flatMap((each) => each.instances))
        counts.set(state, counts.get(state)! + 1)
      for (const [state, number] of counts) instances.with({ state }).set(number)
      services.set(catalogue.list().length)
      watchers.set(watches.count())
      isProtected.set(keepWatch.protection().isProtected ? 1 : 0)
      stale.set(catalogue.isStale() ? 1 : 0)
    })
  }
  const beatsHeard = metrics.counter('gatehouse_services_heartbeats_total', 'Heartbeats of plugin instances.', [
    'outcome',
  ])
  const registrations = metrics.counter('gatehouse_services_registrations_total', 'Tries to register.', ['outcome'])

  return {
    directory: catalogue.directory,
    control: {
      ...{ catalogue, registration, changes, beats, hearing, keepWatch, documents, tokens, watches, clock, random },
      byServiceCredential: options.byServiceCredential,
      assertAddress: options.assertAddress,
      tenantIdOf: options.tenantIdOf,
      count: {
        beat: (outcome) => beatsHeard.with({ outcome }).inc(),
        registration: (outcome) => registrations.with({ outcome }).inc(),
      },
      deregisterAfterSeconds: config.deregister_after_seconds,
    },
    ownedBy: (tenantId) => store.countOf(tenantId, clock.now()),
    async start() {
      await catalogue.ready()
      hearing.follow(await store.readHeard())
      unsubscribe.push(
        bus.on('service.changed', () => void catalogue.follow()),
        bus.on('service.instance.changed', () => void catalogue.follow()),
      )
      watchNumbers()
      keepWatch.start()
    },
    endWatches: () => watches.end(),
    async stop() {
      for (const stop of unsubscribe) stop()
      watches.end()
      await Promise.all([changes.idle(), documents.idle()])
      await keepWatch.stop()
      catalogue.stop()
    },
    round: keepWatch.round,
    watchers: watches.count,
    async idle() {
      await Promise.all([changes.idle(), documents.idle(), polling.idle()])
    },
  }
}
