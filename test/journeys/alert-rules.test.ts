import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { until } from '../harness/control.ts'
import { adminKey, startHub } from '../harness/hub.ts'
import { startProcessHub } from '../harness/process-hub.ts'

const closers: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-alerts-'))
  closers.push(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

const ruleFile = `
groups:
  - name: live
    interval: 1s
    rules:
      - record: job:build:count
        expr: count by (job) (gatehouse_build_info)
      - alert: Always
        expr: job:build:count > 0
        labels: { severity: high }
        annotations: { summary: '{{ $labels.job }} has {{ $value }}' }
      - alert: Soon
        expr: vector(1)
        for: 1h
`

test('a rule file is evaluated as it is, and what fires goes on firing after kill -9', async () => {
  const folder = makeFolder()
  writeFileSync(join(folder, 'live.yml'), ruleFile)
  const hub = await startProcessHub({
    env: {
      GATEHOUSE_TELEMETRY_INTERVAL_SECONDS: '1',
      GATEHOUSE_ALERTS_RULE_FILES: join(folder, '*.yml'),
      GATEHOUSE_ALERTS_DEFAULT_PACK: 'false',
    },
  })
  closers.push(() => hub.destroy())
  const find = async (name: string) => {
    const { data } = await hub.admin('GET', '/api/alert-rules')
    const { id } = data.find((rule: { alert?: string }) => rule.alert === name)
    return hub.admin('GET', `/api/alert-rules/${id}`)
  }
  await until('it fires', async () => (await find('Always')).state === 'firing')
  const before = await find('Always')
  expect(before).toMatchObject({ source: 'file', group: 'live', line: 8, health: 'ok', firing: 1 })
  expect(before.alerts[0]).toMatchObject({
    labels: { alertname: 'Always', job: 'gatehouse', severity: 'high' },
    annotations: { summary: 'gatehouse has 1' },
  })
  const soon = (await find('Soon')).alerts[0]
  expect(soon).toMatchObject({ state: 'pending', fired_at: null })
  await hub.kill('SIGKILL')
  await hub.restart()
  const restored = await find('Always')
  expect(restored.state).toBe('firing')
  expect(restored.alerts[0].fired_at).toBe(before.alerts[0].fired_at)
  await until('it is evaluated again', async () => (await find('Always')).last_evaluation > before.last_evaluation)
  const after = await find('Always')
  expect([after.state, after.alerts[0].active_at]).toEqual(['firing', before.alerts[0].active_at])
  expect((await find('Soon')).alerts[0].state).toBe('pending')
}, 90_000)

test('a wrong rule file stops the start and says where; a file that goes wrong later leaves its rules as they were', async () => {
  const folder = makeFolder()
  const file = join(folder, 'r.yml')
  writeFileSync(file, 'groups:\n  - name: g\n    rules:\n      - alert: A\n        expr: up ==\n')
  const settings = { 'alerts.rule_files': [file] }
  await expect(startHub({ settings })).rejects.toThrow(`${file}:5: A: could not parse expression`)
  writeFileSync(file, 'groups:\n  - name: g\n    rules:\n      - alert: A\n        expr: up == 0\n')
  const hub = await startHub({ settings })
  closers.push(() => hub.stop())
  writeFileSync(file, 'groups: 7')
  const { data } = await hub.admin('GET', '/api/alert-rules?source=file')
  expect(data.map((rule: { alert: string }) => rule.alert)).toEqual(['A'])
  expect(hub.lines.join('')).toContain('the rules that were read before stay')
})

test('rules are made, changed, tried and taken back over HTTP; what cannot run is refused by its part', async () => {
  const hub = await startHub({ settings: { 'telemetry.interval_seconds': 1 } })
  closers.push(() => hub.stop())
  const call = async (method: string, path: string, body?: unknown) => {
    const answer = await fetch(`${hub.url}/api/alert-rules${path}`, {
      ...{ method, headers: { authorization: `Bearer ${adminKey}`, 'content-type': 'application/json' } },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const text = await answer.text()
    return { status: answer.status, body: text === '' ? null : JSON.parse(text) }
  }
  const wish = { alert: 'Built', expr: 'gatehouse_build_info > 0', name_zh: '已构建', labels: { severity: 'info' } }
  const made = await call('POST', '', { ...wish, for: '2m', annotations: { summary: '{{ $value | humanize }}' } })
  expect(made).toMatchObject({ status: 201, body: { alert: 'Built', for: '2m', name_zh: '已构建', state: 'inactive' } })
  const { id } = made.body
  const tried = await call('POST', `/${id}/test`)
  expect(tried.body).toMatchObject({ health: 'ok', alerts: [{ annotations: { summary: '1' }, value: '1' }] })
  expect((await call('PATCH', `/${id}`, { for: '5m' })).body).toMatchObject({ for: '5m', alert: 'Built' })
  for (const [change, part] of [
    [{ expr: 'up ==' }, 'expr: could not parse expression'],
    [{ for: 'soon' }, 'for: not a valid duration'],
    [{ annotations: { a: '{{ shout }}' } }, 'annotations.a'],
    [{ labels: { 'a-b': 'c' } }, 'labels.a-b'],
    [{ record: 'a' }, "only one of 'record' and 'alert'"],
  ] as const) {
    const refused = await call('PATCH', `/${id}`, change)
    expect(refused).toMatchObject({ status: 400, body: { detail: expect.stringContaining(part) } })
  }
  expect((await call('POST', '/backtest', { id, days: 0.01 })).body).toMatchObject({
    ...{ evaluations: expect.any(Number), errors: 0, alternatives: [{ for: '0s' }, { for: '1m' }, { for: '15m' }] },
  })
  expect((await call('DELETE', `/${id}`)).status).toBe(204)
  expect((await call('GET', `/${id}`)).status).toBe(404)

  const pack = (await call('GET', '?source=pack')).body.data
  const cpu = pack.find((rule: { alert: string }) => rule.alert === 'HighCPU')
  const changed = await call('PATCH', `/${cpu.id}`, { expr: cpu.expr.replace('80', '75'), enabled: false })
  expect(changed.body).toMatchObject({
    source: 'pack',
    changed: true,
    enabled: false,
    expr: expect.stringContaining('75'),
  })
  expect((await call('DELETE', `/${cpu.id}`)).status).toBe(204)
  expect((await call('GET', `/${cpu.id}`)).body).toMatchObject({ changed: false, enabled: true, expr: cpu.expr })
  expect((await call('DELETE', `/${cpu.id}`)).status).toBe(409)
})
