import { mkdirSync } from 'node:fs'
import { expect, test } from 'vitest'
import { readRules } from '../../alerts/rules/read-rules.ts'
import { openChunkFile } from '../../platform/chunk-file.ts'
import { labelsOf } from '../../telemetry/promql/labels.ts'
import { createStore } from '../../telemetry/store/store.ts'
import { createCommandLine } from '../testing.ts'

const line = createCommandLine()
const rule = 'groups:\n  - name: g\n    rules:\n      - alert: A\n        expr: load > 5\n        for: 2m\n'

test('check names what is wrong by file and line, and 1 says so', async () => {
  const good = line.writeFile('good.yml', rule)
  const bad = line.writeFile('bad.yml', rule.replace('load > 5', 'load >'))
  expect(await line.run(['alerts', 'check', good])).toMatchObject({
    exitCode: 0,
    out: expect.stringContaining('1 rules'),
  })
  const told = await line.run(['alerts', 'check', good, bad])
  expect([told.exitCode, told.err]).toEqual([1, expect.stringContaining(`${bad}:5: A: could not parse expression`)])
  expect((await line.run(['alerts', 'check', line.path('none.yml')])).exitCode).toBe(1)
})

test('test runs unit tests that lie beside their rules, and shows what was expected and what came', async () => {
  line.writeFile('r.yml', rule)
  const unit = (alerts: string) =>
    `rule_files: [r.yml]\ntests:\n  - interval: 1m\n    input_series: [{ series: load, values: '9x10' }]\n    alert_rule_test:\n      - { eval_time: 5m, alertname: A, exp_alerts: ${alerts} }\n`
  const passing = line.writeFile('ok.yml', unit('[{ exp_labels: {} }]'))
  expect(await line.run(['alerts', 'test', passing])).toMatchObject({
    exitCode: 0,
    out: expect.stringContaining('1 tests'),
  })
  const failing = await line.run(['alerts', 'test', line.writeFile('no.yml', unit('[]'))])
  expect([failing.exitCode, failing.err]).toEqual([1, expect.stringContaining('exp: []')])
  const wrong = await line.run(['alerts', 'test', line.writeFile('what.yml', 'tests:\n  - intervall: 1m\n')])
  expect([wrong.exitCode, wrong.err]).toEqual([1, expect.stringContaining('what.yml:2')])
})

test('backtest tells when an alert would have fired over the samples of a data folder', async () => {
  const file = line.writeFile('r.yml', rule)
  expect((await line.run(['alerts', 'backtest', file])).err).toContain('there are no samples')
  mkdirSync(line.path('data/telemetry'), { recursive: true })
  const store = createStore(openChunkFile(line.path('data/telemetry/samples.db')), {
    ...{ maxSeries: 100, maxBytes: 1e9, keepMs: [3_600_000, 86_400_000, 86_400_000] },
  })
  const now = Date.now()
  for (let minute = 50; minute >= 0; minute--) {
    const value = minute > 20 && minute < 40 ? 9 : 1
    store.append(now - minute * 60_000, [{ labels: labelsOf({ __name__: 'load' }), kind: 'gauge', value }])
  }
  const told = await line.run(['alerts', 'backtest', file, '--days', '0.03', '--json'])
  store.close()
  expect(told.exitCode).toBe(0)
  expect(JSON.parse(told.out)).toMatchObject([
    { rule: 'A', fired: 1, errors: 0, episodes: [{ labels: { alertname: 'A' } }] },
  ])
})

test('export writes every rule that is on, as a file that is read again without a fault', async () => {
  expect((await line.run(['migrate', 'up'])).exitCode).toBe(0)
  const { out, exitCode } = await line.run(['alerts', 'export'])
  const { groups, faults } = readRules(out, 'out.yml', 'file')
  expect([exitCode, faults]).toEqual([0, []])
  expect(groups.flatMap(({ rules }) => rules).length).toBeGreaterThan(40)
})
