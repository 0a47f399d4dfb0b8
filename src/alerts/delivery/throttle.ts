import type { Clock } from '../../kernel/clock.ts'
import type { Rate } from '../channels/channel.ts'

/**
 * Keeps a channel within what its vendor takes: messages wait for their turn, in order, and at most so many and so long.
 * What cannot have its turn in time is told so at once, so that it can go another way.
 */
export type Throttle = {
  /** Waits for a turn. `full` and `late` at once, when there would be none within `mostMs`. */
  wait(mostMs: number, signal: AbortSignal): Promise<{ waitedMs: number } | 'full' | 'late' | 'stopped'>
  /** The vendor asks for silence. */
  pause(ms: number): void
  waiting(): number
}

export function createThrottle(own: {
  clock: Clock
  rates: readonly Rate[]
  mostWaiting(): number
  /** How long ago messages went out before this process began, oldest first. */
  sentAgoMs: readonly number[]
}): Throttle {
  const { clock, rates, mostWaiting } = own
  const longest = Math.max(1, ...rates.map(({ messages }) => messages))
  const turns = own.sentAgoMs.map((ms) => clock.monotonic() - ms).slice(-longest)
  let silentUntil = Number.NEGATIVE_INFINITY
  let waiting = 0

  /** Turns are given in order, so only the one so many places back can stand in the way. */
  function nextTurn(now: number): number {
    const earliest = rates.map(({ messages, perMs }) => {
      const before = turns[turns.length - messages]
      return before === undefined ? now : before + perMs
    })
    return Math.max(now, silentUntil, ...earliest)
  }

  return {
    async wait(mostMs, signal) {
      const begun = clock.monotonic()
      const turn = nextTurn(begun)
      if (turn - begun > mostMs) return 'late'
      if (turn > begun && waiting >= mostWaiting()) return 'full'
      turns.push(turn)
      if (turns.length > longest) turns.shift()
      waiting++
      try {
        for (let at = begun; at < Math.max(turn, silentUntil); at = clock.monotonic()) {
          if (silentUntil - begun > mostMs) return 'late'
          await clock.sleep(Math.max(turn, silentUntil) - at, signal)
          if (signal.aborted) return 'stopped'
        }
      } finally {
        waiting--
      }
      return { waitedMs: Math.round(clock.monotonic() - begun) }
    },
    pause(ms) {
      silentUntil = Math.max(silentUntil, clock.monotonic() + ms)
    },
    waiting: () => waiting,
  }
}
