import { type Clock, systemClock } from '../../kernel/clock.ts'
import { defineScript, type Redis } from '../redis.ts'
import type { Counter } from './counter.ts'
import { createRedisTallies } from './redis-tallies.ts'

// One script, so that nobody counts between the look and the step.
const take = defineScript(`
local count = tonumber(redis.call('GET', KEYS[1]) or '0')
local limit, cost = tonumber(ARGV[1]), tonumber(ARGV[2])
if count + cost > limit then return {0, count} end
if cost > 0 then
  count = redis.call('INCRBY', KEYS[1], cost)
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
end
return {1, count}
`)

/** Counts in Redis for all nodes. `take` rejects with `unavailable` when Redis does not answer. */
export function createRedisCounter({ redis, clock }: { redis: Redis; clock: Clock }): Counter {
  return {
    ...createRedisTallies(clock === systemClock ? { redis } : { redis, clock }),
    async take(key, limit, windowMs, cost = 1) {
      const now = clock.now()
      const startsAt = now - (now % windowMs)
      const resetMs = startsAt + windowMs - now
      // The window is part of the name: nodes whose clocks differ by a little count in the same one, and none resets it.
      const name = `gatehouse:counter:${windowMs}:${startsAt}:${key}`
      const answer = (await take(redis, [name], [limit, cost, resetMs])) as [number, number]
      const [allowed, count] = answer
      return { allowed: allowed === 1, limit, remaining: Math.max(0, limit - count), resetMs }
    },
    close: async () => {},
  }
}
