import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { createDice } from '../../src/kernel/dice.ts'
import { type FakeProvider, startFakeProvider } from '../fake-providers/index.ts'
import { until } from '../harness/control.ts'
import { auditLedger } from '../harness/ledger-audit.ts'
import { type Load, startLoad } from '../harness/load.ts'
import { type ProcessHub, processAdminKey, startProcessHub } from '../harness/process-hub.ts'

const model = 'gpt-4o-mini'
let upstream: FakeProvider
let hub: ProcessHub
let apiKey: string
let folder: string
let file: string
const answered: Load['answered'] = []

beforeAll(async () => {
  upstream = await startFakeProvider({ kind: 'openai', models: [model] })
  upstream.behave({ chunkDelayMs: 5 })
  folder = mkdtempSync(join(tmpdir(), 'gatehouse-workers-'))
  file = join(folder, 'gatehouse.toml')
  writeFileSync(file, '[reload]\nwatch_seconds = 1\n')
  hub = await startProcessHub({ args: ['--workers', '2', '--config', file] })
  await hub.serveModel(model, {
    ...{ type: 'openai', base_url: upstream.baseUrl, api_key: upstream.apiKey, max_retries: 0 },
  })
  ;({ key: apiKey } = await hub.createKey())
})
afterAll(async () => {
  await hub?.destroy()
  await upstream?.close()
  rmSync(folder, { recursive: true, force: true })
})

/** Process ids by name, of those that serve. */
async function processes(): Promise<Map<string, number>> {
  const rows = await ask('GET', '/metrics')
  const up = [...rows.text.matchAll(/^gatehouse_processes_up\{process="([^"]+)"\} 1$/gm)].map(([, name]) => name!)
  return new Map(up.map((name) => [name, pidOf(name)]))
}

/** The latest start of a process by its name, as the hub's log of children tells it. */
function pidOf(name: string): number {
  const children = readFileSync(`/proc/${hub.run().pid}/task/${hub.run().pid}/children`, 'utf8').trim().split(' ')
  const found = children.find((pid) => {
    const title = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')[0]
    return title === `gatehouse ${name}`
  })
  return Number(found ?? -1)
}

async function ask(method: string, path: string, key = processAdminKey, agent?: Agent, body?: unknown) {
  return new Promise<{ status: number; text: string }>((resolve, reject) => {
    const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' }
    const sent = request(hub.url() + path, { method, headers, ...(agent && { agent }) }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (piece: string) => {
        text += piece
      })
      response.on('end', () => resolve({ status: response.statusCode!, text }))
      response.on('error', reject)
    })
    sent.on('error', reject)
    sent.end(body === undefined ? undefined : JSON.stringify(body))
  })
}

const chat = { model, messages: [{ role: 'user', content: 'hello' }] }
/** A call on a connection of its own, so that it may be any worker's. */
const call = async (key: string) => {
  const agent = new Agent()
  const answer = await ask('POST', '/v1/chat/completions', key, agent, chat)
  agent.destroy()
  return answer
}

function load(callers: number): Load {
  const all = startLoad({ url: hub.url, apiKey, model, callers, random: createDice(Date.now() % 1_000_000) })
  onTestFinished(() => all.stop())
  return all
}

test('a worker killed under load takes only its own calls with it; it is started again', async () => {
  const { failed, answered: whole, stop } = load(12)
  await until('calls are answered', () => whole.length > 20)
  const pid = pidOf('worker-1')
  process.kill(pid, 'SIGKILL')
  const failedAtOnce = performance.now() + 1000
  await hub.run().says('The process worker-1 ended')
  const before = whole.length
  await until('calls go on', () => whole.length > before + 50)
  await until('another has its place', async () => (await processes()).size === 3 && pidOf('worker-1') !== pid)
  await stop()
  answered.push(...whole)
  // Callers and their connections: no call that began after the kill met the dead one.
  expect(failed.filter(({ at }) => at > failedAtOnce)).toEqual([])
  expect(failed.length).toBeLessThanOrEqual(12)
}, 60_000)

test('while the control process is dead calls are answered, and it is started again', async () => {
  const pid = pidOf('control')
  const { failed, answered: whole, stop } = load(6)
  await until('calls are answered', () => whole.length > 10)
  process.kill(pid, 'SIGKILL')
  await hub.run().says('The process control ended')
  const before = whole.length
  await until('calls go on', () => whole.length > before + 50)
  await until('another answers in its place', async () => (await ask('GET', '/api/keys')).status === 200)
  expect(pidOf('control')).not.toBe(pid)
  await stop()
  answered.push(...whole)
  expect(failed).toEqual([])
}, 60_000)

test('a rolling restart cuts none of 30 slow streams and refuses nobody', async () => {
  const before = [pidOf('control'), pidOf('worker-1'), pidOf('worker-2')]
  const agent = new Agent({ keepAlive: true })
  onTestFinished(() => agent.destroy())
  upstream.behave({ chunkDelayMs: 150, answer: { text: 'slowly, '.repeat(60), pieceLength: 8 } })
  const arrived = upstream.requests.length
  const streams = Array.from({ length: 30 }, () =>
    ask('POST', '/v1/chat/completions', apiKey, agent, { ...chat, stream: true }),
  )
  await until('all of them have begun', () => upstream.requests.length >= arrived + 30)
  upstream.behave({ chunkDelayMs: 5 })
  const { failed, answered: whole, stop } = load(4)
  hub.run().kill('SIGUSR2')
  await hub.run().says('The processes are replaced')
  for (const { status, text } of await Promise.all(streams)) {
    expect(status).toBe(200)
    expect(text.endsWith('data: [DONE]\n\n')).toBe(true)
  }
  await stop()
  answered.push(...whole)
  expect(failed).toEqual([])
  await until('the old ones have ended', () => before.every((pid) => !isAlive(pid)))
}, 90_000)

test('settings that were set and kept reach the workers; with a file that nobody can start with nobody is replaced', async () => {
  const control = pidOf('control')
  const { failed, answered: whole, stop } = load(2)
  await hub.admin('PATCH', '/api/config', { set: { 'gateway.realtime_idle_seconds': 333 } })
  await hub.run().says('The workers are replaced')
  expect(pidOf('control')).toBe(control)
  expect(readFileSync(file, 'utf8')).toContain('realtime_idle_seconds = 333')

  const good = readFileSync(file, 'utf8')
  writeFileSync(file, `${good}\n[gateway\n`)
  hub.run().kill('SIGHUP')
  await hub.run().says('The processes are not replaced')
  writeFileSync(file, good)
  await stop()
  answered.push(...whole)
  expect(failed).toEqual([])
  expect(pidOf('control')).toBe(control)
}, 90_000)

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

test('a revoked key is refused by every worker within two seconds', async () => {
  const { id, key } = await hub.createKey()
  for (let i = 0; i < 4; i++) expect((await call(key)).status).toBe(200)
  await hub.admin('DELETE', `/api/keys/${id}`)
  const endsAt = performance.now() + 2000
  let refused = 0
  await until('both have heard', async () => {
    refused = (await call(key)).status === 401 ? refused + 1 : 0
    return refused >= 6
  })
  expect(performance.now()).toBeLessThan(endsAt)
})

test('a limit of 20 calls a minute is held over all workers, whoever is asked', async () => {
  const { key } = await hub.createKey({ rate_limit: 20 })
  const statuses = (await Promise.all(Array.from({ length: 50 }, () => call(key)))).map(({ status }) => status)
  expect(statuses.filter((status) => status === 200)).toHaveLength(20)
  expect(statuses.filter((status) => status === 429)).toHaveLength(30)
})

test('the control process sees callers as they are, not the worker that hands them on', async () => {
  // Said by a caller it is no more than any header.
  const made = await fetch(`${hub.url()}/api/keys`, {
    method: 'POST',
    headers: {
      ...{ 'x-gatehouse-peer': '203.0.113.9', 'content-type': 'application/json' },
      authorization: `Bearer ${processAdminKey}`,
    },
    body: '{"name":"forged"}',
  })
  expect(made.status).toBe(201)
  const { data } = await hub.admin('GET', '/api/audit?limit=1&action=keys.create')
  expect(data[0].ip).toBe('127.0.0.1')
})

test('afterwards every answered call has one row, also of the workers that died, and the port is free', async () => {
  expect(await hub.stop()).toMatchObject({ exitCode: 0 })
  expect(answered.length).toBeGreaterThan(100)
  const audit = await auditLedger({ databaseUrl: '', dataDir: hub.dataDir }, answered)
  expect(audit).toMatchObject({ missing: [], doubled: [], unsettled: 0, rejected: 0 })
  await expect(fetch(`${hub.url()}/livez`)).rejects.toThrow()
})
