import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { rewrite, scanTopLevel } from './scan.ts'

const scan = (text: string) => scanTopLevel(Buffer.from(text))
const edit = (text: string, edits: { set?: Record<string, string>; remove?: string[] }) =>
  rewrite(Buffer.from(text), scan(text)!, edits).toString()

test('the range of a value is its bytes, of a member its key and value', () => {
  const body = Buffer.from('{ "model" : "gpt \\"4\\"" ,"n":[1,{"model":2}], "π":0 }'.replace(', "π":0', ''))
  const found = scanTopLevel(body)!
  const text = (range: { start: number; end: number } | undefined) =>
    range && body.toString('utf8', range.start, range.end)
  expect(found.names).toEqual(['model', 'n'])
  expect(text(found.get('model'))).toBe('"gpt \\"4\\""')
  expect(text(found.memberRange('n'))).toBe('"n":[1,{"model":2}]')
  expect(found.get('stream')).toBeUndefined()
  expect(body[found.objectEnd]).toBe(0x7d)
})

describe('what two readers could read differently is not scanned', () => {
  const odd: [string, string][] = [
    ['a key twice', '{"model":"a","model":"b"}'],
    ['an escaped key', '{"mod\\u0065l":"a"}'],
    ['a key outside of ASCII', '{"modèl":"a"}'],
    ['a byte order mark', '\uFEFF{"model":"a"}'],
    ['bytes after the object', '{"model":"a"} {"model":"b"}'],
    ['a second object', '{}{}'],
    ['no object', '["model"]'],
    ['nothing', ''],
    ['a missing brace', '{"model":"a"'],
    ['a missing quote', '{"model":"a}'],
    ['a trailing comma', '{"model":"a",}'],
    ['a missing comma', '{"model":"a" "b":1}'],
    ['a missing colon', '{"model" "a"}'],
    ['a missing value', '{"model":}'],
    ['a bare key', '{model:"a"}'],
    ['single quotes', "{'model':'a'}"],
    ['a comment', '{/*"model":"b",*/"model":"a"}'],
    ['a comment deep inside', '{"a":[/*"*/1],"model":"a"}'],
    ['brackets that do not match', '{"a":[1},"model":"a"]}'],
    ['a literal that is none', '{"a":NaN}'],
    ['a number that is none', '{"a":01}'],
    ['a nested trailing comma', '{"a":[1,]}'],
    ['a missing nested comma', '{"a":[1 2]}'],
    ['too deep a nesting', `{"a":${'['.repeat(300)}${']'.repeat(300)}}`],
    ['UTF-16', Buffer.from('{"model":"a"}', 'utf16le').toString('latin1')],
  ]
  test.each(odd)('%s', (_name, text) => {
    expect(scan(text)).toBeNull()
  })
})

describe('rewrite', () => {
  test('5.6.46 the model is exchanged in place and every other byte stays', () => {
    expect(edit('{\n "a" : 1e2, "model":"alias" ,"z":"\\u0041"}', { set: { model: '"real"' } })).toBe(
      '{\n "a" : 1e2, "model":"real" ,"z":"\\u0041"}',
    )
  })

  test('members that were not there are added at the end, also to an empty object', () => {
    expect(edit('{"a":1 }', { set: { b: '2', c: '{"d":[]}' } })).toBe('{"a":1 ,"b":2,"c":{"d":[]}}')
    expect(edit('{ }', { set: { b: '2' } })).toBe('{ "b":2}')
  })

  test('removed members take one comma with them, wherever they stand', () => {
    expect(edit('{"a":1,"b":2,"c":3}', { remove: ['a'] })).toBe('{"b":2,"c":3}')
    expect(edit('{"a":1,"b":2,"c":3}', { remove: ['b'] })).toBe('{"a":1,"c":3}')
    expect(edit('{"a":1,"b":2,"c":3}', { remove: ['c'] })).toBe('{"a":1,"b":2}')
    expect(edit('{"a":1,"b":2,"c":3}', { remove: ['b', 'c'], set: { d: '4' } })).toBe('{"a":1,"d":4}')
    expect(edit('{"a":1}', { remove: ['a', 'ghost'] })).toBe('{}')
  })

  test('without edits the body itself comes back', () => {
    const body = Buffer.from('{"a":1}')
    expect(rewrite(body, scanTopLevel(body)!, { set: {}, remove: ['b'] })).toBe(body)
  })
})

const anyKey = fc.oneof(fc.constantFrom('model', 'stream', 'usage', '__proto__', 'a'), fc.string({ maxLength: 5 }))
const anyObject = fc.dictionary(anyKey, fc.jsonValue({ maxDepth: 4 }), { maxKeys: 6 })
const longText = fc.array(fc.constantFrom('"', '\\', '\n', 'long prose without a quote '.repeat(3), '你'), {
  maxLength: 30,
})

const byName = (object: object) => Object.entries(object).sort(([a], [b]) => (a < b ? -1 : 1))

test('for any object, scan and rewrite give what parse and assign give', () => {
  fc.assert(
    fc.property(anyObject, longText, fc.constantFrom(0, 1, '\t'), (object, pieces, indent) => {
      const whole = { ...object, text: pieces.join('') }
      const body = Buffer.from(JSON.stringify(whole, null, indent))
      const found = scanTopLevel(body)
      const isPlain = Object.keys(whole).every((key) => /^[ -~]*$/.test(key) && !/["\\]/.test(key))
      expect(found !== null).toBe(isPlain)
      if (!found) return
      const edited = rewrite(body, found, { set: { model: '"m"', stream_options: '{"x":1}' }, remove: ['usage', 'a'] })
      const { usage: _u, a: _a, ...rest } = JSON.parse(body.toString())
      const want = { ...rest, model: 'm', stream_options: { x: 1 } }
      // By name only: a value whose toString is no function cannot be compared as text.
      expect(byName(JSON.parse(edited.toString()))).toEqual(byName(want))
    }),
  )
})

test('whatever bytes come, a scan never finds other members than a parser does', () => {
  const piece = fc.constantFrom(
    '{',
    '}',
    '[',
    ']',
    ',',
    ':',
    '"',
    '\\',
    '"model"',
    '"a"',
    '1',
    'null',
    ' ',
    '{"model":"x"',
    'true',
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 14 }), fc.boolean(), (pieces, wrap) => {
      const text = wrap ? `{"model":"x",${pieces.join('')}}` : pieces.join('')
      const found = scanTopLevel(Buffer.from(text))
      if (!found) return
      const parsed = JSON.parse(text) as Record<string, unknown>
      expect(found.names).toEqual(Object.keys(parsed))
      for (const name of found.names) {
        const { start, end } = found.get(name)!
        expect(JSON.parse(Buffer.from(text).toString('utf8', start, end))).toEqual(parsed[name])
      }
    }),
    { numRuns: 2000 },
  )
})
