import { expect, test } from 'vitest'
import { readToml } from './toml.ts'

function lineOf(text: string, path: string): number | undefined {
  const document = readToml(text)
  if (document.kind === 'broken') throw new Error(document.reason)
  return document.lines.get(path)
}

test('every key is found on its own line, whatever stands around it', () => {
  const text = [
    'title = "a # b = [c]" # comment',
    '',
    '[one]',
    'list = [',
    '  "x]",',
    "  'y = 1', # [not.a.table]",
    ']',
    'long = """',
    'fake = 1',
    '[fake]',
    '\\""" still inside \\\\"""',
    "raw = '''",
    "fake2 = 'x'",
    "'''",
    'date = 2026-11-23T10:00:00Z',
    'inline = { a = 1, b = { c = 2 } }',
    '"quoted key".dotted = true',
    '  [ one . two ]',
    'last = 1',
  ].join('\n')
  expect(lineOf(text, 'title')).toBe(1)
  expect(lineOf(text, 'one')).toBe(3)
  expect(lineOf(text, 'one.list')).toBe(4)
  expect(lineOf(text, 'one.long')).toBe(8)
  expect(lineOf(text, 'one.raw')).toBe(12)
  expect(lineOf(text, 'one.date')).toBe(15)
  expect(lineOf(text, 'one.inline')).toBe(16)
  expect(lineOf(text, 'one.quoted key.dotted')).toBe(17)
  expect(lineOf(text, 'one.two')).toBe(18)
  expect(lineOf(text, 'one.two.last')).toBe(19)
  for (const fake of ['one.fake', 'fake', 'one.fake2', 'not.a.table', 'one.y'])
    expect(lineOf(text, fake)).toBeUndefined()
})

test('tables in a list are numbered, and sub-tables belong to the latest', () => {
  const text = '[[price]]\nmodel = "a"\n[price.detail]\nx = 1\n\n[[price]]\nmodel = "b"\n[[price.tier]]\nn = 1\n'
  expect(lineOf(text, 'price.0.model')).toBe(2)
  expect(lineOf(text, 'price.0.detail.x')).toBe(4)
  expect(lineOf(text, 'price.1.model')).toBe(7)
  expect(lineOf(text, 'price.1.tier.0.n')).toBe(9)
})

test('windows line ends count once', () => {
  expect(lineOf('[a]\r\nb = 1\r\nc = 2\r\n', 'a.c')).toBe(3)
})

test('broken text tells its line and no parser’s drawing', () => {
  const broken = readToml('a = 1\nb = \n')
  expect(broken).toMatchObject({ kind: 'broken', line: 2 })
  expect(broken.kind === 'broken' && broken.reason).not.toMatch(/\n|Invalid TOML/)
})
