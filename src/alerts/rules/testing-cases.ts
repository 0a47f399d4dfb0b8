import { createDice } from '../../kernel/dice.ts'
import type { WrittenValue } from './series-notation.ts'

/** A rule that chance made, with times in steps: how long a step takes is for whoever runs it. */
export type RuleCase = {
  name: string
  expr(duration: (steps: number) => string): string
  forSteps: number
  keepSteps: number
  label: string
  annotation: string
}

export type CaseSeries = { series: string; values: WrittenValue[] }

const annotations = [
  '{{ $labels.job }} is at {{ $value | humanize }}',
  '{{ printf "%.2f" $value }} of {{ $labels.instance | title }}',
  '{{ if gt $value 10.0 }}much{{ else }}little{{ end }}: {{ humanizePercentage $value }}',
  '{{ with $labels.job }}{{ . | toUpper }}{{ end }} {{ humanizeDuration $value }} {{ humanize1024 $value }}',
  // Twelve digits: promtool keeps its series in an order of chance, and the last digits of a mean hang on the order of adding.
  '{{ range $i, $e := query "gauge" | sortByLabel "instance" }}{{ $i }}={{ $e.Labels.instance }} {{ end }}{{ printf "%.12g" $value }}',
  'static text',
]
const labels = ['fixed', '{{ $labels.job }}-x', '{{ if lt $value 20.0 }}low{{ else }}high{{ end }}', '']

/** Gauges that swing and counters that grow and start again, both with gaps and ends. */
export function generateCaseSeries(steps: number, seed = 7): CaseSeries[] {
  const dice = createDice(seed)
  const all: CaseSeries[] = []
  for (const job of ['api', 'db']) {
    for (const instance of ['a', 'b', 'c']) {
      all.push({ series: `gauge{job="${job}",instance="${instance}"}`, values: holes(gauge()) })
      all.push({ series: `hits_total{job="${job}",instance="${instance}"}`, values: holes(counter()) })
    }
    all.push({ series: `size{job="${job}"}`, values: holes(gauge()) })
  }
  return all

  function gauge(): number[] {
    let at = Math.floor(dice() * 30)
    return Array.from({ length: steps }, () => {
      if (dice() < 0.25) at = Math.max(0, at + Math.floor(dice() * 21) - 10)
      return at
    })
  }
  function counter(): number[] {
    let at = 0
    return Array.from({ length: steps }, () => {
      at = dice() < 0.06 ? 0 : at + Math.floor(dice() * 6)
      return at
    })
  }
  function holes(values: number[]): WrittenValue[] {
    const made: WrittenValue[] = [...values]
    for (let i = 2; i < steps; i++) {
      const chance = dice()
      if (chance < 0.03) {
        for (let k = i; k < Math.min(steps, i + 1 + Math.floor(dice() * 8)); k++) made[k] = '_'
      } else if (chance < 0.06) {
        made[i] = 'stale'
        for (let k = i + 1; k < Math.min(steps, i + 1 + Math.floor(dice() * 5)); k++) made[k] = '_'
      }
    }
    return made
  }
}

export function generateRuleCases(count: number, seed = 42): RuleCase[] {
  const dice = createDice(seed)
  const pick = <T>(from: readonly T[]): T => from[Math.floor(dice() * from.length)]!
  const threshold = () => String(Math.floor(dice() * 30))
  const selector = () => pick(['gauge', 'gauge{job="api"}', 'gauge{instance=~"a|b"}', 'gauge{instance!="c"}'])
  const counter = () => pick(['hits_total', 'hits_total{job="db"}', 'hits_total{instance="a"}'])
  const compare = () => pick(['>', '<', '>=', '<=', '!='])
  const range = () => 2 + Math.floor(dice() * 6)
  const shapes: (() => RuleCase['expr'])[] = [
    () => fixed(`${selector()} ${compare()} ${threshold()}`),
    () => fixed(`sum by (job) (${selector()}) ${compare()} ${Number(threshold()) * 2}`),
    () => fixed(`avg(${selector()}) ${compare()} ${threshold()}`),
    () => fixed(`count(${selector()} > ${threshold()}) by (job) >= ${1 + Math.floor(dice() * 3)}`),
    () => fixed(`absent(gauge{job="${pick(['api', 'db', 'none'])}",instance="${pick(['a', 'b', 'z'])}"})`),
    () => fixed(`gauge > on (job) group_left () size`),
    () => fixed(`gauge > ${threshold()} and on (job) size > ${threshold()}`),
    () => fixed(`gauge > ${threshold()} unless on (job) size > ${threshold()}`),
    () => fixed(`gauge > ${threshold()} or size < ${threshold()}`),
    () => fixed(`max without (instance) (gauge) - min without (instance) (gauge) ${compare()} ${threshold()}`),
    () => fixed(`quantile by (job) (0.5, gauge) > ${threshold()}`),
    () => fixed(`gauge > bool ${threshold()} == 1`),
    () => fixed(`recorded:gauge:max > ${threshold()}`),
    () =>
      ranged(
        (d, n) => `increase(${counterText}[${d(n)}]) > ${limit}`,
        counter,
        () => Math.floor(dice() * 15),
      ),
    () =>
      ranged(
        (d, n) => `avg_over_time(${counterText}[${d(n)}]) > ${limit}`,
        selector,
        () => Math.floor(dice() * 30),
      ),
    () =>
      ranged(
        (d, n) => `changes(${counterText}[${d(n)}]) > ${limit}`,
        selector,
        () => Math.floor(dice() * 3),
      ),
    () =>
      ranged(
        (d, n) => `resets(${counterText}[${d(n + 3)}]) > 0`,
        counter,
        () => 0,
      ),
    () =>
      ranged(
        (d, n) => `max_over_time(${counterText}[${d(n)}]) >= ${limit}`,
        selector,
        () => Math.floor(dice() * 30),
      ),
    () =>
      ranged(
        (d, n) => `delta(${counterText}[${d(n)}]) < -${limit}`,
        selector,
        () => Math.floor(dice() * 8),
      ),
    () =>
      ranged(
        (d, n) => `count_over_time(${counterText}[${d(n)}]) < ${limit}`,
        selector,
        () => 1 + Math.floor(dice() * 5),
      ),
    () =>
      ranged(
        (d, n) => `${counterText} > ${limit} and ${counterText} offset ${d(n)} < ${limit}`,
        selector,
        () => Math.floor(dice() * 30),
      ),
    () =>
      ranged(
        (d, n) => `absent_over_time(${counterText}[${d(n)}])`,
        () => pick(['gauge{job="api",instance="b"}', 'size{job="db"}']),
        () => 0,
      ),
  ]
  let [counterText, limit] = ['', 0]

  function fixed(text: string): RuleCase['expr'] {
    return () => text
  }
  function ranged(
    write: (duration: (steps: number) => string, n: number) => string,
    subject: () => string,
    bound: () => number,
  ): RuleCase['expr'] {
    const [ownText, ownLimit, n] = [subject(), bound(), range()]
    return (duration) => {
      ;[counterText, limit] = [ownText, ownLimit]
      return write(duration, n)
    }
  }

  return Array.from({ length: count }, (_, i) => ({
    name: `Case${i}`,
    expr: pick(shapes)(),
    forSteps: pick([0, 0, 1, 2, 3, 5, 8]),
    keepSteps: pick([0, 0, 0, 1, 2, 4, 7]),
    label: pick(labels),
    annotation: pick(annotations),
  }))
}

/** The rule file of some cases, as Prometheus reads it. */
export function writeRuleFile(cases: readonly RuleCase[], duration: (steps: number) => string): string {
  const quote = (text: string) => `'${text.replaceAll("'", "''")}'`
  const lines = ['groups:', '- name: cases', `  interval: ${duration(1)}`, '  rules:']
  lines.push('  - record: recorded:gauge:max', '    expr: max by (job) (gauge)')
  lines.push('  - record: tick', '    expr: vector(time())')
  for (const { name, expr, forSteps, keepSteps, label, annotation } of cases) {
    lines.push(`  - alert: ${name}`, `    expr: ${quote(expr(duration))}`)
    if (forSteps > 0) lines.push(`    for: ${duration(forSteps)}`)
    if (keepSteps > 0) lines.push(`    keep_firing_for: ${duration(keepSteps)}`)
    lines.push('    labels:', `      level: ${quote(label)}`, '      severity: warning')
    lines.push('    annotations:', `      summary: ${quote(annotation)}`)
  }
  return `${lines.join('\n')}\n`
}
