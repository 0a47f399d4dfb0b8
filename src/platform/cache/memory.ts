import { LRUCache } from 'lru-cache'
import type { Clock } from '../../kernel/clock.ts'
import { type Cache, mostBytes } from './cache.ts'

/** Keeps at most `maxBytes` in this process, keys included; those used longest ago go first. */
export function createMemoryCache({ clock, maxBytes }: { clock: Clock; maxBytes: number }): Cache {
  const entries = new LRUCache<string, Buffer>({
    maxSize: maxBytes,
    sizeCalculation: (value, key) => value.length + key.length,
    // Asked at each look: this cache has no timers. A time of 0 would mean "never expires" to it.
    perf: { now: () => clock.monotonic() + 1 },
    ttlResolution: 0,
  })
  return {
    get: (key) => entries.get(key) ?? null,
    set(key, value, ttlMs) {
      if (value.length <= mostBytes && ttlMs > 0) entries.set(key, value, { ttl: ttlMs })
    },
    clear() {
      const count = entries.size
      entries.clear()
      return count
    },
    close: async () => entries.clear(),
  }
}
