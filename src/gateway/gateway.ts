import type { IncomingMessage } from 'node:http'
import type { Kysely } from 'kysely'
import type { Route } from '../http/route.ts'
import type { Clock } from '../kernel/clock.ts'
import type { Principal } from '../kernel/principal.ts'
import type { Bus } from '../platform/bus/bus.ts'
import type { Counter } from '../platform/counter/counter.ts'
import type { Upstreams } from '../platform/fetch.ts'
import type { Leases } from '../platform/lease/lease.ts'
import type { Log } from '../platform/log.ts'
import type { Metrics } from '../platform/metrics.ts'
import { createSchedule } from '../platform/schedule.ts'
import type { Secrets } from '../platform/secrets.ts'
import { createSnapshot } from '../platform/snapshot.ts'
import type { Ledger } from '../usage/index.ts'
import { watchStreams } from './answer/open-streams.ts'
import type { GatewayConfig } from './config.ts'
import { createConfigure } from './control/configure.ts'
import { createHealthBook, probeProviders } from './control/probe-providers.ts'
import { listRemoteModels } from './control/remote-models.ts'
import { createLlmRoutes, type LlmRoutes } from './llm-routes/serve.ts'
import { createGatewayMetrics } from './meter.ts'
import { type LiveProvider, loadRoutingTable, type RoutingTable, reviveProvider } from './models.ts'
import { fetchImages } from './request/images.ts'
import { gatewayRoutes } from './routes.ts'
import { createRouter, type Router } from './routing/router.ts'
import { createGatewayStore, type GatewayTables } from './store.ts'

export type GatewayParts = {
  db: Kysely<GatewayTables>
  secrets: Secrets
  /** For providers, whose addresses operators set. */
  upstreams: Upstreams
  /** For images, whose addresses callers set. */
  imageFetch: Pick<Upstreams, 'get'>
  counter: Counter
  bus: Bus
  leases: Leases
  ledger: Ledger
  authenticate(request: IncomingMessage): Principal | Promise<Principal>
  corsHeaders(origin: string | undefined): string[]
  guardSecret(secret: string): void
  maxBodyBytes: number
  clock: Clock
  log: Log
  metrics: Metrics
  /** Nano-USD for a million tokens in and a million out; null when unknown. Absent: no price is known. */
  priceOf?(providerType: string, model: string): number | null
  /** How a call was routed, out of the ledger; null when it does not know. */
  storedRoute?(requestId: string): Promise<string | null>
  /** The tenant of an API key; null when there is no such key. */
  tenantOfKey?(keyId: string): Promise<string | null>
  /** [0, 1) */
  random?: () => number
}

export type Gateway = {
  llm: LlmRoutes
  routes: Route[]
  /** Loads the routing table; rejects when it cannot be read. */
  start(): Promise<void>
  stop(): Promise<void>
  /** How many providers are enabled, and how many of them failed at their last call. */
  providerHealth(): { enabled: number; failing: number }
  /** Whether a made-up provider is among those served. */
  hasSynthetic(): boolean
}

export function createGateway(parts: GatewayParts, config: GatewayConfig): Gateway {
  const { clock, log, secrets, upstreams, bus } = parts
  const store = createGatewayStore(parts.db)
  const source = { secrets, pool: (origin: string) => upstreams.pool(origin), guardSecret: parts.guardSecret }
  const table = createSnapshot<RoutingTable>({
    name: 'routes',
    async load() {
      const loaded = await loadRoutingTable({ ...source, store })
      router.follow(loaded)
      health.follow(loaded.providers)
      return loaded
    },
    revision: store.revision,
    clock,
    log,
  })
  const streams = watchStreams(clock, {
    keepAliveMs: config.keep_alive_seconds * 1000,
    slowReaderMs: config.slow_reader_seconds * 1000,
  })
  const metrics = createGatewayMetrics(parts.metrics)
  const health = createHealthBook(clock)
  const schedule = createSchedule({ clock, leases: parts.leases, log, random: parts.random ?? Math.random })
  const random = parts.random ?? Math.random

  const configure = createConfigure({
    store,
    secrets,
    clock,
    checkUrl: (url, param) => upstreams.checkUrl(url, param),
    async changed() {
      bus.announce('config.changed', { kind: 'routes' })
      await table.refresh()
    },
  })
  const router: Router = createRouter(
    {
      clock,
      random,
      bus,
      log,
      metrics: parts.metrics,
      priceOf: parts.priceOf ?? (() => null),
      keyDied: ({ provider, key }, reason) => configure.markKeyDead(provider.id, key.id, reason),
    },
    config,
  )
  bus.on('config.changed', ({ kind }) => {
    if (kind === 'routes') void table.refresh()
  })

  const llm = createLlmRoutes({
    table: () => table.get(),
    router,
    counter: parts.counter,
    clock,
    random,
    config,
    streams,
    defaultMaxOutputTokens: config.default_max_output_tokens,
    fetchImages: (chat) =>
      fetchImages(chat, async (url) => {
        const { status, headers, body } = await parts.imageFetch.get(url, {
          maxBytes: config.max_image_bytes,
          timeoutMs: 15_000,
        })
        return { status, mediaType: String(headers['content-type'] ?? ''), body }
      }),
    authenticate: parts.authenticate,
    ledger: parts.ledger,
    log,
    maxBodyBytes: parts.maxBodyBytes,
    corsHeaders: parts.corsHeaders,
    gatewayMetrics: {
      request: metrics.request,
      attempt(provider, result) {
        // A caller's bad request says nothing about the provider's health.
        if (result !== 'invalid_request' && result !== 'content_filter') health.saw(provider, result === 'ok')
        metrics.attempt(provider, result)
      },
    },
  })

  return {
    llm,
    hasSynthetic: () => table.get().providers.some((provider) => provider.isSynthetic),
    routes: gatewayRoutes({
      store,
      configure,
      importCapabilities: config.import_capabilities,
      clock,
      router,
      keyStanding: router.traffic.keyStanding,
      table: () => table.get(),
      storedRoute: parts.storedRoute ?? (async () => null),
      tenantOfKey: parts.tenantOfKey ?? (async () => null),
      remoteModels: (row) =>
        listRemoteModels(reviveProvider(row, source), (url, options) => upstreams.get(url, options)),
    }),
    async start() {
      await table.ready()
      if (config.probe_seconds === 0) return
      const everyMs = config.probe_seconds * 1000
      const askOne = (provider: LiveProvider) =>
        listRemoteModels(provider, (url, options) => upstreams.get(url, options))
      const probe = (signal: AbortSignal) =>
        probeProviders({ providers: table.get().providers, health, askOne, signal })
      schedule.every('gateway-probe', everyMs, probe, { onOneNode: true, firstDelayMs: everyMs })
    },
    async stop() {
      await schedule.stop()
      table.stop()
      streams.stop()
    },
    providerHealth() {
      const { providers } = table.get()
      return {
        enabled: providers.length,
        failing: providers.filter((provider) => health.isFailing(provider.name)).length,
      }
    },
  }
}
