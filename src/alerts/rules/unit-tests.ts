import { isMap, isSeq, LineCounter, parseDocument } from 'yaml'
import { z } from 'zod'
import { createSampleBench, type QueryResult } from '../../telemetry/index.ts'
import { readDuration } from './duration.ts'
import { emptyMemory, evaluate, keyOf, type RuleMemory } from './evaluate.ts'
import { type RuleFault, readRules } from './read-rules.ts'
import { noDataAnnotation, onErrorAnnotation, type RuleGroup } from './schema.ts'
import { type InputSeries, readMetric, readSeries } from './series-notation.ts'

/** What came of one test of a file. */
export type TestReport = { name: string; failures: string[] }

export type TestFileReport = { faults: RuleFault[]; tests: TestReport[] }

const duration = z.union([z.string(), z.number()]).transform((text, context) => {
  const ms = readDuration(String(text))
  if (ms !== null) return ms
  context.addIssue({ code: 'custom', message: `not a valid duration string: "${text}"; write it as 30s, 5m or 1h30m` })
  return z.NEVER
})
const texts = z.record(z.string(), z.union([z.string(), z.number(), z.boolean()]).transform(String)).nullish()
const number = z.union([z.number(), z.string().transform(Number)])
const list = <T extends z.ZodType>(of: T) =>
  z
    .array(of)
    .nullish()
    .transform((all) => all ?? [])

const testSchema = z.strictObject({
  name: z.string().nullish(),
  interval: duration.optional(),
  start_timestamp: z.union([z.string(), z.number()]).optional(),
  input_series: list(
    z.strictObject({ series: z.string(), values: z.union([z.string(), z.number()]).transform(String) }),
  ),
  alert_rule_test: list(
    z.strictObject({
      eval_time: duration,
      alertname: z.string(),
      exp_alerts: list(z.strictObject({ exp_labels: texts, exp_annotations: texts })),
    }),
  ),
  promql_expr_test: list(
    z.strictObject({
      expr: z.string(),
      eval_time: duration,
      exp_samples: list(
        z.strictObject({ labels: z.string().nullish(), value: number, histogram: z.never().optional() }),
      ),
    }),
  ),
  external_labels: texts,
  external_url: z.string().nullish(),
})

/** https://prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules/ */
const fileSchema = z.strictObject({
  rule_files: list(z.string()),
  evaluation_interval: duration.optional(),
  group_eval_order: list(z.string()),
  fuzzy_compare: z.boolean().default(false),
  start_timestamp: z.union([z.string(), z.number()]).optional(),
  tests: list(testSchema),
})
type TestFile = z.infer<typeof fileSchema>
type Test = z.infer<typeof testSchema>

export type TestOptions = {
  /** The files that a pattern of `rule_files` names, as their names with their texts. */
  readFiles(pattern: string): { name: string; text: string }[]
  /** Which Prometheus is followed where its generations differ. */
  generation?: 2 | 3
}

const minuteMs = 60_000

/** Runs a file of `promtool test rules`: the rules are evaluated by the code that evaluates them live. */
export async function runTestFile(text: string, file: string, options: TestOptions): Promise<TestFileReport> {
  const faults: RuleFault[] = []
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, merge: true } as never)
  for (const { message, pos } of document.errors) {
    faults.push({ file, line: lines.linePos(pos[0]).line, message: message.split('\n', 1)[0]!, level: 'error' })
  }
  if (faults.length > 0) return { faults, tests: [] }
  const parsed = fileSchema.safeParse(document.toJS() ?? {})
  if (!parsed.success) {
    for (const { path, message } of parsed.error.issues) {
      faults.push({ file, line: lineOf(path), message: `${path.join('.')}: ${message}`, level: 'error' })
    }
    return { faults, tests: [] }
  }
  const wanted = parsed.data
  const groups: RuleGroup[] = []
  for (const pattern of wanted.rule_files) {
    const found = options.readFiles(pattern)
    if (found.length === 0)
      faults.push({ file, line: lineOf(['rule_files']), message: `there is no rule file ${pattern}`, level: 'error' })
    for (const { name, text: rules } of found) {
      const read = readRules(rules, name, 'file')
      groups.push(...read.groups)
      faults.push(...read.faults.filter(({ level }) => level === 'error'))
    }
  }
  if (faults.length > 0) return { faults, tests: [] }
  const order = new Map(wanted.group_eval_order.map((name, i) => [name, i]))
  groups.sort((a, b) => (order.get(a.name) ?? 0) - (order.get(b.name) ?? 0))
  const tests: TestReport[] = []
  for (const [i, test] of wanted.tests.entries()) tests.push(await runTest(test, i, wanted, groups, options.generation))
  return { faults, tests }

  function lineOf(path: readonly PropertyKey[]): number {
    for (let length = path.length; length > 0; length--) {
      const node = document.getIn(path.slice(0, length), true)
      const range =
        isMap(node) || isSeq(node) ? node.range : (node as { range?: [number, number, number] } | undefined)?.range
      if (range) return lines.linePos(range[0]).line
    }
    return 1
  }
}

async function runTest(
  test: Test,
  nth: number,
  file: TestFile,
  groups: readonly RuleGroup[],
  generation: 2 | 3 = 3,
): Promise<TestReport> {
  const evaluationMs = file.evaluation_interval ?? minuteMs
  const intervalMs = test.interval ?? evaluationMs
  const startMs = readStart(test.start_timestamp ?? file.start_timestamp)
  const report: TestReport = { name: test.name || `test ${nth + 1}`, failures: [] }
  let inputs: InputSeries[]
  try {
    inputs = test.input_series.map(({ series, values }) => readSeries(series, values))
  } catch (error) {
    return { ...report, failures: [(error as Error).message] }
  }
  const bench = createSampleBench({ generation, intervalMs: evaluationMs })
  let loadedUntil = 0
  const load = (ts: number) => {
    for (; startMs + loadedUntil * intervalMs <= ts; loadedUntil++) {
      const some = inputs.flatMap(({ labels, values }) => {
        const value = values[loadedUntil]
        return value === undefined || value === '_' ? [] : [{ labels, value: value === 'stale' ? null : value }]
      })
      bench.append(some, startMs + loadedUntil * intervalMs)
    }
  }
  const memories = new Map(groups.flatMap(({ rules }) => rules.map((rule) => [rule.id, emptyMemory()] as const)))
  const settings = {
    ask: async (expression: string, at: number) => toRows(bench.query(expression, at)),
    // As promtool: what is missing is over, where a rule says nothing else.
    ...({ noData: 'resolve', onError: 'keep_state', limit: 1_000_000 } as const),
    ...{ externalUrl: test.external_url ?? '', externalLabels: test.external_labels ?? {}, queryOffsetMs: 0 },
  }
  const times = [...test.alert_rule_test, ...test.promql_expr_test].map(({ eval_time: at }) => at)
  const endMs = startMs + Math.max(0, ...times)
  for (let ts = startMs; ts <= endMs; ts += evaluationMs) {
    load(ts)
    for (const { rules, limit } of groups) {
      for (const rule of rules) {
        const memory = memories.get(rule.id)!
        const made = await evaluate(rule, memory, ts, { ...settings, limit: limit || settings.limit })
        bench.append(made, ts)
        if (memory.health === 'error') {
          report.failures.push(`rule: ${rule.name}, time: ${describe(ts - startMs)}, err: ${memory.lastError}`)
        }
      }
    }
    for (const wanted of test.alert_rule_test) {
      const at = startMs + wanted.eval_time
      if (at >= ts && at < ts + evaluationMs) report.failures.push(...compareAlerts(wanted, groups, memories))
    }
  }
  for (const wanted of test.promql_expr_test) {
    const at = startMs + wanted.eval_time
    const failure = compareSamples(wanted, file.fuzzy_compare, () => toRows(bench.query(wanted.expr, at)))
    if (failure !== null) report.failures.push(failure)
  }
  return report
}

function compareAlerts(
  wanted: Test['alert_rule_test'][number],
  groups: readonly RuleGroup[],
  memories: ReadonlyMap<string, RuleMemory>,
): string[] {
  const got = groups
    .flatMap(({ rules }) => rules)
    .filter(({ kind, name }) => kind === 'alert' && name === wanted.alertname)
    .flatMap(({ id }) => [...memories.get(id)!.elements.values()])
    .filter(({ state }) => state === 'firing')
    .map(({ labels, annotations }) => showAlert(labels, annotations))
    .sort()
  const expected = wanted.exp_alerts
    .map(({ exp_labels: labels, exp_annotations: annotations }) => {
      const { [noDataAnnotation]: _, [onErrorAnnotation]: __, ...rest } = annotations ?? {}
      return showAlert({ ...labels, alertname: wanted.alertname }, rest)
    })
    .sort()
  if (got.length === expected.length && got.every((text, i) => text === expected[i])) return []
  const show = (all: readonly string[]) =>
    all.length === 0 ? '[]' : `[\n          ${all.join('\n          ')}\n        ]`
  return [
    `alertname: ${wanted.alertname}, time: ${describe(wanted.eval_time)},\n        exp: ${show(expected)},\n        got: ${show(got)}`,
  ]
}

function showAlert(labels: Readonly<Record<string, string>>, annotations: Readonly<Record<string, string>>): string {
  const filled = Object.fromEntries(Object.entries(labels).filter(([, value]) => value !== ''))
  return `Labels:${showLabels(filled)} Annotations:${showLabels(annotations)}`
}

function showLabels(labels: Readonly<Record<string, string>>): string {
  const parts = Object.keys(labels)
    .sort()
    .map((name) => `${name}=${JSON.stringify(labels[name])}`)
  return `{${parts.join(', ')}}`
}

type Sample = { labels: Readonly<Record<string, string>>; value: number }

function compareSamples(
  wanted: Test['promql_expr_test'][number],
  isFuzzy: boolean,
  run: () => Sample[],
): string | null {
  let got: Sample[]
  let expected: Sample[]
  try {
    expected = wanted.exp_samples.map(({ labels, value }) => ({ labels: readMetric(labels ?? '{}'), value }))
    got = run()
  } catch (error) {
    return `expr: ${JSON.stringify(wanted.expr)}, time: ${describe(wanted.eval_time)}, err: ${(error as Error).message}`
  }
  const sorted = (all: Sample[]) => [...all].sort((a, b) => (keyOf(a.labels) < keyOf(b.labels) ? -1 : 1))
  const [left, right] = [sorted(expected), sorted(got)]
  const isSame = (a: number, b: number) =>
    Object.is(a, b) || a === b || (isFuzzy && Math.abs(a - b) <= 1e-6 * Math.max(Math.abs(a), Math.abs(b)))
  const areSame =
    left.length === right.length &&
    left.every((each, i) => keyOf(each.labels) === keyOf(right[i]!.labels) && isSame(each.value, right[i]!.value))
  if (areSame) return null
  const show = (all: readonly Sample[]) =>
    all.map(({ labels, value }) => `${showLabels(labels)} ${value}`).join(', ') || 'nil'
  return `expr: ${JSON.stringify(wanted.expr)}, time: ${describe(wanted.eval_time)},\n        exp: ${show(left)}\n        got: ${show(right)}`
}

function toRows(result: QueryResult): Sample[] {
  if (result.type === 'vector') return result.series
  if (result.type === 'scalar') return [{ labels: {}, value: result.value }]
  throw new Error('rule result is not a vector or scalar')
}

function readStart(text: string | number | undefined): number {
  if (text === undefined) return 0
  return typeof text === 'number' || /^\d+(\.\d+)?$/.test(text) ? Number(text) * 1000 : Date.parse(text)
}

function describe(ms: number): string {
  return `${ms / 1000}s`
}
