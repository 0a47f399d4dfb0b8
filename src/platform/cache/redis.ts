import type { Redis } from '../redis.ts'
import { type Cache, mostBytes } from './cache.ts'

const prefix = 'gatehouse:cache:'

/** Keeps entries in Redis for all nodes; which ones go when it is full is Redis' own setting (`maxmemory-policy`). */
export function createRedisCache({ redis }: { redis: Redis }): Cache {
  return {
    get: (key) => redis.getBuffer(prefix + key).catch(() => null),
    async set(key, value, ttlMs) {
      if (value.length > mostBytes || ttlMs <= 0) return
      await redis.set(prefix + key, value, 'PX', Math.ceil(ttlMs)).catch(() => null)
    },
    async clear() {
      let count = 0
      for await (const keys of redis.scanStream({ match: `${prefix}*`, count: 500 }) as AsyncIterable<string[]>) {
        if (keys.length > 0) count += await redis.unlink(...keys)
      }
      return count
    },
    close: async () => {},
  }
}
