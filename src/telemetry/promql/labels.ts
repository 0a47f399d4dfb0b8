/** A set of labels: names in order, each followed by its value, and one text that is equal only for equal sets. */
export type Labels = { readonly pairs: readonly string[]; readonly key: string }

const separator = '\uffff'
export const metricName = '__name__'
export const noLabels: Labels = { pairs: [], key: '' }

/** Labels without a value are as good as absent. */
export function labelsOf(record: Readonly<Record<string, string>>): Labels {
  const names = Object.keys(record)
    .filter((name) => record[name] !== '')
    .sort(compareText)
  return fromPairs(names.flatMap((name) => [name, record[name]!]))
}

export function fromPairs(pairs: readonly string[]): Labels {
  return pairs.length === 0 ? noLabels : { pairs, key: pairs.join(separator) }
}

export function labelOf({ pairs }: Labels, name: string): string {
  for (let i = 0; i < pairs.length; i += 2) if (pairs[i] === name) return pairs[i + 1]!
  return ''
}

export function toRecord({ pairs }: Labels): Record<string, string> {
  const record: Record<string, string> = {}
  for (let i = 0; i < pairs.length; i += 2) record[pairs[i]!] = pairs[i + 1]!
  return record
}

export function without(labels: Labels, names: readonly string[]): Labels {
  return filter(labels, (name) => !names.includes(name))
}

export function only(labels: Labels, names: readonly string[]): Labels {
  return filter(labels, (name) => names.includes(name))
}

export function withoutName(labels: Labels): Labels {
  return labelOf(labels, metricName) === '' ? labels : without(labels, [metricName])
}

/** With `name` set to `value`; '' removes it. */
export function withLabel(labels: Labels, name: string, value: string): Labels {
  return labelsOf({ ...toRecord(labels), [name]: value })
}

export function compareLabels(a: Labels, b: Labels): number {
  const count = Math.min(a.pairs.length, b.pairs.length)
  for (let i = 0; i < count; i++) {
    const order = compareText(a.pairs[i]!, b.pairs[i]!)
    if (order !== 0) return order
  }
  return a.pairs.length - b.pairs.length
}

/** As Prometheus writes them in its messages. */
export function describeLabels(labels: Labels): string {
  const parts: string[] = []
  for (let i = 0; i < labels.pairs.length; i += 2) {
    if (labels.pairs[i] !== metricName) parts.push(`${labels.pairs[i]}=${JSON.stringify(labels.pairs[i + 1])}`)
  }
  return `${labelOf(labels, metricName)}{${parts.join(', ')}}`
}

function filter(labels: Labels, keeps: (name: string) => boolean): Labels {
  const pairs: string[] = []
  for (let i = 0; i < labels.pairs.length; i += 2) {
    if (keeps(labels.pairs[i]!)) pairs.push(labels.pairs[i]!, labels.pairs[i + 1]!)
  }
  return pairs.length === labels.pairs.length ? labels : fromPairs(pairs)
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
