import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createBag } from './bag.ts'

test('holds exactly what was added and not taken out, in any order of coming and going', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: -20, max: 20 })), (steps) => {
      const bag = createBag<number>()
      const expected: { thing: number; takeOut: () => void }[] = []
      for (const step of steps) {
        if (step >= 0) expected.push({ thing: step, takeOut: bag.add(step) })
        else {
          const [gone] = expected.splice(-step % Math.max(1, expected.length), 1)
          gone?.takeOut()
          gone?.takeOut()
        }
      }
      const held: number[] = []
      bag.forEach((thing) => {
        held.push(thing)
      })
      const wanted = expected.map(({ thing }) => thing)
      expect(held.sort()).toEqual(wanted.sort())
      expect(bag.size()).toBe(wanted.length)
    }),
  )
})

test('what is taken out while it is looked over is not seen again, and nothing else is missed', () => {
  const bag = createBag<string>()
  const takers = ['a', 'b', 'c'].map((thing) => bag.add(thing))
  const seen: string[] = []
  bag.forEach((thing) => {
    seen.push(thing)
    takers[1]!()
  })
  expect(seen).toEqual(['a', 'c'])
})
