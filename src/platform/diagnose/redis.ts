import type { Redis } from 'ioredis'
import type { Clock } from '../../kernel/clock.ts'
import { loadIoredis } from '../on-demand.ts'
import { identifyServer } from './server.ts'

export type RedisFault =
  | 'name'
  | 'unreachable'
  | 'not_redis'
  | 'password'
  | 'clients'
  | 'database'
  | 'loading'
  | 'tls'
  | 'other'

export type RedisLook =
  | { kind: 'fault'; fault: RedisFault; where: string; message: string }
  | {
      kind: 'open'
      where: string
      version: string
      aheadMs: number
      roundTripMs: number
      usedBytes: number
      /** 0: no limit. */
      maxBytes: number
      policy: string
      clients: number
      maxClients: number
      /** What it said to a key that ends by itself after a second; '' when it took it. */
      writeFailure: string
    }

/** Connects once as the hub would and names what is wrong. Writes one key of its own that ends after a second. */
export async function lookAtRedis(url: string, clock: Clock, timeoutMs = 4000): Promise<RedisLook> {
  const { hostname, port: written, protocol, pathname } = new URL(url)
  const [host, port] = [hostname.replace(/^\[|\]$/g, '') || '127.0.0.1', Number(written || 6379)]
  const where = `Redis at ${host}:${port}${pathname.length > 1 ? pathname : ''}`
  const fault = (kind: RedisFault, message: string): RedisLook => ({ kind: 'fault', fault: kind, where, message })
  if (protocol === 'redis:') {
    const spoken = await identifyServer(host, port, Math.min(timeoutMs, 2000))
    if (!spoken.reached) return fault(/ENOTFOUND|EAI_/.test(spoken.code) ? 'name' : 'unreachable', spoken.message)
    // It says so and hangs up, before a client has asked anything.
    if (/max number of clients/.test(spoken.firstBytes)) return fault('clients', spoken.firstBytes)
    if (!['redis', 'silent'].includes(spoken.kind)) {
      return fault(
        'not_redis',
        `${host}:${port} answers as ${spoken.kind}${spoken.firstBytes && `: ${spoken.firstBytes}`}`,
      )
    }
  }
  let told: Error | null = null
  const redis = new (loadIoredis().Redis)(url, {
    ...{ lazyConnect: true, retryStrategy: () => null, maxRetriesPerRequest: 0, enableOfflineQueue: false },
    ...{ connectTimeout: timeoutMs, commandTimeout: timeoutMs },
  })
  redis.on('error', (error) => {
    told ??= error
  })
  try {
    await redis.connect()
    const facts = await readFacts(redis, where, clock)
    // A database that is not there is told beside the connection, which goes on with database 0.
    return told === null ? facts : fault(faultOf((told as Error).message), (told as Error).message)
  } catch (error) {
    const { message } = told ?? (error as Error)
    return fault(faultOf(message), message)
  } finally {
    redis.disconnect()
  }
}

async function readFacts(redis: Redis, where: string, clock: Clock): Promise<RedisLook> {
  const before = clock.now()
  const [seconds, micros] = await redis.time()
  const after = clock.now()
  const info = await redis.info()
  const fact = (name: string) => new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1] ?? ''
  const key = `gatehouse:doctor:${process.pid}`
  const writeFailure = await redis.set(key, '1', 'PX', 1000).then(
    () => '',
    (error: Error) => error.message,
  )
  return {
    kind: 'open',
    where,
    version: fact('redis_version'),
    aheadMs: Math.round(Number(seconds) * 1000 + Number(micros) / 1000 - (before + after) / 2),
    roundTripMs: after - before,
    usedBytes: Number(fact('used_memory')),
    maxBytes: Number(fact('maxmemory')),
    policy: fact('maxmemory_policy'),
    clients: Number(fact('connected_clients')),
    maxClients: Number(fact('maxclients')),
    writeFailure,
  }
}

function faultOf(message: string): RedisFault {
  if (/WRONGPASS|NOAUTH|invalid password|without any password|NOPERM/i.test(message)) return 'password'
  if (/max number of clients/.test(message)) return 'clients'
  if (/DB index/.test(message)) return 'database'
  if (/LOADING/.test(message)) return 'loading'
  if (/certificate|SSL|TLS|self.signed/i.test(message)) return 'tls'
  if (/ECONN|ETIMEDOUT|closed|timeout/i.test(message)) return 'unreachable'
  return 'other'
}
