import type { Clock } from '../../kernel/clock.ts'
import type { Counter } from './counter.ts'
import { createMemoryTallies } from './memory-tallies.ts'

type Window = { endsAt: number; count: number }

/**
 * Counts in this process. Ended windows are forgotten; beyond `maxWindows` the oldest go too, so that a flood of
 * invented keys costs precision and never memory.
 */
export function createMemoryCounter({ clock, maxWindows = 100_000 }: { clock: Clock; maxWindows?: number }): Counter {
  const windows = new Map<string, Window>()
  const { clear, ...tallies } = createMemoryTallies({ clock, maxWindows })
  let sweepAt = Math.min(1000, maxWindows)
  let sweptMs = 0

  function makeRoom(now: number): void {
    // Each sweep pays for as many entries as were added since the last; at the bound at most once a second.
    if (windows.size >= sweepAt && (windows.size < maxWindows || now - sweptMs >= 1000)) {
      for (const [key, window] of windows) if (window.endsAt <= now) windows.delete(key)
      sweepAt = Math.min(Math.max(1000, 2 * windows.size), maxWindows)
      sweptMs = now
    }
    for (const oldest of windows.keys()) {
      if (windows.size < maxWindows) break
      windows.delete(oldest)
    }
  }

  return {
    ...tallies,
    take(key, limit, windowMs, cost = 1) {
      const now = clock.now()
      const endsAt = now - (now % windowMs) + windowMs
      const id = `${windowMs}:${key}`
      let window = windows.get(id)
      if (window === undefined) {
        makeRoom(now)
        window = { endsAt, count: 0 }
        windows.set(id, window)
      } else if (window.endsAt !== endsAt) {
        window.endsAt = endsAt
        window.count = 0
      }
      const allowed = window.count + cost <= limit
      if (allowed) window.count += cost
      return { allowed, limit, remaining: Math.max(0, limit - window.count), resetMs: endsAt - now }
    },
    async close() {
      windows.clear()
      clear()
    },
  }
}
