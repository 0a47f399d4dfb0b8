import { createApp } from './app.ts'
import type { CallTables, HubRooms, RoomSettings } from './call-rooms.ts'
import { asLoaded, type SomeLoaded } from './config/as-loaded.ts'
import { createDemoServer, isDemo, isDemoPlugin } from './demo/index.ts'
import { createAccess } from './http/access/guard.ts'
import { createAccessLog } from './http/access-log.ts'
import type { HubServer } from './http/listen.ts'
import { joinUpgrades } from './http/upgrades.ts'
import { type Clock, systemClock } from './kernel/clock.ts'
import { type Closers, closeAll } from './kernel/closing.ts'
import { fail } from './kernel/errors.ts'
import type { Heartbeats } from './kernel/heartbeats.ts'
import type { LogControl } from './platform/log.ts'
import { openPlatform, type Platform } from './platform/open.ts'
import { openFiles, openLog } from './platform/open-log.ts'
import type { Seat } from './platform/processes/seat.ts'
import { version } from './version.ts'
import { keptFiles } from './wiring/kept-files.ts'
import { logAnnouncements } from './wiring/log-announcements.ts'
import { logFolder } from './wiring/own-folder.ts'

export type Hub = {
  /** Starts everything in order; resolves when the hub listens. Rejects with cause and remedy, and nothing runs on. */
  start(): Promise<{ url: string; port: number }>
  /** Takes no new work, lets running answers end, brings the ledger home, closes everything. */
  stop(): Promise<void>
  /** Reads the settings again and takes them over, as SIGHUP asks for; what is wrong is told in the log. */
  reload(): Promise<void>
}

export type HubOptions = {
  /** Adds the demo provider and its traffic. */
  demo?: boolean
  /** GATEHOUSE_SECRET_KEY; '' or absent for the key in the data folder. */
  secretKey?: string
  clock?: Clock
  heartbeats?: Heartbeats
  log?: LogControl
  /** Set in one of several processes of a node. */
  seat?: Seat | undefined
  /** Done when all is ready and nobody has been answered yet. */
  beforeListening?(): void
}

/** The composition root: builds each part once, says who hears what, starts and stops them in order. */
export function createHub(loaded: SomeLoaded, options: HubOptions = {}): Hub {
  const whole = asLoaded(loaded)
  const { config } = whole
  const { seat } = options
  const secretKey = options.secretKey ?? ''
  const clock = options.clock ?? systemClock
  const log = options.log ?? openLog(config.log)
  const closers: Closers = []
  let server: HubServer | undefined
  let rooms: HubRooms | undefined

  async function start() {
    openFiles(log, config.log, logFolder(config, seat), clock)
    log.info('Starting Gatehouse', { version })
    log.scrubber.add(config.auth.oidc.client_secret)
    const platform = await openPlatform<CallTables>(config, { clock, log, version, secretKey, seat })
    closers.push(() => platform.close())
    const { metrics, bus } = platform

    const settings = {
      ...{ loaded: whole, clock, log, closers, seat, heartbeats: options.heartbeats },
      ...keptFiles(loaded, secretKey),
    }
    // A worker holds what calls need and nothing else: whatever it imports is in memory as often as there are workers.
    const built = seat?.kind === 'worker' ? await buildWorker(platform, settings) : await buildAll(platform, settings)
    rooms = built
    const { identity, gateway, health, serviceProxy, demo } = built
    const isGateway = built.roles.has('gateway')
    for (const room of built.inOrder) {
      // Pushed first: a start that fails half way is stopped like one that did not.
      closers.push(() => room.stop())
      await room.start()
    }

    // Who hears what, all of it. Snapshots of keys, routes and prices listen to `config.changed` in their own rooms.
    logAnnouncements(bus, log)
    if (seat?.kind === 'control') bus.on('settings.kept', () => seat.replaceWorkers())

    log.info('Starting application server')
    const http = log.child({ room: 'http' })
    server = await createApp({
      ...{ host: config.server.host, port: config.server.port, seat },
      trustedProxies: () => config.server.trusted_proxies,
      corsOrigins: () => config.server.cors_origins,
      maxBodyBytes: config.server.max_body_bytes,
      access: createAccess(config.access, { metrics, log: http, clock }),
      accessLog: config.log.access ? createAccessLog(log.lines('access')) : undefined,
      isHttps: config.server.public_url.startsWith('https:'),
      openMetrics: config.server.open_metrics,
      version,
      clock,
      log: http,
      metrics,
      tracer: platform.tracer,
      authenticate: identity.byControlCredential,
      checkScope: identity.checkScope,
      audit: identity.audit,
      admit: ({ isLoopback }, { url }) =>
        isLoopback || identity.isClaimed() || ['/livez', '/readyz'].includes(url ?? '') || isDemoPlugin(url ?? '')
          ? null
          : notClaimed(),
      refuse: gateway.llm.refuse,
      bodyLimit: (request) => serviceProxy.bodyLimit(request) ?? gateway.llm.bodyLimit(request),
      upgrades: joinUpgrades(isGateway ? [gateway.realtime, serviceProxy.upgrades] : []),
      dataArea: (request) =>
        gateway.llm.isOurs(request)
          ? 'llm'
          : isDemo(request.url ?? '') || serviceProxy.bodyLimit(request) !== null
            ? 'services'
            : null,
      dataPaths: isGateway
        ? [gateway.llm.serve, createDemoServer({ clock, isLoaded: gateway.hasSynthetic }), serviceProxy.serve]
        : [],
      routes: built.routes,
      roles: built.roles,
    })
    // A start that fails from here on must not leave a socket that keeps the process alive.
    closers.push(() => server?.drain(0))
    options.beforeListening?.()
    const { url, port } = await server.listen()
    if (isGateway)
      await (options.demo ? demo.load(`http://127.0.0.1:${port}`) : demo.follow(`http://127.0.0.1:${port}`))
    // It writes to the store beside the gateway: whoever calls as soon as we listen shall be served.
    bus.announce('config.changed', { kind: 'routes' })
    health.setReady(true)
    const setupToken = identity.setupToken()
    if (setupToken !== null && built.roles.has('core')) {
      log.info(
        `Set up the first administrator with this one-time token · 首次使用请用此一次性令牌创建管理员: POST ${url}/api/auth/setup`,
        { setupToken },
      )
    }
    log.info(seat === undefined ? `Listening on ${url}` : 'Serving', { address: url })
    return { url, port }
  }

  return {
    async start() {
      try {
        return await start()
      } catch (error) {
        log.critical('The hub cannot start', { error })
        await closeAll(closers)
        await log.close()
        throw error
      }
    },
    reload: async () => rooms?.reload?.onSignal(),
    async stop() {
      log.info('Stopping: no new work, running answers may finish')
      rooms?.health.setReady(false)
      rooms?.gateway.rest()
      rooms?.services.endWatches()
      rooms?.endTails()
      const cut = await server?.drain(config.server.drain_seconds * 1000)
      if (cut) log.warn('Some answers were cut: they did not end within server.drain_seconds', { count: cut })
      await closeAll(closers)
      log.info('Stopped')
      log.flush()
      await log.close()
    },
  }
}

function notClaimed() {
  return fail('setup_required', 'The hub has no owner yet: claim it on its own machine, or set ADMIN_KEY.')
}

async function buildWorker(platform: Platform<CallTables>, settings: RoomSettings): Promise<HubRooms> {
  return (await import('./call-rooms.ts')).buildWorkerRooms(platform, settings)
}

/** On a store that is in shape; workers begin when the control process has seen to that. */
async function buildAll(platform: Platform<CallTables>, settings: RoomSettings): Promise<HubRooms> {
  const { buildRooms, shapeStore } = await import('./rooms.ts')
  await shapeStore(platform, settings)
  return buildRooms(platform, settings)
}
