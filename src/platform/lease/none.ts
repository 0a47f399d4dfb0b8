import type { Leases } from './lease.ts'

/** For a process that does no such job: every lease is somebody else's. */
export const noLeases: Leases = {
  acquire: async () => false,
  release: async () => {},
  close: async () => {},
}
