import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { stringify } from 'yaml'
import { until } from '../../../test/harness/control.ts'
import { providePrometheus, startPrometheus } from '../../../test/harness/services.ts'
import { createSampleBench, type SampleBench } from '../../telemetry/index.ts'
import { labelsOf } from '../../telemetry/promql/labels.ts'
import { compress } from '../../telemetry/remote/snappy.ts'
import { encodeWriteRequest } from '../../telemetry/remote/write-request.ts'
import { type EvaluationSettings, emptyMemory, evaluate, keyOf, type RuleMemory } from './evaluate.ts'
import { readRules } from './read-rules.ts'
import type { RuleGroup } from './schema.ts'
import { readMetric } from './series-notation.ts'
import { type CaseSeries, generateCaseSeries, generateRuleCases, writeRuleFile } from './testing-cases.ts'
import { runTestFile } from './unit-tests.ts'

const provided = await providePrometheus()
const program = 'service' in provided ? provided.service : ''
const caseCount = Number(process.env.GATEHOUSE_TEST_RULES ?? 200)
const seed = Number(process.env.GATEHOUSE_TEST_RULES_SEED ?? 42)

const folder = mkdtempSync(join(tmpdir(), 'gatehouse-rules-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const cases = generateRuleCases(caseCount, seed)

function readOnly(text: string): RuleGroup {
  const { groups, faults } = readRules(text, 'cases.yml', 'file')
  expect(faults).toEqual([])
  return groups[0]!
}

/** Evaluates a group at each of `times`, with the samples of `bench`; tells what fired. */
async function replay(
  group: RuleGroup,
  bench: SampleBench,
  times: readonly number[],
  see: (ts: number, memories: ReadonlyMap<string, RuleMemory>) => void,
): Promise<void> {
  const memories = new Map(group.rules.map(({ id }) => [id, emptyMemory()]))
  const settings: EvaluationSettings = {
    ask: async (expression, at) => {
      const result = bench.query(expression, at)
      return result.type === 'vector' ? result.series : []
    },
    ...{
      noData: 'resolve',
      onError: 'keep_state',
      externalUrl: '',
      externalLabels: {},
      limit: 10_000,
      queryOffsetMs: 0,
    },
  }
  for (const ts of times) {
    for (const rule of group.rules) {
      const memory = memories.get(rule.id)!
      bench.append(await evaluate(rule, memory, ts, settings), ts)
      expect([rule.expr, memory.lastError]).toEqual([rule.expr, ''])
    }
    see(ts, memories)
  }
}

function load(bench: SampleBench, series: readonly CaseSeries[], startMs: number, stepMs: number): void {
  const read = series.map(({ series: text, values }) => ({ labels: readMetric(text), values }))
  for (let i = 0; i < read[0]!.values.length; i++) {
    const some = read.flatMap(({ labels, values }) => {
      const value = values[i]!
      return value === '_' ? [] : [{ labels, value: value === 'stale' ? null : value }]
    })
    bench.append(some, startMs + i * stepMs)
  }
}

const firing = ({ elements }: RuleMemory) => [...elements.values()].filter(({ state }) => state === 'firing')

describe.skipIf(program === '')('the same rules over the same samples', () => {
  const generation = () => {
    const version = execFileSync(program, ['--version'], { encoding: 'utf8' })
    return Number(/version (\d+)\./.exec(version)?.[1]) >= 3 ? 3 : 2
  }

  test(`fire the same alerts with the same labels and texts under promtool test rules: ${caseCount} cases`, async () => {
    const steps = 32
    const series = generateCaseSeries(steps)
    const duration = (count: number) => `${count}m`
    const text = writeRuleFile(cases, duration)
    const group = readOnly(text)
    const bench = createSampleBench({ generation: generation() })
    load(bench, series, 0, 60_000)
    const wanted: unknown[] = []
    let fired = 0
    const times = Array.from({ length: steps }, (_, i) => i * 60_000)
    await replay(group, bench, times, (ts, memories) => {
      for (const rule of group.rules) {
        if (rule.kind !== 'alert') continue
        const alerts = firing(memories.get(rule.id)!)
        fired += alerts.length
        wanted.push({
          eval_time: `${ts / 60_000}m`,
          alertname: rule.name,
          exp_alerts: alerts.map(({ labels: { alertname: _, ...labels }, annotations }) => ({
            ...{ exp_labels: labels, exp_annotations: annotations },
          })),
        })
      }
    })
    expect(fired).toBeGreaterThan(caseCount * 5)
    const file = join(folder, 'cases.yml')
    writeFileSync(file, text)
    const testFile = stringify({
      rule_files: ['cases.yml'],
      evaluation_interval: '1m',
      tests: [
        {
          interval: '1m',
          input_series: series.map(({ series: name, values }) => ({ series: name, values: values.join(' ') })),
          alert_rule_test: wanted,
        },
      ],
    })
    writeFileSync(join(folder, 'cases_test.yml'), testFile)
    const promtool = join(dirname(program), 'promtool')
    const checked = spawnSync(promtool, ['check', 'rules', file], { encoding: 'utf8' })
    expect(checked.status === 0 ? '' : checked.stdout + checked.stderr).toBe('')
    const told = spawnSync(promtool, ['test', 'rules', 'cases_test.yml'], { cwd: folder, encoding: 'utf8' })
    expect(told.status === 0 ? '' : told.stderr.slice(0, 6000) + told.stdout.slice(0, 500)).toBe('')

    const own = await runTestFile(testFile, 'cases_test.yml', {
      readFiles: (name) => [{ name, text }],
      generation: generation(),
    })
    expect(own).toEqual({ faults: [], tests: [{ name: 'test 1', failures: [] }] })
  }, 180_000)

  test(`fire at the same evaluations in a Prometheus that runs: ${caseCount} cases`, async () => {
    // The same cases as above, two steps a second in place of one a minute.
    const [steps, stepMs] = [36, 500]
    const duration = (count: number) => `${count * stepMs}ms`
    const text = writeRuleFile(cases, duration)
    const file = join(folder, 'live.yml')
    writeFileSync(file, text)
    const series = generateCaseSeries(steps)
    const prometheus = await startPrometheus(
      program,
      `global:\n  evaluation_interval: ${stepMs}ms\nrule_files: ['${file}']\nscrape_configs: []\n`,
      [`--query.lookback-delta=${5 * stepMs}ms`],
    )
    try {
      const ask = async (query: string) => {
        const answer = await fetch(`${prometheus.url}/api/v1/query`, {
          method: 'POST',
          body: new URLSearchParams({ query }),
        })
        const { data } = (await answer.json()) as {
          data: { result: { metric: Record<string, string>; values: [number, string][] }[] }
        }
        return data.result
      }
      // All of it at once, ahead of its time: what an evaluation sees does not hang on when a sample comes.
      const startMs = Math.ceil(Date.now() / 1000) * 1000 + 1000
      const body = compress(
        encodeWriteRequest(
          series.map(({ series: name, values }) => ({
            labels: labelsOf(readMetric(name)),
            samples: values.flatMap((value, i) =>
              value === '_' ? [] : [{ at: startMs + i * stepMs, value: value === 'stale' ? null : value }],
            ),
          })),
        ),
      )
      const answer = await fetch(`${prometheus.url}/api/v1/write`, {
        method: 'POST',
        headers: { 'content-encoding': 'snappy', 'content-type': 'application/x-protobuf' },
        body: Buffer.from(body),
      })
      expect([answer.status, await answer.text()]).toEqual([204, ''])
      const endMs = startMs + (steps + 2) * stepMs
      await until('every evaluation is over', () => Date.now() > endMs + stepMs, { everyMs: 200 })

      const ticks = (await ask('tick[5m]'))[0]!.values.map(([at]) => Math.round(at * 1000)).filter((at) => at < endMs)
      expect(ticks.length).toBeGreaterThan(steps)
      const theirs = new Map(ticks.map((at) => [at, new Set<string>()]))
      for (const { metric, values } of await ask('ALERTS{alertstate="firing"}[5m]')) {
        const { __name__: _, alertstate: __, ...labels } = metric
        for (const [at] of values) theirs.get(Math.round(at * 1000))?.add(keyOf(labels))
      }

      const bench = createSampleBench({ generation: generation(), lookbackMs: 5 * stepMs, intervalMs: stepMs })
      load(bench, series, startMs, stepMs)
      const differences: string[] = []
      let [fired, quiet] = [0, 0]
      await replay(readOnly(text), bench, ticks, (ts, memories) => {
        const ours = new Set([...memories.values()].flatMap(firing).map(({ labels }) => keyOf(labels)))
        fired += ours.size
        if (ours.size === 0) quiet++
        // Until it has restored what was pending, Prometheus makes no series of its alerts.
        if (ts < startMs) return
        const seen = theirs.get(ts)!
        for (const key of ours) if (!seen.has(key)) differences.push(`${ts - startMs} only here: ${key}`)
        for (const key of seen) if (!ours.has(key)) differences.push(`${ts - startMs} only there: ${key}`)
      })
      expect(differences.slice(0, 20)).toEqual([])
      expect(fired).toBeGreaterThan(caseCount * 5)
      expect(quiet).toBeLessThan(ticks.length / 2)
    } finally {
      await prometheus.destroy()
    }
  }, 180_000)
})
