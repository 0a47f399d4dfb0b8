import type { IncomingMessage } from 'node:http'
import { join } from 'node:path'
import { createApp } from './app.ts'
import type { Loaded } from './config.ts'
import { createDemo, createDemoServer } from './demo/index.ts'
import { createGateway, type GatewayTables, openSyntheticProviders, type PinnedTables } from './gateway/index.ts'
import { createHealth, type Health } from './health/index.ts'
import { contextOf } from './http/context.ts'
import type { HubServer } from './http/listen.ts'
import { createIdentity, type IdentityTables } from './identity/index.ts'
import { type Clock, systemClock } from './kernel/clock.ts'
import { fail } from './kernel/errors.ts'
import { migrations } from './migrations/index.ts'
import { migrate } from './platform/database/index.ts'
import { createUpstreams } from './platform/fetch.ts'
import type { LogControl } from './platform/log.ts'
import { openLog, openPlatform, type Platform } from './platform/open.ts'
import { createSpools } from './platform/spool.ts'
import { createUsage, openSyntheticUsage, type QuotaTables, type UsageTables } from './usage/index.ts'
import { version } from './version.ts'

export type Hub = {
  /** Starts everything in order; resolves when the hub listens. Rejects with cause and remedy, and nothing runs on. */
  start(): Promise<{ url: string; port: number }>
  /** Takes no new work, lets running answers end, brings the ledger home, closes everything. */
  stop(): Promise<void>
}

type Tables = IdentityTables & GatewayTables & PinnedTables & UsageTables & QuotaTables

export type HubOptions = {
  /** Adds the demo provider and its traffic. */
  demo?: boolean
  /** GATEHOUSE_SECRET_KEY; '' or absent for the key in the data folder. */
  secretKey?: string
  clock?: Clock
  log?: LogControl
}

/** The composition root: builds each part once, says who hears what, starts and stops them in order. */
export function createHub({ config }: Pick<Loaded, 'config'>, options: HubOptions = {}): Hub {
  const clock = options.clock ?? systemClock
  const log = options.log ?? openLog(config.log)
  const closers: (() => Promise<unknown> | unknown)[] = []
  let server: HubServer | undefined
  let health: Health | undefined

  async function start() {
    log.info('Starting Gatehouse', { version })
    log.scrubber.add(config.auth.oidc.client_secret)
    const platform = await openPlatform<Tables>(config, { clock, log, version, secretKey: options.secretKey ?? '' })
    closers.push(() => platform.close())
    const { metrics, database, bus } = platform

    log.info('Running database migrations')
    await migrate(database, migrations, { log, version })

    log.info('Initializing')
    const rooms = buildRooms(platform)
    const { identity, gateway, usage, demo } = rooms
    const checks = rooms.health
    health = checks
    for (const [room, stop] of [
      [() => usage.start(), () => usage.stop()],
      [() => identity.start(), () => identity.stop()],
      [() => gateway.start(), () => gateway.stop()],
      [() => checks.start(), () => checks.stop()],
    ] as const) {
      // Pushed first: a start that fails half way is stopped like one that did not.
      closers.push(stop)
      await room()
    }

    // Who hears what, all of it. Snapshots of keys, routes and prices listen to `config.changed` in their own rooms.
    bus.on('check.changed', ({ check, from, to, message }) =>
      log[to === 'ok' ? 'info' : 'warn'](`Health of ${check}: ${message}`, { check, from, to }),
    )
    bus.on('breaker.opened', ({ provider, model, reason }) =>
      log.warn(`The provider ${provider} is left alone for a while with the model ${model}: ${reason}`),
    )
    bus.on('breaker.closed', ({ provider, model }) =>
      log.info(`The provider ${provider} is asked again for the model ${model}`),
    )
    bus.on('provider.key.died', ({ provider, name, reason }) =>
      log.error(`The provider ${provider} no longer accepts its key ${name} (${reason}): replace or revive it`),
    )
    bus.on('budget.threshold', ({ scope, scopeId, period, percent }) =>
      log.warn(`The budget of ${scope} ${scopeId} for this ${period} is used to ${percent} %`),
    )

    log.info('Starting application server')
    server = await createApp({
      host: config.server.host,
      port: config.server.port,
      trustedProxies: config.server.trusted_proxies,
      corsOrigins: config.server.cors_origins,
      maxBodyBytes: config.server.max_body_bytes,
      openMetrics: config.server.open_metrics,
      version,
      clock,
      log,
      metrics,
      authenticate: identity.byControlCredential,
      admit: ({ isLoopback }, { url }) =>
        isLoopback || identity.isClaimed() || url === '/livez' || url === '/readyz' ? null : notClaimed(),
      refuse: gateway.llm.refuse,
      bodyLimit: gateway.llm.bodyLimit,
      upgrades: gateway.realtime,
      dataPaths: [gateway.llm.serve, createDemoServer({ clock, isLoaded: gateway.hasSynthetic })],
      rooms: [identity.routes, gateway.routes, usage.routes, checks.routes],
    })
    // A start that fails from here on must not leave a socket that keeps the process alive.
    closers.push(() => server?.drain(0))
    const { url, port } = await server.listen()
    await (options.demo ? demo.load(`http://127.0.0.1:${port}`) : demo.follow(`http://127.0.0.1:${port}`))
    // It writes to the store beside the gateway: whoever calls as soon as we listen shall be served.
    bus.announce('config.changed', { kind: 'routes' })
    checks.setReady(true)
    const setupToken = identity.setupToken()
    if (setupToken !== null) {
      log.info(
        `Set up the first administrator with this one-time token · 首次使用请用此一次性令牌创建管理员: POST ${url}/api/auth/setup`,
        {
          setupToken,
        },
      )
    }
    log.info(`Listening on ${url}`, { address: url })
    return { url, port }
  }

  function buildRooms({
    metrics,
    database,
    bus,
    counter,
    leases,
    secrets,
    upstreams,
    mailer,
    openCache,
    pingRedis,
  }: Platform<Tables>) {
    const db = database.kysely
    const usage = createUsage(
      {
        ...{ db, bus, counter, leases, clock, log, metrics, dataDir: config.data.dir },
        longestCallMs: config.gateway.deadline_seconds * 1000 + 60_000,
        tenantOf: (scope, id) => identity.tenantOf(scope, id),
      },
      config.usage,
      config.limits,
    )
    const identity = createIdentity({
      ...{ db, secrets, bus, clock, log, metrics, counter, mailer, upstreams },
      publicUrl: config.server.public_url,
      adminKey: config.auth.admin_key,
      config: config.auth,
    })
    const imageFetch = createUpstreams({
      allow: config.gateway.image_allow_private,
      connectTimeoutMs: config.network.connect_timeout_seconds * 1000,
      proxy: config.network.proxy,
      log,
    })
    closers.push(() => imageFetch.close())
    const gateway = createGateway(
      {
        db,
        secrets,
        upstreams,
        imageFetch,
        quota: usage.quota,
        prices: usage.prices,
        priceOf: usage.priceOfMillions,
        storedRoute: usage.routeOf,
        tenantOfKey: (keyId) => identity.tenantOf('key', keyId),
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
        corsHeaders: createCorsHeaders(config.server.cors_origins),
        guardSecret: (secret) => log.scrubber.add(secret),
        maxBodyBytes: config.server.max_body_bytes,
        spools: createSpools({
          folder: join(config.data.dir, 'spool'),
          maxTotalBytes: config.gateway.max_spooled_bytes,
        }),
        clock,
        log,
        metrics,
      },
      config.gateway,
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
      log,
      version,
    })
    const demo = createDemo({
      clock,
      providers: openSyntheticProviders({ db, clock }),
      usage: openSyntheticUsage({ db, clock }),
    })
    return { identity, gateway, usage, health, demo }
  }

  return {
    async start() {
      try {
        return await start()
      } catch (error) {
        await closeAll(closers)
        throw error
      }
    },
    async stop() {
      log.info('Stopping: no new work, running answers may finish')
      health?.setReady(false)
      const cut = await server?.drain(config.server.drain_seconds * 1000)
      if (cut) log.warn('Some answers were cut: they did not end within server.drain_seconds', { count: cut })
      await closeAll(closers)
      log.info('Stopped')
      log.flush()
    },
  }
}

function notClaimed() {
  return fail('setup_required', 'The hub has no owner yet: claim it on its own machine, or set ADMIN_KEY.')
}

/** Last opened, first closed; what fails to close does not keep the rest open. */
async function closeAll(closers: (() => Promise<unknown> | unknown)[]): Promise<void> {
  const failures: unknown[] = []
  for (const close of closers.splice(0).reverse()) {
    try {
      await close()
    } catch (error) {
      failures.push(error)
    }
  }
  if (failures.length > 0) throw new AggregateError(failures, 'some parts did not close')
}

/** What lets a page of an allowed origin read an answer of the raw paths; the control app has its own. */
function createCorsHeaders(origins: readonly string[]): (origin: string | undefined) => string[] {
  const allowed = new Set(origins)
  const isAny = allowed.has('*')
  return (origin) => {
    if (origin === undefined || !(isAny || allowed.has(origin))) return []
    return ['access-control-allow-origin', isAny ? '*' : origin, 'vary', 'origin']
  }
}
