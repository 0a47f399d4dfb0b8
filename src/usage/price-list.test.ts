import { describe, expect, test } from 'vitest'
import { priceBook } from './price-book/index.ts'
import { createPriceList } from './price-list.ts'
import { noOtherRates, type PriceRow } from './rows.ts'
import { sampleEntry, testTime } from './testing.ts'
import { nanoFromUsd } from './usd.ts'

const book = createPriceList(priceBook(0))

function price(changes: Partial<PriceRow>): PriceRow {
  return {
    id: 'prc',
    provider_type: '',
    model: 'm',
    above_tokens_in: 0,
    input: nanoFromUsd('1'),
    output: nanoFromUsd('2'),
    cached_read: null,
    cached_write: null,
    effective_from: 0,
    ...noOtherRates,
    origin: 'operator',
    source: '',
    created_at: 0,
    ...changes,
  }
}

const chosen = (rows: PriceRow[], changes = {}) =>
  createPriceList(rows).cost(sampleEntry({ modelServed: 'm', ...changes })).priceId

describe('invoices worked out by hand', () => {
  test('OpenAI: cached tokens are part of the input and cost a tenth, once', () => {
    // gpt-5: 8 000 fresh × $1.25 + 2 000 cached × $0.125 + 1 500 out × $10, a million each
    // = $0.010 + $0.00025 + $0.015 = $0.02525
    const entry = sampleEntry({ modelServed: 'gpt-5', tokensIn: 10_000, tokensCachedRead: 2000, tokensOut: 1500 })
    expect(book.cost(entry)).toEqual({ nanoUsd: 25_250_000, priceId: 'book:gpt-5@2025-08-07' })
  })

  test('OpenAI: above 272 000 tokens the whole call costs the long price', () => {
    // gpt-6-sol, 272 000 in and 1 000 out: $0.544 + $0.010; one token more: 272 001 × $4 + 1 000 × $15
    const call = (tokensIn: number) =>
      book.cost(sampleEntry({ modelServed: 'gpt-6-sol', tokensIn, tokensOut: 1000 })).nanoUsd
    expect(call(272_000)).toBe(554_000_000)
    expect(call(272_001)).toBe(1_088_004_000 + 15_000_000)
  })

  test('Anthropic: writing to the cache costs a quarter more, reading from it a tenth', () => {
    // claude-opus-4-5: 1 000 fresh × $5 + 20 000 read × $0.50 + 4 000 written × $6.25 + 800 out × $25
    // = $0.005 + $0.010 + $0.025 + $0.020 = $0.060
    const entry = sampleEntry({
      ...{ modelServed: 'claude-opus-4-5-20251101', tokensIn: 25_000, tokensOut: 800 },
      ...{ tokensCachedRead: 20_000, tokensCachedWrite: 4000 },
    })
    expect(book.cost(entry).nanoUsd).toBe(60_000_000)
  })

  test('Google: a long prompt costs double, output included', () => {
    // gemini-2.5-pro: 300 000 × $2.50, of which 100 000 cached × $0.25, + 2 000 × $15 = $0.5 + $0.025 + $0.03
    const entry = sampleEntry({
      ...{ modelServed: 'gemini-2.5-pro', tokensIn: 300_000, tokensCachedRead: 100_000, tokensOut: 2000 },
    })
    expect(book.cost(entry).nanoUsd).toBe(555_000_000)
  })

  test('DeepSeek: a cache hit costs a fiftieth', () => {
    // deepseek-flash: 1 000 000 in, 900 000 of them hits × $0.006, 100 000 × $0.30, 50 000 out × $1.20
    // = $0.0054 + $0.030 + $0.060 = $0.0954
    const entry = sampleEntry({
      ...{ modelServed: 'deepseek-flash', tokensIn: 1_000_000, tokensCachedRead: 900_000, tokensOut: 50_000 },
    })
    expect(book.cost(entry).nanoUsd).toBe(95_400_000)
  })
})

describe('which price holds', () => {
  test('the one in force when the request arrived, not the newest', () => {
    const at = (day: string) =>
      book.cost(
        sampleEntry({ modelServed: 'gpt-5.6-terra', startedAt: Date.parse(day), tokensIn: 1_000_000, tokensOut: 0 }),
      )
    // The long price of each version: 1 000 000 tokens are above 272 000.
    expect(at('2026-07-29T23:59:59Z').nanoUsd).toBe(5_000_000_000)
    expect(at('2026-07-30T00:00:00Z').nanoUsd).toBe(4_000_000_000)
    expect(at('2026-07-01T00:00:00Z')).toEqual({ nanoUsd: null, priceId: '' })
  })

  test('one for that provider type before one for any', () => {
    const rows = [price({ id: 'any', model: 'm' }), price({ id: 'typed', model: 'm*', provider_type: 'openai' })]
    expect(chosen(rows)).toBe('typed')
    expect(chosen(rows, { providerType: 'anthropic' })).toBe('any')
  })

  test('an exact name before a prefix, a longer prefix before a shorter', () => {
    const rows = [
      price({ id: 'short', model: 'gpt*' }),
      price({ id: 'long', model: 'gpt-4*' }),
      price({ id: 'exact', model: 'gpt-4' }),
    ]
    expect(chosen(rows, { modelServed: 'gpt-4' })).toBe('exact')
    expect(chosen(rows, { modelServed: 'gpt-4-turbo' })).toBe('long')
    expect(chosen(rows, { modelServed: 'gpt-5' })).toBe('short')
    expect(chosen(rows, { modelServed: 'xgpt-5' })).toBe('')
  })

  test("the operator's before the book's, even when the book is newer", () => {
    const rows = [
      price({ id: 'ours', effective_from: 1 }),
      price({ id: 'book', origin: 'book', effective_from: 2 }),
      price({ id: 'book-long', origin: 'book', effective_from: 2, above_tokens_in: 10 }),
    ]
    expect(chosen(rows)).toBe('ours')
  })

  test("an operator's price of next month leaves the book's in force until then", () => {
    const rows = [price({ id: 'ours', effective_from: testTime + 1 }), price({ id: 'book', origin: 'book' })]
    expect(chosen(rows)).toBe('book')
    expect(chosen(rows, { startedAt: testTime + 1 })).toBe('ours')
  })

  test('of two entered for the same moment, the later one', () => {
    expect(chosen([price({ id: 'a', created_at: 2 }), price({ id: 'b', created_at: 1 })])).toBe('a')
  })

  test('the model asked for is priced when no other is known', () => {
    expect(chosen([price({ id: 'asked', model: 'fast' })], { modelServed: '' })).toBe('asked')
  })
})

test('cached rates that are not given are the input rate', () => {
  const list = createPriceList([price({ model: 'm' })])
  const entry = sampleEntry({
    modelServed: 'm',
    tokensIn: 3000,
    tokensCachedRead: 1000,
    tokensCachedWrite: 1000,
    tokensOut: 0,
  })
  expect(list.cost(entry).nanoUsd).toBe(3_000_000)
})

test('nothing used costs nothing, except where an answer came and nobody said what it used', () => {
  const nothing = { tokensIn: 0, tokensOut: 0, modelServed: 'unpriced' }
  expect(book.cost(sampleEntry({ ...nothing, outcome: 'refused', usageSource: 'none' })).nanoUsd).toBe(0)
  expect(book.cost(sampleEntry({ ...nothing, outcome: 'success', usageSource: 'upstream' })).nanoUsd).toBe(0)
  expect(book.cost(sampleEntry({ ...nothing, outcome: 'success', usageSource: 'none' })).nanoUsd).toBe(null)
})

test('providers that report more cached tokens than input are never credited', () => {
  const entry = sampleEntry({ tokensIn: 100, tokensCachedRead: 200, tokensOut: 0 })
  expect(book.cost(entry).nanoUsd).toBe(250_000)
})

test('the book has no id twice, no price below its cached price, and a source for every line', () => {
  const rows = priceBook(0)
  expect(new Set(rows.map((row) => row.id)).size).toBe(rows.length)
  for (const row of rows) {
    expect(row.source).toMatch(/https:\/\//)
    expect(Number.isInteger(row.effective_from)).toBe(true)
    if (row.cached_read !== null) expect(row.cached_read).toBeLessThan(row.input)
    if (row.cached_write !== null) expect(row.cached_write).toBe(row.input * 1.25)
  }
})
