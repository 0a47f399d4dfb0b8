/**
 * Shared counting of events in fixed windows. One process counts in memory; many nodes count in Redis, where one Lua
 * script does the whole of `take`. Both behave alike (`contract.test.ts`).
 */
export type Counter = {
  /**
   * Counts `cost` events under `key` if the current window of `windowMs` still has room for them under `limit`;
   * otherwise counts nothing. Windows are aligned to the epoch. `resetMs` is the time until the window ends.
   */
  take(key: string, limit: number, windowMs: number, cost?: number): Taken | Promise<Taken>
  close(): Promise<void>
}

export type Taken = { allowed: boolean; limit: number; remaining: number; resetMs: number }
