/** Values as Go writes them: what people read in messages of Prometheus they shall read here. */
export type Value = string | number | bigint | boolean | null | undefined | GoTime | Value[] | { [name: string]: Value }

/** A moment; printed as Go prints a time in UTC. */
export class GoTime {
  readonly ms: number
  constructor(ms: number) {
    this.ms = ms
  }
}

/** `%v`. */
export function formatValue(value: Value): string {
  if (value === null || value === undefined) return '<no value>'
  if (typeof value === 'number') return formatG(value, null)
  if (typeof value === 'object') {
    if (value instanceof GoTime) return formatTime(value.ms)
    if (Array.isArray(value)) return `[${value.map(formatValue).join(' ')}]`
    const members = Object.keys(value).sort()
    return `map[${members.map((name) => `${name}:${formatValue(value[name])}`).join(' ')}]`
  }
  return String(value)
}

function formatTime(ms: number): string {
  const [date, clock] = new Date(Math.trunc(ms)).toISOString().slice(0, -1).split('T')
  return `${date} ${trimZeros(clock!)} +0000 UTC`
}

function special(value: number): string | null {
  if (Number.isNaN(value)) return 'NaN'
  if (value === Number.POSITIVE_INFINITY) return '+Inf'
  return value === Number.NEGATIVE_INFINITY ? '-Inf' : null
}

/** As `toFixed`, but what lies exactly between two goes to the even one. */
function fixed(value: number, digits: number): string {
  const places = Math.min(100, digits)
  const rounded = value.toFixed(places)
  if (Math.abs(value) >= 1e21 || places > 50) return rounded
  return toEven(rounded, value.toFixed(places + 50), 50)
}

function exponential(value: number, digits: number): string {
  const places = Math.min(100, digits)
  const rounded = value.toExponential(places)
  if (places > 50) return rounded
  const [long, exponent] = value.toExponential(places + 50).split('e')
  const [mantissa, own] = rounded.split('e')
  return own === exponent ? `${toEven(mantissa!, long!, 50)}e${own}` : rounded
}

function toEven(rounded: string, long: string, more: number): string {
  if (!/^50*$/.test(long.slice(-more))) return rounded
  const cut = long.slice(0, -more).replace(/\.$/, '')
  return '02468'.includes(cut.at(-1)!) ? cut : rounded
}

function withExponent(text: string): string {
  return text.replace(/e([+-])(\d)$/, 'e$10$2')
}

/** `%g`, with `digits` significant ones or as many as it takes. */
export function formatG(value: number, digits: number | null): string {
  const odd = special(value)
  if (odd !== null) return odd
  if (value === 0) return Object.is(value, -0) ? '-0' : '0'
  const scientific = digits === null ? value.toExponential() : exponential(value, digits - 1)
  const exponent = Number(/e([+-]\d+)$/.exec(scientific)![1])
  const [mantissa] = scientific.split('e')
  const count = mantissa!.replace(/[-.]/g, '').replace(/0+$/, '').length || 1
  // From which exponent on it is used: strconv's %e rule.
  const limit = digits === null ? 6 : digits > count && count >= exponent + 1 ? count : digits
  if (exponent < -4 || exponent >= limit) {
    return withExponent(trimZeros(mantissa!) + scientific.slice(mantissa!.length))
  }
  return trimZeros(digits === null ? String(value) : fixed(value, Math.max(0, digits - 1 - exponent)))
}

function trimZeros(text: string): string {
  return text.includes('.') ? text.replace(/\.?0+$/, '') : text
}

/** `fmt.Sprintf`; a verb that does not fit its value is told in the text, as Go does. */
export function sprintf(format: string, args: readonly Value[]): string {
  let next = 0
  const written = format.replaceAll(
    /%([-+# 0]*)(\d+|\*)?(?:\.(\d+)?)?(.)?/gs,
    (whole, flags: string, width: string | undefined, precision: string | undefined, verb: string | undefined) => {
      if (verb === undefined) return '%!(NOVERB)'
      if (verb === '%') return '%'
      let wide = width === undefined ? 0 : Number(width)
      if (width === '*') wide = Number(args[next++] ?? 0)
      if (next >= args.length) return `%!${verb}(MISSING)`
      const hasDot = whole.includes('.')
      const text = formatVerb(verb, args[next++]!, flags, hasDot ? Number(precision ?? 0) : null)
      if (flags.includes('-')) return text.padEnd(wide)
      const isNumber = flags.includes('0') && /^[+-]?[\d.]/.test(text)
      if (!isNumber) return text.padStart(wide)
      const sign = /^[+-]/.exec(text)?.[0] ?? ''
      return sign + text.slice(sign.length).padStart(wide - sign.length, '0')
    },
  )
  if (next >= args.length) return written
  return `${written}%!(EXTRA ${args
    .slice(next)
    .map((value) => `${typeName(value)}=${formatValue(value)}`)
    .join(', ')})`
}

function formatVerb(verb: string, value: Value, flags: string, precision: number | null): string {
  const signed = (text: string) => (flags.includes('+') && !/^[+-]/.test(text) ? `+${text}` : text)
  if (verb === 'v' || (verb === 's' && typeof value === 'string')) {
    const text = typeof value === 'number' && precision !== null ? formatG(value, precision) : formatValue(value)
    return precision !== null && typeof value === 'string' ? text.slice(0, precision) : text
  }
  if (verb === 'T') return typeName(value)
  if (typeof value === 'number') {
    const odd = special(value)
    if ('eEfFgG'.includes(verb) && odd !== null) return odd === '+Inf' && !flags.includes('+') ? '+Inf' : odd
    if (verb === 'f' || verb === 'F') return signed(fixed(value, precision ?? 6))
    if (verb === 'e' || verb === 'E') {
      const text = withExponent(exponential(value, precision ?? 6))
      return signed(verb === 'E' ? text.toUpperCase() : text)
    }
    if (verb === 'g' || verb === 'G') return signed(formatG(value, precision === null ? null : Math.max(1, precision)))
  }
  if (typeof value === 'bigint') {
    if (verb === 'd') return signed(String(value))
    if (verb === 'x') return value.toString(16)
    if (verb === 'X') return value.toString(16).toUpperCase()
    if (verb === 'o') return value.toString(8)
    if (verb === 'b') return value.toString(2)
    if (verb === 'c') return String.fromCodePoint(Number(value))
  }
  if (typeof value === 'string') {
    if (verb === 'q') return JSON.stringify(value)
    if (verb === 'x') return Buffer.from(value).toString('hex')
  }
  if (typeof value === 'boolean' && verb === 't') return String(value)
  if (value === null || value === undefined) return `%!${verb}(<nil>)`
  return `%!${verb}(${typeName(value)}=${formatValue(value)})`
}

function typeName(value: Value): string {
  if (typeof value === 'number') return 'float64'
  if (typeof value === 'bigint') return 'int'
  if (typeof value === 'boolean') return 'bool'
  if (typeof value === 'string') return 'string'
  if (value instanceof GoTime) return 'time.Time'
  return value === null || value === undefined
    ? '<nil>'
    : Array.isArray(value)
      ? 'template.queryResult'
      : 'map[string]string'
}
