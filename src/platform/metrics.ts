import { Registry } from 'prom-client'
import type { Clock } from '../kernel/clock.ts'
import { systemClock } from '../kernel/clock.ts'

/**
 * Numbers for Prometheus. Names and units follow https://prometheus.io/docs/practices/naming/ and are refused otherwise.
 *
 * `with(labels)` returns the one series of those labels: resolve it once outside a hot path, and counting costs an
 * addition. A family keeps at most `maxSeries` series; later label sets are counted together under `other`, and
 * `gatehouse_metrics_overflow_total` says so. A path from outside can thus never fill the memory.
 */
export type Metrics = {
  counter<N extends string = never>(name: string, help: string, labelNames?: readonly N[]): Family<N, CounterSeries>
  gauge<N extends string = never>(name: string, help: string, labelNames?: readonly N[]): Family<N, GaugeSeries>
  /** `buckets` are upper bounds in ascending order, in the unit the name ends in. */
  histogram<N extends string = never>(
    name: string,
    help: string,
    labelNames: readonly N[],
    buckets: readonly number[],
  ): Family<N, HistogramSeries>
  /**
   * Numbers that somebody else counts, read as a whole from time to time: what the last reading had, and nothing else, is
   * there. What is beyond `maxSeries` label sets is left out, and counted in `gatehouse_metrics_overflow_total`.
   */
  readings<N extends string = never>(
    type: 'counter' | 'gauge',
    name: string,
    help: string,
    labelNames?: readonly N[],
  ): Readings<N>
  /** Shows families of other processes beside this one's, as `read` gives them each time. */
  include(read: () => readonly FamilyReading[]): void
  /** Runs `fill` before each rendering, for numbers that are read rather than counted. */
  beforeRender(fill: () => void): void
  /** The exposition text, at most a second old. */
  render(): Promise<{ contentType: string; text: string }>
  /** The series of one family as they stand, for whoever looks often: nothing is measured for it. */
  samplesOf(name: string): readonly Sample[]
  /**
   * Every family with its samples, for whoever keeps them. A sample is the same object each time, with the value of now:
   * it can be known again without reading its labels.
   */
  collect(): FamilyReading[]
}

export type FamilyReading = { name: string; help: string; type: Kind; samples: readonly Sample[] }

export type Family<N extends string, Series> = {
  with(labels: Record<N, string>): Series
  /**
   * Ends every series that has these labels: it is rendered no more, its samples end, and its place is free. For what is gone
   * for good: who still holds the series counts for nobody.
   */
  remove(labels: Partial<Record<N, string>>): void
}
export type CounterSeries = { inc(by?: number): void }
export type GaugeSeries = { set(value: number): void; inc(by?: number): void; dec(by?: number): void }
export type HistogramSeries = { observe(value: number): void }

export type Readings<N extends string = string> = {
  /**
   * Puts `found` in the place of what `owner` gave before; nothing takes all of it back. Of equal label sets the last
   * counts, and numbers that are none are left out: there is no series rather than a wrong one.
   */
  replace(owner: string, found: readonly { labels: Record<N, string>; value: number }[]): void
}

/** From a millisecond to ten minutes: for anything a caller waits for. */
export const durationBuckets = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600,
]

const renderEveryMs = 1000

/** `metricName` is set where it is not that of the family, as in `…_bucket`. */
export type Sample = { labels: Record<string, string | number>; value: number; metricName?: string }
type Kind = 'counter' | 'gauge' | 'histogram'
type Member<Series> = { series: Series; read(): readonly Sample[] }

export function createMetrics({
  clock = systemClock,
  maxSeries = 1000,
}: {
  clock?: Clock
  maxSeries?: number
} = {}): Metrics {
  const registry = new Registry()
  const fills: (() => void)[] = []
  const families: { name: string; help: string; type: Kind; read(): readonly Sample[] }[] = []
  let others: () => readonly FamilyReading[] = () => []
  let filledAt = Number.NEGATIVE_INFINITY
  let rendered: { at: number; text: Promise<string> } | null = null

  /** What is measured since it was last asked, such as the lag of the event loop, must not be asked by each reader anew. */
  function fill(now: number): void {
    if (now - filledAt < renderEveryMs) return
    filledAt = now
    for (const each of fills) each()
  }

  /** What this process has of a family, and what those have that are shown beside it. */
  function withOthers(name: string, own: readonly Sample[]): Sample[] {
    return [...own, ...others().flatMap((each) => (each.name === name ? each.samples : []))]
  }

  // prom-client's own metrics look each label set up again at every count (0.7 µs); its registry renders anything that
  // has `get`, so the counting is ours and the format is its.
  function keepFamily(name: string, help: string, type: Kind, read: () => readonly Sample[]): void {
    const renderable = { name, help, get: async () => ({ name, help, type, values: withOthers(name, read()) }) }
    families.push({ name, help, type, read })
    registry.registerMetric(renderable as unknown as Parameters<Registry['registerMetric']>[0])
  }

  function family<N extends string, Series>(
    kind: Kind,
    name: string,
    help: string,
    labelNames: readonly N[],
    create: (labels: Record<string, string>) => Member<Series>,
  ): Family<N, Series> {
    checkName(kind, name, help, labelNames)
    const members = new Map<string, Member<Series>>()
    const member = (values: string[]) => {
      const key = values.join('\u0000')
      const known = members.get(key)
      if (known !== undefined) return known.series
      const made = create(Object.fromEntries(labelNames.map((label, i) => [label, values[i]!])))
      members.set(key, made)
      return made.series
    }
    keepFamily(name, help, kind, () => [...members.values()].flatMap((each) => each.read()))
    if (labelNames.length === 0) member([])
    return {
      with(labels) {
        const values = labelNames.map((label) => String(labels[label]))
        if (members.size < maxSeries || members.has(values.join('\u0000'))) return member(values)
        overflow.with({ metric: name }).inc()
        return member(labelNames.map(() => 'other'))
      },
      remove(labels) {
        const wanted = labelNames.map((label) => labels[label])
        for (const key of [...members.keys()]) {
          const values = key.split('\u0000')
          if (wanted.every((value, i) => value === undefined || value === values[i])) members.delete(key)
        }
      },
    }
  }

  const metrics: Metrics = {
    counter: (name, help, labelNames = []) =>
      family('counter', name, help, labelNames, (labels) => {
        const sample = { labels, value: 0 }
        const inc = (by = 1) => {
          if (by > 0) sample.value += by
        }
        return { series: { inc }, read: () => [sample] }
      }),
    gauge: (name, help, labelNames = []) =>
      family('gauge', name, help, labelNames, (labels) => {
        const sample = { labels, value: 0 }
        const series: GaugeSeries = {
          set: (next) => {
            sample.value = next
          },
          inc: (by = 1) => {
            sample.value += by
          },
          dec: (by = 1) => {
            sample.value -= by
          },
        }
        return { series, read: () => [sample] }
      }),
    histogram: (name, help, labelNames, buckets) =>
      family('histogram', name, help, labelNames, (labels) => createDistribution(name, labels, buckets)),
    readings(type, name, help, labelNames = []) {
      checkName(type, name, help, labelNames)
      const { read, replace } = createReadings(labelNames, maxSeries, () => overflow.with({ metric: name }).inc())
      keepFamily(name, help, type, read)
      return { replace }
    },
    beforeRender: (fill) => fills.push(fill),
    include(read) {
      others = read
    },
    async render() {
      const now = clock.monotonic()
      if (rendered === null || now - rendered.at >= renderEveryMs) {
        fill(now)
        for (const { name, help, type } of others()) {
          if (!families.some((each) => each.name === name)) keepFamily(name, help, type, () => [])
        }
        rendered = { at: now, text: registry.metrics() }
      }
      return { contentType: registry.contentType, text: await rendered.text }
    },
    samplesOf: (name) => withOthers(name, families.find((each) => each.name === name)?.read() ?? []),
    collect() {
      fill(clock.monotonic())
      const own = families.map(({ name, help, type, read }) => ({ name, help, type, samples: read() }))
      const foreign = others()
      if (foreign.length === 0) return own
      const at = new Map(own.map((each, i) => [each.name, i]))
      for (const family of foreign) {
        const i = at.get(family.name)
        if (i === undefined) own.push(family)
        else own[i] = { ...own[i]!, samples: [...own[i]!.samples, ...family.samples] }
      }
      return own
    },
  }
  const overflow = metrics.counter(
    'gatehouse_metrics_overflow_total',
    'Look-ups of label sets beyond the limit of a metric, counted together as "other".',
    ['metric'],
  )
  return metrics
}

function createReadings(labelNames: readonly string[], maxSeries: number, onOverflow: () => void) {
  const owners = new Map<string, Map<string, Sample>>()
  let size = 0
  return {
    read: () => [...owners.values()].flatMap((samples) => [...samples.values()]),
    replace(owner: string, found: readonly { labels: Record<string, string>; value: number }[]) {
      const before = owners.get(owner) ?? new Map<string, Sample>()
      const after = new Map<string, Sample>()
      size -= before.size
      for (const { labels, value } of found) {
        if (!Number.isFinite(value)) continue
        const key = labelNames.map((label) => labels[label]).join('\u0000')
        if (!after.has(key) && size + after.size >= maxSeries) {
          onOverflow()
          continue
        }
        // The same object as before: it is known by that.
        const sample = before.get(key) ?? {
          labels: Object.fromEntries(labelNames.map((label) => [label, String(labels[label])])),
          value,
        }
        sample.value = value
        after.set(key, sample)
      }
      size += after.size
      if (after.size === 0) owners.delete(owner)
      else owners.set(owner, after)
    },
  }
}

function createDistribution(name: string, labels: Record<string, string>, buckets: readonly number[]) {
  const counts = new Float64Array(buckets.length + 1)
  let sum = 0
  const observe = (value: number) => {
    let i = 0
    while (i < buckets.length && value > buckets[i]!) i++
    counts[i]!++
    sum += value
  }
  const samples: Sample[] = [...buckets, '+Inf'].map((le) => ({
    ...{ metricName: `${name}_bucket`, labels: { ...labels, le }, value: 0 },
  }))
  const total: Sample = { metricName: `${name}_sum`, labels, value: 0 }
  const number: Sample = { metricName: `${name}_count`, labels, value: 0 }
  const all = [...samples, total, number]
  const read = () => {
    let count = 0
    for (const [i, sample] of samples.entries()) {
      count += counts[i]!
      sample.value = count
    }
    total.value = sum
    number.value = count
    return all
  }
  return { series: { observe }, read }
}

// The rules of `promtool check metrics` that a name can break.
function checkName(kind: Kind, name: string, help: string, labelNames: readonly string[]): void {
  const isReserved = /_(total|sum|count|bucket|info)$/.test(name)
  const isFit =
    /^gatehouse_[a-z_]+$/.test(name) &&
    (kind === 'counter' ? name.endsWith('_total') : !isReserved || (kind === 'gauge' && name.endsWith('_info')))
  if (!isFit) throw new Error(`${kind} ${name}: the name is not one Prometheus' conventions allow`)
  if (help === '') throw new Error(`${kind} ${name}: the help text is missing`)
  const unfit = labelNames.find((label) => !/^[a-z][a-z_]*$/.test(label) || label === 'le' || label === 'quantile')
  if (unfit !== undefined) throw new Error(`${kind} ${name}: the label ${unfit} is not allowed`)
}
