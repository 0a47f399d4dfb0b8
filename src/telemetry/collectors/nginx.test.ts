import { execFile, execFileSync } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { Agent, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, describe, expect, test } from 'vitest'
import { until } from '../../../test/harness/control.ts'
import { freePort, spawnGuarded } from '../../../test/harness/process.ts'
import { provideNginx, provideWrk } from '../../../test/harness/services.ts'
import { createRecordingLog } from '../../platform/database/testing-log.ts'
import { nginx } from './nginx.ts'
import { checkWithPromtool, runCollectors } from './testing.ts'

const provided = await provideNginx()
const program = 'service' in provided ? provided.service : ''
const providedWrk = await provideWrk()
const wrk = 'service' in providedWrk ? providedWrk.service : ''

const format = `log_format timed '$remote_addr [$time_local] "$request" $status $bytes_sent '
                     'rt=$request_time up=$upstream_response_time in=$request_length "$http_user_agent"';`

const closers: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

/** Two workers, so that a rotation reaches them one after the other. */
async function startNginx() {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-nginx-'))
  chmodSync(folder, 0o777)
  mkdirSync(join(folder, 'body'))
  const port = await freePort()
  const log = join(folder, 'access.log')
  const config = join(folder, 'nginx.conf')
  writeFileSync(
    config,
    `daemon off; worker_processes 2; pid ${folder}/pid; error_log ${folder}/error.log;
events { worker_connections 512; }
http {
  ${format}
  access_log ${log} timed;
  client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/body; fastcgi_temp_path ${folder}/body;
  uwsgi_temp_path ${folder}/body; scgi_temp_path ${folder}/body;
  server {
    listen 127.0.0.1:${port} reuseport;
    location = /status { stub_status; access_log off; }
    location = /ok { return 200 "fine"; }
    location = /missing { return 404; }
    location = /broken { return 503; }
  }
}`,
  )
  const running = spawnGuarded([program, '-p', folder, '-c', config, '-e', join(folder, 'error.log')], {
    folder,
    stopSignal: 'TERM',
  })
  closers.push(() => running.stop())
  const url = `http://127.0.0.1:${port}`
  await until('nginx answers', async () => (await fetch(`${url}/status`).catch(() => null))?.ok === true)
  const reopen = () => execFileSync('kill', ['-USR1', readFileSync(join(folder, 'pid'), 'utf8').trim()])
  return { url, log, reopen }
}

/** Asks as fast as eight connections can, counting what is answered by status and in bytes on the wire. */
function createLoad(url: string, agentName = 'quoted " agent') {
  const agent = new Agent({ keepAlive: true, maxSockets: 8 })
  const counts: Record<string, number> = {}
  let isStopped = false
  const paths = ['/ok', '/ok', '/ok', '/missing', '/broken']
  const ask = (path: string) =>
    new Promise<void>((resolve, reject) => {
      request(`${url}${path}`, { agent, headers: { 'user-agent': agentName } }, (answer) => {
        counts[answer.statusCode!] = (counts[answer.statusCode!] ?? 0) + 1
        answer.resume().on('end', resolve)
      })
        .on('error', reject)
        .end()
    })
  const loops = Promise.all(
    Array.from({ length: 8 }, async (_, n) => {
      for (let i = n; !isStopped; i++) await ask(paths[i % paths.length]!)
    }),
  )
  return {
    counts,
    total: () => Object.values(counts).reduce((sum, count) => sum + count, 0),
    async stop() {
      isStopped = true
      await loops
      agent.destroy()
    },
  }
}

describe.skipIf(program === '')('a real nginx', () => {
  function watch(log: string, url: string) {
    const lines = createRecordingLog()
    const run = runCollectors([nginx], {
      config: { nginx_access_log: log, nginx_log_format: format, nginx_status_url: `${url}/status` },
      parts: { log: { ...lines, child: () => lines } },
    })
    closers.push(() => run.stop())
    return { ...run, lines: lines.lines }
  }

  test('renamed under load and reopened, twice: every request is counted once', { timeout: 60_000 }, async () => {
    const { url, log, reopen } = await startNginx()
    await fetch(`${url}/ok`)
    const run = watch(log, url)
    await run.read()
    const load = createLoad(url)
    for (let rotation = 1; rotation <= 2; rotation++) {
      const before = load.total()
      await until('there was load', () => load.total() > before + 500)
      await run.read()
      renameSync(log, `${log}.${rotation}`)
      await run.read()
      const renamed = load.total()
      await until('lines go on into the old file', () => load.total() > renamed + 200)
      reopen()
      await run.read()
      const reopened = load.total()
      await until('there was load', () => load.total() > reopened + 500)
      await run.read()
    }
    await load.stop()
    const counted = (found: Record<string, number>) =>
      Object.fromEntries(
        Object.keys(load.counts).map((status) => [status, found[`gatehouse_nginx_requests_total{status="${status}"}`]]),
      )
    await until(
      'nginx has written the last line',
      async () => {
        return JSON.stringify(counted(await run.read())) === JSON.stringify(load.counts)
      },
      { limitMs: 5000 },
    ).catch(() => {})
    const found = await run.read()
    expect(counted(found)).toEqual(load.counts)
    expect(found.gatehouse_nginx_request_seconds_count).toBe(load.total())
    expect(found.gatehouse_nginx_unread_lines_total).toBe(0)
    expect(found.gatehouse_nginx_log_rotations_total).toBe(2)
    const lines = ['.1', '.2', ''].flatMap((end) =>
      readFileSync(log + end, 'utf8')
        .trim()
        .split('\n'),
    )
    const bytes = lines.slice(1).reduce((sum, line) => sum + Number(/" \d{3} (\d+) rt=/.exec(line)![1]), 0)
    expect(found['gatehouse_nginx_bytes_total{direction="transmit"}']).toBe(bytes)
  })

  test.skipIf(wrk === '')('what wrk counts is what is counted, rotation and all', { timeout: 60_000 }, async () => {
    const connections = 8
    const { url, log, reopen } = await startNginx()
    const run = watch(log, url)
    await run.read()
    const told = promisify(execFile)(wrk, ['-t', '1', '-c', String(connections), '-d', '2s', `${url}/missing`])
    await until('wrk is under way', () => readFileSync(log, 'utf8').length > 100_000)
    renameSync(log, `${log}.1`)
    reopen()
    const { stdout } = await told
    const answered = Number(/(\d+) requests in/.exec(stdout)?.[1])
    expect(answered).toBeGreaterThan(1000)
    const written = () =>
      [`${log}.1`, log].reduce((sum, file) => sum + readFileSync(file, 'utf8').split('\n').length - 1, 0)
    await until('nginx has written the last line', async () => {
      const found = await run.read()
      return found.gatehouse_nginx_request_seconds_count === written()
    })
    const found = await run.read()
    const total = written()
    // wrk hangs up when its time is over, and does not count what each connection had asked last.
    expect(total - answered).toBeGreaterThanOrEqual(0)
    expect(total - answered).toBeLessThanOrEqual(connections)
    expect(found['gatehouse_nginx_requests_total{status="404"}']).toBe(total)
    expect(Number(/Non-2xx or 3xx responses: (\d+)/.exec(stdout)?.[1])).toBe(answered)
  })

  test('copied and truncated between two bursts: nothing is lost and nothing counted twice', {
    timeout: 60_000,
  }, async () => {
    const { url, log } = await startNginx()
    const run = watch(log, url)
    await run.read()
    let expected = 0
    for (let burst = 0; burst < 3; burst++) {
      // What a log begins with tells it from the one before: two bursts of one second are not to begin alike.
      const load = createLoad(url, `burst ${burst}`)
      await until('there was load', () => load.total() > 300)
      await load.stop()
      expected += load.total()
      const written = () => readFileSync(log, 'utf8').split('\n').length - 1
      await until('every line is written', () => written() === load.total())
      await run.read()
      copyFileSync(log, `${log}.${burst}`)
      truncateSync(log)
    }
    const found = await run.read()
    expect(found.gatehouse_nginx_request_seconds_count).toBe(expected)
  })

  test("connections are those of nginx's own status", async () => {
    const { url, log } = await startNginx()
    const run = watch(log, url)
    const found = await run.read()
    const text = await (await fetch(`${url}/status`)).text()
    const accepted = Number(/^ (\d+) /m.exec(text)![1])
    expect(found.gatehouse_nginx_connections_accepted_total).toBeLessThanOrEqual(accepted)
    expect(found.gatehouse_nginx_connections_accepted_total).toBeGreaterThan(0)
    expect(found.gatehouse_nginx_connections_dropped_total).toBe(0)
    expect(found['gatehouse_nginx_connections{state="writing"}']).toBe(1)
    await checkWithPromtool(await run.render())
  })

  test('a log of another format is not guessed at: its lines are counted apart, and told once', async () => {
    const { url, log } = await startNginx()
    const lines = createRecordingLog()
    const run = runCollectors([nginx], {
      config: { nginx_access_log: log },
      parts: { log: { ...lines, child: () => lines } },
    })
    closers.push(() => run.stop())
    await run.read()
    for (let i = 0; i < 3; i++) {
      await fetch(`${url}/ok`)
      await until('the line is read', async () => (await run.read()).gatehouse_nginx_unread_lines_total === i + 1)
    }
    expect(Object.keys(await run.read()).filter((name) => name.includes('nginx_requests_total'))).toEqual([])
    expect(lines.lines).toMatchObject([{ level: 'warn', fields: { setting: 'collectors.nginx_log_format' } }])
  })
})

test('a log that is not there, and a status that is none, are told as such', async () => {
  const run = runCollectors([nginx], {
    config: { nginx_access_log: '/nowhere/access.log', nginx_status_url: 'http://127.0.0.1:9/' },
  })
  expect(await run.read()).toMatchObject({
    'gatehouse_collector_up{collector="nginx",target="access_log"}': 0,
    'gatehouse_collector_up{collector="nginx",target="status"}': 0,
  })
  await run.stop()
})
