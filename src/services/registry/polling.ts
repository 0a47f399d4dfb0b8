import type { Clock } from '../../kernel/clock.ts'
import type { Upstreams } from '../../platform/fetch.ts'

/** One instance with a health path. */
export type Polled = { id: string; origin: string; path: string }

export type Finding = { failures: number; found: '' | 'passing' | 'warning' | 'critical' }

/** Asks instances how they are: a bounded number at once, each at its own time so that no wave goes out. */
export type Polling = {
  /** Asks those whose turn it is, and forgets who is not among `all`. Does not wait for answers. */
  ask(all: readonly Polled[]): void
  /** Asks one now, for a newcomer that waits for its first call; its verdict, or '' while nothing is proved. */
  askNow(one: Polled): Promise<Finding['found']>
  findingOf(id: string): Finding
  /** The hub could not see: answers under way and failures so far count for nothing. */
  restart(): void
  /** Resolves when nothing is under way. */
  idle(): Promise<void>
}

type Known = Finding & { successes: number; dueAt: number; isAsked: boolean; target: string }

export type PollingOptions = {
  upstreams: Pick<Upstreams, 'get'>
  clock: Clock
  intervalMs: number
  timeoutMs: number
  concurrency: number
  failuresBeforeCritical: number
  successesBeforePassing: number
  random?: () => number
  /** Told of each answer: 'passing', 'warning' or 'failed'. */
  count(outcome: string): void
}

const largestAnswer = 64 * 1024

export function createPolling(options: PollingOptions): Polling {
  const { upstreams, clock, intervalMs, timeoutMs, concurrency, random = Math.random } = options
  const known = new Map<string, Known>()
  const underWay = new Set<Promise<void>>()
  let era = 0

  /** Consul's reading of statuses: 2xx is well, 429 is too busy, all else is a failure. */
  async function look({ origin, path }: Polled): Promise<'passing' | 'warning' | 'failed'> {
    try {
      const { status } = await upstreams.get(origin + path, { timeoutMs, maxBytes: largestAnswer, maxRedirects: 0 })
      return status >= 200 && status < 300 ? 'passing' : status === 429 ? 'warning' : 'failed'
    } catch {
      return 'failed'
    }
  }

  function record(one: Known, answer: 'passing' | 'warning' | 'failed'): void {
    options.count(answer)
    if (answer === 'failed') {
      one.successes = 0
      one.failures++
      if (one.failures >= options.failuresBeforeCritical) one.found = 'critical'
      return
    }
    one.failures = 0
    one.successes++
    if (answer === 'warning') one.found = 'warning'
    else if (one.found !== 'critical' || one.successes >= options.successesBeforePassing) one.found = 'passing'
  }

  function enter(polled: Polled): Known {
    const target = polled.origin + polled.path
    const there = known.get(polled.id)
    if (there !== undefined && there.target === target) return there
    // Spread over the first interval; a first look shall come soon.
    const dueAt = clock.monotonic() + (random() * intervalMs) / 4
    const made: Known = { failures: 0, successes: 0, found: '', dueAt, isAsked: false, target }
    known.set(polled.id, made)
    return made
  }

  async function turn(polled: Polled, one: Known): Promise<void> {
    const asked = era
    one.isAsked = true
    const answer = await look(polled)
    one.isAsked = false
    one.dueAt = clock.monotonic() + intervalMs * (0.9 + random() * 0.2)
    if (asked === era) record(one, answer)
  }

  return {
    ask(all) {
      const there = new Set(all.map(({ id }) => id))
      for (const id of known.keys()) if (!there.has(id)) known.delete(id)
      const now = clock.monotonic()
      const due = all
        .map((polled) => ({ polled, one: enter(polled) }))
        .filter(({ one }) => !one.isAsked && one.dueAt <= now)
        // Who waits longest first: with fewer hands than work, everybody has failed once before anybody has thrice.
        .sort((a, b) => a.one.dueAt - b.one.dueAt)
      for (const { polled, one } of due) {
        if (underWay.size >= concurrency) return
        const work = turn(polled, one).finally(() => underWay.delete(work))
        underWay.add(work)
      }
    },
    async askNow(polled) {
      const one = enter(polled)
      if (!one.isAsked && underWay.size < 2 * concurrency) {
        const work = turn(polled, one).finally(() => underWay.delete(work))
        underWay.add(work)
        await work
      }
      return one.found
    },
    findingOf: (id) => known.get(id) ?? { failures: 0, found: '' },
    restart() {
      era++
      for (const one of known.values()) {
        one.failures = 0
        // What was critical before stays so in the store until an answer says otherwise.
        if (one.found === 'critical') one.found = ''
      }
    },
    async idle() {
      while (underWay.size > 0) await Promise.all(underWay)
    },
  }
}
