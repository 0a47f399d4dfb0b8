import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { balancePolicies } from '../../directory.ts'
import { balanceOf, balances, type Weighed } from './index.ts'

function weighed(id: string, over: Partial<Weighed> = {}): Weighed {
  return { id, weight: 100, pending: 0, latencyMs: 0, credit: 0, ...over }
}

function countPicks(name: (typeof balancePolicies)[number], members: Weighed[], keys: readonly string[]) {
  let seed = 1
  const random = () => {
    seed = (seed * 16807) % 2147483647
    return seed / 2147483647
  }
  const counts = new Map(members.map(({ id }) => [id, 0]))
  for (const hashKey of keys) {
    const { id } = balanceOf(name).pick(members, { random, hashKey })
    counts.set(id, counts.get(id)! + 1)
  }
  return [...counts.values()]
}

const keys = Array.from({ length: 6000 }, (_, i) => `caller-${i}`)

test('every policy a service may name is on the shelf', () => {
  expect(balances.map(({ name }) => name)).toEqual([...balancePolicies])
})

describe.each(balancePolicies)('%s', (name) => {
  test('picks one of those it was given', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 1000 }), { minLength: 1, maxLength: 9 }),
        fc.string(),
        (weights, key) => {
          const members = weights.map((weight, i) => weighed(`ins_${i}`, { weight }))
          const picked = balanceOf(name).pick(members, { random: () => 0.999, hashKey: key })
          expect(members).toContain(picked)
        },
      ),
    )
  })

  test('gives equal ones equal shares', () => {
    const counts = countPicks(name, [weighed('a'), weighed('b'), weighed('c')], keys)
    for (const count of counts) expect(Math.abs(count - 2000)).toBeLessThan(250)
  })
})

test('smooth weighted round-robin mixes turns: 5, 1, 1 is a a b a c a a', () => {
  const members = [weighed('a', { weight: 5 }), weighed('b', { weight: 1 }), weighed('c', { weight: 1 })]
  const turns = Array.from(
    { length: 14 },
    () => balanceOf('weighted_round_robin').pick(members, { random: () => 0, hashKey: '' }).id,
  )
  expect(turns.join(' ')).toBe('a a b a c a a a a b a c a a')
})

test('of two the less busy and the quicker is asked', () => {
  const pick = (one: Partial<Weighed>, other: Partial<Weighed>) =>
    balanceOf('power_of_two').pick([weighed('a', one), weighed('b', other)], { random: () => 0, hashKey: '' }).id
  expect(pick({ pending: 3 }, { pending: 1 })).toBe('b')
  expect(pick({ latencyMs: 10 }, { latencyMs: 40 })).toBe('a')
  expect(pick({ weight: 100, pending: 1 }, { weight: 300, pending: 1 })).toBe('b')
})

test('a hash keeps a caller where it is, and one instance fewer moves only that one’s callers', () => {
  const members = ['a', 'b', 'c', 'd'].map((id) => weighed(id))
  const placeOf = (among: Weighed[], hashKey: string) =>
    balanceOf('consistent_hash').pick(among, { random: () => 0, hashKey }).id
  const before = keys.map((key) => placeOf(members, key))
  expect(keys.map((key) => placeOf([...members].reverse(), key))).toEqual(before)
  const after = keys.map((key) => placeOf(members.slice(0, 3), key))
  for (const [i, place] of before.entries()) if (place !== 'd') expect(after[i]).toBe(place)
})

test('a hash follows weights, and passes on what is beyond an instance’s share', () => {
  const [one, three] = countPicks('consistent_hash', [weighed('a'), weighed('b', { weight: 300 })], keys)
  expect(three! / one!).toBeGreaterThan(2.6)
  expect(three! / one!).toBeLessThan(3.4)
  const busy = [weighed('a', { pending: 20 }), weighed('b'), weighed('c')]
  const [a] = countPicks('consistent_hash', busy, keys)
  expect(a).toBe(0)
})
