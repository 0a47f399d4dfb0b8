import { type Clock, systemClock } from '../../kernel/clock.ts'
import type { Redis } from '../redis.ts'
import type { Counter } from './counter.ts'
import { createRedisTallies } from './redis-tallies.ts'

/** Counts in Redis for all nodes. Every verb rejects with `unavailable` when Redis does not answer. */
export function createRedisCounter({ redis, clock }: { redis: Redis; clock: Clock }): Counter {
  return { ...createRedisTallies(clock === systemClock ? { redis } : { redis, clock }), close: async () => {} }
}
