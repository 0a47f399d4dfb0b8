import { randomUUID } from 'node:crypto'
import { defineScript, type Redis } from '../redis.ts'
import type { Leases } from './lease.ts'

const acquire = defineScript(`
if redis.call('GET', KEYS[1]) == ARGV[1] then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
  return 1
end
return redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) and 1 or 0
`)

// Compared before deleting: a lease that ended meanwhile may be another node's by now.
const release = defineScript(`
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
`)

/** Leases in Redis. `acquire` and `release` reject with `unavailable` when Redis does not answer. */
export function createRedisLeases({ redis }: { redis: Redis }): Leases {
  const token = randomUUID()
  const held = new Set<string>()
  const keyOf = (name: string) => `gatehouse:lease:${name}`
  return {
    async acquire(name, ttlMs) {
      const isOurs = (await acquire(redis, [keyOf(name)], [token, ttlMs])) === 1
      if (isOurs) held.add(name)
      else held.delete(name)
      return isOurs
    },
    async release(name) {
      held.delete(name)
      await release(redis, [keyOf(name)], [token])
    },
    async close() {
      // What cannot be given back ends by itself.
      await Promise.allSettled([...held].map((name) => release(redis, [keyOf(name)], [token])))
      held.clear()
    },
  }
}
