import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startHub, type TestHub } from '../../../test/harness/hub.ts'
import { providePrometheus } from '../../../test/harness/services.ts'
import { metricNamesOf } from '../../telemetry/index.ts'
import { listPack } from './book.ts'
import { readRules } from './read-rules.ts'
import { runTestFile } from './unit-tests.ts'

const repository = new URL('../../../', import.meta.url).pathname
const provided = await providePrometheus()
const program = 'service' in provided ? provided.service : ''

const pack = listPack().map((path) => ({ path, ...readRules(readFileSync(path, 'utf8'), path, 'pack') }))
const rules = pack.flatMap(({ groups }) => groups).flatMap((group) => group.rules)

describe('the default pack', () => {
  test('is in order, every rule of it', () => {
    expect(pack.flatMap(({ faults }) => faults)).toEqual([])
    expect(rules.length).toBeGreaterThan(40)
  })

  test('says of each alert how grave it is and what it is, in English and Chinese', () => {
    for (const { name, labels, annotations } of rules) {
      expect([name, labels.severity?.text]).toEqual([name, expect.stringMatching(/^(critical|high|warning|info)$/)])
      for (const of of ['summary', 'description']) {
        expect([name, annotations[of]?.text]).toEqual([name, expect.stringMatching(/[a-z]{2}/)])
        expect([name, annotations[`${of}_zh`]?.text]).toEqual([name, expect.stringMatching(/[\u4e00-\u9fff]/)])
      }
    }
  })

  test('has a page for each alert that says what to do', () => {
    for (const { name, annotations } of rules) {
      const page = annotations.runbook_url?.text ?? ''
      expect([name, page]).toEqual([name, `docs/runbook/${name}.md`])
      expect([page, existsSync(join(repository, page))]).toEqual([page, true])
      const text = readFileSync(join(repository, page), 'utf8')
      for (const part of ['## What it means', '## Causes', '## See it', '## Mend it', '## 中文'])
        expect(text).toContain(part)
    }
  })

  test.skipIf(program === '')('is clean to promtool check rules', () => {
    const told = spawnSync(join(dirname(program), 'promtool'), ['check', 'rules', ...pack.map(({ path }) => path)], {
      encoding: 'utf8',
    })
    expect([told.status, told.stderr]).toEqual([0, ''])
  })
})

/** What must be told, and what must not, by numbers of the seeds. */
const packTests = `
rule_files: ['*.yml']
evaluation_interval: 1m
tests:
  - name: processors at 82 % for a while, then at 90 %
    interval: 1m
    input_series:
      - { series: 'gatehouse_host_cpus{instance="n",job="gatehouse"}', values: '2x60' }
      - { series: 'gatehouse_host_cpu_seconds_total{instance="n",job="gatehouse",mode="idle"}', values: '0+21.6x30 660+12x30' }
    alert_rule_test:
      - eval_time: 8m
        alertname: HighCPU
        exp_alerts:
          - exp_labels: { instance: n, job: gatehouse, severity: warning, category: performance }
            exp_annotations: &cpu
              summary: CPU of n at 82 %
              summary_zh: n CPU 使用率 82%
              description: The processors of n have been busy for five minutes.
              description_zh: n 的 CPU 已持续繁忙 5 分钟。
              runbook_url: docs/runbook/HighCPU.md
      - { eval_time: 2m, alertname: HighCPU, exp_alerts: [] }
  - name: a disk at 86 % is a warning, at 96 % a catastrophe
    interval: 1m
    input_series:
      - { series: 'gatehouse_host_disk_bytes{instance="n",kind="total"}', values: '100x60' }
      - { series: 'gatehouse_host_disk_bytes{instance="n",kind="free"}', values: '14x20 4x40' }
    promql_expr_test:
      - expr: count by (severity) (ALERTS{alertname="DiskFull",alertstate="firing"})
        eval_time: 15m
        exp_samples: [{ labels: '{severity="warning"}', value: 1 }]
      - expr: count by (severity) (ALERTS{alertname="DiskFull",alertstate="firing"})
        eval_time: 40m
        exp_samples: [{ labels: '{severity="warning"}', value: 1 }, { labels: '{severity="critical"}', value: 1 }]
  - name: one call in ten fails; six calls do not make a rate
    interval: 1m
    input_series:
      - { series: 'gatehouse_gateway_requests_total{provider="a",outcome="success"}', values: '0+90x40 3600x40' }
      - { series: 'gatehouse_gateway_requests_total{provider="a",outcome="failure"}', values: '0+10x40 400+1x40' }
    promql_expr_test:
      - expr: count by (severity) (ALERTS{alertname="HighErrorRate",alertstate="firing"})
        eval_time: 12m
        exp_samples: [{ labels: '{severity="critical"}', value: 1 }, { labels: '{severity="warning"}', value: 1 }]
      - { expr: 'ALERTS{alertname="HighErrorRate",alertstate="firing"}', eval_time: 60m, exp_samples: [] }
  - name: the store is away for two minutes
    interval: 1m
    input_series:
      - { series: 'gatehouse_health_check_state{check="database",state="failed"}', values: '0x5 1x2 0x20' }
    promql_expr_test:
      - { expr: 'count(ALERTS{alertname="ServiceDown",severity="critical",alertstate="firing"})', eval_time: 7m, exp_samples: [{ labels: '{}', value: 1 }] }
      - { expr: 'ALERTS{alertname="ServiceDown"}', eval_time: 15m, exp_samples: [] }
`

describe('the default pack tells what the seeds ask for', () => {
  const readFiles = () => pack.map(({ path }) => ({ name: path, text: readFileSync(path, 'utf8') }))

  test('by our own test runner', async () => {
    const told = await runTestFile(packTests, 'pack_test.yml', { readFiles })
    expect(told.faults).toEqual([])
    expect(told.tests.filter(({ failures }) => failures.length > 0)).toEqual([])
  })

  test.skipIf(program === '')("by Prometheus'", () => {
    const folder = mkdtempSync(join(tmpdir(), 'gatehouse-pack-'))
    try {
      for (const { name, text } of readFiles()) writeFileSync(join(folder, basename(name)), text)
      writeFileSync(join(folder, 'pack.test'), packTests)
      const told = spawnSync(join(dirname(program), 'promtool'), ['test', 'rules', 'pack.test'], {
        cwd: folder,
        encoding: 'utf8',
      })
      expect([told.status, told.stderr]).toEqual([0, ''])
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })
})

describe('no rule of the pack waits for what can never come', () => {
  let hub: TestHub
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-pack-'))
  const socket = join(folder, 'docker.sock')
  const docker = createServer((connection) => connection.end())
  beforeAll(async () => {
    await new Promise<void>((resolve) => docker.listen(socket, resolve))
    // Everything that can be watched; none of it need answer to have its metrics.
    hub = await startHub({
      settings: {
        'collectors.postgres': ['own2=postgres://a:b@127.0.0.1:1/c'],
        'collectors.redis': ['own2=redis://127.0.0.1:1/0'],
        'collectors.nginx_status_url': 'http://127.0.0.1:1/status',
        'collectors.docker_socket': socket,
      },
    })
  })
  afterAll(async () => {
    await hub.stop()
    docker.close()
    rmSync(folder, { recursive: true, force: true })
  })

  test('each metric that it names is one the hub has', async () => {
    const metrics = await hub.admin('GET', '/api/metrics/metadata')
    const known = new Set(Object.keys(metrics.data as object))
    const missing = rules.flatMap(({ name, expr }) =>
      metricNamesOf(expr)
        .filter((metric) => !known.has(metric) && !known.has(metric.replace(/_(bucket|sum|count)$/, '')))
        .map((metric) => `${name}: ${metric}`),
    )
    expect(missing).toEqual([])
  })
})
