import type { IncomingMessage } from 'node:http'
import type { Kysely } from 'kysely'
import type { Upgrades } from '../http/upgrades.ts'
import type { Clock } from '../kernel/clock.ts'
import { fail } from '../kernel/errors.ts'
import type { Heartbeats } from '../kernel/heartbeats.ts'
import type { Principal } from '../kernel/principal.ts'
import type { Bus } from '../platform/bus/bus.ts'
import type { Cache } from '../platform/cache/cache.ts'
import type { Upstreams } from '../platform/fetch.ts'
import type { Leases } from '../platform/lease/lease.ts'
import type { Log } from '../platform/log.ts'
import type { Metrics } from '../platform/metrics.ts'
import { createSchedule } from '../platform/schedule.ts'
import type { Secrets } from '../platform/secrets.ts'
import { createSnapshot } from '../platform/snapshot.ts'
import type { Spools } from '../platform/spool.ts'
import type { Ledger, MirrorEntry, Prices, Quota } from '../usage/index.ts'
import { createDrains } from './answer/drains.ts'
import { createKeptAnswers } from './answer/kept.ts'
import { watchStreams } from './answer/open-streams.ts'
import type { Scribe } from './answer/talk.ts'
import type { ChatRequest } from './chat.ts'
import type { GatewayConfig } from './config.ts'
import { createConfigure } from './control/configure.ts'
import { askAndRemember, createHealthBook, probeProviders } from './control/probe-providers.ts'
import { listRemoteModels } from './control/remote-models.ts'
import type { LlmSource } from './llm-routes/index.ts'
import { createRealtime } from './llm-routes/realtime.ts'
import { createLlmRoutes, type LlmRoutes } from './llm-routes/serve.ts'
import { createGatewayMetrics } from './meter.ts'
import { type LiveProvider, loadRoutingTable, type RoutingTable, reviveProvider } from './models.ts'
import { createPinStore, type PinnedTables } from './operations/pinned/store.ts'
import { createBatchWatch } from './operations/pinned/watch-batches.ts'
import type { OwnCallParts } from './own-calls/ask.ts'
import { type CanaryState, createCanaries } from './own-calls/canaries.ts'
import { createMirrors } from './own-calls/mirrors.ts'
import { postForm } from './post-form.ts'
import { createCredentialKeeper, type Outside } from './providers/index.ts'
import { fetchImages } from './request/images.ts'
import { createResponses } from './responses/responses.ts'
import type { ResponseTables } from './responses/store.ts'
import type { GatewayRoutesSource } from './routes.ts'
import { createRouter, type Router } from './routing/router.ts'
import { createGatewayStore, type GatewayTables } from './store.ts'

export type GatewayParts = {
  db: Kysely<GatewayTables & PinnedTables>
  secrets: Secrets
  /** For providers, whose addresses operators set. */
  upstreams: Upstreams
  /** For images, whose addresses callers set. */
  imageFetch: Pick<Upstreams, 'get'>
  quota: Quota
  prices: Pick<Prices, 'cost'>
  bus: Bus
  /** Opened only where answers are kept. */
  openCache(maxBytes: number): Cache
  leases: Leases
  heartbeats?: Heartbeats
  /** The store cannot be changed, as in a drill: what is read before serving is read, and no job begins. */
  isReadOnly?: boolean | undefined
  ledger: Ledger
  authenticate(request: Pick<IncomingMessage, 'headers' | 'url'>): Principal | Promise<Principal>
  /** Whether the caller's key may ask for this path from this address; throws `forbidden`. */
  checkScope(principal: Principal, path: string, clientIp: string): void
  corsHeaders(origin: string | undefined): string[]
  guardSecret(secret: string): void
  maxBodyBytes: number
  /** Where uploads wait that are too large for memory. */
  spools: Spools
  clock: Clock
  log: Log
  metrics: Metrics
  /** Nano-USD for a million tokens in and a million out; null when unknown. Absent: no price is known. */
  priceOf?(providerType: string, model: string): number | null
  /** How a call was routed, out of the ledger; null when it does not know. */
  storedRoute?(requestId: string): Promise<string | null>
  /** The tenant of an API key; null when there is no such key. */
  tenantOfKey?(keyId: string): Promise<string | null>
  /** Keeps a comparison of two models' answers. */
  keepMirror(entry: MirrorEntry): Promise<void>
  /** Keeps what is said in calls; absent: nobody does. */
  scribe?: Scribe
  /** What an API key is called; '' when there is no such key. */
  keyName?(keyId: string): Promise<string>
  /** The model that a key's calls are served by for a while instead of the one asked; null for no such thing. */
  modelInstead?(keyId: string): string | null
  /** [0, 1) */
  random?: () => number
}

/** The gateway without what people ask of it. */
export type CallGateway = {
  llm: LlmRoutes
  realtime: Upgrades
  /** What the routes for people are made of. */
  control: GatewayRoutesSource
  /** Loads the routing table; rejects when it cannot be read. */
  start(): Promise<void>
  /** The hub is about to stop: begins nothing more of its own accord. */
  rest(): void
  /** Ends what runs in the background. */
  stop(): Promise<void>
  /** How many providers are enabled, and how many of them failed at their last call. */
  providerHealth(): { enabled: number; failing: number; canary: CanaryState }
  /** What this node knows of one enabled provider without asking it; null when there is none. */
  providerStanding(name: string): { isFailing: boolean; isDoubtful: boolean; canary: CanaryState } | null
  /** Asks one enabled provider for its list of models, which is free, and remembers what came. */
  askProvider(name: string): Promise<void>
  /** What each provider is called, the disabled too. */
  /** By id or name; null when there is none. */
  findProvider(idOrName: string): Promise<{ id: string; name: string; enabled: boolean } | null>
  /** In use on this node when it resolves. */
  setProviderEnabled(id: string, enabled: boolean): Promise<void>
  providerNames(): Promise<ReadonlyMap<string, string>>
  /** Whether a made-up provider is among those served. */
  hasSynthetic(): boolean
}

/** Results of attempts that say nothing of a provider's health. */
const silent: ReadonlySet<string> = new Set(['invalid_request', 'content_filter', 'client_closed'])

export function createCallGateway(parts: GatewayParts, config: GatewayConfig): CallGateway {
  const { clock, log, secrets, upstreams, bus } = parts
  const store = createGatewayStore(parts.db)
  const pool = (origin: string) => upstreams.pool(origin)
  const outside: Outside = { now: clock.now, postForm: (url, form) => postForm(pool, url, form) }
  const routing = { secrets, pool, guardSecret: parts.guardSecret, outside, credentials: createCredentialKeeper() }
  const table = createSnapshot<RoutingTable>({
    name: 'routes',
    async load() {
      const loaded = await loadRoutingTable({ ...routing, store })
      router.follow(loaded)
      health.follow(loaded.providers)
      canaries.follow(loaded)
      return loaded
    },
    revision: store.revision,
    clock,
    log,
  })
  const drains = createDrains(() => config.drain_max_seconds * 1000)
  const streams = watchStreams(clock, {
    keepAliveMs: () => config.keep_alive_seconds * 1000,
    slowReaderMs: () => config.slow_reader_seconds * 1000,
  })
  const metrics = createGatewayMetrics(parts.metrics)
  const health = createHealthBook(clock)
  const schedule = createSchedule({
    ...{ clock, leases: parts.leases, log, random: parts.random ?? Math.random, heartbeats: parts.heartbeats },
  })
  const random = parts.random ?? Math.random

  const configure = createConfigure({
    store,
    secrets,
    clock,
    checkUrl: (url, param) => upstreams.checkUrl(url, param),
    outside,
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
  // Our own are heard as well, and find ours moved already.
  bus.on('breaker.opened', (about) => router.followed(about, 'opened', about.openMs))
  bus.on('breaker.closed', (about) => router.followed(about, 'closed', 0))

  const responses = createResponses(
    { db: parts.db as unknown as Kysely<ResponseTables>, clock, log },
    {
      isOn: () => config.responses_store === 'on',
      retentionDays: () => config.responses_retention_days,
      maxBytes: () => config.responses_max_bytes,
      runs: config.responses_background_runs,
    },
  )

  const cache = config.cache === 'off' ? null : parts.openCache(config.cache_max_mb * 1024 * 1024)
  const fetchImagesOf = (chat: ChatRequest) =>
    fetchImages(chat, async (url) => {
      const { status, headers, body } = await parts.imageFetch.get(url, {
        maxBytes: config.max_image_bytes,
        timeoutMs: 15_000,
      })
      return { status, mediaType: String(headers['content-type'] ?? ''), body }
    })
  const ownCalls: OwnCallParts = {
    ...{ quota: parts.quota, ledger: parts.ledger, prices: parts.prices, clock, config, fetchImages: fetchImagesOf },
    defaultMaxOutputTokens: config.default_max_output_tokens,
  }
  const mirrors = createMirrors({
    ...{ ...ownCalls, table: () => table.get(), router, keep: parts.keepMirror, random, log, config },
    metrics: parts.metrics,
  })
  const canaries = createCanaries({
    ...{ ...ownCalls, table: () => table.get(), router, health, leases: parts.leases, bus, config },
    metrics: parts.metrics,
  })
  const calls: LlmSource = {
    mirrors,
    scribe: parts.scribe ?? { listen: () => null },
    responses,
    table: () => table.get(),
    ...(parts.modelInstead && { modelInstead: parts.modelInstead }),
    quota: parts.quota,
    prices: parts.prices,
    router,
    clock,
    random,
    config,
    streams,
    drains,
    kept:
      cache === null
        ? null
        : createKeptAnswers(cache, { scope: config.cache, ttlMs: () => config.cache_ttl_seconds * 1000 }),
    defaultMaxOutputTokens: config.default_max_output_tokens,
    fetchImages: fetchImagesOf,
    authenticate: parts.authenticate,
    checkScope: parts.checkScope,
    ledger: parts.ledger,
    log,
    maxBodyBytes: parts.maxBodyBytes,
    maxUploadBytes: () => config.max_upload_bytes,
    spools: parts.spools,
    pins: createPinStore(parts.db),
    corsHeaders: parts.corsHeaders,
    gatewayMetrics: {
      request: metrics.request,
      attempt(provider, result) {
        // A caller's bad request, or its leaving, says nothing about the provider's health.
        if (!silent.has(result)) health.saw(provider, result === 'ok')
        metrics.attempt(provider, result)
      },
    },
    openWebSocket: upstreams.openWebSocket,
  }

  const askOne = (provider: LiveProvider) => listRemoteModels(provider, (url, options) => upstreams.get(url, options))
  const probe = (signal: AbortSignal) => probeProviders({ providers: table.get().providers, health, askOne, signal })
  const batchWatch = createBatchWatch({
    ...calls,
    keyName: parts.keyName ?? (async () => ''),
  })

  /** What one node does for all: nobody asks for it. */
  function watchOver(): void {
    const pollMs = config.batch_poll_seconds * 1000
    const lookAtBatches = async (signal: AbortSignal) => void (await batchWatch.look(signal))
    if (pollMs > 0) schedule.every('gateway-batches', pollMs, lookAtBatches, { onOneNode: true, firstDelayMs: pollMs })
    if (config.canary_daily_usd > 0) {
      const everyMs = Math.min(60_000, config.canary_minutes * 60_000)
      const round = async (signal: AbortSignal) => {
        // Another node may be the one that probes, and what is free comes first.
        if (config.probe_seconds > 0) await probe(signal)
        await canaries.round(signal)
      }
      schedule.every('gateway-canary', everyMs, round, { onOneNode: true, firstDelayMs: everyMs })
    }
    if (config.probe_seconds === 0) return
    const everyMs = config.probe_seconds * 1000
    schedule.every('gateway-probe', everyMs, probe, { onOneNode: true, firstDelayMs: everyMs })
  }

  return {
    llm: createLlmRoutes(calls),
    realtime: createRealtime(calls),
    hasSynthetic: () => table.get().providers.some((provider) => provider.isSynthetic),
    control: {
      store,
      configure,
      importCapabilities: () => config.import_capabilities,
      clock,
      router,
      keyStanding: router.traffic.keyStanding,
      table: () => table.get(),
      canaryOf: canaries.noteOf,
      storedRoute: parts.storedRoute ?? (async () => null),
      tenantOfKey: parts.tenantOfKey ?? (async () => null),
      async clearCache() {
        if (cache === null) throw fail('invalid_request', 'Answers are not kept: gateway.cache is off.')
        return await cache.clear()
      },
      remoteModels: (row) =>
        listRemoteModels(reviveProvider(row, routing), (url, options) => upstreams.get(url, options)),
    },
    async start() {
      await table.ready()
      if (parts.isReadOnly) return
      await responses.start()
      watchOver()
    },
    rest() {
      mirrors.rest()
      canaries.rest()
    },
    async stop() {
      await mirrors.stop()
      await cache?.close()
      await drains.stop()
      await responses.stop()
      await schedule.stop()
      canaries.stop()
      table.stop()
      streams.stop()
    },
    async findProvider(idOrName) {
      const row = await store.findProvider(idOrName)
      return row === undefined ? null : { id: row.id, name: row.name, enabled: row.enabled === 1 }
    },
    async setProviderEnabled(id, enabled) {
      await configure.updateProvider(id, { enabled })
    },
    providerNames: async () => new Map((await store.listProviders(false)).map(({ id, name }) => [id, name])),
    providerStanding(name) {
      if (!table.get().providers.some((provider) => provider.name === name)) return null
      return { isFailing: health.isFailing(name), isDoubtful: health.isDoubtful(name), canary: canaries.state() }
    },
    async askProvider(name) {
      const provider = table.get().providers.find((each) => each.name === name)
      if (provider === undefined) throw fail('not_found', `there is no enabled provider ${name}`)
      await askAndRemember(provider, health, askOne)
    },
    providerHealth() {
      const { providers } = table.get()
      return {
        enabled: providers.length,
        failing: providers.filter((provider) => health.isFailing(provider.name)).length,
        canary: canaries.state(),
      }
    },
  }
}
