import { describe, expect, test } from 'vitest'
import type { Candidate } from '../../models.ts'
import { testCandidate } from '../testing.ts'
import { policies, policyOf } from './index.ts'
import type { PolicyAsk } from './policy.ts'

function ask(over: Partial<PolicyAsk> = {}): PolicyAsk {
  const nothing = { inFlight: () => 0, latencyMs: () => null, priceNanoUsd: () => null }
  return { random: () => 0.5, turn: () => 0, nowMs: 0, affinity: '', ...nothing, ...over }
}
const ids = (candidates: readonly Candidate[]) => candidates.map(({ id }) => id)
const tier = ['a', 'b', 'c', 'd'].map((id) => testCandidate(id))
/** Numbers by candidate, as policies ask for them. */
const by = (numbers: Record<string, number>) => (candidate: Candidate) => numbers[candidate.id] ?? null

describe.each(policies)('the policy $name', (policy) => {
  test('leaves nobody out, doubles nobody and changes nothing it was given', () => {
    const given = Object.freeze([...tier])
    for (const affinity of ['', 'session']) {
      for (let draw = 0; draw < 1; draw += 0.07) {
        const order = policy.order(given, ask({ affinity, random: () => draw, turn: () => Math.round(draw * 100) }))
        expect([...ids(order)].sort()).toEqual(['a', 'b', 'c', 'd'])
      }
    }
    expect(ids(policy.order([tier[0]!], ask()))).toEqual(['a'])
    expect(policy.order([], ask())).toEqual([])
  })

  test('a weight of 0 comes last', () => {
    const idle = testCandidate('idle', { weight: 0 })
    for (let draw = 0; draw < 1; draw += 0.1) {
      const order = policy.order(
        [idle, ...tier],
        ask({ affinity: 'session', random: () => draw, priceNanoUsd: by({ a: 1, b: 1, c: 1, d: 1 }) }),
      )
      expect(order.at(-1)!.id).toBe('idle')
    }
  })

  test('is found by its name', () => {
    expect(policyOf(policy.name)).toBe(policy)
  })
})

test('round-robin gives each its turn', () => {
  let turn = 0
  const first = () => policyOf('round-robin').order(tier, ask({ turn: () => turn++ }))[0]!.id
  expect([first(), first(), first(), first(), first()]).toEqual(['a', 'b', 'c', 'd', 'a'])
})

test('least-busy asks whoever has the fewest calls for its weight', () => {
  const strong = testCandidate('strong', { weight: 400 })
  const order = policyOf('least-busy').order(
    [...tier.slice(0, 2), strong],
    ask({ inFlight: by({ a: 3, b: 2, strong: 4 }) as (candidate: Candidate) => number }),
  )
  expect(ids(order)).toEqual(['strong', 'b', 'a'])
})

test('lowest-latency takes the better of two, counts calls under way, and tries who was never asked', () => {
  const policy = policyOf('lowest-latency')
  const two = tier.slice(0, 2)
  const at = (latency: Record<string, number>, busy: Record<string, number> = {}) =>
    policy.order(two, ask({ latencyMs: by(latency), inFlight: (candidate) => busy[candidate.id] ?? 0 }))[0]!.id
  expect(at({ a: 100, b: 300 })).toBe('a')
  expect(at({ a: 100, b: 300 }, { a: 5 })).toBe('b')
  expect(at({ a: 100 })).toBe('b')
})

test('lowest-cost asks the cheapest, and those of unknown price last', () => {
  expect(ids(policyOf('lowest-cost').order(tier, ask({ priceNanoUsd: by({ a: 9, c: 1, d: 5 }) })))).toEqual([
    'c',
    'd',
    'a',
    'b',
  ])
})

test('sticky shares sessions in proportion to weight', () => {
  const heavy = testCandidate('heavy', { weight: 300 })
  let taken = 0
  for (let session = 0; session < 2000; session++) {
    if (policyOf('sticky').order([tier[0]!, heavy], ask({ affinity: `s${session}` }))[0]!.id === 'heavy') taken++
  }
  expect(taken / 2000).toBeGreaterThan(0.7)
  expect(taken / 2000).toBeLessThan(0.8)
})
