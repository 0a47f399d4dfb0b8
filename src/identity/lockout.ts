import { createHash } from 'node:crypto'
import type { Clock } from '../kernel/clock.ts'
import { fail, HubError } from '../kernel/errors.ts'
import { createId } from '../kernel/ids.ts'
import type { Charge, Counter, Demand } from '../platform/counter/counter.ts'
import { createMemoryCounter } from '../platform/counter/memory.ts'
import type { Log } from '../platform/log.ts'
import type { Metrics } from '../platform/metrics.ts'

/** Who tries, and at what door. */
export type Try = {
  /** What is tried for: `password`, `code`. Each is counted for itself. */
  door: string
  /** The name as typed; whether somebody has it makes no difference. */
  name: string
  /** The network it comes from, as limits count. */
  from: string
  /** Tries before this moment no longer count, in all. */
  unlockedAt: number
  /** Tries from the same network before this moment no longer count. */
  succeededAt: number
}

export type Lockout = {
  /**
   * Does `work` unless too many tries failed of late; the wait grows with them, from a minute to a day. Takes the try
   * before the work, so that tries made at once count too, and gives it back unless the work ends in
   * `invalid_credentials`. Over all nodes where there is a Redis.
   */
  attempt<T>(trial: Try, work: () => Promise<T>): Promise<T>
}

const [minute, hour] = [60_000, 3_600_000]
/** Failed tries within a time. Somebody who forgot is slowed down soon; a stranger locks nobody out from one network. */
const tiers = {
  nameFromNetwork: [
    { limit: 5, windowMs: minute },
    { limit: 10, windowMs: 15 * minute },
    { limit: 20, windowMs: 6 * hour },
  ],
  name: [
    { limit: 50, windowMs: 15 * minute },
    { limit: 200, windowMs: 24 * hour },
  ],
  network: [
    { limit: 50, windowMs: 15 * minute },
    { limit: 300, windowMs: 24 * hour },
  ],
} as const
const leaseMs = minute

export function createLockout(own: { counter: Counter; clock: Clock; log: Log; metrics: Metrics }): Lockout {
  const { counter, clock, log, metrics } = own
  // Where Redis is away people must still get in to mend it: each node counts for itself meanwhile.
  const alone = createMemoryCounter({ clock, maxWindows: 50_000 })
  let isAlone = false
  const turnedAway = metrics.counter('gatehouse_identity_locked_total', 'Tries turned away because too many failed', [
    'door',
  ])

  async function admit(holder: string, demands: readonly Demand[]) {
    try {
      const admission = await counter.admit(holder, demands, leaseMs)
      isAlone = false
      return { admission, by: counter }
    } catch (error) {
      if (!isAlone) log.warn('Failed log-ins are counted by each node for itself, as nobody counts for all', { error })
      isAlone = true
      return { admission: await alone.admit(holder, demands, leaseMs), by: alone }
    }
  }

  return {
    async attempt(trial, work) {
      const demands = demandsOf(trial)
      const holder = `login:${createId('request', clock.now())}`
      const { admission, by } = await admit(holder, demands)
      if (admission.result !== 'admitted') {
        turnedAway.with({ door: trial.door }).inc()
        const waits = admission.standings.map((standing) => (standing.isMet ? 0 : standing.resetMs))
        throw fail('rate_limited', 'too many failed tries; wait before the next one', {
          retryAfterMs: Math.max(1000, ...waits),
        })
      }
      let isFailure = false
      try {
        return await work()
      } catch (error) {
        isFailure = error instanceof HubError && error.code === 'invalid_credentials'
        throw error
      } finally {
        if (!isFailure) {
          const back = demands.map(
            ({ key, windowMs }): Charge => ({ kind: 'window', key, windowMs, at: admission.at, reserved: 1, used: 0 }),
          )
          await Promise.resolve(by.settle(holder, back)).catch((error: unknown) =>
            log.warn('A try that did not fail could not be given back', { error }),
          )
        }
      }
    },
  }
}

type WindowDemand = Extract<Demand, { kind: 'window' }>

function demandsOf({ door, name, from, unlockedAt, succeededAt }: Try): WindowDemand[] {
  const since = Math.max(unlockedAt, succeededAt)
  const kinds = [
    { key: `${name} ${from} ${since}`, of: tiers.nameFromNetwork },
    { key: `${name} ${unlockedAt}`, of: tiers.name },
    { key: from, of: tiers.network },
  ]
  return kinds.flatMap(({ key, of }, kind) =>
    of.map(({ limit, windowMs }): WindowDemand => {
      // Names of people do not belong into the keys of a shared store.
      const hidden = createHash('sha256').update(`${door} ${kind} ${key}`).digest('base64url').slice(0, 24)
      return { kind: 'window', key: `login:${hidden}:${windowMs / 1000}`, limit, cost: 1, windowMs }
    }),
  )
}
