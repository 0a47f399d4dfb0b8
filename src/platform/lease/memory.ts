import type { Clock } from '../../kernel/clock.ts'
import type { Leases } from './lease.ts'

/** Who holds what, for every node that shares this map. */
export type LeaseBook = Map<string, { holder: symbol; endsAt: number }>

/** Leases of one process. Nodes that are given the same `book` exclude each other. */
export function createMemoryLeases({ clock, book = new Map() }: { clock: Clock; book?: LeaseBook }): Leases {
  const self = Symbol('node')
  return {
    async acquire(name, ttlMs) {
      const now = clock.monotonic()
      const held = book.get(name)
      if (held !== undefined && held.holder !== self && held.endsAt > now) return false
      book.set(name, { holder: self, endsAt: now + ttlMs })
      return true
    },
    async release(name) {
      if (book.get(name)?.holder === self) book.delete(name)
    },
    async close() {
      for (const [name, { holder }] of book) if (holder === self) book.delete(name)
    },
  }
}
