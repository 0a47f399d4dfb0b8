import { describe, expect, test } from 'vitest'
import type { Candidate, ServedModel } from '../models.ts'
import { planRoute } from './plan.ts'

const noNeeds = { tools: false, structuredOutput: false, images: () => false }

function candidate(id: string, over: Partial<Candidate> = {}): Candidate {
  const can = { tools: true, structuredOutput: true, images: true }
  return {
    id,
    priority: 100,
    weight: 100,
    can,
    timeoutMs: 1000,
    maxRetries: 0,
    providerModel: id,
    ...over,
  } as Candidate
}
function model(...candidates: Candidate[]): ServedModel {
  return { id: 'mdl_1', name: 'm', createdAt: 0, maxOutputTokens: null, candidates }
}
/** A fixed sequence of draws, so that a share is counted and not hoped for. */
function sweep(draws: number): () => number {
  let i = 0
  return () => ((i++ % draws) + 0.5) / draws
}

describe('planning a route', () => {
  test('priority was ignored in the pick: 400 calls went 107 to 293 by weight alone', () => {
    const high = candidate('high', { priority: 1000, weight: 1 })
    const low = candidate('low', { priority: 0, weight: 1000 })
    for (const draw of [0, 0.3, 0.999]) {
      expect(planRoute(model(low, high), noNeeds, () => draw).map((c) => c.id)).toEqual(['high', 'low'])
    }
  })

  test('inside a tier the first place is shared in proportion to weight', () => {
    const [a, b] = [candidate('a', { weight: 300 }), candidate('b', { weight: 100 })]
    const random = sweep(400)
    const first = { a: 0, b: 0 }
    for (let i = 0; i < 400; i++) {
      // One draw decides the first place, the other only empties the tier.
      const [chosen] = planRoute(model(a, b), noNeeds, () => random())
      random()
      first[chosen!.id as 'a' | 'b']++
    }
    expect(first.a / first.b).toBeCloseTo(3, 0)
  })

  test('a weight of 0 stays behind while its tier has others, and still serves when it is all there is', () => {
    const idle = candidate('idle', { weight: 0 })
    const busy = candidate('busy', { weight: 1 })
    for (const draw of [0, 0.5, 0.999]) {
      expect(planRoute(model(idle, busy), noNeeds, () => draw).map((c) => c.id)).toEqual(['busy', 'idle'])
    }
    expect(planRoute(model(idle), noNeeds, () => 0.5).map((c) => c.id)).toEqual(['idle'])
  })

  test('capability flags were stored and never used: who cannot do it is not asked', () => {
    const plain = candidate('plain', { can: { tools: false, structuredOutput: true, images: true } })
    const able = candidate('able', { priority: 1 })
    expect(planRoute(model(plain, able), { ...noNeeds, tools: true }, () => 0).map((c) => c.id)).toEqual(['able'])
  })

  test('a need that nobody meets is refused by the name of the parameter', () => {
    const plain = candidate('plain', { can: { tools: true, structuredOutput: false, images: false } })
    const plan = (needs: Partial<typeof noNeeds>) => () => planRoute(model(plain), { ...noNeeds, ...needs }, () => 0)
    expect(plan({ images: () => true })).toThrow(
      expect.objectContaining({ code: 'unsupported_parameter', param: 'messages' }),
    )
    expect(plan({ structuredOutput: true })).toThrow(expect.objectContaining({ param: 'response_format' }))
  })

  test('a model that nobody serves says so, and is not an unknown model', () => {
    expect(() => planRoute(model(), noNeeds, () => 0)).toThrow(
      expect.objectContaining({ code: 'no_provider', status: 503 }),
    )
  })
})
