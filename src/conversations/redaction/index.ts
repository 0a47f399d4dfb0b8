/** The shelf of what is taken out of texts before they are kept. */
import { apiKey } from './api-key.ts'
import { email } from './email.ts'
import { idCard } from './id-card.ts'
import type { RedactionPack } from './pack.ts'
import { phone } from './phone.ts'

/** In the order they are tried: keys hold what looks like numbers, identity cards what looks like phones. */
export const packs = [apiKey, email, idCard, phone] as const

export const packNames = packs.map(({ name }) => name) as [PackName, ...PackName[]]
type PackName = (typeof packs)[number]['name']

/** A text without what must not be kept: `[email]`, `[phone]` and the like stand in its place. */
export type Redact = (text: string) => string

/** `words` are taken out as they are written, in any case; `patterns` are texts that `readPattern` takes. */
export function createRedact(wanted: {
  packs: readonly string[]
  words: readonly string[]
  patterns: readonly string[]
}): Redact {
  const steps = packs
    .filter(({ name }) => wanted.packs.includes(name))
    .flatMap(({ name, patterns }: RedactionPack) => patterns.map((pattern) => ({ pattern, instead: `[${name}]` })))
  for (const text of wanted.patterns) {
    const read = readPattern(text)
    if ('pattern' in read) steps.push({ pattern: read.pattern, instead: `[${read.name}]` })
  }
  // The longest first: one word may begin another.
  const words = wanted.words.filter((word) => word !== '').sort((a, b) => b.length - a.length)
  if (words.length > 0) {
    steps.unshift({
      pattern: new RegExp(words.map((word) => word.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')).join('|'), 'giu'),
      instead: '[word]',
    })
  }
  return (text) =>
    // As a verb: `$1` in a name is a name.
    steps.reduce((left, { pattern, instead }) => left.replace(pattern, () => instead), text)
}

/** A pattern of the operator's, `name=expression`. Refuses what could take for ever over some text. */
export function readPattern(text: string): { name: string; pattern: RegExp } | { fault: string; faultZh: string } {
  const found = /^([a-z][a-z0-9_]{0,30})=(.+)$/su.exec(text)
  if (found === null) {
    return { fault: 'write it as name=expression, as in "ticket=TKT-[0-9]{6}"', faultZh: '格式应为 名称=正则表达式' }
  }
  const [, name, source] = found as unknown as [string, string, string]
  let pattern: RegExp
  try {
    pattern = new RegExp(source, 'gu')
  } catch (error) {
    const reason = error instanceof Error ? error.message : ''
    return { fault: `it is no regular expression: ${reason}`, faultZh: `不是合法的正则表达式：${reason}` }
  }
  if (pattern.test('')) return { fault: 'it fits the empty text', faultZh: '不能匹配空文本' }
  pattern.lastIndex = 0
  if (isRisky(source)) {
    return {
      fault: 'a repetition inside a repetition, a reference back or more than two open ends can take for ever',
      faultZh: '嵌套量词、反向引用或两个以上的无界量词可能导致匹配永不结束',
    }
  }
  return { name, pattern }
}

/** Repetitions inside repeated groups, references back, and more than two quantifiers without an upper bound. */
function isRisky(source: string): boolean {
  // Without escapes and classes, in which brackets and quantifiers are letters.
  if (/\\[1-9k]/.test(source)) return true
  const bare = source.replace(/\\./gsu, 'x').replace(/\[[^\]]*\]/gu, 'x')
  if ((bare.match(/[*+]|\{\d+,\}/g) ?? []).length > 2) return true
  const open: boolean[] = []
  for (let i = 0; i < bare.length; i++) {
    const sign = bare[i]!
    if (sign === '(') {
      open.push(false)
      if (bare[i + 1] === '?') i++
    } else if (sign === ')') {
      const repeats = open.pop() ?? false
      const isRepeated = /^(?:[*+]|\{\d+,?\d*\})/.test(bare.slice(i + 1))
      if (repeats && isRepeated) return true
      if ((repeats || isRepeated) && open.length > 0) open[open.length - 1] = true
    } else if (/[*+{]/.test(sign) && open.length > 0) open[open.length - 1] = true
  }
  return false
}
