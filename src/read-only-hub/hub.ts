import { randomBytes } from 'node:crypto'
import { createApp } from '../app.ts'
import type { CallTables } from '../call-rooms.ts'
import { asLoaded } from '../config/as-loaded.ts'
import type { Loaded } from '../config.ts'
import { createAccess } from '../http/access/guard.ts'
import { type Clock, systemClock } from '../kernel/clock.ts'
import { type Closers, closeAll } from '../kernel/closing.ts'
import type { StoreAddress } from '../platform/database/copying/index.ts'
import { createTemporaryFolder } from '../platform/files.ts'
import { createLog } from '../platform/log.ts'
import { openPlatform } from '../platform/open.ts'
import { buildRooms } from '../rooms.ts'
import { version } from '../version.ts'

type Config = Loaded['config']

/** A hub that serves a store and changes nothing anywhere; `token` opens its control routes. */
export type ReadOnlyHub = { url: string; token: string; faults(): string[]; stop(): Promise<void> }

/** Shows the time and wakes nobody: jobs wait until they are told to end. */
const stillClock: Clock = {
  ...systemClock,
  sleep: (_ms, signal) =>
    new Promise((resolve) => {
      if (signal?.aborted) resolve()
      signal?.addEventListener('abort', () => resolve(), { once: true })
    }),
}

/** Where nobody listens: port 9 throws away what it gets, where it is open at all. */
const nowhere = 'http://127.0.0.1:9'

/**
 * The hub as `hub.ts` builds it, on a store that the engine lets nobody write to, and on a data folder that goes with it.
 * No job runs, no call leaves, only reading routes are there, on a port of this machine that nobody else knows.
 */
export async function startReadOnlyHub(config: Config, secretKey: string, store: StoreAddress): Promise<ReadOnlyHub> {
  const folder = createTemporaryFolder('gatehouse-drill-')
  const token = randomBytes(24).toString('base64url')
  const apart = setApart(config, { url: store.url, folder: folder.path, token })
  const told: string[] = []
  const log = createLog({ level: 'error', format: 'text', stream: { write: (line) => void told.push(line.trim()) } })
  const closers: Closers = [() => folder.remove()]
  const stop = () => closeAll(closers).catch(() => {})
  try {
    const platform = await openPlatform<CallTables>(apart, {
      ...{ clock: systemClock, log, version, secretKey, isReadOnly: true },
    })
    closers.push(() => platform.close())
    const rooms = buildRooms(platform, {
      ...{
        loaded: asLoaded({ config: apart }),
        clock: stillClock,
        log,
        closers,
        configurationPath: null,
        isReadOnly: true,
      },
      masterKey: () => secretKey,
    })
    // Its journal was opened; to start, it would bring the list prices of this version into the store.
    closers.push(() => rooms.usage.stop())
    for (const room of [rooms.identity, rooms.gateway]) {
      closers.push(() => room.stop())
      await room.start()
    }
    const server = await createApp({
      ...{
        host: '127.0.0.1',
        port: 0,
        trustedProxies: () => [],
        corsOrigins: () => [],
        openMetrics: false,
        version,
        log,
      },
      ...{ maxBodyBytes: 1_000_000, clock: systemClock, metrics: platform.metrics, isHttps: false, roles: rooms.roles },
      access: createAccess(apart.access, { metrics: platform.metrics, log, clock: systemClock }),
      authenticate: rooms.identity.byControlCredential,
      checkScope: rooms.identity.checkScope,
      audit: rooms.identity.audit,
      ...{ dataArea: () => null, dataPaths: [], routes: rooms.routes.filter(({ method }) => method === 'GET') },
    })
    closers.push(() => server.drain(0))
    const { url } = await server.listen()
    return { url, token, faults: () => told.splice(0), stop }
  } catch (error) {
    await stop()
    throw error
  }
}

/** The same settings without anything that others see or that reaches out: no Redis, no mail, no spans, no sources. */
function setApart(config: Config, { url, folder, token }: { url: string; folder: string; token: string }): Config {
  return {
    ...config,
    server: { ...config.server, roles: ['core'], public_url: '' },
    data: { ...config.data, dir: folder },
    database: { ...config.database, url, wait_tries: 1, pool_size: 2 },
    redis: { ...config.redis, url: '' },
    network: { ...config.network, proxy: nowhere },
    mail: { ...config.mail, url: '' },
    tracing: { ...config.tracing, otlp_url: '' },
    auth: { ...config.auth, admin_key: token },
    log: { ...config.log, access: false, files: false },
  }
}
