import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { languages, word } from '../delivery/templates/index.ts'
import { viewNames } from '../delivery/templates/view.ts'
import { makeAlert, makeNotification } from '../testing.ts'
import * as dialects from './dialects.ts'
import { type Document, escapeMarks, readMarks } from './document.ts'
import { fitsBytes, shorten, shortenText } from './shorten.ts'
import { compileTemplate, TemplateError } from './template.ts'

const names = new Set(['a', 'b', 'list', 'labels'])
const render = (template: string, view: object) =>
  compileTemplate(template, names).render(view as Record<string, unknown>, { escape: (text) => text })

describe('templates', () => {
  test.each([
    ['{{a}} {{b}}', { a: 'x', b: 3 }, 'x 3'],
    ['{{#list}}{{n}},{{/list}}', { list: [{ n: 1 }, { n: 2 }] }, '1,2,'],
    ['{{#list}}{{.}} {{/list}}', { list: ['x', 'y'] }, 'x y '],
    ['{{^list}}none{{/list}}', { list: [] }, 'none'],
    ['{{#a}}yes{{/a}}{{^a}}no{{/a}}', { a: '' }, 'no'],
    ['{{labels.job}}', { labels: { job: 'api' } }, 'api'],
    ['{{#list}}\n- {{.}}\n{{/list}}\nend', { list: ['x', 'y'] }, '- x\n- y\nend'],
    ['{{! said to nobody }}{{a}}', { a: '{{b}}', b: 'x' }, '{{b}}'],
    ['{{labels.constructor.name}}{{labels.__proto__}}{{labels.toString}}', { labels: {} }, ''],
  ])('%s', (template, view, text) => {
    expect(render(template, view)).toBe(text)
  })

  test.each([
    ['{{c}}', 'line 1: there is no c'],
    ['x\n{{#a}}', 'line 2: {{#a}} is never ended'],
    ['{{/a}}', 'ends nothing'],
    ['{{#a}}{{/b}}', 'ends nothing; {{#a}} of line 1 is open'],
    ['{{a', '{{ stands alone'],
    ['{{a()}}', 'is no name'],
    ['{{#a}}'.repeat(20), 'deeper'],
    ['x'.repeat(20_000), 'longer'],
  ])('%s is refused, with its place', (template, reason) => {
    expect(() => compileTemplate(template, names)).toThrow(TemplateError)
    expect(() => compileTemplate(template, names)).toThrow(reason)
  })

  test('one that would never end ends with an error', () => {
    const list = Array.from({ length: 2000 }, () => 'x')
    expect(() => render('{{#list}}{{#list}}{{a}}{{/list}}{{/list}}', { list, a: 'y' })).toThrow('more than can be sent')
  })

  test('both languages name the same things, and all of them exist', () => {
    const named = Object.values(languages).map(({ title, body }) =>
      [...`${title}${body}`.matchAll(/\{\{([#^/]?[\w.]+)\}\}/g)].map(([, name]) => name),
    )
    expect(named[0]!.length).toBeGreaterThan(20)
    expect(named[0]).toEqual(named[1])
    for (const { title, body } of Object.values(languages))
      for (const text of [title, body]) expect(() => compileTemplate(text, viewNames)).not.toThrow()
  })
})

const text = fc.string({ unit: 'grapheme', maxLength: 80 })

describe('words of others are text', () => {
  test('what is escaped is read back as it was, whatever it holds', () => {
    fc.assert(
      fc.property(text, (written) => {
        const value = written.replace(/[\r\n]/g, ' ')
        const [line] = readMarks(`x${escapeMarks(value)}x`)
        expect(line!.spans.map((span) => span.text).join('')).toBe(`x${value}x`)
        expect(line!.spans.every(({ style, url }) => style === undefined && url === undefined)).toBe(true)
      }),
    )
  })

  test('a link goes where browsers go, and nowhere else', () => {
    for (const address of ['javascript:alert(1)', 'data:text/html,x', '//evil', '']) {
      expect(
        readMarks(`[text](${escapeMarks(address)})`)
          .flatMap(({ spans }) => spans)
          .some(({ url }) => url !== undefined),
      ).toBe(false)
    }
    expect(readMarks(`[text](${escapeMarks('https://example.com/a(1)?b=[2]')})`)[0]!.spans[0]!.url).toBe(
      'https://example.com/a(1)?b=[2]',
    )
  })
})

describe.each(Object.entries(dialects))('cut for %s', (_, write) => {
  const words = { more: languages.en.more, shortened: languages.en.shortened, rest: 0 }
  const document = (alerts: readonly string[]): Document => [
    { kind: 'heading', alert: -1, spans: [{ text: 'Head' }] },
    ...alerts.map((each, alert) => ({ kind: 'text' as const, alert, spans: [{ text: each, style: 'bold' as const }] })),
    { kind: 'text', alert: -1, spans: [{ text: 'trace' }] },
  ]

  test('it always fits, is well formed, and counts what is not told', () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 300 }), { minLength: 1, maxLength: 12 }),
        fc.integer({ min: 80, max: 2000 }),
        (alerts, limit) => {
          const whole = document(alerts)
          const result = shorten(whole, write, fitsBytes(limit), words)
          expect(Buffer.byteLength(result.text)).toBeLessThanOrEqual(limit)
          expect(result.text.isWellFormed() || !alerts.join('').isWellFormed()).toBe(true)
          const told = new Set(result.lines.map(({ alert }) => alert).filter((alert) => alert !== -1)).size
          if (!result.cut.isTextCut) expect(told + result.cut.alerts).toBe(alerts.length)
          if (Buffer.byteLength(write(whole)) <= limit) expect(result.cut).toEqual({ alerts: 0, isTextCut: false })
          if (result.cut.alerts > 0 && !result.cut.isTextCut) expect(result.text).toContain('more')
        },
      ),
      { numRuns: 60 },
    )
  })
})

test('a character of several parts is kept or left whole', () => {
  const family = '👩‍👩‍👧‍👦'
  for (let limit = 4; limit < 120; limit++) {
    const cut = shortenText(family.repeat(10), fitsBytes(limit))
    expect(cut === family.repeat(10) || /^(👩‍👩‍👧‍👦)*…$/u.test(cut)).toBe(true)
  }
})

test('of ten thousand alerts those shown and those counted are all of them', () => {
  const alerts = Array.from({ length: 10_000 }, (_, i) => makeAlert({ labels: { instance: `i-${i}` } }))
  const wording = { language: 'en', zone: 'UTC', titleTemplate: '', bodyTemplate: '' } as const
  const { message, templateError } = word(makeNotification({ alerts, truncated: 5 }), wording, { url: '' })
  expect(templateError).toBe('')
  const { cut, text: written } = shorten(message.document, dialects.plain, fitsBytes(4096), message.words)
  const shown = [...written.matchAll(/instance=i-/g)].length
  expect(shown).toBeGreaterThan(5)
  expect(shown + cut.alerts).toBe(10_005)
  expect(written).toContain(`+${cut.alerts} more`)
  expect(written).toContain(message.traceId)
})
