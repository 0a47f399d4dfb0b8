import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { repository } from './imports.ts'
import { promises } from './promises.ts'

/**
 * Numbers at the beginning of the names of tests, as in `test('4.5.14 a truncated …`, and of what only time or weight can
 * show: the scenarios of `npm run soak`.
 */
function numbersHeld(): Set<string> {
  const held = new Set<string>()
  for (const file of globSync(['{src,test,bench}/**/*.test.ts', 'bench/soak/scenarios/*.ts'], { cwd: repository })) {
    if (file.startsWith('test/house/')) continue
    const text = readFileSync(join(repository, file), 'utf8')
    for (const [, numbers] of text.matchAll(/['"`]((?:[45]\.\d+\.\d+(?:, | and )?)+)[ :'"`]/g)) {
      for (const number of numbers!.split(/, | and /)) held.add(number)
    }
  }
  return held
}

test('every numbered promise is held by a test of that name', () => {
  const held = numbersHeld()
  expect(promises.filter(([number]) => !held.has(number)).map((promise) => promise.join(' '))).toEqual([])
})

test('no test claims a number that stands for nothing', () => {
  const known = new Set(promises.map(([number]) => number))
  expect([...numbersHeld()].filter((number) => !known.has(number))).toEqual([])
})
