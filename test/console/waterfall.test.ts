import { expect, test } from 'vitest'
import { barsOf } from '../../console/src/pages/call/waterfall.ts'

const attempt = (provider: string, duration_ms: number | null, waited_ms = 0) => ({
  ...{ provider, model: 'small', status: 200, code: '', duration_ms, waited_ms },
})

test('attempts stand one after the other, and the first token in the bar of the one that answered', () => {
  const [first, second] = barsOf([attempt('one', 200), attempt('two', 600, 100)], {
    latencyMs: 1000,
    firstTokenMs: 500,
  })
  expect(first).toMatchObject({ n: 1, offset: 0, parts: [{ name: 'first', ms: 200, width: 20 }] })
  expect(second).toMatchObject({
    ...{ n: 2, offset: 20 },
    parts: [
      { name: 'waited', ms: 100, width: 10 },
      { name: 'first', ms: 200, width: 20 },
      { name: 'rest', ms: 400, width: 40 },
    ],
  })
})

test('a plain call of which only the whole time is known fills its bar, and none is wider than the window', () => {
  expect(barsOf([attempt('one', null)], { latencyMs: 800, firstTokenMs: null })).toMatchObject([
    { durationMs: 800, parts: [{ name: 'first', ms: 800, width: 100 }] },
  ])
  const bars = barsOf([attempt('one', 900), attempt('two', 900)], { latencyMs: 1000, firstTokenMs: 5000 })
  for (const { offset, parts } of bars)
    expect(parts.reduce((sum, { width }) => sum + width, offset)).toBeLessThanOrEqual(100.001)
})
