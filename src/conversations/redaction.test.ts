import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createRedact, packNames, readPattern } from './redaction/index.ts'

const redact = createRedact({ packs: packNames, words: [], patterns: [] })

const digits = (length: number) => fc.stringMatching(new RegExp(`^[0-9]{${length}}$`))
const word = fc.stringMatching(/^[a-z0-9]{1,20}$/)
const secrets = {
  email: fc
    .tuple(fc.stringMatching(/^[a-z0-9._+-]{1,30}$/), word, fc.constantFrom('com', 'org.cn', 'example.co.uk'))
    .map(([name, host, end]) => `${name}@${host}.${end}`),
  phone: fc.oneof(
    fc
      .tuple(
        fc.constantFrom('', '+86', '+86 ', '86-'),
        fc.integer({ min: 3, max: 9 }),
        digits(9),
        fc.constantFrom('', ' ', '-'),
      )
      .map(
        ([country, second, rest, gap]) =>
          `${country}1${second}${rest[0]}${gap}${rest.slice(1, 5)}${gap}${rest.slice(5)}`,
      ),
    digits(8).map((rest) => `010-${rest}`),
    digits(10).map((rest) => `(${rest.slice(0, 3)}) ${rest.slice(3, 6)}-${rest.slice(6)}`),
    digits(8).map((rest) => `+44 20 ${rest.slice(0, 4)} ${rest.slice(4)}`),
  ),
  id_card: fc
    .tuple(
      fc.integer({ min: 110000, max: 659999 }),
      fc.integer({ min: 1930, max: 2020 }),
      fc.integer({ min: 1, max: 12 }),
      fc.integer({ min: 1, max: 28 }),
      digits(3),
      fc.constantFrom('X', 'x', '7'),
    )
    .map(
      ([place, year, month, day, number, check]) =>
        `${place}${year}${String(month).padStart(2, '0')}${String(day).padStart(2, '0')}${number}${check}`,
    ),
  api_key: fc.oneof(
    fc
      .tuple(
        fc.constantFrom('sk-', 'sk-ant-', 'sk-gh-', 'sk-proj-', 'ghp_', 'hf_', 'xoxb-', 'glpat-'),
        fc.stringMatching(/^[A-Za-z0-9]{20,60}$/),
      )
      .map(([start, rest]) => start + rest),
    fc.stringMatching(/^AIza[A-Za-z0-9_-]{35}$/),
    fc.stringMatching(/^AKIA[A-Z0-9]{16}$/),
    fc.stringMatching(/^eyJ[A-Za-z0-9_-]{20}\.eyJ[A-Za-z0-9_-]{20}\.[A-Za-z0-9_-]{40}$/),
    fc
      .stringMatching(/^[A-Za-z0-9+/]{64}$/)
      .map((key) => `-----BEGIN PRIVATE KEY-----\n${key}\n-----END PRIVATE KEY-----`),
  ),
}
/** What people write around it, in any script. */
const around = fc.oneof(
  fc.constantFrom('', ' ', 'my own is ', '我的是：', '，谢谢', '\n', '("', '")', ' … '),
  fc
    .string({ unit: fc.constantFrom('a', '中', ' ', '\n', ',', '，', '(', '😀'), maxLength: 30 })
    .map((text) => `${text} `),
)

describe('what is taken out of texts', () => {
  test.each(Object.entries(secrets))('%s: never left over, wherever it stands', (name, secret) => {
    fc.assert(
      fc.property(around, secret, around, (before, text, after) => {
        const left = redact(`${before}${text} ${after}`)
        expect(left).not.toContain(text)
        expect(left).toContain(`[${name}]`)
      }),
      { numRuns: 500 },
    )
  })

  test('twice is once, and what holds nothing is left as it is', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.oneof(...Object.values(secrets)), (text, secret) => {
        const once = redact(`${text} ${secret}`)
        expect(redact(once)).toBe(once)
      }),
    )
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('a', 'B', '中', ' ', '.', '7', '\n') }), (text) => {
        fc.pre(!/\d{3}/.test(text))
        expect(redact(text)).toBe(text)
      }),
    )
  })

  test.each([
    'order 20231015123456789012345 is late',
    'version 1.2.3-4567, build 20240101',
    'see https://example.com/a@b and @mention',
    'it took 1380 ms and 138 001 calls',
    'risk-averse, task-list, sk-short, AKIAlowercase',
    'pi is 3.14159265358979',
  ])('what only looks a little like it stays: %s', (text) => {
    expect(redact(text)).toBe(text)
  })

  test('a pack that is not wanted takes nothing, words go in any case, patterns by their name', () => {
    const own = createRedact({
      packs: ['phone'],
      words: ['Blue', 'Bluebird', 'a.b'],
      patterns: ['ticket=TKT-[0-9]{3,6}'],
    })
    expect(own('ada@example.com BLUEBIRD aXb a.b TKT-12345')).toBe('ada@example.com [word] aXb [word] [ticket]')
  })

  test.each(['x=(a+)+$', 'x=(a*b?)*', 'x=((ab){1,9}c)+', 'x=(a|b+){2,}', 'x=(a)\\1', 'x=a*b*c*d'])(
    'a pattern that some text could keep busy for ever is refused: %s',
    (text) => expect(readPattern(text)).toHaveProperty('fault'),
  )

  test.each(['x=', 'no name', 'x=(', 'x=a*', 'Upper=a', 'x=a|'])('a pattern that is none is refused: %s', (text) =>
    expect(readPattern(text)).toHaveProperty('fault'),
  )

  test.each(['ticket=TKT-[0-9]+', 'plate=[A-Z]{2}[ -]?\\d{1,4}', 'name=(?:Mr|Mrs) [A-Z][a-z]+', 'set=[(+*]x'])(
    'a plain pattern is taken: %s',
    (text) => expect(readPattern(text)).toHaveProperty('pattern'),
  )
})
