/**
 * Bytes kept for a while, in this process or in Redis for all nodes. Whoever asks must do without: an entry may be gone
 * at any time, and a Redis that is away has none. Both behave alike (`contract.test.ts`).
 */
export type Cache = {
  /** What is kept under `key`; null when there is nothing, no more, or nobody to ask. */
  get(key: string): Buffer | null | Promise<Buffer | null>
  /** Keeps `value` for `ttlMs`, if it can. Values above `mostBytes` are not kept. */
  set(key: string, value: Buffer, ttlMs: number): void | Promise<void>
  /** Forgets everything; returns how many entries there were. */
  clear(): number | Promise<number>
  close(): Promise<void>
}

/** The largest value that is kept. */
export const mostBytes = 1024 * 1024
