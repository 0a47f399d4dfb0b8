import type { Link } from '../processes/link.ts'
import type { Leases } from './lease.ts'

/** Leases that the supervisor grants; what a process held is free as soon as it has ended. */
export function createLinkedLeases({ link }: { link: Link }): Leases {
  const held = new Set<string>()
  return {
    async acquire(name, ttlMs) {
      const isOurs = await link.ask<boolean>('acquire', [name, ttlMs])
      if (isOurs) held.add(name)
      else held.delete(name)
      return isOurs
    },
    async release(name) {
      held.delete(name)
      await link.ask('release', [name])
    },
    async close() {
      await Promise.allSettled([...held].map((name) => link.ask('release', [name])))
      held.clear()
    },
  }
}
