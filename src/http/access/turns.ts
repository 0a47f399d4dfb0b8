import { LRUCache } from 'lru-cache'
import type { Clock } from '../../kernel/clock.ts'

const minuteMs = 60_000
/** Who came longest ago is forgotten first; a hundred bytes each. */
const mostCallers = 50_000

/**
 * So many turns a minute for each caller, all of them at once if it likes (GCRA: one number a caller, no timers).
 * `take` answers 0, or the milliseconds until there is a turn again.
 */
export function createTurns(perMinute: number, clock: Pick<Clock, 'monotonic'>) {
  const interval = minuteMs / perMinute
  const fullAt = new LRUCache<string, number>({ max: mostCallers })
  return {
    take(caller: string): number {
      const now = clock.monotonic()
      const next = Math.max(now, fullAt.get(caller) ?? 0) + interval
      const waitMs = next - now - minuteMs
      // Floating point: a whole minute of turns must not fail by a rounding error.
      if (waitMs > 1e-6) return Math.max(1, Math.ceil(waitMs))
      fullAt.set(caller, next)
      return 0
    },
  }
}
