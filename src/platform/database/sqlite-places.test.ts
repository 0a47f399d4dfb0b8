import { expect, test } from 'vitest'
import { placesFor } from './sqlite-places.ts'

const times = <T>(count: number, row: (index: number) => T) => Array.from({ length: count }, (_, index) => row(index))

test('what every row holds stands in the statement, the rest is bound', () => {
  const rows = times(60, (index) => [`id-${index}`, "it's", 3, null, '', index])
  expect(placesFor(rows)).toEqual({ sql: "?, 'it''s', 3.0, null, '', ?", bound: [0, 5] })
})

test('one row that differs makes a column a bound one', () => {
  const rows = times(60, (index) => [index === 59 ? 'other' : 'same', 'x'])
  expect(placesFor(rows)).toEqual({ sql: "?, 'x'", bound: [0] })
})

test('a few rows do not get a statement of their own', () => {
  expect(placesFor([['a', 0]])).toEqual({ sql: '?, ?', bound: [0, 1] })
})

test('what a literal cannot say exactly is bound', () => {
  const odd = ['nul \0', 'half \ud83d', 'x'.repeat(1000), 0.5, -0, 2 ** 60, true]
  const rows = times(60, () => odd)
  expect(placesFor(rows).bound).toEqual(odd.map((_, at) => at))
})
