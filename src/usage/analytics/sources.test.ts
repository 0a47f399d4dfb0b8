import { describe, expect, test } from 'vitest'
import type { Principal } from '../../kernel/principal.ts'
import { readRange, shown } from './asked-range.ts'

const somebody = { role: 'super_admin', tenantId: '', userId: '' } as Principal
const span = { start_ms: 0, end_ms: 900_000 }
const sources = (asked: object, isBySource = false) =>
  readRange(somebody, { ...span, ...asked }, { isBySource }).filters.source

describe('whose traffic a report is of', () => {
  test('this hub’s own, demonstrations among it, unless a source is named: foreign gateways never swell its figures', () => {
    expect(sources({})).toEqual(['', 'demo'])
    expect(sources({ model: 'gpt-4o' })).toEqual(['', 'demo'])
  })

  test('a source, several of them, or every one', () => {
    expect(sources({ source: 'new-api' })).toEqual(['new-api'])
    expect(sources({ source: ['hub', 'new-api'] })).toEqual(['', 'new-api'])
    expect(sources({ source: '*' })).toBeUndefined()
    expect(sources({ source: ['new-api', '*'] })).toBeUndefined()
  })

  test('what tells sources apart shows all of them side by side', () => {
    expect(sources({}, true)).toBeUndefined()
    expect(sources({ source: 'hub' }, true)).toEqual([''])
    expect([shown('source', ''), shown('source', 'new-api'), shown('tenant', ''), shown('agent', '')]).toEqual([
      ...['hub', 'new-api', 'hub', ''],
    ])
  })
})
