import { Breaker, type BreakerSettings } from '../../kernel/breaker.ts'
import { createRetryBudget, type RetryBudget } from '../../kernel/retry-budget.ts'
import type { Candidate, RoutingTable } from '../models.ts'
import { KeyLadder, type KeyState } from './key-ladder.ts'

/** What this node has seen of its candidates: who is busy, how fast, and who is better left alone. */
export type Traffic = {
  pairOf(candidate: Candidate): Pair
  keyOf(candidate: Candidate): KeyLadder
  /** Where a key stands, by its id; one that was never used is ready. */
  keyStanding(keyId: string, nowMs: number): { state: KeyState; reason: string; restMs: number }
  /** Calls of a model so far; `turn` counts one more. */
  turn(modelId: string): number
  peekTurn(modelId: string): number
  budget: RetryBudget
  /** Forgets what is no longer in the table and takes over which keys are dead: the memory of it is bounded by it. */
  follow(table: RoutingTable): void
  pairs(): Iterable<Pair>
}

export type TrafficSettings = {
  breaker: BreakerSettings
  budget: { percent: number; perSecond: number }
  random: () => number
}

/** Older calls weigh less by e for each so many milliseconds. */
const latencyDecayMs = 10_000

/** A provider with one key and one model. */
export class Pair {
  readonly provider: string
  readonly keyId: string
  readonly model: string
  readonly breaker: Breaker
  inFlight = 0
  latencyMs: number | null = null
  /** Monotonic time of the last attempt that said something of it; null before. */
  heardAt: number | null = null
  private latencyAt = 0

  constructor({ provider, key, providerModel }: Candidate, settings: BreakerSettings, random: () => number) {
    this.provider = provider.name
    this.keyId = key.id
    this.model = providerModel
    this.breaker = new Breaker(settings, random)
  }

  /** Peak EWMA: a slow call counts at once and whole, fast ones make good for it only in time. */
  sawLatency(ms: number, nowMs: number): void {
    if (this.latencyMs === null || ms >= this.latencyMs) this.latencyMs = ms
    else {
      const kept = Math.exp(-Math.max(0, nowMs - this.latencyAt) / latencyDecayMs)
      this.latencyMs = this.latencyMs * kept + ms * (1 - kept)
    }
    this.latencyAt = nowMs
  }
}

export function createTraffic({ breaker, budget, random }: TrafficSettings): Traffic {
  const pairs = new Map<string, Pair>()
  const keys = new Map<string, KeyLadder>()
  const turns = new Map<string, number>()

  return {
    pairOf(candidate) {
      let pair = pairs.get(candidate.pair)
      if (pair === undefined) {
        pair = new Pair(candidate, breaker, random)
        pairs.set(candidate.pair, pair)
      }
      return pair
    },
    keyOf({ key }) {
      let ladder = keys.get(key.id)
      if (ladder === undefined) {
        ladder = new KeyLadder(random, key.deadBecause !== '')
        keys.set(key.id, ladder)
      }
      return ladder
    },
    keyStanding(keyId, nowMs) {
      const ladder = keys.get(keyId)
      if (ladder === undefined) return { state: 'ready', reason: '', restMs: 0 }
      return { state: ladder.state(nowMs), reason: ladder.restReason(nowMs), restMs: ladder.restMs(nowMs) }
    },
    turn(modelId) {
      const turn = turns.get(modelId) ?? 0
      turns.set(modelId, turn + 1)
      return turn
    },
    peekTurn: (modelId) => turns.get(modelId) ?? 0,
    budget: createRetryBudget(budget),
    follow(table) {
      const [livePairs, liveKeys, liveModels] = [new Set<string>(), new Map<string, boolean>(), new Set<string>()]
      for (const model of table.models.values()) {
        liveModels.add(model.id)
        for (const { siblings } of model.candidates) {
          for (const { pair, key } of siblings) {
            livePairs.add(pair)
            liveKeys.set(key.id, key.deadBecause !== '')
          }
        }
      }
      for (const pair of pairs.keys()) if (!livePairs.has(pair)) pairs.delete(pair)
      for (const [id, ladder] of keys) {
        const isDead = liveKeys.get(id)
        // Gone, revived by a person, or found dead by another node: either way it begins anew from the table.
        if (isDead === undefined || isDead !== (ladder.state(0) === 'dead')) keys.delete(id)
      }
      for (const id of turns.keys()) if (!liveModels.has(id)) turns.delete(id)
    },
    pairs: () => pairs.values(),
  }
}
