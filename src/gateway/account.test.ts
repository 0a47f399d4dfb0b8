import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { account, accountWaste, detailsOf, type Spent } from './account.ts'
import type { ChatUsage } from './chat.ts'

const body = Buffer.from(JSON.stringify({ messages: [{ role: 'user', content: 'word '.repeat(400) }] }))
const promptTokens = account({ usage: null, contentBytes: 0, contentEvents: 0 }, body, false).usage.tokensIn

function usage(changes: Partial<ChatUsage> = {}): ChatUsage {
  return {
    ...{ tokensIn: 500, tokensOut: 200, tokensCachedRead: 100, tokensCachedWrite: 0, tokensReasoning: 0 },
    ...changes,
  }
}

const seen = (contentEvents: number, more: Partial<Spent> = {}): Spent => ({
  ...{ usage: null, contentBytes: contentEvents * 4, contentEvents },
  ...more,
})

describe('4.6.25 a caller that hangs up', () => {
  test('at 0 %: the prompt is billed, which the provider has begun to read', () => {
    expect(promptTokens).toBeGreaterThan(350)
    expect(account(seen(0), body, false)).toMatchObject({
      usage: { tokensIn: promptTokens, tokensOut: 0 },
      usageSource: 'estimated',
    })
  })

  test('before any provider was asked: nothing', () => {
    expect(account(null, body, false)).toMatchObject({ usage: { tokensIn: 0, tokensOut: 0 }, usageSource: 'none' })
  })

  test('at 1 %: the prompt and the words that came', () => {
    expect(account(seen(2), body, false)).toMatchObject({ usage: { tokensIn: promptTokens, tokensOut: 2 } })
  })

  test('at 50 %: the same, never the whole answer', () => {
    expect(account(seen(100), body, false)).toMatchObject({ usage: { tokensIn: promptTokens, tokensOut: 100 } })
  })

  test("at 1 and 50 % of a stream that counts its prompt first: the provider's count, and what came of the output", () => {
    const started = usage({ tokensOut: 1 })
    for (const events of [2, 100]) {
      expect(account(seen(events, { usage: started }), body, false)).toEqual({
        usage: { ...started, tokensOut: events },
        usageSource: 'estimated',
      })
    }
  })

  test("under drain the provider's last word is billed, whatever the caller had read of it", () => {
    const drained = seen(3, { usage: usage(), isWhole: true })
    expect(account(drained, body, false)).toEqual({ usage: usage(), usageSource: 'upstream' })
  })

  test('under drain of a provider that counts nothing: the prompt and all that was read of its stream', () => {
    expect(account(seen(200, { isWhole: true }), body, false)).toMatchObject({
      usage: { tokensIn: promptTokens, tokensOut: 200 },
    })
  })
})

describe('4.6.26 neither too much nor nothing', () => {
  test('the loser of a race of which no byte was read is charged its prompt at most', () => {
    expect(accountWaste(seen(0), body, 'openai')).toEqual({
      ...{ providerType: 'openai', tokensIn: promptTokens, tokensOut: 0, tokensCachedRead: 0 },
    })
  })

  test('an attempt that no provider worked for wasted nothing', () => {
    expect(accountWaste(null, body, 'openai')).toBeUndefined()
    const nothing = usage({ tokensIn: 0, tokensOut: 0, tokensCachedRead: 0 })
    expect(accountWaste(seen(0, { usage: nothing }), body, 'openai')).toBeUndefined()
  })

  test('whatever came, a cut answer is charged no less than was reported and no more than was reported or seen', () => {
    const count = fc.nat(1e6)
    fc.assert(
      fc.property(count, count, count, count, (tokensIn, tokensOut, contentBytes, contentEvents) => {
        const reported = usage({ tokensIn, tokensOut })
        const billed = account({ usage: reported, contentBytes, contentEvents }, body, false).usage
        expect(billed.tokensIn).toBe(tokensIn)
        expect(billed.tokensOut).toBe(Math.max(tokensOut, contentEvents, Math.round(contentBytes / 4)))
      }),
    )
  })
})

describe('4.6.28 explicit zero usage is not missing usage', () => {
  const zero = usage({ tokensIn: 0, tokensOut: 0, tokensCachedRead: 0 })

  test('reported zeros of a whole answer are what is billed', () => {
    expect(account(seen(50, { usage: zero }), body, true)).toEqual({ usage: zero, usageSource: 'upstream' })
  })

  test('no report is an estimate', () => {
    expect(account(seen(50), body, true)).toMatchObject({ usage: { tokensOut: 50 }, usageSource: 'estimated' })
  })
})

test('details are what few answers have, and null without them', () => {
  expect(detailsOf(usage({ serviceTier: 'flex' }))).toBeNull()
  expect(detailsOf(usage({ tokensAudioIn: 3, searches: 1 }))).toEqual({ tokensAudioIn: 3, searches: 1 })
})
