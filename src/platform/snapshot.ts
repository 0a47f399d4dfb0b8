import type { Clock } from '../kernel/clock.ts'
import { fail } from '../kernel/errors.ts'
import type { Log } from './log.ts'

export type SnapshotOptions<T> = {
  /** What it holds, for log lines and errors. */
  name: string
  load: () => Promise<T>
  /** A number that moves whenever what `load` reads has changed. */
  revision: () => Promise<number>
  intervalMs?: number
  clock: Clock
  log: Log
}

/**
 * A value of the store kept in memory, so that the path of a request never waits for a database. It follows the store
 * within `intervalMs` (default 1 s), and is kept as it was while the store is away.
 */
export type Snapshot<T> = {
  /** The value as last read; throws `unavailable` before the first load. */
  get(): T
  /** Loads for the first time and starts to follow the store. Rejects when that load fails, and may be called again. */
  ready(): Promise<void>
  /**
   * Resolves after a load that began no earlier than this call, so a change committed before it is in the value. Calls
   * made meanwhile share the next load. When the store is away it resolves too, and `isStale` tells.
   */
  refresh(): Promise<void>
  /** Whether the value may be out of date: the last look at the store failed or has been under way for too long. */
  isStale(): boolean
  /** Time since the value was last known to be current. */
  ageMs(): number
  stop(): void
}

export function createSnapshot<T>(options: SnapshotOptions<T>): Snapshot<T> {
  const { name, load, revision, intervalMs = 1000, clock, log } = options
  const stopping = new AbortController()
  let held: { value: T; revision: number } | null = null
  let currentAt = clock.monotonic()
  let hasFailed = false
  let isFollowing = false
  // One look at the store at a time; whoever asks while one is under way gets the one after it.
  let running: Promise<void> | null = null
  let next: Promise<void> | null = null

  async function look(isForced: boolean) {
    const startedAt = clock.monotonic()
    try {
      // Read before the value: a change between the two is then loaded once too often, never missed.
      const seen = await revision()
      if (isForced || held === null || seen !== held.revision) held = { value: await load(), revision: seen }
    } catch (error) {
      if (!hasFailed && !stopping.signal.aborted) {
        log.warn(`The store is away; ${name} are served from memory as they were`, { error })
      }
      hasFailed = true
      throw error
    }
    if (hasFailed) log.info(`The store is back; ${name} are current again`)
    hasFailed = false
    currentAt = startedAt
  }

  function start(isForced: boolean): Promise<void> {
    const mine = look(isForced).finally(() => {
      if (running === mine) running = null
    })
    running = mine
    return mine
  }

  function lookAfresh(): Promise<void> {
    if (running === null) return start(true)
    next ??= running
      .catch(() => {})
      .then(() => {
        next = null
        return start(true)
      })
    return next
  }

  async function follow() {
    for (;;) {
      await clock.sleep(intervalMs, stopping.signal)
      if (stopping.signal.aborted) return
      if (running === null && next === null) await start(false).catch(() => {})
    }
  }

  return {
    get() {
      if (held === null) throw fail('unavailable', `The hub has not read its ${name} yet`, { retryAfterMs: 1000 })
      return held.value
    },
    async ready() {
      if (held === null) await lookAfresh()
      if (isFollowing) return
      isFollowing = true
      void follow()
    },
    refresh: () => lookAfresh().catch(() => {}),
    isStale: () => held === null || hasFailed || clock.monotonic() - currentAt > 10 * intervalMs,
    ageMs: () => clock.monotonic() - currentAt,
    stop: () => stopping.abort(),
  }
}
