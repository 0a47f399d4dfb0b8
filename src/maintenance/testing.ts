import type { Clock } from '../kernel/clock.ts'
import type { World } from './world.ts'

/** A world in which all is well, but for what a test changes. */
export function worldOf(clock: Clock, changes: Partial<World> = {}): World {
  return {
    clock,
    verdicts: () => [{ check: 'database', state: 'ok', message: '', remedy: '' }],
    workers: () => ({ known: 3, stalled: [] }),
    logs: {
      ...{ keepDays: 30, maxTotalBytes: 1_000_000 },
      digest: async (sinceMs) => ({ lines: 0, completeSinceMs: sinceMs, entries: [] }),
      tidy: async () => ({ files: 4, bytes: 1000, oldestDay: '' }),
    },
    measure: async () => null,
    trend: async () => [],
    upkeep: {
      engine: 'sqlite',
      sizes: async () => [{ table: 'request_logs', rows: 10, bytes: null }],
      room: async () => ({ bytes: 1_000_000, freeBytes: 0 }),
      clean: async () => [{ step: 'pragma optimize', freedBytes: 0 }],
      check: async () => [],
      reindex: async () => [],
    },
    disk: () => ({ freeBytes: 50e9, totalBytes: 100e9 }),
    retained: [],
    countOverdue: async () => 0,
    backups: {
      ...{ isEnabled: true, fullEveryHours: 24, verifyEveryDays: 7, drillEveryDays: 30 },
      list: async () => [
        { id: 'bak_1', kind: 'full', takenAt: clock.now() - 1000, bytes: 10, verifiedAt: clock.now(), fault: '' },
      ],
      verify: async () => ({ rows: 10, bytes: 10 }),
      drill: async () => ({ outcome: 'ok', cause: '', rtoMs: 1500, rpoMs: 60_000, restored: ['bak_1: ok'] }),
      lastDrillAt: async () => clock.now() - 86_400_000,
    },
    secrets: async () => [],
    secretMaxAgeDays: 365,
    masterKeySince: () => clock.now(),
    openToOthers: () => [],
    advisories: async () => [],
    ...changes,
  }
}
