import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createRecordingLog } from '../../platform/database/testing-log.ts'
import { docker } from './docker.ts'
import { checkWithPromtool, runCollectors } from './testing.ts'

type Answers = Record<string, { status: number; body: unknown }>

let folder: string
let socket: string
let server: Server
let asked: string[]
let answers: Answers
/** Answers that never end. */
let stalled: RegExp

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'gatehouse-docker-'))
  socket = join(folder, 'docker.sock')
  asked = []
  stalled = /^$/
  answers = recorded()
  server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`)
    if (stalled.test(request.url!)) return
    const { status, body } = answers[request.url!] ?? { status: 404, body: { message: 'No such container' } }
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  })
  await new Promise<void>((resolve) => server.listen(socket, resolve))
})
afterEach(() => {
  server.close()
  server.closeAllConnections()
  rmSync(folder, { recursive: true, force: true })
})

/** In the shapes of version 1.43 of the API: a database that runs, with cgroup 2; a page that ended; one in between. */
function recorded(): Answers {
  const ok = (body: unknown) => ({ status: 200, body })
  return {
    '/containers/json?all=true': ok([
      {
        ...{ Id: 'exited01', Names: ['/old-frontend'], Image: 'nginx:1.25', State: 'exited' },
        ...{ Status: 'Exited (0) 2 hours ago', Labels: {} },
      },
      {
        ...{ Id: 'mysql001', Names: ['/shop-mysql-1'], Image: 'mysql:8.0', State: 'running' },
        ...{ Status: 'Up 3 hours (healthy)', Labels: { 'com.docker.compose.service': 'mysql' } },
      },
    ]),
    '/containers/mysql001/json': ok({
      ...{ RestartCount: 2, HostConfig: { NanoCpus: 1_500_000_000, CpuQuota: 0, CpuPeriod: 0 } },
      State: { Status: 'running', Running: true, Health: { Status: 'healthy', FailingStreak: 0, Log: [] } },
    }),
    '/containers/mysql001/stats?stream=false&one-shot=true': ok({
      cpu_stats: { cpu_usage: { total_usage: 12_500_000_000 }, online_cpus: 8, system_cpu_usage: 9e15 },
      memory_stats: { usage: 600_000_000, limit: 1_000_000_000, stats: { inactive_file: 200_000_000, anon: 3e8 } },
      blkio_stats: {
        io_service_bytes_recursive: [
          { major: 8, minor: 0, op: 'read', value: 4096 },
          { major: 8, minor: 0, op: 'write', value: 8192 },
          { major: 8, minor: 16, op: 'read', value: 1024 },
        ],
      },
      networks: {
        eth0: { rx_bytes: 100, rx_packets: 1, tx_bytes: 50 },
        eth1: { rx_bytes: 11, rx_packets: 1, tx_bytes: 7 },
      },
    }),
    '/containers/exited01/json': ok({ RestartCount: 0, HostConfig: {}, State: { Status: 'exited', ExitCode: 0 } }),
  }
}

async function read(config: Record<string, unknown> = {}, timeoutMs = 5000, log = createRecordingLog()) {
  const run = runCollectors([docker], {
    config: { docker_socket: socket, ...config },
    parts: { log: { ...log, child: () => log } },
    timeoutMs,
  })
  const found = await run.read()
  await checkWithPromtool(await run.render())
  await run.stop()
  return Object.fromEntries(
    Object.entries(found).flatMap(([name, value]) =>
      /^gatehouse_(docker|collector_up)/.test(name) ? [[name.replace('gatehouse_', ''), value]] : [],
    ),
  )
}

test('containers are told by state, health and use, beside what their component may use', async () => {
  const found = await read({ docker_limits: ['mysql cpu=70% memory=80% disk=100MB network=50MB', 'frontend cpu=30%'] })
  const own = 'container="shop-mysql-1",component="mysql"'
  const old = 'container="old-frontend",component="frontend"'
  expect(found).toEqual({
    'collector_up{collector="docker",target=""}': 1,
    docker_containers: 2,
    [`docker_container_state{${own},image="mysql:8.0",state="running"}`]: 1,
    [`docker_container_state{${old},image="nginx:1.25",state="exited"}`]: 1,
    [`docker_container_healthy{${own}}`]: 1,
    [`docker_container_restarts_total{${own}}`]: 2,
    [`docker_container_restarts_total{${old}}`]: 0,
    [`docker_container_cpu_seconds_total{${own}}`]: 12.5,
    [`docker_container_cpus{${own}}`]: 1.5,
    [`docker_container_memory_bytes{${own}}`]: 400_000_000,
    [`docker_container_memory_limit_bytes{${own}}`]: 1_000_000_000,
    [`docker_container_block_bytes_total{${own},direction="read"}`]: 5120,
    [`docker_container_block_bytes_total{${own},direction="write"}`]: 8192,
    [`docker_container_network_bytes_total{${own},direction="receive"}`]: 111,
    [`docker_container_network_bytes_total{${own},direction="transmit"}`]: 57,
    'docker_limit_ratio{component="mysql",resource="cpu"}': 0.7,
    'docker_limit_ratio{component="mysql",resource="memory"}': 0.8,
    'docker_limit_ratio{component="frontend",resource="cpu"}': 0.3,
    'docker_limit_bytes_per_second{component="mysql",resource="disk"}': 1e8,
    'docker_limit_bytes_per_second{component="mysql",resource="network"}': 5e7,
  })
  expect(asked.every((line) => line.startsWith('GET '))).toBe(true)
})

test("seed 004's limits are the default", async () => {
  const found = await read()
  const limits = (resource: string) =>
    ['mysql', 'redis', 'backend', 'frontend'].map(
      (component) =>
        found[`docker_limit_ratio{component="${component}",resource="${resource}"}`] ??
        found[`docker_limit_bytes_per_second{component="${component}",resource="${resource}"}`],
    )
  expect(limits('cpu')).toEqual([0.7, 0.5, 0.8, 0.3])
  expect(limits('memory')).toEqual([0.8, 0.6, 0.7, 0.4])
  expect(limits('disk')).toEqual([1e8, 5e7, 2e7, 1e7])
  expect(limits('network')).toEqual([5e7, 2e7, 3e7, 1e7])
})

test('an unhealthy one is told, and one that starts is neither', async () => {
  const health = 'docker_container_healthy{container="shop-mysql-1",component="mysql"}'
  const inspected = answers['/containers/mysql001/json']!.body as { State: { Health: { Status: string } } }
  inspected.State.Health.Status = 'unhealthy'
  expect((await read())[health]).toBe(0)
  inspected.State.Health.Status = 'starting'
  expect(await read()).not.toHaveProperty([health])
})

test('one that went away while it was asked about is left out, and the others stay', async () => {
  answers['/containers/mysql001/stats?stream=false&one-shot=true'] = { status: 404, body: {} }
  const found = await read()
  expect(found['collector_up{collector="docker",target=""}']).toBe(1)
  expect(Object.keys(found).filter((name) => name.includes('mysql-1'))).toEqual([])
  expect(Object.keys(found).filter((name) => name.includes('old-frontend'))).not.toEqual([])
})

test('beyond the limit those that run come first, and the log tells of the others', async () => {
  const log = createRecordingLog()
  const found = await read({ docker_max_containers: 1 }, 5000, log)
  expect(found.docker_containers).toBe(2)
  expect(Object.keys(found).filter((name) => name.includes('old-frontend'))).toEqual([])
  expect(log.lines).toMatchObject([{ level: 'warn', fields: { setting: 'collectors.docker_max_containers' } }])
})

function spoilList(status: number, body: unknown): void {
  answers['/containers/json?all=true'] = { status, body }
}

test.each([
  ['refuses', () => spoilList(500, {})],
  ['lies', () => spoilList(200, undefined)],
  [
    'stalls',
    () => {
      stalled = /stats/
    },
  ],
  [
    'is gone',
    () => {
      server.close()
      server.closeAllConnections()
    },
  ],
])('an engine that %s has no numbers', async (_, spoil) => {
  const run = runCollectors([docker], { config: { docker_socket: socket }, timeoutMs: 300 })
  expect(Object.keys(await run.read()).filter((name) => name.includes('_docker_'))).not.toEqual([])
  spoil()
  const found = await run.read()
  expect(Object.keys(found).filter((name) => name.includes('_docker_'))).toEqual([])
  expect(found['gatehouse_collector_up{collector="docker",target=""}']).toBe(0)
  await run.stop()
})

test('where there is no socket nothing is asked and nothing complained of', async () => {
  expect(await read({ docker_socket: join(folder, 'nothing.sock') })).toEqual({})
  expect(await read({ docker_socket: '' })).toEqual({})
})
