import { describe, expect, test } from 'vitest'
import { readLabels, readRouting, writeRouting } from '../../console/src/pages/alert-routing/routing-text.ts'
import { addressFor, declaredOf, operationsOf, toShown } from '../../console/src/pages/services/try-it.ts'
import { diffLines } from '../../console/src/parts/line-diff.ts'
import { partFor, readMarkdown } from '../../console/src/parts/markdown.ts'

describe('a difference of two texts', () => {
  const shown = (before: string, after: string) =>
    diffLines(before, after).map(({ kind, text }) => `${{ same: ' ', added: '+', removed: '-' }[kind]}${text}`)

  test('says what goes and what comes, and leaves the rest where it is', () => {
    expect(shown('a\nb\nc\nd', 'a\nx\nc\nd\ne')).toEqual([' a', '-b', '+x', ' c', ' d', '+e'])
    expect(shown('a\nb', 'a\nb')).toEqual([' a', ' b'])
    expect(shown('', 'a')).toEqual(['-', '+a'])
  })

  test('put together again is each of the two texts', () => {
    const [before, after] = ['a\nb\na\nc\nb\na', 'b\na\nb\nc\nc\na\nd']
    const lines = diffLines(before, after)
    const side = (other: 'added' | 'removed') => lines.filter(({ kind }) => kind !== other).map(({ text }) => text)
    expect(side('added').join('\n')).toBe(before)
    expect(side('removed').join('\n')).toBe(after)
  })
})

describe('what a plugin can be asked', () => {
  const document = {
    paths: {
      '/base/items/{id}': {
        parameters: [{ name: 'id', in: 'path', required: true }],
        get: {
          summary: 'One item',
          parameters: [{ name: 'deep', in: 'query' }, { $ref: '#/components/parameters/Tag' }],
        },
        'x-note': { is: 'no method' },
      },
      '/base/items': {
        post: {
          requestBody: { content: { 'application/json': { schema: { $ref: '#/components/schemas/Item' } } } },
        },
      },
    },
    components: {
      parameters: { Tag: { name: 'x-tag', in: 'header' } },
      schemas: {
        Item: {
          type: 'object',
          properties: {
            name: { type: 'string' },
            size: { type: 'integer', default: 3 },
            kind: { enum: ['tea', 'paper'] },
            parts: { type: 'array', items: { $ref: '#/components/schemas/Item' } },
          },
        },
      },
    },
  }

  test('comes from its own document: without the path the hub knows, with every parameter, and a body to begin with', () => {
    const [one, make] = operationsOf(document, '/base')
    expect(one).toMatchObject({ method: 'GET', path: '/items/{id}', about: 'One item', body: null })
    expect(one!.parameters.map((each) => `${each.in} ${each.name} ${each.isRequired}`)).toEqual([
      ...['path id true', 'query deep false', 'header x-tag false'],
    ])
    expect(make).toMatchObject({ method: 'POST', path: '/items' })
    // A shape that holds itself ends somewhere.
    expect(JSON.parse(make!.body!)).toMatchObject({ name: '', size: 3, kind: 'tea', parts: [{ name: '' }] })
  })

  test('comes from declared endpoints where there is no document', () => {
    const told = declaredOf([
      { method: 'GET', path: '/items/{id}', description: null },
      { method: '*', path: '/files/*', description: 'Files' },
    ])
    expect(told.map(({ method, path }) => `${method} ${path}`)).toEqual([
      'GET /items/{id}',
      'GET /files/',
      'POST /files/',
    ])
    expect(told[0]!.parameters).toMatchObject([{ name: 'id', in: 'path', isRequired: true }])
  })

  test('is asked below the service, with what was filled in, and not before the path is whole', () => {
    const [one] = operationsOf(document, '/base')
    expect(addressFor('shop', one!, {})).toBeNull()
    expect(addressFor('shop', one!, { 'path id': '../a b', 'query deep': '1&2', 'header x-tag': 'x' })).toBe(
      'api/shop/items/..%2Fa%20b?deep=1%262',
    )
    expect(addressFor('shop', { path: 'raw?x=1', parameters: [] }, {})).toBe('api/shop/raw?x=1')
  })

  test('is shown set out when it is JSON, as it came when it only says so, and cut when it is long', () => {
    expect(toShown('{"a":1}', 'application/json').text).toBe('{\n  "a": 1\n}')
    expect(toShown('{"a":', 'application/json').text).toBe('{"a":')
    expect(toShown('x'.repeat(20), 'text/plain', 10)).toEqual({ text: 'x'.repeat(10), isCut: true })
  })
})

describe('the routing of alerts as a text', () => {
  test('is what was read, whatever the form does not know of it', () => {
    const routing = {
      route: {
        receiver: 'team',
        routes: [{ match_re: { env: 'p.*' }, matchers: ['severity="high"'], continue: true }],
      },
      inhibit_rules: [{ source_matchers: ['a="b"'], target_matchers: ['c="d"'], equal: ['env'] }],
      time_intervals: [],
    }
    expect(readRouting(writeRouting(routing))).toEqual(routing)
  })

  test.each(['', '- a', 'route: [a]', 'receiver: x', 'route: {a: b'])('that is none is refused: %j', (text) => {
    expect(() => readRouting(text)).toThrow()
  })

  test('labels are read as people write them, and nothing else is taken for one', () => {
    expect(readLabels('severity=high, team="a b"\n env = prod')).toEqual({ severity: 'high', team: 'a b', env: 'prod' })
    expect(readLabels('severity')).toBeNull()
  })
})

describe('a page of a runbook', () => {
  const page =
    '# x\n\n[中文](#中文) · critical: bad.\n\nWhat `a | b` **is**.\n\n| a | b |\n|---|---|\n| `x|y` | 2 |\n\n- one\n  more\n- [two](x.md)\n\n```sh\n# no heading\n```\n\n## 中文\n\n坏了。\n'

  test('is shown in the language that is read', () => {
    expect(partFor(page, true)).toBe('\n坏了。\n')
    expect(partFor(page, false)).toContain('critical: bad.')
    expect(partFor(page, false)).not.toContain('中文')
  })

  test('becomes blocks of text, and code in it stays as it is', () => {
    const words = (parts: { text: string }[]) => parts.map(({ text }) => text).join('')
    expect(
      readMarkdown(partFor(page, false)).map((block) => {
        if (block.kind === 'table') return block.rows.map((row) => row.map(words))
        if (block.kind === 'list') return block.items.map(words)
        return block.kind === 'code' ? block.text : words(block.parts)
      }),
    ).toEqual([
      ...['x', 'critical: bad.', 'What a | b is.'],
      [
        ['a', 'b'],
        ['x|y', '2'],
      ],
      ['one more', 'two'],
      '# no heading',
    ])
    expect(readMarkdown('<img src=x onerror=1>')).toEqual([
      { kind: 'text', parts: [{ text: '<img src=x onerror=1>', isCode: false, isStrong: false }] },
    ])
  })
})
