import type { Candidate, LiveKey, ServedModel } from '../models.ts'
import type { Planner, RouteAsk } from './plan.ts'
import { createTraffic } from './traffic.ts'
import { noWish } from './wish.ts'

/** Candidates, models and requests for tests, with only what they say made up. */

export function testCandidate(id: string, over: Partial<Candidate> = {}, keys: Partial<LiveKey>[] = [{}]): Candidate {
  const siblings: Candidate[] = []
  for (const [place, key] of keys.entries()) {
    const keyId = key.id ?? `${id}-key-${place}`
    siblings.push({
      id,
      provider: { id: `prv_${id}`, name: id, kind: { type: 'openai' }, mask: (text: string) => text },
      providerModel: id,
      priority: 100,
      weight: 100,
      can: { tools: true, structuredOutput: true, images: true },
      timeoutMs: 1000,
      maxRetries: 0,
      firstTokenMs: null,
      idleMs: null,
      tenants: null,
      tags: [],
      contextTokens: null,
      transforms: [],
      pair: `${id}\n${keyId}`,
      told: JSON.stringify({ provider: id, key: keyId, model: id, tier: 100 }),
      siblings,
      ...over,
      key: {
        id: keyId,
        name: keyId,
        weight: 1,
        rateLimit: null,
        tokenLimit: null,
        concurrencyLimit: null,
        deadBecause: '',
        ...key,
      },
    } as unknown as Candidate)
  }
  return siblings[0]!
}

export function testModel(candidates: Candidate[], over: Partial<ServedModel> = {}): ServedModel {
  const told = '"m"'
  const named = {
    id: 'mdl_1',
    name: 'm',
    told,
    createdAt: 0,
    maxOutputTokens: null,
    aliasOf: '',
    policy: '',
    groups: [],
  }
  return { ...named, abortPolicy: '', mirror: null, candidates, ...over }
}

export function testAsk(over: Partial<RouteAsk> = {}): RouteAsk {
  const needs = { tools: false, structuredOutput: false, images: () => false }
  return { needs, wish: noWish, tenantId: 'ten_1', affinity: '', inputTokens: () => 0, ...over }
}

export const testBreaker = {
  windowMs: 10_000,
  minCalls: 4,
  failurePercent: 50,
  openMs: 1000,
  maxOpenMs: 8000,
  probes: 2,
}

/** A planner on a clock that only `at` moves. */
export function testPlanner(random: () => number = () => 0): Planner & { at(ms: number): void } {
  let now = 0
  const traffic = createTraffic({ breaker: testBreaker, budget: { percent: 20, perSecond: 1 }, random: () => 0 })
  return {
    traffic,
    random,
    clock: { monotonic: () => now },
    defaultPolicy: 'weighted',
    priceOf: () => null,
    turn: (modelId) => traffic.turn(modelId),
    at(ms) {
      now = ms
    },
  }
}
