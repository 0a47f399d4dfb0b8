import { expect, test } from 'vitest'
import { makeChat, user } from '../protocols/__fixtures__/chat.ts'
import { estimateTokensIn } from './estimate.ts'

const prose = 'The quick brown fox jumps over the lazy dog. '

test('prose is about a token for four and a half letters, and grows with what is said', () => {
  const tokens = (times: number) => estimateTokensIn(makeChat({ messages: [user(prose.repeat(times))] }))
  expect(tokens(100)).toBeGreaterThan(850)
  expect(tokens(100)).toBeLessThan(1150)
  expect(tokens(1000) / tokens(100)).toBeCloseTo(10, 0)
})

test('a picture counts as a picture, not as its bytes', () => {
  const picture = (size: number) =>
    estimateTokensIn(
      makeChat({
        messages: [
          {
            role: 'user',
            parts: [
              {
                kind: 'image',
                source: { kind: 'base64', mediaType: 'image/png', base64: 'A'.repeat(size) },
                detail: null,
              },
            ],
            name: null,
          },
        ],
      }),
    )
  expect(picture(10)).toBe(picture(1_000_000))
})

test('tools and schemas are part of the prompt', () => {
  const tool = { name: 'weather', description: prose, parameters: { type: 'object' }, strict: null }
  expect(estimateTokensIn(makeChat({ tools: [tool] }))).toBeGreaterThan(estimateTokensIn(makeChat()) + 10)
})
