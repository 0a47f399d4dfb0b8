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

/** How the numbers of a moment go on for a day: `perMinute` of what is counted, what is measured as it was. */
function aDayOf(before: string, after: string): string {
  const named = new Set(rules.flatMap(({ expr }) => metricNamesOf(expr)))
  const read = (text: string) =>
    new Map(
      [...text.matchAll(/^([a-z_]+)(\{.*\})? (\S+)$/gm)].map(([, name, labels = '{}', value]) => [
        `${name}${labels}`,
        { name: name!, labels, value: Number(value) },
      ]),
    )
  const counted = new Set([...after.matchAll(/^# TYPE (\S+) (?:counter|histogram)$/gm)].map(([, name]) => name))
  const was = read(before)
  const series = [...read(after)].flatMap(([key, { name, labels, value }]) => {
    if (!named.has(name) || !Number.isFinite(value)) return []
    const perMinute = counted.has(name.replace(/_(bucket|sum|count)$/, '')) ? value - (was.get(key)?.value ?? 0) : 0
    const own = labels === '{}' ? '' : `,${labels.slice(1, -1)}`
    const steps = ages.get(key) ?? `${value}+${perMinute}x1440`
    return [{ series: `${name}{instance="n",job="gatehouse"${own}}`, values: steps }]
  })
  return JSON.stringify({
    rule_files: ['*.yml'],
    tests: [
      {
        ...{ name: 'a day', interval: '1m', input_series: series },
        promql_expr_test: [
          { expr: 'count by (alertname) (count_over_time(ALERTS[1d]))', eval_time: '1d', exp_samples: [] },
        ],
      },
    ],
  })
}

/** Backups are taken by the hour; their proofs only come later than within a day. */
const ages = new Map([
  ['gatehouse_backups_age_seconds{what="backup"}', Array.from({ length: 24 }, () => '0+60x59').join(' ')],
  ...['full', 'verify', 'drill'].map((what) => [`gatehouse_backups_age_seconds{what="${what}"}`, '0+60x1440'] as const),
])

/** What tells of the machine that runs the tests, which others use too, and of servers that are not there on purpose. */
const notOfTheHub = [
  'CollectorDown',
  'HighCPU',
  'HighMemory',
  'DiskFull',
  'DiskFullSoon',
  'EventLoopLag',
  'SlowResponses',
]

describe('the default pack over a hub that runs', () => {
  let hub: TestHub
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-pack-'))
  const socket = join(folder, 'docker.sock')
  const docker = createServer((connection) => connection.end())
  beforeAll(async () => {
    await new Promise<void>((resolve) => docker.listen(socket, resolve))
    // Everything that can be watched; none of it need answer to have its metrics.
    hub = await startHub({
      demo: true,
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

  test('no rule waits for what can never come: each metric that it names is one the hub has', async () => {
    const metrics = await hub.admin('GET', '/api/metrics/metadata')
    const known = new Set(Object.keys(metrics.data as object))
    const missing = rules.flatMap(({ name, expr }) =>
      metricNamesOf(expr)
        .filter((metric) => !known.has(metric) && !known.has(metric.replace(/_(bucket|sum|count)$/, '')))
        .map((metric) => `${name}: ${metric}`),
    )
    expect(missing).toEqual([])
  })

  const readFiles = () =>
    pack.map(({ path }) => ({
      name: path,
      text: notOfTheHub.reduce(
        (text, name) => text.replaceAll(new RegExp(`      - alert: ${name}\\n(?: {8}.*\\n)+`, 'g'), ''),
        // Every five minutes is often enough for what does not change.
        readFileSync(path, 'utf8').replaceAll('interval: 1m', 'interval: 5m'),
      ),
    }))
  const scrape = async () =>
    (await fetch(`${hub.url}/metrics`, { headers: { authorization: `Bearer ${hub.adminKey}` } })).text()
  const alertsOf = async (before: string, after: string) => {
    const told = await runTestFile(aDayOf(before, after), 'day_test.yml', { readFiles })
    expect(told.faults).toEqual([])
    return told.tests.flatMap(({ failures }) => failures)
  }

  test('a day of a hub that nobody uses is silent: nothing fires, and nothing is about to', async () => {
    const idle = await scrape()
    expect(await alertsOf(idle, idle)).toEqual([])
    // What the silence rests on is there.
    expect(idle).toContain('gatehouse_worker_idle_seconds{worker="job:alerts"}')
  }, 120_000)

  test('so is a day of demo traffic, as many calls a minute as are made here', async () => {
    const key = await hub.createKey()
    const call = async (model: string) => {
      const answer = await fetch(`${hub.url}/v1/chat/completions`, {
        ...{ method: 'POST', headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' } },
        body: JSON.stringify({ model, messages: [{ role: 'user', content: 'hello' }] }),
      })
      expect([answer.status, (await answer.text()).length > 0]).toEqual([200, true])
    }
    const before = await scrape()
    for (let round = 0; round < 20; round++) {
      await Promise.all(['demo-mini', 'demo-large', 'demo-mini', 'demo-large'].map(call))
    }
    // What is shown is at most a second old.
    let after = await scrape()
    while (!/gatehouse_gateway_requests_total\{[^}]*outcome="success"[^}]*\} 80$/m.test(after)) after = await scrape()
    expect(await alertsOf(before, after)).toEqual([])
  }, 120_000)
})
