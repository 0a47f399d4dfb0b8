import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { until } from '../harness/control.ts'
import { startHub, type TestHub } from '../harness/hub.ts'
import { provideAlertmanager } from '../harness/services.ts'

const provided = await provideAlertmanager()
if ('missing' in provided && process.env.CI === 'true') throw new Error(provided.missing)

let hub: TestHub
beforeAll(async () => {
  hub = await startHub()
})
afterAll(() => hub?.stop())

const send = (path: string, body: unknown, headers: Record<string, string> = {}) =>
  fetch(hub.url + path, {
    ...{ method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(body) },
  })
const find = async (alertname: string, state = 'firing') =>
  (await hub.admin('GET', `/api/alerts?state=${state}&filter=${encodeURIComponent(`alertname="${alertname}"`)}`)).data

describe('alerts from outside', () => {
  test('a token of its own posts in each sender’s words, by path, bearer or basic password; it is kept as a hash', async () => {
    const { token } = await hub.admin('POST', '/api/alert-hooks', { name: 'prometheus' })
    const basic = `Basic ${Buffer.from(`any:${token}`).toString('base64')}`
    const v2 = await send('/api/v2/alerts', [{ labels: { alertname: 'FromPrometheus', severity: 'high' } }], {
      authorization: `Bearer ${token}`,
    })
    expect([v2.status, await v2.text()]).toEqual([200, ''])
    const webhook = {
      ...{ version: '4', status: 'firing', groupKey: '{}:{}', receiver: 'r' },
      alerts: [
        {
          status: 'firing',
          labels: { alertname: 'FromWebhook' },
          startsAt: new Date().toISOString(),
          endsAt: '0001-01-01T00:00:00Z',
        },
      ],
    }
    expect(await (await send(`/api/hooks/alertmanager/${token}`, webhook)).json()).toEqual({ received: 1 })
    const grafana = {
      ...webhook,
      alerts: [{ ...webhook.alerts[0], labels: { alertname: 'FromGrafana' }, values: { B: 1 } }],
    }
    expect((await send('/api/hooks/grafana', grafana, { authorization: basic })).status).toBe(200)
    const kuma = (status: number) => ({
      heartbeat: { status, msg: 'timeout' },
      monitor: { id: 3, name: 'web' },
      msg: '',
    })
    expect((await send(`/api/hooks/uptime-kuma/${token}`, kuma(0))).status).toBe(200)
    for (const name of ['FromPrometheus', 'FromWebhook', 'FromGrafana', 'UptimeKumaMonitorDown']) {
      await until(`${name} fires`, async () => (await find(name)).length === 1)
    }
    await send(`/api/hooks/uptime-kuma/${token}`, kuma(1))
    await until('Kuma’s is over', async () => (await find('UptimeKumaMonitorDown', 'resolved')).length === 1)
    expect(hub.lines.join('\n')).not.toContain(token)
    expect((await hub.admin('GET', '/metrics').catch(() => '')) ?? '').not.toContain(token)
  })

  test('nobody posts without a credential, and of bad alerts the others are taken', async () => {
    expect((await send('/api/v2/alerts', [{ labels: { alertname: 'X' } }])).status).toBe(401)
    expect((await send('/api/hooks/grafana/ght_wrong', { alerts: [] })).status).toBe(401)
    const headers = { authorization: `Bearer ${hub.adminKey}` }
    const mixed = await send('/api/v2/alerts', [{ labels: {} }, { labels: { alertname: 'Good' } }], headers)
    expect(mixed.status).toBe(400)
    expect(((await mixed.json()) as { detail: string }).detail).toContain('[0]: an alert needs at least one label')
    await until('the good one fires', async () => (await find('Good')).length === 1)
  })

  test('a silence is previewed, hides, is shown, and ends', async () => {
    const headers = { authorization: `Bearer ${hub.adminKey}` }
    await send('/api/v2/alerts', [{ labels: { alertname: 'Noisy', team: 'n' } }], headers)
    await until('it fires', async () => (await find('Noisy')).length === 1)
    const matchers = ['{team="n"}']
    const preview = await hub.admin('POST', '/api/silences/preview', { matchers })
    expect(preview).toMatchObject({ now: { count: 1 }, last_day: { firings: 1 } })
    const ends_at = new Date(Date.now() + 3_600_000).toISOString()
    const made = await hub.admin('POST', '/api/silences', { matchers, ends_at, comment: 'work' })
    expect(await find('Noisy')).toMatchObject([{ state: 'suppressed', silenced_by: [made.id] }])
    const v2 = await (await fetch(`${hub.url}/api/v2/alerts?filter=team=n`, { headers })).json()
    expect(v2).toMatchObject([{ status: { state: 'suppressed', silencedBy: [made.id] } }])
    await hub.admin('POST', `/api/silences/${made.id}/expire`)
    expect(await find('Noisy')).toMatchObject([{ state: 'firing' }])
    for (const bad of [{ matchers: ['a=~".*"'] }, { matchers: [] }]) {
      await expect(hub.admin('POST', '/api/silences', { ...bad, ends_at, comment: 'x' })).rejects.toThrow(/400/)
    }
  })

  test('routing is validated, stored, tried with the way that leads there, and given back to the file', async () => {
    const route = { receiver: 'everybody', routes: [{ receiver: 'x', matchers: ['team="x"'], group_by: ['...'] }] }
    const bad = await hub.admin('POST', '/api/alerts/routing/validate', { route: { routes: [{ matchers: ['('] }] } })
    expect(bad).toMatchObject({ valid: false })
    await expect(hub.admin('PUT', '/api/alerts/routing', { route })).rejects.toThrow(/there is no receiver everybody/)
    const parameters = { url: 'http://127.0.0.1:9/hook' }
    const channel = await hub.admin('POST', '/api/channels', { name: 'hook', type: 'webhook', parameters })
    for (const name of ['everybody', 'x']) {
      await hub.admin('POST', '/api/receivers', { name, targets: [{ channel_id: channel.id }] })
    }
    await hub.admin('PUT', '/api/alerts/routing', { route })
    expect(await hub.admin('GET', '/api/alerts/routing')).toMatchObject({ source: 'stored', route })
    const tried = await hub.admin('POST', '/api/alerts/routing/try', { labels: { alertname: 'A', team: 'x' } })
    expect(tried.data).toMatchObject([
      {
        ...{ receiver: 'x', route: 'route.routes[0]', group_key: '{}/{team="x"}:{alertname="A", team="x"}' },
        path: [
          { route: 'route', matchers: '{}' },
          { route: 'route.routes[0]', matchers: '{team="x"}' },
        ],
      },
    ])
    await hub.admin('DELETE', '/api/alerts/routing')
    expect(await hub.admin('GET', '/api/alerts/routing')).toMatchObject({ source: 'file' })
  })

  test.skipIf('missing' in provided)('amtool works with the hub as with an Alertmanager', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'gatehouse-amtool-'))
    const credentials = join(folder, 'http.yml')
    writeFileSync(credentials, JSON.stringify({ authorization: { type: 'Bearer', credentials: hub.adminKey } }))
    const program = join(dirname((provided as { service: string }).service), 'amtool')
    const own = [`--alertmanager.url=${hub.url}`, `--http.config.file=${credentials}`, '--no-version-check']
    const amtool = async (...args: string[]) => (await promisify(execFile)(program, [...own, ...args])).stdout
    const json = async (...args: string[]) => JSON.parse(await amtool(...args, '-o', 'json'))
    try {
      const labels = ['alertname=AmTool', 'severity=high', 'team=amtool']
      await amtool('alert', 'add', ...labels, '--annotation=summary=hello')
      await until('the alert is there', async () => (await json('alert', 'query', 'team=amtool')).length === 1)
      const silence = ['team=amtool', '--comment=known', '--author=ann', '--duration=2h']
      const id = (await amtool('silence', 'add', ...silence)).trim()
      expect(await json('silence', 'query', 'team=amtool')).toMatchObject([{ id, createdBy: 'ann', comment: 'known' }])
      expect(await json('alert', 'query', 'team=amtool')).toEqual([])
      expect(await json('alert', 'query', '--silenced', 'team=amtool')).toMatchObject([
        { labels: { alertname: 'AmTool' }, status: { state: 'suppressed', silencedBy: [id] } },
      ])
      await amtool('silence', 'update', '--duration=3h', id)
      await amtool('silence', 'expire', id)
      expect(await json('silence', 'query', 'team=amtool')).toEqual([])
      expect(await json('alert', 'query', 'team=amtool')).toHaveLength(1)
      expect((await amtool('config', 'routes', 'test', 'severity=high')).trim()).toBe('default')
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })
})
