import { describe, expect, test } from 'vitest'
import { compileRegex } from './regex.ts'

const compile = (pattern: string) => compileRegex(pattern, { isDotAll: true })

describe('a pattern matches whole texts, as RE2 has it', () => {
  test.each<[string, string[], string[]]>([
    ['', [''], ['a']],
    ['a|b|cd', ['a', 'b', 'cd'], ['', 'ab', 'c']],
    ['a|', ['a', ''], ['b']],
    ['a.c', ['abc', 'a\nc', 'a😀c'], ['ac', 'abbc']],
    ['a*b+c?', ['b', 'aabbc'], ['ac', 'abcc']],
    ['(ab){2,3}', ['abab', 'ababab'], ['ab', 'abababab']],
    ['x{2}', ['xx'], ['x', 'xxx']],
    ['x{,2}', ['x{,2}'], ['xx']],
    ['[a-c1-3]+', ['a2c'], ['d', '']],
    ['[^a-c]', ['d', 'é'], ['a']],
    ['[]a]+', [']a'], ['b']],
    ['[\\d_-]+', ['1-_'], ['a']],
    ['[[:alpha:]]+[[:^digit:]]', ['ab', 'a-'], ['a1']],
    ['\\w+\\s\\W', ['ab !'], ['ab a']],
    ['\\pL+', ['aé中'], ['a1']],
    ['\\p{Greek}', ['α'], ['a']],
    ['(?i)aPi', ['API', 'api'], ['ap']],
    ['(?i:a)b', ['Ab'], ['AB']],
    ['(?-s).', ['a'], ['\n']],
    ['\\Qa.b\\E+', ['a.b', 'a.bb'], ['axb']],
    ['a\\.b\\x41\\x{1F600}', ['a.bA😀'], ['axbA😀']],
    ['\\bfoo\\b.*', ['foo bar', 'foo'], ['foobar']],
    ['^a$', ['a'], ['b']],
    ['(?:a*)*b', ['aaab', 'b'], ['aaa']],
    ['(a?){3}a{3}', ['aaa', 'aaaa'], ['aa', 'aaaaaaa']],
  ])('%j', (pattern, matching, others) => {
    const { matches } = compile(pattern)
    expect(matching.filter((text) => !matches(text))).toEqual([])
    expect(others.filter(matches)).toEqual([])
  })

  test.each<[string, string, (string | undefined)[]]>([
    ['(.*):(.*)', 'a:b:c', ['a:b:c', 'a:b', 'c']],
    ['(.*?):(.*)', 'a:b:c', ['a:b:c', 'a', 'b:c']],
    ['(?P<host>[a-z]+)(:\\d+)?', 'abc', ['abc', 'abc', undefined]],
    ['(a|ab)(c|bcd)(d*)', 'abcd', ['abcd', 'a', 'bcd', '']],
    ['(?U)(a+)(a*)', 'aaa', ['aaa', 'a', 'aa']],
  ])('%j gives the groups of %j', (pattern, text, groups) => {
    expect(compile(pattern).capture(text)).toEqual(groups)
  })

  test.each([
    '(',
    ')',
    '[',
    'a**',
    '*a',
    '(?=a)',
    '(?!a)',
    '(?<=a)',
    '\\1',
    '(?>a)',
    'a{2,1}',
    'a{1001}',
    '[b-a]',
    '\\',
    '\\y',
    '(?P<a>x)(?P<a>y)',
    '[[:nope:]]',
    '\\pX',
    '('.repeat(1000),
    '((a{100}){100}){100}',
  ])('refuses %j', (pattern) => {
    expect(() => compile(pattern)).toThrow(/error parsing regexp|too large/)
  })

  test('patterns that take other engines for ever take no longer than others', () => {
    const text = `${'a'.repeat(20_000)}!`
    for (const pattern of ['(a+)+', '(a|a)*', '(.*)(.*)(.*)(.*)b', '([a-zA-Z]+)*', '(a|aa)+']) {
      expect(compile(pattern).matches(text)).toBe(false)
    }
  })
})
