import { describe, expect, test } from 'vitest'
import { failure } from '../failures.ts'
import type { Candidate, ServedModel } from '../models.ts'
import { type Planner, planRoute, type RouteAsk } from './plan.ts'
import { testAsk, testCandidate, testModel, testPlanner } from './testing.ts'
import { noWish } from './wish.ts'

const needs = { tools: false, structuredOutput: false, images: () => false }

function order(candidates: Candidate[], ask: Partial<RouteAsk> = {}, planner: Planner = testPlanner()): string[] {
  return planRoute(testModel(candidates), testAsk(ask), planner).order.map(({ id }) => id)
}
function refusal(model: ServedModel, ask: Partial<RouteAsk> = {}, planner: Planner = testPlanner()) {
  return planRoute(model, testAsk(ask), planner).refusal
}
function reasons(candidates: Candidate[], ask: Partial<RouteAsk> = {}, planner: Planner = testPlanner()) {
  const { excluded } = planRoute(testModel(candidates), testAsk(ask), planner)
  return Object.fromEntries(excluded.map(({ candidate, reason }) => [candidate.id, reason]))
}
/** A fixed sequence of draws, so that a share is counted and not hoped for. */
function sweep(draws: number): () => number {
  let i = 0
  return () => ((i++ % draws) + 0.5) / draws
}
function openBreaker({ traffic }: Planner, candidate: Candidate): void {
  const { breaker } = traffic.pairOf(candidate)
  for (let call = 0; call < 4; call++) breaker.settle(0, 'failed', 0)
  expect(breaker.state(0)).toBe('open')
}

describe('planning a route', () => {
  test('priority was ignored in the pick: 400 calls went 107 to 293 by weight alone', () => {
    const high = testCandidate('high', { priority: 1000, weight: 1 })
    const low = testCandidate('low', { priority: 0, weight: 1000 })
    for (const draw of [0, 0.3, 0.999]) {
      expect(
        order(
          [low, high],
          {},
          testPlanner(() => draw),
        ),
      ).toEqual(['high', 'low'])
    }
  })

  test('inside a tier the first place is shared in proportion to weight', () => {
    const [a, b] = [testCandidate('a', { weight: 300 }), testCandidate('b', { weight: 100 })]
    const random = sweep(400)
    const planner = testPlanner(() => random())
    const first: Record<string, number> = { a: 0, b: 0 }
    for (let i = 0; i < 400; i++) {
      // One draw decides the first place, the other only empties the tier.
      first[order([a, b], {}, planner)[0]!]!++
    }
    expect(first.a! / first.b!).toBeCloseTo(3, 0)
  })

  test('a weight of 0 stays behind while its tier has others, and still serves when it is all there is', () => {
    const [idle, busy] = [testCandidate('idle', { weight: 0 }), testCandidate('busy', { weight: 1 })]
    for (const draw of [0, 0.5, 0.999]) {
      expect(
        order(
          [idle, busy],
          {},
          testPlanner(() => draw),
        ),
      ).toEqual(['busy', 'idle'])
    }
    expect(order([idle])).toEqual(['idle'])
  })

  test('the usual call, one way and nothing against it, makes no list of its own', () => {
    const model = testModel([testCandidate('a')])
    expect(planRoute(model, testAsk(), testPlanner()).order).toBe(model.candidates)
  })

  test('capability flags were stored and never used: who cannot do it is not asked', () => {
    const plain = testCandidate('plain', { can: { tools: false, structuredOutput: true, images: true } })
    const able = testCandidate('able', { priority: 1 })
    const ask = { needs: { ...needs, tools: true } }
    expect(order([plain, able], ask)).toEqual(['able'])
    expect(reasons([plain, able], ask)).toEqual({ plain: 'tools' })
  })

  test('a need that nobody meets is refused by the name of the parameter', () => {
    const plain = testModel([testCandidate('plain', { can: { tools: true, structuredOutput: false, images: false } })])
    expect(refusal(plain, { needs: { ...needs, images: () => true } })).toMatchObject({
      code: 'unsupported_parameter',
      param: 'messages',
    })
    expect(refusal(plain, { needs: { ...needs, structuredOutput: true } })).toMatchObject({ param: 'response_format' })
  })

  test('a model that nobody serves says so, and is not an unknown model', () => {
    expect(refusal(testModel([]))).toMatchObject({ code: 'no_provider', status: 503 })
  })
})

describe('who may serve whom', () => {
  test('what serves other tenants only does not exist for this one', () => {
    const theirs = testCandidate('theirs', { tenants: new Set(['ten_2']) })
    expect(order([theirs, testCandidate('all')])).toEqual(['all'])
    expect(refusal(testModel([theirs]))).toMatchObject({ code: 'model_not_found', status: 404 })
    expect(order([theirs], { tenantId: 'ten_2' })).toEqual(['theirs'])
  })

  test('a tag keeps to those that carry it, and binds nobody when none does', () => {
    const [eu, us] = [testCandidate('eu', { tags: ['eu'] }), testCandidate('us', { priority: 1000 })]
    expect(order([eu, us], { wish: { ...noWish, tags: ['eu'] } })).toEqual(['eu'])
    expect(reasons([eu, us], { wish: { ...noWish, tags: ['eu'] } })).toEqual({ us: 'tag' })
    expect(order([eu, us], { wish: { ...noWish, tags: ['moon'] } })).toEqual(['us', 'eu'])
  })

  test('what is too long for a candidate is not sent there, but an estimate alone refuses nobody', () => {
    const [small, large] = [
      testCandidate('small', { contextTokens: 1000, priority: 900 }),
      testCandidate('large', { contextTokens: 9000 }),
    ]
    expect(order([small, large], { inputTokens: () => 500 })).toEqual(['small', 'large'])
    expect(order([small, large], { inputTokens: () => 5000 })).toEqual(['large'])
    expect(order([small, large], { inputTokens: () => 50_000 })).toEqual(['large'])
  })

  test('providers that the caller names are asked in the order of their naming, and nobody else', () => {
    const all = [testCandidate('a', { priority: 1 }), testCandidate('b', { priority: 900 }), testCandidate('c')]
    const wish = { ...noWish, provider: 'c', fallbackProviders: ['a'] }
    expect(order(all, { wish })).toEqual(['c', 'a'])
    expect(reasons(all, { wish })).toEqual({ b: 'not_wished' })
    expect(order(all, { wish: { ...noWish, fallbackProviders: ['a', 'prv_b'] } })).toEqual(['a', 'b'])
    expect(refusal(testModel(all), { wish: { ...noWish, provider: 'x' } })).toMatchObject({
      code: 'invalid_request',
      param: 'provider',
    })
  })
})

describe('who is better left alone', () => {
  test('4.8.35 an open breaker takes its candidate out, and one probe at a time is let back in', () => {
    const [a, b] = [testCandidate('a', { priority: 900 }), testCandidate('b')]
    const planner = testPlanner()
    openBreaker(planner, a)
    expect(order([a, b], {}, planner)).toEqual(['b'])
    expect(reasons([a, b], {}, planner)).toEqual({ a: 'breaker_open' })
    planner.at(1500)
    expect(order([a, b], {}, planner)).toEqual(['a', 'b'])
    expect(planner.traffic.pairOf(a).breaker.admit(1500)).not.toBeNull()
    expect(order([a, b], {}, planner)).toEqual(['b'])
  })

  test('4.8.34 when every breaker is open the refusal says when to come back', () => {
    const [a, planner] = [testCandidate('a'), testPlanner()]
    openBreaker(planner, a)
    expect(refusal(testModel([a]), {}, planner)).toMatchObject({ code: 'no_provider', status: 503, retryAfterMs: 1000 })
  })

  test('4.8.35 a session leaves an opened candidate at once, comes home, and moves nobody else’s', () => {
    const candidates = ['a', 'b', 'c'].map((id) => testCandidate(id))
    const model = testModel(candidates, { policy: 'sticky' })
    const planner = testPlanner()
    const homes = (sessions: string[]) =>
      sessions.map((affinity) => planRoute(model, testAsk({ affinity }), planner).order[0]!.id)
    const sessions = Array.from({ length: 60 }, (_, i) => `session-${i}`)
    const before = homes(sessions)
    expect(new Set(before).size).toBe(3)
    openBreaker(planner, candidates[0]!)
    const during = homes(sessions)
    expect(during).not.toContain('a')
    for (const [i, home] of before.entries()) if (home !== 'a') expect(during[i]).toBe(home)
    planner.at(1500)
    expect(homes(sessions)).toEqual(before)
  })

  test('a key that rests comes after all others, in whatever tier, and is asked when it is all there is', () => {
    const [a, b] = [testCandidate('a', { priority: 900 }), testCandidate('b')]
    const planner = testPlanner()
    planner.traffic.keyOf(a).failed(failure('rate_limited', 429, 'x', 5000), 0)
    expect(order([a, b], {}, planner)).toEqual(['b', 'a'])
    expect(order([a], {}, planner)).toEqual(['a'])
    planner.at(6001)
    expect(order([a, b], {}, planner)).toEqual(['a', 'b'])
  })

  test('a dead key is not asked; with another key its provider is', () => {
    const dead = { deadBecause: 'revoked' }
    expect(refusal(testModel([testCandidate('a', {}, [dead])]))).toMatchObject({
      code: 'upstream_unauthorized',
      status: 424,
    })
    expect(order([testCandidate('a', {}, [dead, {}])])).toEqual(['a'])
  })
})
