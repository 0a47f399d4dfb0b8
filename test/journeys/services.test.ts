import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { until } from '../harness/control.ts'
import { startHub, type TestHub } from '../harness/hub.ts'
import { processAdminKey, runGatehouse, startProcessHub } from '../harness/process-hub.ts'

type Plugin = { port: number; asked: string[] }

const openapi = { openapi: '3.1.0', info: { title: 'Plugin', version: '1' }, paths: {} }

async function startPlugin(host = '127.0.0.1'): Promise<Plugin> {
  const asked: string[] = []
  const server = createServer((call, response) => {
    asked.push(call.url ?? '')
    response.setHeader('content-type', 'application/json').end(JSON.stringify(openapi))
  })
  await new Promise<void>((resolve) => server.listen(0, host, resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return { port: (server.address() as AddressInfo).port, asked }
}

async function post(url: string, path: string, as: string, body: object, signal?: AbortSignal) {
  const response = await fetch(url + path, {
    method: 'POST',
    headers: { authorization: `Bearer ${as}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
    ...(signal && { signal }),
  })
  // biome-ignore lint/suspicious/noExplicitAny: tests read replies as a program without our types would
  return { status: response.status, body: (await response.json()) as any }
}

async function register(hub: Pick<TestHub, 'admin' | 'url'>, manifest: { name: string } & Record<string, unknown>) {
  const { token } = await hub.admin('POST', '/api/registry/tokens', { service: manifest.name })
  const told = await post(hub.url, '/api/registry/register', token, manifest)
  expect([told.status, told.body.detail]).toEqual([201, undefined])
  return told.body
}

describe('a hub with plugins', () => {
  let hub: TestHub
  beforeAll(async () => {
    hub = await startHub({ settings: { 'services.heartbeat_seconds': 1 } })
  })
  afterAll(() => hub.stop())

  test('a plugin registers, beats with the token it was given, and leaves', async () => {
    const { port } = await startPlugin()
    const made = await register(hub, { name: 'my-plugin', host: '127.0.0.1', port, health_check_url: '/health' })
    await until('it has proved itself', async () => {
      const { instances } = await hub.admin('GET', '/api/registry/services/my-plugin')
      return instances[0].state === 'passing'
    })
    const beat = await post(hub.url, '/api/registry/heartbeat', made.service_token, { service_id: 'my-plugin' })
    expect([beat.status, beat.body.state]).toEqual([200, 'passing'])
    const left = await post(hub.url, '/api/registry/deregister/my-plugin', made.service_token, {})
    expect(left.body).toMatchObject({ status: 'ok', message: 'Service deregistered' })
    expect(hub.lines.join()).not.toContain(made.service_token)
    const headers = { authorization: `Bearer ${hub.adminKey}` }
    const metrics = await (await fetch(`${hub.url}/metrics`, { headers })).text()
    expect(metrics).toContain('gatehouse_services_heartbeats_total{outcome="heard"} 1')
  })

  test('the plugin’s token is an API key of the models it may call, and of nothing else', async () => {
    const { token } = await hub.admin('POST', '/api/registry/tokens', { service: 'caller', allowed_models: ['this'] })
    const manifest = { name: 'caller', host: '127.0.0.1', port: 9 }
    const { service_token } = (await post(hub.url, '/api/registry/register', token, manifest)).body
    const keys = await hub.admin('GET', '/api/keys?kind=service')
    expect(keys.data[0]).toMatchObject({ name: expect.stringContaining('service caller'), allowed_models: ['this'] })
    const beat = (as: string, service_id: string) => post(hub.url, '/api/registry/heartbeat', as, { service_id })
    expect((await beat(service_token, 'my-plugin')).status).toBe(403)
    // A person's API key speaks for no service.
    expect((await beat(await hub.createKey(), 'caller')).status).toBe(403)
    await hub.admin('DELETE', '/api/registry/services/caller')
    expect((await beat(service_token, 'caller')).status).toBe(401)
  })

  test('the name of every route of the hub’s own is reserved', async () => {
    const document = (await (await fetch(`${hub.url}/openapi.json`)).json()) as { paths: Record<string, object> }
    const names = new Set(Object.keys(document.paths).flatMap((path) => /^\/api\/([a-z0-9-]+)/.exec(path)?.[1] ?? []))
    expect(names.size).toBeGreaterThan(10)
    for (const name of [...names, 'v1', 'admin', 'tenants']) {
      const told = await post(hub.url, '/api/registry/register', hub.adminKey, { name, host: '127.0.0.1', port: 9 })
      expect([name, told.status, told.body.code]).toEqual([name, 409, 'reserved_name'])
    }
  })

  test('a hub that stops does not wait for those who watch', async () => {
    const other = await startHub()
    const headers = { authorization: `Bearer ${other.adminKey}` }
    const watching = fetch(`${other.url}/api/registry/watch?index=1&wait=5m`, { headers })
    const stream = await fetch(`${other.url}/api/registry/watch`, {
      headers: { ...headers, accept: 'text/event-stream' },
    })
    await other.stop()
    expect((await watching).status).toBe(200)
    await stream.text()
    expect(other.lines.join()).not.toContain('Some answers were cut')
  })
})

test('seed 002, problem 10: proxy variables of the environment do not come between hub and plugins', async () => {
  const proxy = await startPlugin()
  const plugin = await startPlugin()
  const through = `http://127.0.0.1:${proxy.port}`
  const names = ['HTTP_PROXY', 'http_proxy', 'HTTPS_PROXY', 'https_proxy', 'ALL_PROXY', 'all_proxy']
  const hub = await startProcessHub({ env: Object.fromEntries(names.map((name) => [name, through])) })
  onTestFinished(() => hub.destroy())
  const manifest = { name: 'my-plugin', host: '127.0.0.1', port: plugin.port, health_check_url: '/health' }
  await register({ admin: hub.admin, url: hub.url() }, { ...manifest, openapi: '/openapi.json' })
  await until('health and document were asked for', () => plugin.asked.includes('/health') && plugin.asked.length >= 2)
  expect([new Set(plugin.asked), proxy.asked]).toEqual([new Set(['/health', '/openapi.json']), []])
}, 60_000)

// Network namespaces are root's, on Linux: https://man7.org/linux/man-pages/man8/ip-netns.8.html
const canMakeNetworks = (() => {
  try {
    execFileSync('ip', ['netns', 'add', 'gatehouse-probe'], { stdio: 'ignore' })
    execFileSync('ip', ['netns', 'del', 'gatehouse-probe'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
})()

describe.skipIf(!canMakeNetworks)('a hub in a network of its own (needs root on Linux)', () => {
  const ip = (...args: string[]) => execFileSync('ip', args, { stdio: 'pipe' })
  const id = process.pid.toString(36).slice(-4)
  const space = `gh-${id}`
  const [outer, inner] = [`gho-${id}`, `ghi-${id}`]
  const [pluginHost, hubHost] = ['10.213.77.1', '10.213.77.2']
  const dataDir = mkdtempSync(join(tmpdir(), 'gatehouse-netns-'))

  beforeAll(() => {
    ip('netns', 'add', space)
    ip('link', 'add', outer, 'type', 'veth', 'peer', 'name', inner, 'netns', space)
    ip('addr', 'add', `${pluginHost}/24`, 'dev', outer)
    ip('link', 'set', outer, 'up')
    ip('-n', space, 'addr', 'add', `${hubHost}/24`, 'dev', inner)
    ip('-n', space, 'link', 'set', inner, 'up')
    ip('-n', space, 'link', 'set', 'lo', 'up')
  })
  afterAll(() => {
    // The pair of links goes with it.
    ip('netns', 'del', space)
    rmSync(dataDir, { recursive: true, force: true })
  })

  const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

  /** Beats every second whatever comes back, until `signal` aborts. */
  async function keepBeating(url: string, name: string, token: string, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await post(url, '/api/registry/heartbeat', token, { service_id: name }, AbortSignal.timeout(1000)).catch(() => {})
      await pause(900)
    }
  }

  test('a hub that is cut off from its plugins takes none of them off; one that dies by itself it does', async () => {
    const run = runGatehouse(['serve', '--host', '0.0.0.0', '--port', '8000'], {
      prefix: ['ip', 'netns', 'exec', space],
      env: {
        ...{ ADMIN_KEY: processAdminKey, GATEHOUSE_DATA_DIR: dataDir, GATEHOUSE_SERVICES_HEARTBEAT_SECONDS: '1' },
        ...{ GATEHOUSE_SERVICES_HEALTH_INTERVAL_SECONDS: '1', GATEHOUSE_SERVICES_HEALTH_TIMEOUT_SECONDS: '1' },
      },
    })
    onTestFinished(async () => {
      run.kill('SIGKILL')
      await run.ended
    })
    await run.says('Listening on ')
    const url = `http://${hubHost}:8000`
    /** Instances by state; nothing while the hub cannot be asked. */
    async function count(): Promise<Record<string, number>> {
      const headers = { authorization: `Bearer ${processAdminKey}` }
      try {
        const told = await fetch(`${url}/api/registry/health`, { headers, signal: AbortSignal.timeout(2000) })
        return ((await told.json()) as { instances: Record<string, number> }).instances
      } catch {
        return {}
      }
    }
    const beats: AbortController[] = []
    onTestFinished(() => {
      for (const each of beats) each.abort()
    })
    for (let i = 0; i < 6; i++) {
      const { port } = await startPlugin(pluginHost)
      const name = `plugin-${i}`
      const { token } = (await post(url, '/api/registry/tokens', processAdminKey, { service: name })).body
      const manifest = { name, host: pluginHost, port, health_check_url: '/health' }
      const made = await post(url, '/api/registry/register', token, manifest)
      beats[i] = new AbortController()
      void keepBeating(url, name, made.body.service_token, beats[i]!.signal)
    }
    await until('all are passing', async () => (await count()).passing === 6)
    // Until the hub has learnt their pace from their beats.
    await pause(8000)

    ip('link', 'set', outer, 'down')
    await run.says('6 of 6 plugin instances fell silent together')
    // Everybody is judged again and again meanwhile.
    await pause(8000)
    ip('link', 'set', outer, 'up')
    await until('all are passing again', async () => (await count()).passing === 6, { limitMs: 60_000, everyMs: 250 })
    const lost = () => run.lines().filter(({ to }) => to === 'critical' || to === 'gone')
    expect(lost()).toEqual([])

    beats[3]!.abort()
    await until('the one that fell silent alone is critical', async () => (await count()).critical === 1, {
      ...{ limitMs: 60_000, everyMs: 250 },
    })
    expect(lost().map(({ msg }) => msg)).toEqual([expect.stringContaining('plugin-3')])
  }, 150_000)
})
