import type { Clock } from './clock.ts'

/**
 * How long ago each worker of this process last finished a piece of its work. A port that answers proves nothing about
 * the loops behind it: liveness is the age of their last turn, and never the state of what they work with. A turn that
 * failed is a turn.
 */
export type Heartbeats = {
  /**
   * Says that a worker exists. `everyMs` is the longest a healthy turn takes, waiting and time-outs included; it counts
   * from now. The worker calls what it gets after every turn, and `end` when it stops on purpose.
   */
  watch(worker: string, everyMs: number): Heartbeat
  /** The workers without a turn for two intervals. */
  stalled(): Stalled[]
  list(): { worker: string; ageMs: number; everyMs: number }[]
}

export type Heartbeat = { beat(): void; end(): void }
export type Stalled = { worker: string; ageMs: number; allowedMs: number }

export function createHeartbeats(clock: Pick<Clock, 'monotonic'>): Heartbeats {
  const workers = new Map<string, { at: number; everyMs: number }>()
  const list = () =>
    [...workers].map(([worker, { at, everyMs }]) => ({ worker, ageMs: clock.monotonic() - at, everyMs }))
  return {
    watch(worker, everyMs) {
      const own = { at: clock.monotonic(), everyMs }
      workers.set(worker, own)
      return {
        beat() {
          own.at = clock.monotonic()
        },
        end() {
          if (workers.get(worker) === own) workers.delete(worker)
        },
      }
    },
    list,
    stalled: () =>
      list()
        .filter(({ ageMs, everyMs }) => ageMs > 2 * everyMs)
        .map(({ worker, ageMs, everyMs }) => ({ worker, ageMs, allowedMs: 2 * everyMs })),
  }
}

/** For tests and commands, where nobody asks. */
export const unwatched: Heartbeats = { watch: () => ({ beat() {}, end() {} }), stalled: () => [], list: () => [] }
