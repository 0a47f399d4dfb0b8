import { expect, test } from 'vitest'
import { createMetrics } from '../platform/metrics.ts'
import { createAgentNames } from './agents.ts'
import type { UsageEntry } from './schema.ts'
import { sampleEntry } from './testing.ts'

function open(most: number) {
  const metrics = createMetrics()
  const agents = createAgentNames({ metrics, most })
  return {
    nameOf: (changes: Partial<UsageEntry>) => agents.nameOf(sampleEntry(changes)),
    folded: async () => /^gatehouse_usage_agents_folded_total (\d+)$/m.exec((await metrics.render()).text)?.[1],
  }
}

test('what the caller says goes before the tag of its key, and that before its plugin service', () => {
  const { nameOf } = open(10)
  const all = { tags: ['batch', 'agent:tagged', 'agent:second'], service: 'crawler' }
  expect(nameOf({ agent: 'said', ...all })).toBe('said')
  expect(nameOf(all)).toBe('tagged')
  expect(nameOf({ service: 'crawler' })).toBe('crawler')
  expect(nameOf({})).toBe('')
})

test('a caller that makes up names has so many of them in a day, and the rest count as one', async () => {
  const { nameOf, folded } = open(3)
  const names = Array.from({ length: 50 }, (_, number) => nameOf({ agent: `made up ${number}` }))
  expect(new Set(names)).toEqual(new Set(['made up 0', 'made up 1', 'made up 2', '(other)']))
  expect(await folded()).toBe('47')
  // Names of before, of operators and of other tenants are as they were; the next day is another.
  expect(nameOf({ agent: 'made up 1' })).toBe('made up 1')
  expect(nameOf({ tags: ['agent:chosen'] })).toBe('chosen')
  expect(nameOf({ agent: 'chosen', tags: ['agent:chosen'] })).toBe('chosen')
  expect(nameOf({ agent: 'theirs', tenantId: 'ten_b' })).toBe('theirs')
  expect(nameOf({ agent: 'new', startedAt: sampleEntry().startedAt + 86_400_000 })).toBe('new')
})

test('a stranger names nobody', () => {
  expect(open(3).nameOf({ agent: 'said', keyId: '' })).toBe('')
})
