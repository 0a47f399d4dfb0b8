import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createRetryBudget } from './retry-budget.ts'

test('5.6.42 repeats are at most their share of calls, what time earns, and one burst', () => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom('call', 'repeat', 'second'), { maxLength: 400 }),
      fc.integer({ min: 0, max: 100 }),
      fc.integer({ min: 0, max: 20 }),
      (steps, percent, perSecond) => {
        const budget = createRetryBudget({ percent, perSecond })
        let [calls, repeats, nowMs] = [0, 0, 0]
        for (const step of steps) {
          if (step === 'second') nowMs += 1000
          else if (step === 'call') {
            calls++
            budget.earn()
          } else if (budget.spend(nowMs)) repeats++
        }
        const burst = Math.max(10, perSecond * 10)
        expect(repeats).toBeLessThanOrEqual(burst + (calls * percent) / 100 + (nowMs / 1000) * perSecond + 1e-6)
      },
    ),
  )
})

test('5.6.42 a storm runs dry, and calm fills it again', () => {
  const budget = createRetryBudget({ percent: 20, perSecond: 1 })
  for (let repeat = 0; repeat < 10; repeat++) expect(budget.spend(0)).toBe(true)
  expect(budget.spend(0)).toBe(false)
  for (let call = 0; call < 5; call++) budget.earn()
  expect(budget.spend(0)).toBe(true)
  expect(budget.spend(0)).toBe(false)
  expect(budget.spend(1000)).toBe(true)
  expect(budget.left(100_000)).toBe(10)
})
