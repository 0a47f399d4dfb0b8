import { fail } from '../../kernel/errors.ts'
import { compileRegex } from '../../kernel/regex.ts'
import { byBytes } from '../fingerprint.ts'

export const matcherOps = ['=', '!=', '=~', '!~'] as const
export type MatcherOp = (typeof matcherOps)[number]
/** As it is written and kept. */
export type MatcherText = { name: string; op: MatcherOp; value: string }
export type Matcher = MatcherText & { matches(labels: Readonly<Record<string, string>>): boolean }

/** An absent label is an empty one; patterns are RE2's and match the whole value. Throws `invalid_request`. */
export function compileMatcher({ name, op, value }: MatcherText): Matcher {
  if (name === '') throw fail('invalid_request', 'a matcher needs the name of a label', { param: 'matchers' })
  const isEqual = op === '=' || op === '=~'
  let test = (text: string) => text === value
  if (op === '=~' || op === '!~') {
    try {
      test = compileRegex(value, { isDotAll: false }).matches
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      throw fail('invalid_request', `the pattern of ${name}${op}${quote(value)} is not valid: ${reason}`, {
        param: 'matchers',
      })
    }
  }
  return { name, op, value, matches: (labels) => test(labels[name] ?? '') === isEqual }
}

/** Every matcher holds. */
export function matchesAll(matchers: readonly Matcher[], labels: Readonly<Record<string, string>>): boolean {
  return matchers.every((matcher) => matcher.matches(labels))
}

/**
 * Alertmanager's syntax, UTF-8 names included: `{foo="bar", "a name"!~"b.*"}`, the braces and the quotes of plain words
 * may be left out. https://prometheus.io/docs/alerting/latest/configuration/#utf-8-matchers
 */
export function parseMatchers(text: string): Matcher[] {
  const trimmed = text.trim()
  const isBraced = trimmed.startsWith('{')
  if (isBraced !== trimmed.endsWith('}')) throw wrong(text, 'a brace has no partner')
  const inner = isBraced ? trimmed.slice(1, -1) : trimmed
  const found: Matcher[] = []
  let at = 0
  const skip = () => {
    while (/\s/.test(inner[at] ?? '')) at++
  }
  const word = (what: string): string => {
    if (inner[at] === '"') {
      const read = /^"(?:[^"\\]|\\.)*"/s.exec(inner.slice(at))
      if (read === null) throw wrong(text, 'a quote has no end')
      at += read[0].length
      return unquote(read[0], text)
    }
    const read = /^[^\s{}!=~,\\"'`]+/.exec(inner.slice(at))
    if (read === null) throw wrong(text, `${what} is missing${inner[at] === undefined ? '' : ` before ${inner[at]}`}`)
    at += read[0].length
    return read[0]
  }
  for (skip(); at < inner.length; skip()) {
    const name = word('the name of a label')
    skip()
    const op = matcherOps.toReversed().find((each) => inner.startsWith(each, at))
    if (op === undefined) throw wrong(text, `after ${name} comes one of ${matcherOps.join(' ')}`)
    at += op.length
    skip()
    found.push(compileMatcher({ name, op, value: word(`the value of ${name}`) }))
    skip()
    if (at >= inner.length) break
    if (inner[at] !== ',') throw wrong(text, `a comma is missing before ${inner.slice(at, at + 20)}`)
    at++
  }
  return found
}

/** Sorted by name, as keys of groups have it. */
export function showMatchers(matchers: readonly MatcherText[]): string {
  const sorted = matchers.toSorted(
    (a, b) => byBytes(a.name, b.name) || byBytes(a.value, b.value) || byBytes(a.op, b.op),
  )
  return `{${sorted.map(showMatcher).join(',')}}`
}

export function showMatcher({ name, op, value }: MatcherText): string {
  return `${/^[a-zA-Z_:][\w:]*$/.test(name) ? name : quote(name)}${op}${quote(value)}`
}

/** `{a="b", c="d"}`: how Prometheus writes a set of labels. */
export function showLabels(labels: Readonly<Record<string, string>>): string {
  const names = Object.keys(labels).sort(byBytes)
  return `{${names.map((name) => `${/^[a-zA-Z_][\w]*$/.test(name) ? name : quote(name)}=${quote(labels[name]!)}`).join(', ')}}`
}

function quote(text: string): string {
  return JSON.stringify(text)
}

function unquote(quoted: string, whole: string): string {
  const plain = quoted.slice(1, -1)
  return plain.replaceAll(/\\(.)/gs, (_, char: string) => {
    if (char === 'n') return '\n'
    if (char === '"' || char === '\\') return char
    throw wrong(whole, `\\${char} is not known within quotes: write \\\\${char}`)
  })
}

function wrong(text: string, why: string) {
  return fail('invalid_request', `these matchers cannot be read: ${text.slice(0, 200)}: ${why}`, { param: 'matchers' })
}
