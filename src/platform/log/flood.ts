import type { Clock } from '../../kernel/clock.ts'
import { fingerprint } from './fingerprint.ts'
import type { Gate, LogLevel } from './levels.ts'

export type Flood = {
  /** False for a line that has been written often enough within this second. */
  lets(gate: Gate, level: LogLevel, message: string): boolean
  /** Another limit from now on. */
  limit(perSecond: number): void
  /** Tells what was left out so far. */
  settle(): void
}

type Kind = { gate: Gate; level: LogLevel; message: string; written: number; left: number }

const windowMs = 1000
/** Kinds of line within one second that are told apart; the rest counts as one. */
const mostKinds = 1000

/**
 * Lines of one module and level that are the same but for numbers and names are written `mostPerSecond` times a second;
 * how many were left out is told when the second is over. 0: no limit.
 */
export function createFlood(
  mostPerSecond: number,
  clock: Clock,
  tell: (gate: Gate, level: LogLevel, message: string, count: number) => void,
): Flood {
  let perSecond = mostPerSecond
  let kinds = new Map<string, Kind>()
  let startedMono = Number.NEGATIVE_INFINITY
  let isWaiting = false

  function settle(): void {
    const over = kinds
    kinds = new Map()
    for (const { gate, level, message, left } of over.values()) if (left > 0) tell(gate, level, message, left)
  }

  /** A flood that ends is told too, although no line comes any more. */
  function tellInTime(): void {
    if (isWaiting) return
    isWaiting = true
    void clock.sleep(windowMs).then(() => {
      isWaiting = false
      settle()
    })
  }

  return {
    settle,
    limit(most) {
      perSecond = most
    },
    lets(gate, level, message) {
      if (perSecond === 0) return true
      const now = clock.monotonic()
      if (now - startedMono >= windowMs) {
        startedMono = now
        settle()
      }
      const key = kinds.size < mostKinds ? `${gate.module}\0${level}\0${fingerprint(message)}` : ''
      let kind = kinds.get(key)
      if (kind === undefined) {
        kind = { gate, level, message, written: 0, left: 0 }
        kinds.set(key, kind)
      }
      if (kind.written < perSecond) {
        kind.written++
        return true
      }
      kind.left++
      gate.suppressed++
      tellInTime()
      return false
    },
  }
}
