import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { ChatResponseFormat } from '../chat.ts'
import { compareAnswers, keepAnswer } from './compare.ts'
import { canonicalJson, fitsSchema } from './fits-schema.ts'
import type { Heard } from './heard.ts'
import { firstDifference, longestCompared, similarityOf } from './similarity.ts'

const says = (text: string, more: Partial<Heard> = {}) => ({
  status: 200,
  heard: { text, toolCalls: [], finish: 'stop' as const, ...more },
})
const calls = (...toolCalls: [string, string][]) =>
  says('', { toolCalls: toolCalls.map(([name, text]) => ({ name, arguments: text })), finish: 'tool_calls' })
const numbers = { format: null, isTextKept: false }

describe('how alike two texts are', () => {
  test('is 1 for the same words, 0 where no two neighbours are the same, and something between', () => {
    expect(similarityOf('', '')).toBe(1)
    expect(similarityOf('a  b\n', ' a b')).toBe(1)
    expect(similarityOf('abc', 'xyz')).toBe(0)
    expect(similarityOf('a', '')).toBe(0)
    // Of the pairs ni ig gh ht and na ac ch ht one is shared: 2 × 1 of 8.
    expect(similarityOf('night', 'nacht')).toBe(0.25)
    expect(similarityOf('今天天气很好', '今天天气不好')).toBe(0.6)
  })

  test('is the same both ways, within 0 and 1, and looks no further than it says', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (one, other) => {
        const ratio = similarityOf(one, other)
        expect(ratio).toBe(similarityOf(other, one))
        expect(ratio).toBeGreaterThanOrEqual(0)
        expect(ratio).toBeLessThanOrEqual(1)
      }),
    )
    const same = 'x'.repeat(longestCompared)
    expect(similarityOf(`${same}one`, `${same}other`)).toBe(1)
  })

  test('the place of the first difference is found, also at an end', () => {
    expect(firstDifference('same', 'same')).toBeNull()
    expect(firstDifference('same', 'some')).toBe(1)
    expect(firstDifference('same', 'same and more')).toBe(4)
  })
})

describe('what differs', () => {
  test('tools called at once have no order, and arguments are values, not texts', () => {
    const ours = calls(['a', '{"x":1,"y":[{"p":1,"q":2}]}'], ['b', ''])
    const theirs = calls(['b', '{}'], ['a', '{ "y": [{"q":2,"p":1}], "x": 1 }'])
    expect(compareAnswers(ours, theirs, numbers)).toMatchObject({
      ...{ isEqual: true, areToolCallsEqual: true, differences: [] },
    })
    for (const other of [calls(['a', '{}']), calls(['a', '{"x":2}'], ['b', '']), says('no call')]) {
      expect(compareAnswers(ours, other, numbers)).toMatchObject({ isEqual: false, areToolCallsEqual: false })
    }
    expect(compareAnswers(calls(['a', '{bad']), calls(['a', '{bad']), numbers).areToolCallsEqual).toBe(true)
  })

  test('there is nothing to compare where one did not answer', () => {
    expect(compareAnswers(says('x'), { status: 504, heard: null }, numbers)).toMatchObject({
      ...{ isEqual: false, similarity: null, isTextEqual: null, areToolCallsEqual: null },
      differences: [{ what: 'status', at: null, first: '200', second: '504' }],
    })
  })

  test('differences are bounded in number and length, and quote nothing where texts are not kept', () => {
    const many = calls(...Array.from({ length: 500 }, (_, i): [string, string] => [`tool_${i}`, 'x'.repeat(5000)]))
    const kept = compareAnswers(many, says('y'.repeat(5000)), { format: null, isTextKept: true })
    expect(kept.differences).toHaveLength(20)
    expect(JSON.stringify(kept.differences).length).toBeLessThan(16_384)
    const bare = compareAnswers(many, says('y'.repeat(5000)), numbers)
    expect(JSON.stringify(bare.differences)).not.toMatch(/tool_\d|yy|xx/)
    const answer = keepAnswer(many.heard)
    expect(answer.length).toBeLessThan(32_768)
    expect(JSON.parse(answer)).toMatchObject({ is_cut: true })
    expect(keepAnswer(says('\u0001'.repeat(3000)).heard).length).toBeLessThan(32_768)
  })

  test('structure is checked where it was asked for, and a call of a tool is no lack of it', () => {
    const schema = { type: 'object', properties: { n: { type: 'integer' } }, required: ['n'] }
    const shaped: ChatResponseFormat = { kind: 'json_schema', name: 'x', description: null, schema, strict: null }
    const validOf = (one: string, other: string, format: ChatResponseFormat | null) =>
      compareAnswers(says(one), says(other), { format, isTextKept: false }).areSchemaValid
    expect(validOf('{"n":1}', '{"n":1.5}', shaped)).toEqual([true, false])
    expect(validOf('{"n":1}', 'Sure! {"n":1}', { kind: 'json' })).toEqual([true, false])
    expect(validOf('x', 'y', null)).toEqual([null, null])
    const { areSchemaValid } = compareAnswers(calls(['a', '{}']), says('{"n":1}'), { ...numbers, format: shaped })
    expect(areSchemaValid).toEqual([null, true])
  })
})

describe('a JSON Schema', () => {
  const tree = {
    $defs: { node: { type: 'object', properties: { next: { anyOf: [{ $ref: '#/$defs/node' }, { type: 'null' }] } } } },
    $ref: '#/$defs/node',
  }
  test.each<[unknown, Record<string, unknown>, boolean]>([
    [{ a: 1 }, { type: 'object', additionalProperties: false, properties: { a: {} } }, true],
    [{ a: 1, b: 2 }, { type: 'object', additionalProperties: false, properties: { a: {} } }, false],
    [{}, { required: ['a'] }, false],
    [null, { type: ['string', 'null'] }, true],
    [2, { type: 'integer', minimum: 1, exclusiveMaximum: 2 }, false],
    [0.3, { multipleOf: 0.1 }, true],
    ['é', { type: 'string', maxLength: 1 }, true],
    [[1, 'a'], { items: { type: 'number' } }, false],
    [[1, 'a'], { prefixItems: [{ type: 'number' }, { type: 'string' }], items: false }, true],
    [[1, 1], { uniqueItems: true }, false],
    [{ b: 1, a: [2] }, { const: { a: [2], b: 1 } }, true],
    ['c', { enum: ['a', 'b'] }, false],
    [1, { oneOf: [{ type: 'number' }, { type: 'integer' }] }, false],
    [1, { allOf: [{ type: 'number' }, { minimum: 2 }] }, false],
    [{ next: { next: null } }, tree, true],
    [{ next: { next: 3 } }, tree, false],
    [1, { $ref: '#/$defs/nowhere' }, false],
  ])('%j by %j: %s', (value, schema, fits) => {
    expect(fitsSchema(value, schema)).toBe(fits)
  })

  test('whoever wrote it, the check ends: in null when it would take too long', () => {
    expect(fitsSchema(1, { $ref: '#' })).toBeNull()
    const both = { anyOf: [{ $ref: '#' }, { $ref: '#' }], type: 'string' }
    expect(fitsSchema('x', { ...both, allOf: [{ $ref: '#' }, { $ref: '#' }] })).toBeNull()
    const list = Array.from({ length: 50_000 }, () => 0)
    expect(fitsSchema(list, { items: { type: 'number' } })).toBeNull()
  })

  test('JSON is written in one order whatever order it came in', () => {
    expect(canonicalJson({ b: [{ d: 1, c: 2 }], a: null })).toBe('{"a":null,"b":[{"c":2,"d":1}]}')
  })
})
