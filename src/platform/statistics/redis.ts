import type { Redis } from 'ioredis'
import { loadIoredis } from '../on-demand.ts'

/** What a Redis server tells of itself. Members of `info` are as `INFO` names them. */
export type RedisStatistics = {
  pingSeconds: number
  /** How far its clock is ahead of ours; null where the user may not ask `TIME`. */
  clockAheadSeconds: number | null
  /** Null where the user may not ask `CONFIG GET` and `INFO` has no such member. */
  maxClients: number | null
  info: Readonly<Record<string, string>>
}

export type RedisWatch = { read(signal: AbortSignal): Promise<RedisStatistics>; close(): void }

/** One connection of its own, so that a busy one of others does not count as a slow server; made anew after a failure. */
export function watchRedis(url: string, timeoutMs: number): RedisWatch {
  let redis: Redis | null = null

  async function connect(): Promise<Redis> {
    const made = new (loadIoredis().Redis)(url, {
      lazyConnect: true,
      enableOfflineQueue: false,
      maxRetriesPerRequest: 0,
      commandTimeout: timeoutMs,
      connectTimeout: timeoutMs,
      connectionName: 'gatehouse-telemetry',
      retryStrategy: () => null,
    })
    // The reason of a failed connection is told here, and only afterwards that it is closed.
    let reason: Error | null = null
    made.on('error', (error) => {
      reason ??= error
    })
    try {
      await made.connect()
      return made
    } catch (error) {
      made.disconnect()
      throw reason ?? error
    }
  }

  return {
    async read() {
      redis ??= await connect()
      const asked = redis
      try {
        const startedAt = performance.now()
        await asked.ping()
        const pingSeconds = (performance.now() - startedAt) / 1000
        const clockAheadSeconds = await readClock(asked)
        const info = readInfo(await asked.info())
        return { pingSeconds, clockAheadSeconds, info, maxClients: await readMaxClients(asked, info) }
      } catch (error) {
        asked.disconnect()
        if (redis === asked) redis = null
        throw error
      }
    },
    close() {
      redis?.disconnect()
      redis = null
    },
  }
}

async function readClock(redis: Redis): Promise<number | null> {
  const askedAt = Date.now()
  const told = await redis.time().catch(() => null)
  return told === null ? null : Number(told[0]) + Number(told[1]) / 1e6 - (askedAt + Date.now()) / 2000
}

async function readMaxClients(redis: Redis, info: Readonly<Record<string, string>>): Promise<number | null> {
  if (info.maxclients !== undefined) return Number(info.maxclients)
  const answer = (await redis.config('GET', 'maxclients').catch(() => [])) as string[]
  return answer[1] === undefined ? null : Number(answer[1])
}

/** https://redis.io/docs/latest/commands/info/: `name:value` a line, sections as comments. */
function readInfo(text: string): Record<string, string> {
  const members = text.split('\r\n').flatMap((line) => {
    const at = line.indexOf(':')
    return line.startsWith('#') || at < 0 ? [] : [[line.slice(0, at), line.slice(at + 1)] as const]
  })
  return Object.fromEntries(members)
}
