import { compileRegex, compileSearch } from '../../../kernel/regex.ts'
import { readDuration } from '../duration.ts'
import { formatG, formatValue, GoTime, sprintf, type Value } from './go-format.ts'

/** What a template may ask of the world around it. */
export type TemplateWorld = {
  /** The rows of an expression at the moment of the evaluation. */
  query(expression: string): Promise<readonly { labels: Readonly<Record<string, string>>; value: number }[]>
  externalUrl: string
}

export type TemplateFunction = (args: Value[], world: TemplateWorld) => Value | Promise<Value>

const fail = (message: string): never => {
  throw new Error(message)
}

function toFloat(value: Value): number {
  if (typeof value === 'number') return value
  if (typeof value === 'bigint') return Number(value)
  if (typeof value === 'string') {
    const text = value.trim().toLowerCase()
    if (/^[+-]?inf(inity)?$/.test(text))
      return text.startsWith('-') ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY
    if (text === 'nan') return Number.NaN
    if (text !== '' && Number.isFinite(Number(text))) return Number(text)
    return fail(`${JSON.stringify(value)} is no number`)
  }
  return fail(`can't convert ${formatValue(value)} to float`)
}

function toText(value: Value): string {
  return typeof value === 'string' ? value : formatValue(value)
}

/** As Go's `if` sees it. */
export function isTrue(value: Value): boolean {
  if (value === null || value === undefined || value === false || value === '') return false
  if (typeof value === 'number') return value !== 0
  if (typeof value === 'bigint') return value !== 0n
  if (value instanceof GoTime) return true
  if (typeof value === 'object') return Object.keys(value).length > 0
  return true
}

const large = ['k', 'M', 'G', 'T', 'P', 'E', 'Z', 'Y']
const binary = ['ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei', 'Zi', 'Yi']
const small = ['m', 'u', 'n', 'p', 'f', 'a', 'z', 'y']

function scale(value: number, prefixes: readonly string[], isDone: (v: number) => boolean, by: number): string {
  let [left, prefix] = [value, '']
  for (const each of prefixes) {
    if (isDone(Math.abs(left))) break
    prefix = each
    left *= by
  }
  return formatG(left, 4) + prefix
}

/** Replacing is not linear in a text for every pattern: labels are short. */
const maxReplaced = 2000

const isPlain = (value: number) => value === 0 || !Number.isFinite(value)

function humanize(value: number): string {
  if (isPlain(value)) return formatG(value, 4)
  return Math.abs(value) >= 1
    ? scale(value, large, (v) => v < 1000, 1 / 1000)
    : scale(value, small, (v) => v >= 1, 1000)
}

function humanizeDuration(value: number): string {
  if (!Number.isFinite(value)) return formatG(value, 4)
  if (value === 0) return '0s'
  if (Math.abs(value) < 1) return `${scale(value, small, (v) => v >= 1, 1000)}s`
  const sign = value < 0 ? '-' : ''
  const whole = Math.trunc(Math.abs(value))
  const [seconds, minutes] = [whole % 60, Math.floor(whole / 60) % 60]
  const [hours, days] = [Math.floor(whole / 3600) % 24, Math.floor(whole / 86_400)]
  if (days > 0) return `${sign}${days}d ${hours}h ${minutes}m ${seconds}s`
  if (hours > 0) return `${sign}${hours}h ${minutes}m ${seconds}s`
  if (minutes > 0) return `${sign}${minutes}m ${seconds}s`
  return `${sign}${formatG(Math.abs(value), 4)}s`
}

function isEqual(a: Value, b: Value): boolean {
  if (a === null || a === undefined || b === null || b === undefined) return (a ?? null) === (b ?? null)
  if (typeof a !== typeof b) return fail('incompatible types for comparison')
  if (typeof a === 'object') return fail('non-comparable type')
  return a === b
}

function isLess(a: Value, b: Value): boolean {
  if (typeof a !== typeof b) return fail('incompatible types for comparison')
  if (typeof a === 'number' || typeof a === 'bigint' || typeof a === 'string') return a < (b as typeof a)
  return fail('invalid type for comparison')
}

function index(args: Value[]): Value {
  let [at] = args
  for (const key of args.slice(1)) {
    if (Array.isArray(at)) {
      const place = Number(key)
      if (!(place >= 0 && place < at.length)) return fail(`error calling index: index out of range: ${place}`)
      at = at[place]
    } else if (typeof at === 'object' && at !== null && !(at instanceof GoTime)) at = at[toText(key)] ?? ''
    else return fail("error calling index: can't index this")
  }
  return at
}

function sampleOf(value: Value): { [name: string]: Value } {
  if (typeof value === 'object' && value !== null && 'Labels' in value) return value as { [name: string]: Value }
  return fail('this is no sample: first gives one')
}

const ordered = (value: Value, by: string): Value =>
  [...(value as { Labels: Record<string, string> }[])].sort((a, b) => {
    const [one, two] = [a.Labels[by] ?? '', b.Labels[by] ?? '']
    return one < two ? -1 : one > two ? 1 : 0
  }) as unknown as Value

/** Go's `$1` and `${name}` in replacements, as JavaScript writes them. */
function toReplacement(text: string): string {
  return text.replaceAll(/\$\{(\w+)\}/g, (_, name: string) => (/^\d+$/.test(name) ? `$${name}` : `$<${name}>`))
}

/** https://prometheus.io/docs/prometheus/latest/configuration/template_reference/ and Go's own, as rules use them. */
export const templateFunctions: Readonly<Record<string, TemplateFunction>> = {
  async query([expression], world) {
    const rows = await world.query(toText(expression))
    return rows.map(({ labels, value }) => ({ Labels: { ...labels }, Value: value }))
  },
  first: ([rows]) =>
    Array.isArray(rows) && rows.length > 0 ? rows[0] : fail('first() called on vector with no elements'),
  label: ([name, sample]) => (sampleOf(sample).Labels as Record<string, string>)[toText(name)] ?? '',
  value: ([sample]) => sampleOf(sample).Value,
  strvalue: ([sample]) => (sampleOf(sample).Labels as Record<string, string>).__value__ ?? '',
  sortByLabel: ([by, rows]) => ordered(rows, toText(by)),
  args: (args) => Object.fromEntries(args.map((value, i) => [`arg${i}`, value])),

  humanize: ([value]) => humanize(toFloat(value)),
  humanize1024([value]) {
    const number = toFloat(value)
    const isSmall = Math.abs(number) <= 1 || !Number.isFinite(number)
    return isSmall ? formatG(number, 4) : scale(number, binary, (v) => v < 1024, 1 / 1024)
  },
  humanizeDuration: ([value]) => humanizeDuration(toFloat(value)),
  humanizePercentage: ([value]) => `${formatG(toFloat(value) * 100, 4)}%`,
  humanizeTimestamp([value]) {
    const number = toFloat(value)
    return Number.isFinite(number) ? formatValue(new GoTime(number * 1000)) : formatG(number, 4)
  },
  toTime: ([value]) => new GoTime(toFloat(value) * 1000),
  parseDuration([value]) {
    const ms = readDuration(toText(value))
    return ms === null ? fail(`not a valid duration string: ${JSON.stringify(value)}`) : ms / 1000
  },

  title: ([text]) =>
    toText(text).replaceAll(/(^|[^\p{L}\p{N}_'])(\p{L})/gu, (_, before, first) => before + first.toUpperCase()),
  toUpper: ([text]) => toText(text).toUpperCase(),
  toLower: ([text]) => toText(text).toLowerCase(),
  match: ([pattern, text]) => compileSearch(toText(pattern))(toText(text)),
  reReplaceAll: ([pattern, replacement, text]) =>
    toText(text)
      .slice(0, maxReplaced)
      .replaceAll(new RegExp(checked(toText(pattern)), 'gu'), toReplacement(toText(replacement))),
  safeHtml: ([text]) => text,
  stripPort: ([host]) => /^\[?([^\]]*?)\]?:\d*$/.exec(toText(host))?.[1] ?? toText(host),
  stripDomain([host]) {
    const text = toText(host)
    const [, name, port = ''] = /^(.*?)(:\d+)?$/.exec(text)!
    return /^[\d.]+$|:/.test(name!) ? text : name!.split('.')[0]! + port
  },
  graphLink: ([expression], { externalUrl }) => graphLink(externalUrl, toText(expression), '0'),
  tableLink: ([expression], { externalUrl }) => graphLink(externalUrl, toText(expression), '1'),
  pathPrefix: (_, { externalUrl }) =>
    URL.canParse(externalUrl) ? new URL(externalUrl).pathname.replace(/\/$/, '') : '',
  externalURL: (_, { externalUrl }) => externalUrl,

  print: (args) =>
    args
      .map(
        (value, i) =>
          (i > 0 && typeof value !== 'string' && typeof args[i - 1] !== 'string' ? ' ' : '') + formatValue(value),
      )
      .join(''),
  println: (args) => `${args.map(formatValue).join(' ')}\n`,
  printf: ([format, ...args]) => sprintf(toText(format), args),
  len([value]) {
    if (typeof value === 'string') return BigInt(Buffer.byteLength(value))
    if (typeof value === 'object' && value !== null) return BigInt(Object.keys(value).length)
    return fail('error calling len: this has no length')
  },
  index,
  and: (args) => args.find((value) => !isTrue(value)) ?? args.at(-1),
  or: (args) => args.find(isTrue) ?? args.at(-1),
  not: ([value]) => !isTrue(value),
  eq: ([first, ...others]) => others.some((other) => isEqual(first, other)),
  ne: ([a, b]) => !isEqual(a, b),
  lt: ([a, b]) => isLess(a, b),
  le: ([a, b]) => isLess(a, b) || isEqual(a, b),
  gt: ([a, b]) => !(isLess(a, b) || isEqual(a, b)),
  ge: ([a, b]) => !isLess(a, b),
  html: ([text]) =>
    toText(text).replaceAll(
      /[&<>"']/g,
      (char) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&#34;', "'": '&#39;' })[char]!,
    ),
  urlquery: ([text]) => encodeURIComponent(toText(text)).replaceAll('%20', '+'),
}

export const functionNames: ReadonlySet<string> = new Set(Object.keys(templateFunctions))

/** A link to an expression's graph as Prometheus writes it. */
export function graphLink(externalUrl: string, expression: string, tab: '0' | '1'): string {
  const query = `g0.expr=${encodeURIComponent(expression).replaceAll('%20', '+')}&g0.tab=${tab}`
  return `${externalUrl.replace(/\/$/, '')}/graph?${query}`
}

/** Throws for a pattern that RE2 would not take: JavaScript's look-behind and back-references are not Go's. */
function checked(pattern: string): string {
  compileRegex(pattern, { isDotAll: false })
  return pattern
}
