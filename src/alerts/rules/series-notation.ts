/** One value of a written series: nothing at that moment, or the end of the series, where it is no number. */
export type WrittenValue = number | '_' | 'stale'
export type InputSeries = { labels: Readonly<Record<string, string>>; values: WrittenValue[] }

const maxValues = 1_000_000
// No hexadecimal numbers, as in Prometheus: `0x5` is 0, six times.
const number = String.raw`[-+]?(?:\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?|[iI]nf|[nN]a[nN])`
const value = new RegExp(`^(${number})(?:([-+])(${number.replace('[-+]?', '')}))?(?:x(\\d+))?$`)

/** Reads `up{job="a"}` and `1+2x3 _ stale 5`; throws an Error that names what is wrong. */
export function readSeries(series: string, values: string): InputSeries {
  return { labels: readMetric(series), values: readValues(values, series) }
}

/** https://prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules/#series */
export function readValues(text: string, series: string): WrittenValue[] {
  const read: WrittenValue[] = []
  for (const word of text.trim().split(/\s+/)) {
    if (word === '') continue
    const gap = /^_(?:x(\d+))?$/.exec(word)
    if (gap !== null) {
      push(Array.from({ length: gap[1] === undefined ? 1 : Number(gap[1]) }, () => '_' as const))
      continue
    }
    if (word === 'stale') {
      push(['stale'])
      continue
    }
    if (word.startsWith('{{')) throw new Error(`${series}: native histograms are not supported here`)
    const found = value.exec(word)
    if (found === null) throw new Error(`${series}: "${word}" is no value; write 1, 1+2x3, 1x3, _, _x3 or stale`)
    const [, first, sign, step, times] = found
    if (sign !== undefined && times === undefined)
      throw new Error(`${series}: "${word}" says no number of times, as in 1+2x3`)
    const by = step === undefined ? 0 : toNumber(step) * (sign === '-' ? -1 : 1)
    const count = times === undefined ? 0 : Number(times)
    if (count > maxValues) throw new Error(`${series}: "${word}" has more than ${maxValues} values`)
    let at = toNumber(first!)
    const some: number[] = []
    for (let i = 0; i <= count; i++) {
      some.push(at)
      at += by
    }
    push(some)
  }
  return read

  function push(some: readonly WrittenValue[]): void {
    if (read.length + some.length > maxValues) throw new Error(`${series}: more than ${maxValues} values`)
    for (const each of some) read.push(each)
  }
}

function toNumber(text: string): number {
  if (/inf$/i.test(text)) return text.startsWith('-') ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY
  if (/nan$/i.test(text)) return Number.NaN
  const sign = text.startsWith('-') ? -1 : 1
  return sign * Number(text.replace(/^[-+]/, ''))
}

/** Reads a metric with its labels, as `name{label="value"}`; throws an Error. */
export function readMetric(text: string): Record<string, string> {
  const found = /^\s*([a-zA-Z_:][\w:]*)?\s*(?:\{([\s\S]*)\})?\s*$/.exec(text)
  if (found === null) throw new Error(`${JSON.stringify(text)} is no series; write up{job="a"}`)
  const labels: Record<string, string> = found[1] === undefined ? {} : { __name__: found[1] }
  const inner = found[2] ?? ''
  const pattern = /\s*([a-zA-Z_]\w*)\s*=\s*("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`)\s*(,|$)/y
  let at = 0
  while (inner.slice(at).trim() !== '') {
    pattern.lastIndex = at
    const label = pattern.exec(inner)
    if (label === null)
      throw new Error(`${JSON.stringify(text)} is no series: it cannot be read from ${inner.slice(at)}`)
    labels[label[1]!] = unquote(label[2]!)
    at = pattern.lastIndex
  }
  return labels
}

function unquote(literal: string): string {
  const inner = literal.slice(1, -1)
  if (literal.startsWith('`')) return inner
  return inner.replaceAll(/\\(.)/g, (_, char: string) => ({ n: '\n', t: '\t', r: '\r' })[char] ?? char)
}
