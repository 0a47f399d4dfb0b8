import { createHash } from 'node:crypto'
import type { Redis } from 'ioredis'
import type { Clock } from '../kernel/clock.ts'
import { fail, type HubError } from '../kernel/errors.ts'
import type { Log } from './log.ts'
import { loadIoredis } from './on-demand.ts'

export type { Redis } from 'ioredis'

/**
 * Connects to Redis in the background and keeps trying for ever. While there is no connection every command fails at
 * once instead of waiting in a queue: who counts or takes a lease must decide now.
 */
export function openRedis(url: string, log: Log): Redis {
  const redis = new (loadIoredis().Redis)(url, {
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    commandTimeout: 2000,
    connectTimeout: 5000,
    retryStrategy: (attempt) => Math.min(100 * 2 ** Math.min(attempt, 6), 5000),
  })
  let wasReady: boolean | null = null
  redis.on('ready', () => {
    if (wasReady !== true) log.info('Redis is ready')
    wasReady = true
  })
  // Told once for each outage: the client reports every attempt.
  redis.on('error', (error) => {
    if (wasReady !== false) log.warn('Redis cannot be reached; trying again until it can', { error })
    wasReady = false
  })
  return redis
}

/** Waits until Redis can be used, at most `waitMs`; says whether it can. */
export async function waitForRedis(redis: Redis, clock: Clock, waitMs: number): Promise<boolean> {
  if (redis.status === 'ready') return true
  const waiting = new AbortController()
  const ready = () => waiting.abort()
  redis.once('ready', ready)
  await clock.sleep(waitMs, waiting.signal)
  redis.off('ready', ready)
  return waiting.signal.aborted
}

/** A Lua script that travels as its hash and is sent whole only to a Redis that does not know it yet. */
export type Script = (redis: Redis, keys: string[], values: (string | number)[]) => Promise<unknown>

export function defineScript(lua: string): Script {
  const hash = createHash('sha1').update(lua).digest('hex')
  return async (redis, keys, values) => {
    try {
      return await redis.evalsha(hash, keys.length, ...keys, ...values).catch((error: Error) => {
        if (!error.message.startsWith('NOSCRIPT')) throw error
        return redis.eval(lua, keys.length, ...keys, ...values)
      })
    } catch (cause) {
      throw redisFailed(cause)
    }
  }
}

export function redisFailed(cause: unknown): HubError {
  return fail('unavailable', 'Redis does not answer; see redis.url and the redis health check.', {
    cause,
    retryAfterMs: 1000,
  })
}
