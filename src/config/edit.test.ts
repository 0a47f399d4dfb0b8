import fc from 'fast-check'
import { parse } from 'smol-toml'
import { describe, expect, test } from 'vitest'
import { editToml, write } from './edit.ts'

const file = `# Our hub. 中文注释
[server] # the server
host = "0.0.0.0" # everyone
  port = 8000   # the port

# limits below
#max_body_bytes = 33554432
cors_origins = [
  "https://a.example", # a
  # b is out
  "https://c.example",
]

[auth]
oidc = { issuer = "https://id.example", client_id = "x" }

[[alerts.inhibit_rules]]
equal = ["a"]
`

describe('one setting of a file that people wrote', () => {
  test('a value changes, and nothing beside it: comments, order, spaces and other values stay byte for byte', () => {
    expect(editToml(file, ['server', 'port'], 9000)).toBe(file.replace('8000', '9000'))
    expect(editToml(file, ['server', 'host'], 'a "b" \\ 你好\n')).toBe(
      file.replace('"0.0.0.0"', String.raw`"a \"b\" \\ 你好\n"`),
    )
  })
  test('a new key goes under its commented-out example, else last in its table, else into a new table', () => {
    expect(editToml(file, ['server', 'max_body_bytes'], 5)).toContain(
      '#max_body_bytes = 33554432\nmax_body_bytes = 5\n',
    )
    expect(editToml(file, ['server', 'drain_seconds'], 5)).toContain(']\ndrain_seconds = 5\n\n[auth]')
    expect(editToml(file, ['log', 'level'], 'debug')).toBe(`${file}\n[log]\nlevel = "debug"\n`)
    expect(editToml('', ['log', 'level'], 'debug')).toBe('[log]\nlevel = "debug"\n')
    expect(editToml('[log]', ['log', 'level'], 'debug')).toBe('[log]\nlevel = "debug"\n')
  })
  test('dotted keys and inline tables are gone on with as they are written', () => {
    const dotted = 'server.port = 1 # one\nlog.level = "info"\n'
    expect(editToml(dotted, ['server', 'host'], 'x')).toBe(
      'server.port = 1 # one\nserver.host = "x"\nlog.level = "info"\n',
    )
    expect(editToml(file, ['auth', 'oidc', 'client_id'], 'y')).toContain(
      'oidc = { issuer = "https://id.example", client_id = "y" }',
    )
  })
  test('a setting is taken out with its line, and its neighbours stay', () => {
    expect(editToml(file, ['server', 'port'], undefined)).toBe(file.replace('  port = 8000   # the port\n', ''))
    expect(editToml(file, ['mail', 'url'], undefined)).toBe(file)
  })
  test('lines of Windows stay lines of Windows', () => {
    const windows = '[server]\r\nport = 1 # one\r\n'
    expect(editToml(windows, ['server', 'host'], 'x')).toBe('[server]\r\nport = 1 # one\r\nhost = "x"\r\n')
    expect(editToml(windows, ['server', 'port'], 2)).toBe('[server]\r\nport = 2 # one\r\n')
  })
  test('what is written as tables is left to people, and the file with it', () => {
    expect(() => editToml(file, ['alerts', 'inhibit_rules'], [])).toThrow('alerts.inhibit_rules')
    expect(() => editToml(file, ['server', 'port'], Number.NaN)).toThrow('TOML has no word')
  })
})

describe('any file and any value', () => {
  const key = fc.constantFrom('port', 'host', 'a-b', 'x_1')
  const table = fc.constantFrom('server', 'log', 'auth', 'access')
  const text = fc.oneof(
    fc.string({ unit: 'grapheme' }),
    fc.constantFrom('#', '"', "'", '\\', '\n', '] # x', '你好 "#"', '\u007f', 'a = 1\n[b]'),
  )
  const scalar = fc.oneof(
    text,
    fc.integer(),
    fc.boolean(),
    fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e9, max: 1e9 }),
  )
  const value = fc.oneof(scalar, fc.array(text, { maxLength: 4 }), fc.dictionary(key, text, { maxKeys: 3 }))
  const comment = fc.constantFrom('', ' # why', '   #port = 5', ' # "quoted" [x]', '# 中文')
  const space = fc.constantFrom('', '\n', '# a line\n', '#port = 8000\n\n', '   \n# [server]\n')
  const member = fc.record({ key, value, comment, space })
  const document = fc
    .uniqueArray(
      fc.record({ table, members: fc.uniqueArray(member, { selector: (each) => each.key, maxLength: 4 }) }),
      {
        selector: (each) => each.table,
        maxLength: 4,
      },
    )
    .map((tables) =>
      tables
        .map(({ table, members }) =>
          [`[${table}]\n`, ...members.map((m) => `${m.space}${m.key} = ${write(m.value)}${m.comment}\n`)].join(''),
        )
        .join('\n'),
    )
  const commentsOf = (toml: string, known: readonly string[]) => known.filter((each) => toml.includes(each)).length

  test('the file says what was set and for the rest what it said; no comment is lost, no other line is touched', () => {
    fc.assert(
      fc.property(document, table, key, value, (toml, where, name, wanted) => {
        const edited = editToml(toml, [where, name], wanted)
        const before = parse(toml) as Record<string, Record<string, unknown>>
        const after = parse(edited) as Record<string, Record<string, unknown>>
        const plain = (x: unknown) => JSON.stringify(x, (_, v) => (Object.is(v, -0) ? 0 : v))
        expect(plain(after[where]![name])).toBe(plain(parse(`v = ${write(wanted)}`).v))
        expect({ ...after, [where]: { ...after[where], [name]: 0 } }).toEqual({
          ...before,
          [where]: { ...before[where], [name]: 0 },
        })
        const comments = ['# why', '#port = 5', '# "quoted" [x]', '# 中文', '# a line', '#port = 8000', '# [server]']
        expect(commentsOf(edited, comments)).toBeGreaterThanOrEqual(commentsOf(toml, comments))
      }),
      { numRuns: 1500 },
    )
  })
  test('set and taken out again, a new setting leaves the values as they were', () => {
    fc.assert(
      fc.property(document, table, (toml, where) => {
        const there = editToml(toml, [where, 'quite_new'], 'x')
        const gone = editToml(there, [where, 'quite_new'], undefined)
        const known = (parse(toml) as Record<string, unknown>)[where] !== undefined
        expect(known ? parse(gone) : { ...parse(toml), [where]: {} }).toEqual(known ? parse(toml) : parse(gone))
        if (known) expect(gone).toBe(toml)
      }),
      { numRuns: 300 },
    )
  })
})
