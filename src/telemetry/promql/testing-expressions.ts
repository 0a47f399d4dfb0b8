import { createDice } from '../../kernel/dice.ts'
/** Series and expressions made by chance from a seed, for comparing with the real Prometheus. */
import type { Kind } from '../store/grains.ts'
import { type Labels, labelsOf } from './labels.ts'

export const startMs = Date.UTC(2026, 0, 5, 10)
export const endMs = startMs + 5_400_000
export const stepMs = 97_000

type Sample = { at: number; value: number | null }
export type GeneratedSeries = { labels: Labels; kind: Kind; samples: Sample[] }

export function createChance(seed: number) {
  const next = createDice(seed)
  return {
    next,
    below: (count: number) => Math.floor(next() * count),
    of: <T>(choices: readonly T[]): T => choices[Math.floor(next() * choices.length)]!,
    is: (share: number) => next() < share,
  }
}

/** Gauges, counters with resets, gaps and ends, histograms; one gauge with NaN and infinities. */
export function generateSeries(seed = 42): GeneratedSeries[] {
  const chance = createChance(seed)
  const series: GeneratedSeries[] = []
  const add = (record: Record<string, string>, kind: Kind, draw: (i: number, before: number) => number | null) => {
    const samples: Sample[] = []
    let value = chance.below(50)
    let isGone = false
    const jitter = chance.below(900)
    for (let i = 0, at = startMs + jitter; at <= endMs; i++, at += 15_000) {
      if (isGone && chance.is(0.9)) continue
      isGone = false
      if (chance.is(0.01)) {
        samples.push({ at, value: null })
        isGone = true
        continue
      }
      if (chance.is(0.03)) continue
      const drawn = draw(i, value)
      if (drawn === null) continue
      if (Number.isFinite(drawn)) value = drawn
      samples.push({ at, value: drawn })
    }
    series.push({ labels: labelsOf(record), kind, samples })
  }
  for (const job of ['api', 'worker']) {
    for (const instance of ['a:1', 'b:1', 'c:1']) {
      add({ __name__: 'temperature', job, instance }, 'gauge', () => chance.next() * 40 - 10)
      add({ __name__: 'queue_length', job, instance, queue: chance.of(['mail', 'jobs']) }, 'gauge', () =>
        chance.below(20),
      )
      add({ __name__: 'requests_total', job, instance, code: '200' }, 'counter', (_, before) =>
        chance.is(0.02) ? chance.below(5) : before + chance.below(30),
      )
      add({ __name__: 'requests_total', job, instance, code: '500' }, 'counter', (_, before) =>
        chance.is(0.02) ? 0 : before + (chance.is(0.2) ? chance.next() : 0),
      )
    }
    const buckets = [0.1, 0.5, 1, 5, Number.POSITIVE_INFINITY]
    const counts = buckets.map(() => 0)
    const history: number[][] = []
    for (let i = 0; i <= 400; i++) {
      for (let b = 0; b < buckets.length; b++) counts[b]! += b === 0 ? chance.below(4) : 0
      const seen = buckets.map(() => chance.below(5))
      let sum = 0
      for (const [b, extra] of seen.entries()) {
        sum += extra
        counts[b]! += sum
      }
      history.push([...counts])
    }
    for (const [b, bound] of buckets.entries()) {
      const le = bound === Number.POSITIVE_INFINITY ? '+Inf' : String(bound)
      add({ __name__: 'latency_seconds_bucket', job, le }, 'counter', (i) => history[i]![b]!)
    }
    add({ __name__: 'odd', job, note: `x.${job}$1` }, 'gauge', () =>
      chance.of([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, 1, -1, 2.5]),
    )
    add({ __name__: 'build_info', job, version: job === 'api' ? '1.2.3' : '1.3.0', rack: 'r1' }, 'gauge', () => 1)
  }
  add({ __name__: 'brief', job: 'api' }, 'gauge', (i) => (i > 100 && i < 140 ? i : null))
  return series
}

const perElement = [
  'abs ceil floor exp ln log2 log10 sqrt sgn deg rad sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh'.split(
    ' ',
  ),
].flat()
const overRange = (
  'rate irate increase delta idelta deriv changes resets avg_over_time min_over_time max_over_time sum_over_time ' +
  'count_over_time stddev_over_time stdvar_over_time last_over_time present_over_time'
).split(' ')
const dates = 'minute hour day_of_week day_of_month day_of_year days_in_month month year'.split(' ')
const arithmetic = ['+', '-', '*', '/', '%', '^', 'atan2']
const comparisons = ['==', '!=', '<', '>', '<=', '>=']
const names = ['temperature', 'queue_length', 'requests_total', 'latency_seconds_bucket', 'build_info', 'brief']

/** What two right answers may differ in. */
const unsure: readonly RegExp[] = [
  // The variance of numbers as great as moments is noise that depends on the order of series.
  /std(dev|var)\b.*\btime/,
  // Prometheus moves a fixed range along: the arguments are taken for step invariant, the function is not.
  /predict_linear\(.*@/,
  // The last bit of a transcendental function becomes a label.
  /count_values.*\b(exp|ln|log2|log10|a?(sin|cos|tan)h?)\(/,
]

/** Expressions over every function and operator; a few are wrong on purpose, so that refusals are compared too. */
export function generateExpressions(count: number, seed = 7): string[] {
  const chance = createChance(seed)
  const { of, is, below } = chance

  function selector(name = of(names)): string {
    const matchers = [
      ...(is(0.3)
        ? [of(['job="api"', 'job!="api"', 'job=~"a.*"', 'job=~"api|worker"', 'job!~"w.+"', 'job=~"[aw].*r?"'])]
        : []),
      ...(is(0.2)
        ? [of(['instance="a:1"', 'instance=~"[ab]:1"', 'instance!=""', 'missing=""', 'instance=~"(a|b):\\\\d"'])]
        : []),
    ]
    const body = is(0.08)
      ? `{__name__=~"${name}|odd",job="api"}`
      : `${name}${matchers.length > 0 ? `{${matchers.join(',')}}` : ''}`
    return body
  }

  function marks(): string {
    const offset = is(0.15) ? ` offset ${of(['1m', '-2m', '7m30s', '90s', '1h'])}` : ''
    const at = is(0.1)
      ? ` @ ${of(['start()', 'end()', String(startMs / 1000 + 1800), `${startMs / 1000 + 900.5}`])}`
      : ''
    return is(0.5) ? offset + at : at + offset
  }

  function ranged(depth: number): string {
    if (depth > 0 && is(0.2))
      return `(${vector(depth - 1)})[${of(['5m', '10m', '20m'])}:${of(['', '30s', '1m', '97s'])}]${marks()}`
    return `${selector(of(names))}[${of(['1m', '2m', '5m', '10m', '17s', '1h'])}]${marks()}`
  }

  function scalar(depth: number): string {
    if (depth > 0 && is(0.2)) return `scalar(${vector(depth - 1)})`
    if (is(0.1)) return of(['time()', 'pi()', 'Inf', '-Inf', 'NaN', '0x1F', '010', '1e3', '.5'])
    if (is(0.15)) return `(${below(9)} ${of(['+', '-', '*', '/', '%', '^'])} ${below(9)})`
    return of(['0', '1', '2', '-3', '0.5', '10', '100', '17.25'])
  }

  function call(depth: number): string {
    const inner = () => vector(depth - 1)
    const rangedInner = () => ranged(depth - 1)
    const makers: (() => string)[] = [
      ...[0, 1].map(() => () => `${of(perElement)}(${inner()})`),
      ...[0, 1, 2, 3].map(() => () => `${of(overRange)}(${rangedInner()})`),
      () => `quantile_over_time(${of(['0', '0.3', '0.9', '1', '1.5', '-1'])}, ${rangedInner()})`,
      () => `predict_linear(${rangedInner()}, ${of(['0', '600', '-60'])})`,
      () =>
        `histogram_quantile(${of(['0', '0.5', '0.9', '0.99', '1', '2'])}, ${of([
          'latency_seconds_bucket',
          'rate(latency_seconds_bucket[5m])',
          'sum by (le) (rate(latency_seconds_bucket[10m]))',
          'sum by (le, job) (latency_seconds_bucket)',
          'latency_seconds_bucket{le!="+Inf"}',
        ])})`,
      () => `clamp(${inner()}, ${scalar(0)}, ${scalar(0)})`,
      () => `clamp_min(${inner()}, ${scalar(depth - 1)})`,
      () => `clamp_max(${inner()}, ${scalar(depth - 1)})`,
      () => `round(${inner()}${is(0.5) ? `, ${of(['1', '5', '0.1', '0.25'])}` : ''})`,
      () => `absent(${of([inner(), 'nothing{job="x",a=~"b"}', 'nothing{job="x",job="y"}', selector()])})`,
      () => `absent_over_time(${of([rangedInner(), 'nothing{job="x"}[5m]', 'brief[1m]'])})`,
      () => `timestamp(${selector()})`,
      () =>
        `${of(dates)}(${of(['', 'vector(time())', `timestamp(${selector()})`, 'vector(1709210096)', 'vector(951782399)'])})`,
      () => `vector(${scalar(depth - 1)})`,
      () => `${of(['sort', 'sort_desc'])}(${inner()})`,
      () =>
        `label_replace(${inner()}, "${of(['new', 'job', 'instance'])}", "${of(['$1', `$\{1}-x`, 'fixed', '', '$2', '$$1', `$\{host}`])}", "${of(['instance', 'job', 'none'])}", "${of(['(.*):(.*)', '(?P<host>[a-z]+):.+', '', '(a|w).*', '[^:]+', '(?i)API'])}")`,
      () =>
        `label_join(${inner()}, "${of(['joined', 'job'])}", "${of(['-', '', '::'])}", ${of(['"job"', '"job", "instance"', '"none"'])})`,
      () => `-${of([selector(), `(${inner()})`])}`,
      () => `+${selector()}`,
    ]
    return of(makers)()
  }

  function aggregation(depth: number): string {
    const inner = vector(depth - 1)
    const clause = is(0.6)
      ? ` ${of(['by', 'without'])} (${of(['job', 'instance', 'job, code', 'le', '', 'instance, le, none'])}) `
      : ''
    const op = of([
      'sum',
      'avg',
      'min',
      'max',
      'count',
      'group',
      'stddev',
      'stdvar',
      'topk',
      'bottomk',
      'quantile',
      'count_values',
    ])
    const param =
      op === 'quantile'
        ? `${of(['0.5', '0', '1', '0.77', '-1', 'NaN'])}, `
        : op === 'count_values'
          ? '"value", '
          : /k$/.test(op)
            ? `${of(['1', '2', '3', '0', '100'])}, `
            : ''
    // Which of equals is among the best is nobody's promise.
    const of_ = /k$/.test(op)
      ? of(['temperature', 'temperature{job="api"}', 'rate(requests_total{code="200"}[5m])'])
      : inner
    return is(0.5) ? `${op}${clause}(${param}${of_})` : `${op}(${param}${of_})${clause}`
  }

  function binary(depth: number): string {
    const left = () => vector(depth - 1)
    const makers: (() => string)[] = [
      () => `${left()} ${of(arithmetic)} ${scalar(depth - 1)}`,
      () => `${scalar(depth - 1)} ${of(arithmetic)} ${left()}`,
      () => `${left()} ${of(comparisons)} ${is(0.4) ? 'bool ' : ''}${scalar(0)}`,
      () => `${scalar(0)} ${of(comparisons)} ${is(0.4) ? 'bool ' : ''}${left()}`,
      () =>
        `temperature ${of([...arithmetic, ...comparisons])} on(job, instance) queue_length${is(0.2) ? ' offset 1m' : ''}`,
      () => `temperature ${of(comparisons)} bool ignoring(queue) queue_length`,
      () => `requests_total ${of(['+', '/', '*', '>'])} ignoring(code) group_left sum without(code) (requests_total)`,
      () => `requests_total ${of(['*', '-', '<'])} on(job) group_left(version, rack) build_info`,
      () => `build_info ${of(['*', '+', '>='])} on(job) group_right(version) rate(requests_total[5m])`,
      () => `requests_total / ignoring(code) sum without(code) (requests_total)`,
      () => `temperature * on(job) build_info`,
      () => `temperature + on(instance) group_left() build_info`,
      () =>
        `${left()} ${of(['and', 'or', 'unless'])} ${is(0.5) ? of(['on(job) ', 'ignoring(instance) ', 'on() ', 'on(job, instance) ']) : ''}${left()}`,
      () => `${left()} ${of(arithmetic)} ${left()}`,
    ]
    const made = of(makers)()
    return depth > 1 && is(0.4) ? `(${made})` : made
  }

  function vector(depth: number): string {
    if (depth <= 0 || is(0.15)) return selector() + marks()
    const kind = below(10)
    return kind < 5 ? call(depth) : kind < 7 ? aggregation(depth) : binary(depth)
  }

  const wrong = [
    'rate(temperature)',
    'sum(',
    'temperature[5m',
    'foo(temperature)',
    '{}',
    '{job=~".*"}',
    'temperature{job="a}',
    '1 < 2',
    'temperature and 1',
    'abs(1)',
    'temperature[5m:]',
    'sum(temperature[5m])',
    'rate(temperature[0s])',
    'topk(temperature)',
    'temperature offset',
    'temperature{__name__="x"}',
    'temperature{job=~"("}',
    'temperature{job=~"(?=a)"}',
    '"text" + 1',
    'temperature + on(job) group_left(job) build_info',
    'temperature and on(job) group_left build_info',
    '-"text"',
    'temperature bool + 1',
    'sum by (job (temperature)',
    '(temperature)[5m]',
    'temperature[5m] offset 1m offset 2m',
    '"just text"',
    'label_replace(temperature, "0bad", "$1", "job", "(.*)")',
    'label_replace(temperature, "x", "$1", "job", "(")',
    'topk(NaN, temperature)',
    'count_values("0bad", temperature)',
    '5',
    'time() - 5',
    '1 > bool 2',
    'temperature[2m]',
    'requests_total[1m] offset 3m',
    '{__name__=~"temperature|queue_length"} * 0',
    '-{__name__=~"temperature|queue_length",queue!~"m.*"}',
  ]
  return [
    ...wrong.flatMap((text) => [text, text]),
    ...Array.from({ length: Math.max(0, count - wrong.length * 2) }, () => {
      let text = vector(1 + below(3))
      while (unsure.some((pattern) => pattern.test(text))) text = vector(1 + below(3))
      return text
    }),
  ]
}
