import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { WebSocket, WebSocketServer } from 'ws'
import { until } from '../harness/control.ts'
import { freePort, type Guarded, spawnGuarded } from '../harness/process.ts'
import {
  provideAlertmanager,
  provideCaddy,
  provideNginx,
  providePrometheus,
  provideSystemd,
  startAlertmanager,
} from '../harness/services.ts'
import { openStage, type Stage } from '../journeys/stage.ts'

const deploy = new URL('../../deploy/', import.meta.url).pathname
const read = (path: string) => readFileSync(join(deploy, path), 'utf8')
const [nginx, caddy, prometheus, alertmanager, systemd] = [
  await provideNginx(),
  await provideCaddy(),
  await providePrometheus(),
  await provideAlertmanager(),
  await provideSystemd(),
]
for (const each of [nginx, caddy, prometheus, alertmanager, systemd])
  if ('missing' in each && process.env.CI === 'true') throw new Error(each.missing)
const pathOf = (provided: { service: string } | { missing: string }) => ('service' in provided ? provided.service : '')

const folder = mkdtempSync(join(tmpdir(), 'gatehouse-deploy-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function run(program: string, ...args: string[]) {
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8', cwd: folder })
  return { status, said: `${stdout}${stderr}` }
}

describe('systemd', () => {
  const unit = read('systemd/gatehouse.service')

  test.skipIf(pathOf(systemd) === '')('finds nothing wrong with the unit', () => {
    const file = join(folder, 'gatehouse.service')
    // The program is looked for where it is started.
    writeFileSync(file, unit.replace('/opt/gatehouse/bin/gatehouse', '/bin/true'))
    expect(run(pathOf(systemd), 'verify', '--man=no', file)).toEqual({ status: 0, said: '' })
    writeFileSync(file, unit.replace('NoNewPrivileges=true', 'NoNewPrivileges=perhaps'))
    expect(run(pathOf(systemd), 'verify', '--man=no', file).said).toMatch(/Failed to parse.*perhaps/)
  })

  test.skipIf(pathOf(systemd) === '')('rates what the unit may still do as little: below 2 of 10', () => {
    const file = join(folder, 'gatehouse.service')
    writeFileSync(file, unit)
    // The threshold is in tenths; above it the command fails.
    const rate = (most: number) =>
      run(pathOf(systemd), 'security', '--offline=true', `--threshold=${most}`, file).status
    expect([rate(20), rate(5)]).toEqual([0, 1])
  })

  test('a reload is promised as long as the hub has a signal for it', () => {
    const source = readFileSync(join(deploy, '../src/cli/until-signal.ts'), 'utf8')
    expect(unit.includes('ExecReload=')).toBe(source.includes("process.on('SIGHUP'"))
  })
})

describe('Prometheus', () => {
  const promtool = join(dirname(pathOf(prometheus) || '/'), 'promtool')

  test.skipIf(pathOf(prometheus) === '')('takes the configuration, the rules beside it and the pack of the hub', () => {
    const rules = join(folder, 'prometheus')
    cpSync(join(deploy, 'prometheus'), rules, { recursive: true })
    cpSync(join(deploy, '../src/alerts/rules/pack'), join(rules, 'pack'), { recursive: true })
    mkdirSync(join(rules, 'secrets'))
    writeFileSync(join(rules, 'secrets/admin_key'), 'key')
    const text = read('prometheus/prometheus.yml')
      .replaceAll('/etc/prometheus/', `${rules}/`)
      .replaceAll('/run/secrets/', `${rules}/secrets/`)
    writeFileSync(join(rules, 'prometheus.yml'), text)
    const { status, said } = run(promtool, 'check', 'config', join(rules, 'prometheus.yml'))
    expect([status, said]).toEqual([0, expect.stringContaining('SUCCESS')])
    // Each file that compose mounts was found: the pack, and ours.
    expect(said.match(/SUCCESS: \d+ rules found/g)!.length).toBe(readdirSync(join(rules, 'pack')).length + 1)
  })
})

let stage: Stage
let upgrades: WebSocketServer
beforeAll(async () => {
  stage = await openStage({ 'server.trusted_proxies': ['127.0.0.1'] })
})
afterAll(async () => {
  upgrades?.close()
  await stage?.close()
})

/** Starts a proxy that listens on `port`; ended with the test. */
async function startProxy(command: [string, ...string[]], port: number): Promise<void> {
  const running: Guarded = spawnGuarded(command, { folder, stopSignal: 'TERM' })
  onTestFinished(() => running.stop())
  await until('the proxy answers', () =>
    fetch(`http://127.0.0.1:${port}/livez`).then(
      ({ ok }) => ok,
      () => {
        const { exited, text } = running.output()
        if (exited) throw new Error(text)
        return false
      },
    ),
  )
}

/** Fails unless what comes before the provider's hold arrives while it holds. */
async function expectUnbuffered(port: number): Promise<void> {
  const fake = await stage.upstream('openai', { holdAt: 2 })
  const response = await stage.open({ model: await stage.serve(fake) }, port)
  expect(response.statusCode).toBe(200)
  let text = ''
  for await (const chunk of response) {
    text += chunk
    // Only what came before the hold can release it: a proxy that gathers keeps this test from its end.
    if (text.includes('Hello from')) fake.requests[0]!.release()
  }
  expect(text).toContain('[DONE]')
}

/** A server that answers WebSockets and /livez, where the hub is in the files. */
async function startUpgrading(): Promise<number> {
  const server = createServer((_request, response) => response.end('{}'))
  upgrades = new WebSocketServer({ server })
  upgrades.on('connection', (socket) => socket.on('message', (said) => socket.send(`heard ${said}`)))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  return (server.address() as { port: number }).port
}

async function expectWebSocket(port: number): Promise<void> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/api/demo/socket`)
  const heard = await new Promise((resolve, reject) => {
    socket.on('open', () => socket.send('hello'))
    socket.on('message', (said) => resolve(String(said)))
    socket.on('error', reject)
  })
  socket.terminate()
  expect(heard).toBe('heard hello')
}

describe.skipIf(pathOf(nginx) === '')('nginx', () => {
  const frame = (inside: string) => `pid ${folder}/pid; error_log stderr; worker_processes 1; daemon off; events {}
    http { access_log off; ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${folder}/${name};`).join(' ')}
    ${inside} }`

  /** The text of a file of ours, with its addresses moved to this machine's. */
  function moved(path: string, to: number, port: number): string {
    writeFileSync(join(folder, 'gatehouse-proxy.conf'), read('nginx/gatehouse-proxy.conf'))
    return read(path)
      .replaceAll('/etc/nginx/gatehouse-proxy.conf', join(folder, 'gatehouse-proxy.conf'))
      .replace(/server hub-1:8000[^;]*;\s*server hub-2:8000/, `server 127.0.0.1:${to}`)
      .replace('server 127.0.0.1:8000', `server 127.0.0.1:${to}`)
      .replace('listen 8000;', `listen 127.0.0.1:${port};`)
      .replaceAll('/etc/ssl/gatehouse', folder)
  }

  test('finds nothing wrong with the site for a machine', () => {
    const made = run(
      ...(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'] as const),
      ...(['-keyout', 'privkey.pem', '-out', 'fullchain.pem', '-subj', '/CN=hub.example.com', '-days', '1'] as const),
    )
    expect([made.said, made.status]).toEqual([expect.any(String), 0])
    writeFileSync(join(folder, 'site.conf'), frame(moved('nginx/gatehouse.conf', 8000, 0)))
    const { status, said } = run(pathOf(nginx), '-t', '-q', '-e', 'stderr', '-c', join(folder, 'site.conf'))
    expect([said, status]).toEqual(['', 0])
  })

  test('of scaled.yml passes a stream on as it is made, and keeps /metrics to itself', async () => {
    const port = await freePort()
    writeFileSync(
      join(folder, 'nginx.conf'),
      frame(moved('compose/nginx.conf', Number(new URL(stage.hub.url).port), port)),
    )
    await startProxy([pathOf(nginx), '-c', join(folder, 'nginx.conf'), '-e', 'stderr'], port)
    await expectUnbuffered(port)
    const metrics = await fetch(`http://127.0.0.1:${port}/metrics`, { headers: { 'x-admin-key': stage.hub.adminKey } })
    expect(metrics.status).toBe(404)
  })

  test('of scaled.yml passes WebSockets on', async () => {
    const port = await freePort()
    writeFileSync(join(folder, 'sockets.conf'), frame(moved('compose/nginx.conf', await startUpgrading(), port)))
    await startProxy([pathOf(nginx), '-c', join(folder, 'sockets.conf'), '-e', 'stderr'], port)
    await expectWebSocket(port)
  })
})

describe.skipIf(pathOf(caddy) === '')('Caddy', () => {
  const options = '{\n\tadmin off\n\tauto_https off\n}\n'
  const moved = (to: number, port: number) =>
    options +
    read('caddy/Caddyfile')
      .replace('hub.example.com {', `http://127.0.0.1:${port} {`)
      .replace('reverse_proxy 127.0.0.1:8000 {', `reverse_proxy 127.0.0.1:${to} {`)
  const start = async (to: number) => {
    const port = await freePort()
    const file = join(folder, `Caddyfile-${port}`)
    writeFileSync(file, moved(to, port))
    await startProxy(
      [
        'env',
        `XDG_CONFIG_HOME=${folder}`,
        `XDG_DATA_HOME=${folder}`,
        pathOf(caddy),
        'run',
        '--config',
        file,
        '--adapter',
        'caddyfile',
      ],
      port,
    )
    return port
  }

  test('finds nothing wrong with its file', () => {
    const { status, said } = run(
      pathOf(caddy),
      'validate',
      '--config',
      join(deploy, 'caddy/Caddyfile'),
      '--adapter',
      'caddyfile',
    )
    expect([said.includes('Valid configuration'), status, said.includes('"level":"warn"')]).toEqual([true, 0, false])
  })

  test('passes a stream on as it is made, and keeps /metrics to itself', async () => {
    const port = await start(Number(new URL(stage.hub.url).port))
    await expectUnbuffered(port)
    const metrics = await fetch(`http://127.0.0.1:${port}/metrics`, { headers: { 'x-admin-key': stage.hub.adminKey } })
    expect(metrics.status).toBe(404)
  })

  test('passes WebSockets on', async () => {
    await expectWebSocket(await start(await startUpgrading()))
  })
})

test.skipIf(pathOf(alertmanager) === '')(
  'what Alertmanager is told goes to the hub with the token it was given, and is an alert there',
  async () => {
    const { token } = await stage.hub.admin('POST', '/api/alert-hooks', { name: 'alertmanager' })
    writeFileSync(join(folder, 'alert_hook_token'), token)
    const config = read('alertmanager/alertmanager.yml')
      .replaceAll('http://hub:8000', stage.hub.url)
      .replaceAll('/run/secrets/', `${folder}/`)
      .replaceAll('group_wait: 5s', 'group_wait: 10ms')
    const running = await startAlertmanager(pathOf(alertmanager), config)
    onTestFinished(() => running.destroy())
    const labels = { alertname: 'HubUnreachable', severity: 'critical', instance: 'hub:8000' }
    const posted = await fetch(`${running.url}/api/v2/alerts`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify([{ labels, annotations: { summary: 'hub:8000 does not answer Prometheus' } }]),
    })
    expect(posted.status).toBe(200)
    await until('the hub has the alert', async () => {
      const { data } = await stage.hub.admin('GET', '/api/alerts')
      return data.some(({ labels: had }: { labels: Record<string, string> }) => had.instance === 'hub:8000')
    })
  },
)
