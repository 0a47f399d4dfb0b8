import { expect, test } from 'vitest'
import { type Cell, foldFacts } from './fold.ts'
import { type CubeKey, cubeKeys, facets, hourMs, measures, quarterMs, type UsageFact } from './schema.ts'
import { spread } from './spread.ts'

const at = Date.UTC(2026, 10, 23, 10)
const amounts = Object.fromEntries(measures.map((name, index) => [name, index + 1])) as UsageFact['measures']
const fact = (changes: Partial<UsageFact> = {}): UsageFact => ({
  ...{ at, keys: {}, tags: [], measures: amounts, ...changes },
})

function spreadOf(...facts: UsageFact[]) {
  const cells = new Map<string, Cell>()
  foldFacts(cells, facts, 'prod')
  return spread(cells.values())
}

test('every measure there is arrives in every sum, each once', () => {
  const sums = spreadOf(fact(), fact(), fact({ at: at + quarterMs, keys: { user_id: 'another' } }))
  const times = (factor: number) => Object.fromEntries(measures.map((name, index) => [name, factor * (index + 1)]))
  expect(sums.usage_cube_day).toEqual([expect.objectContaining(times(2)), expect.objectContaining(times(1))])
  expect(sums.usage_cube_quarter).toEqual([expect.objectContaining(times(2)), expect.objectContaining(times(1))])
  const everything = { slot: at, facet: '', value: '', source: 'prod' }
  expect(sums.usage_facets_hour).toContainEqual(expect.objectContaining({ ...everything, ...times(3) }))
  expect(sums.usage_facets_quarter).toContainEqual(expect.objectContaining({ ...everything, ...times(2) }))
})

test('requests that differ in one key alone are rows of their own, and share the sums of the others', () => {
  for (const differing of cubeKeys) {
    const keys = Object.fromEntries(cubeKeys.map((name) => [name, `a ${name}`])) as Record<CubeKey, string>
    const sums = spreadOf(fact({ keys }), fact({ keys: { ...keys, [differing]: 'b' } }))
    expect(sums.usage_cube_day.map((row) => row[differing])).toEqual([`a ${differing}`, 'b'])
    // Those of other tenants are apart in every facet.
    const shared = sums.usage_facets_day.filter(({ facet, requests }) => facet === '' && requests === 2)
    expect(shared).toHaveLength(differing === 'tenant_id' ? 0 : 1)
  }
})

test('a request with several tags counts for each of them, one with none for none', () => {
  const sums = spreadOf(fact({ tags: ['x', 'y', 'x'] }), fact())
  const tags = sums.usage_facets_day.filter(({ facet }) => facet === 'tag')
  expect(tags.map(({ value, requests }) => [value, requests])).toEqual([
    ['', 1],
    ['x', 1],
    ['y', 1],
  ])
  expect(new Set(sums.usage_facets_day.map(({ facet }) => facet))).toEqual(new Set(['', 'tag', ...facets]))
})

test('durations of quarters add up to those of their hour, by kind, model and provider', () => {
  const keys = { model_served: 'm', provider_id: 'p', tenant_id: 't' }
  const sums = spreadOf(
    fact({ keys, latenciesMs: [1000, 1000, 5], firstTokensMs: [1000] }),
    fact({ keys: { ...keys, user_id: 'u' }, at: at + quarterMs, latenciesMs: [1000] }),
    fact({ keys: { ...keys, provider_id: 'q' }, at: at + hourMs, latenciesMs: [1000] }),
  )
  const told = sums.usage_latency_hour.map(({ slot, kind, provider_id, amount }) => [slot, kind, provider_id, amount])
  expect(told.sort()).toEqual(
    [
      [at, 'first_token', 'p', 1],
      [at, 'latency', 'p', 3],
      [at, 'latency', 'p', 1],
      [at + hourMs, 'latency', 'q', 1],
    ].sort(),
  )
  const ofTenant = sums.usage_durations_day.filter(({ facet, kind }) => facet === 'tenant' && kind === 'latency')
  expect(ofTenant.map(({ value, amount }) => [value, amount]).sort()).toEqual([
    ['t', 1],
    ['t', 4],
  ])
})
