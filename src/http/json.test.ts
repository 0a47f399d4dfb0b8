import fc from 'fast-check'
import { expect, test } from 'vitest'
import { findJsonError, parseJson } from './json.ts'

test.each([
  ['{a}', 1],
  ['hello', 0],
  ['{"a":1,}', 7],
  ['[1,2', 4],
  ['[1 2]', 3],
  ['{"a" 1}', 5],
  ['{"a":"b\u0001"}', 7],
  ['{"a":"\\x"}', 6],
  ['[01]', 2],
  ['{} {}', 3],
  ['[]]', 2],
  ['', 0],
  ['[1,]', 3],
])('%j stops being JSON at %i', (text, position) => {
  expect(() => JSON.parse(text)).toThrow()
  expect(findJsonError(text)).toBe(position)
})

test('the place is told as position, line and column', () => {
  expect(() => parseJson('{\n  "a": 1,\n  b: 2\n}')).toThrow('position 14 (line 3, column 3)')
})

test('a byte order mark is skipped', () => {
  expect(parseJson(Buffer.from('\ufeff{"a":1}'))).toEqual({ a: 1 })
})

test('the scan accepts exactly what the engine accepts', () => {
  const broken = fc
    .tuple(fc.json(), fc.nat(), fc.constantFrom('', ',', '}', ']', '"', '\\', 'x', '1', '\n'))
    .map(([text, at, put]) => {
      const i = at % (text.length + 1)
      return text.slice(0, i) + put + text.slice(i + 1)
    })
  fc.assert(
    fc.property(fc.oneof(fc.json(), broken), (text) => {
      let accepted = true
      try {
        JSON.parse(text)
      } catch {
        accepted = false
      }
      const end = findJsonError(text)
      // Whole JSON scans to its end; a broken text may also end too early there, but never beyond.
      if (accepted) expect(end).toBe(text.length)
      else expect(end).toBeLessThanOrEqual(text.length)
    }),
    { numRuns: 500 },
  )
})
