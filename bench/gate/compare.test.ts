import { expect, test } from 'vitest'
import { compare, isMet } from './compare.ts'
import type { Figure } from './figures.ts'

const figure = (more: Partial<Figure>): Figure => ({
  ...{ bench: 'gateway', name: 'CPU', value: 1, better: 'less', noise: 0.2, ...more },
})
const stateOf = (now: Partial<Figure>, before: Partial<Figure>) =>
  compare([figure(now)], [figure(before)]).verdicts[0]!.state

test('a figure that is worse by more than two runs differ is a regression, in either direction', () => {
  expect(stateOf({ value: 1.25 }, { value: 1 })).toBe('worse')
  expect(stateOf({ value: 1.15 }, { value: 1 })).toBe('held')
  expect(stateOf({ value: 0.7 }, { value: 1 })).toBe('better')
  expect(stateOf({ value: 1.1, better: 'more' }, { value: 1.5 })).toBe('worse')
  expect(stateOf({ value: 1.4, better: 'more' }, { value: 1.5 })).toBe('held')
  expect(stateOf({ value: 2, better: 'more' }, { value: 1.5 })).toBe('better')
})

test('a figure around nothing does not regress by a hair', () => {
  expect(stateOf({ value: 0.03 }, { value: -0.01 })).toBe('held')
  expect(stateOf({ value: 0.3 }, { value: -0.01 })).toBe('worse')
})

test('a figure that nobody measures any more is told, one that is new is no regression', () => {
  const { verdicts, lost } = compare([figure({ name: 'new' })], [figure({ name: 'old' })])
  expect(verdicts.map(({ name, state }) => [name, state])).toEqual([['new', 'new']])
  expect(lost).toEqual(['gateway: old'])
})

test('a goal is met at the goal', () => {
  expect(isMet(figure({ value: 0.75, goal: 0.75 }))).toBe(true)
  expect(isMet(figure({ value: 12, goal: 12, better: 'more' }))).toBe(true)
  expect(isMet(figure({ value: 11.9, goal: 12, better: 'more' }))).toBe(false)
  expect(isMet(figure({}))).toBeNull()
})
