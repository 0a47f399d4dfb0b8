import { expect, test } from 'vitest'
import { estimateTokens, estimateTokensOfBytes } from './estimate.ts'

const english = 'The quick brown fox jumps over the lazy dog. '.repeat(20)
const chinese = '今天天气很好，我们去公园散步吧。'.repeat(20)

test('English counts by the word: ten tokens for a pangram of nine words and a point', () => {
  expect(estimateTokens(english)).toBeGreaterThan(170)
  expect(estimateTokens(english)).toBeLessThan(230)
})

test('Chinese counts by the character, not by four of them', () => {
  expect(estimateTokens(chinese)).toBeGreaterThan(chinese.length / 2)
  expect(estimateTokens(chinese)).toBeLessThan(chinese.length * 1.5)
})

test('bytes count as the text they are', () => {
  for (const text of [english, chinese]) expect(estimateTokensOfBytes(Buffer.from(text))).toBe(estimateTokens(text))
})

test('a huge text is sampled, and its estimate stays near that of the whole', () => {
  const sentence = 'Ledgers count what was consumed, 账本记录用量, and nothing else. '
  const one = estimateTokens(sentence.repeat(100)) / 100
  const huge = sentence.repeat(20_000)
  for (const estimate of [estimateTokens(huge), estimateTokensOfBytes(Buffer.from(huge))]) {
    expect(estimate).toBeGreaterThan(one * 20_000 * 0.95)
    expect(estimate).toBeLessThan(one * 20_000 * 1.05)
  }
})

test('nothing is nothing', () => {
  expect(estimateTokens('')).toBe(0)
  expect(estimateTokensOfBytes(new Uint8Array())).toBe(0)
})
