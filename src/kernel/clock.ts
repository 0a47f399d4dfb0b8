/**
 * Time as an argument. `now` is for storage and comparison with the world (UTC epoch milliseconds); `monotonic` is for
 * durations and never goes backwards. `sleep` ends early, without error, when `signal` aborts.
 */
export type Clock = {
  now(): number
  monotonic(): number
  sleep(ms: number, signal?: AbortSignal): Promise<void>
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  sleep: (ms, signal) =>
    new Promise((resolve) => {
      if (signal?.aborted) return resolve()
      const finish = () => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', finish)
        resolve()
      }
      const timer = setTimeout(finish, ms)
      signal?.addEventListener('abort', finish)
    }),
}

/** Waits for `work`, but no longer than `ms`: false when it was not over by then. Leaves no timer behind, which would keep a process. */
export async function waitAtMost(clock: Clock, ms: number, work: Promise<unknown>): Promise<boolean> {
  const over = new AbortController()
  try {
    return await Promise.race([work.then(() => true), clock.sleep(ms, over.signal).then(() => false)])
  } finally {
    over.abort()
  }
}

/** A clock that moves only when told. Sleepers wake in the order of their deadlines as `advance` passes them. */
export function createManualClock(startMs = Date.UTC(2026, 0, 1)): Clock & {
  advance(ms: number): Promise<void>
  /** Moves at once, as for a machine that slept: whoever was due meanwhile wakes once, not as often as it was due. */
  leap(ms: number): Promise<void>
} {
  let elapsed = 0
  let sleepers: { at: number; wake: () => void }[] = []
  return {
    now: () => startMs + elapsed,
    monotonic: () => elapsed,
    sleep: (ms, signal) =>
      new Promise((resolve) => {
        if (signal?.aborted || ms <= 0) return resolve()
        sleepers.push({ at: elapsed + ms, wake: resolve })
        signal?.addEventListener('abort', () => resolve(), { once: true })
      }),
    async advance(ms) {
      const target = elapsed + ms
      for (;;) {
        const next = sleepers.filter((s) => s.at <= target).sort((a, b) => a.at - b.at)[0]
        if (!next) break
        elapsed = next.at
        sleepers = sleepers.filter((s) => s !== next)
        next.wake()
        // Let whoever woke run, and perhaps sleep again, before time goes on.
        await new Promise((resolve) => setImmediate(resolve))
      }
      elapsed = target
    },
    async leap(ms) {
      elapsed += ms
      const due = sleepers.filter((s) => s.at <= elapsed).sort((a, b) => a.at - b.at)
      sleepers = sleepers.filter((s) => s.at > elapsed)
      for (const { wake } of due) wake()
      await new Promise((resolve) => setImmediate(resolve))
    },
  }
}
