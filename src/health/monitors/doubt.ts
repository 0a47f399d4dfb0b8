import type { Clock } from '../../kernel/clock.ts'

/**
 * Whether it is our own network that is down. Several hosts that fail together, and none that answers, say more about us
 * than about them; so does a reference nobody else depends on. Doubt has an end: a network that really lost everything
 * must not stay a mystery.
 */
export type Doubt = {
  /** What a host was found to do. */
  note(host: string, isNetworkFailure: boolean): void
  isNetworkDown(): Promise<boolean>
  /** What was last decided. */
  isDoubting(): boolean
}

const freshMs = 120_000
const leastHosts = 3
const cacheMs = 5000

export function createDoubt({
  clock,
  references,
  reach,
  longestMs,
}: {
  clock: Pick<Clock, 'monotonic'>
  references: readonly string[]
  /** Rejects when a reference cannot be reached. */
  reach(reference: string): Promise<unknown>
  longestMs: number
}): Doubt {
  const hosts = new Map<string, { isFailing: boolean; at: number }>()
  let since: number | null = null
  let asked: { at: number; isReached: Promise<boolean> } | null = null

  function isEverybodySilent(): boolean {
    const now = clock.monotonic()
    let [total, failing] = [0, 0]
    for (const [host, { isFailing, at }] of hosts) {
      if (now - at > freshMs) hosts.delete(host)
      else {
        total++
        if (isFailing) failing++
      }
    }
    return failing >= leastHosts && failing === total
  }

  function isReferenceReached(): Promise<boolean> {
    const now = clock.monotonic()
    if (asked === null || now - asked.at > cacheMs) {
      const isReached = Promise.any(references.map(reach)).then(
        () => true,
        () => false,
      )
      asked = { at: now, isReached }
    }
    return asked.isReached
  }

  return {
    note(host, isFailing) {
      // What this machine says of itself goes through no network.
      if (/^(localhost|127\.|::1$)/.test(host)) return
      hosts.set(host, { isFailing, at: clock.monotonic() })
      if (!isFailing) since = null
    },
    async isNetworkDown() {
      const isDown = references.length > 0 ? !(await isReferenceReached()) : isEverybodySilent()
      if (!isDown) {
        since = null
        return false
      }
      since ??= clock.monotonic()
      return clock.monotonic() - since < longestMs
    },
    isDoubting: () => since !== null && clock.monotonic() - since < longestMs,
  }
}
