import { join } from 'node:path'
import Database from 'better-sqlite3'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { until } from '../harness/control.ts'
import { auditLedger } from '../harness/ledger-audit.ts'
import { type ProcessHub, runGatehouse, startProcessHub } from '../harness/process-hub.ts'

const dayMs = 86_400_000

let hub: ProcessHub
beforeAll(async () => {
  hub = await startProcessHub({ args: ['--demo'] })
})
afterAll(() => hub?.destroy())

const chat = async (stream: boolean) => {
  const { key } = await hub.createKey()
  return fetch(`${hub.url()}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'demo-mini', stream, messages: [{ role: 'user', content: 'a first word' }] }),
  })
}

/** How many rows of each table are synthetic, read past the hub. */
function countSynthetic(): Record<string, number> {
  const database = new Database(join(hub.dataDir, 'gatehouse.db'), { readonly: true })
  const count = (table: string) =>
    database.prepare<[], number>(`select count(*) from ${table} where is_synthetic = 1`).pluck().get()!
  const counts = Object.fromEntries(['request_logs', 'usage_hourly', 'providers', 'models'].map((t) => [t, count(t)]))
  database.close()
  return counts
}

/** Nobody is paid for the stand-in: no list price is put on what it answered. */
const unpaid = { provider_type: 'demo', cost_nano_usd: null, price_id: '' }

const demo = (command: string) => runGatehouse(['demo', command, '--json'], { env: hub.env, cwd: hub.dataDir }).ended

test('a hub with --demo answers a first call, whole and streamed, and enters it as real', async () => {
  const whole = await chat(false)
  expect(whole.status).toBe(200)
  const { choices, usage } = (await whole.json()) as { choices: { message: { content: string } }[]; usage: object }
  expect(choices[0]?.message.content).toContain('a first word')
  expect(usage).toMatchObject({ prompt_tokens: expect.any(Number), completion_tokens: expect.any(Number) })

  const streamed = await (await chat(true)).text()
  expect(streamed).toContain('"finish_reason":"stop"')
  expect(streamed).toMatch(/data: \[DONE\]\n\n$/)

  await hub.settled()
  const { data } = await hub.admin('GET', '/api/logs?limit=2')
  expect(data).toMatchObject([
    { stream: true, outcome: 'success', is_synthetic: false, model_asked: 'demo-mini', ...unpaid },
    { stream: false, outcome: 'success', is_synthetic: false, model_asked: 'demo-mini', ...unpaid },
  ])
})

test('a hub with --demo has a plugin service, called like any other and marked as made up', async () => {
  const call = (path: string, headers: Record<string, string> = {}) =>
    fetch(`${hub.url()}/api/demo-plugin${path}`, { headers })
  await until('it is there', async () => (await call('/items')).status === 200)
  expect(await (await call('/items')).json()).toMatchObject({ count: 2 })
  expect((await call('/whoami')).status).toBe(401)
  const { id, key } = await hub.createKey()
  const told = await (await call('/whoami', { authorization: `Bearer ${key}` })).json()
  expect(told).toMatchObject({ key: id, role: 'user' })
  const service = await hub.admin('GET', '/api/registry/services/demo-plugin')
  expect(service).toMatchObject({ service_metadata: { is_synthetic: true } })
})

test('there is a month of requests, each marked as synthetic, with prices and some failures', async () => {
  const database = new Database(join(hub.dataDir, 'gatehouse.db'), { readonly: true })
  const month = database
    .prepare<[], { n: number; first: number; last: number; days: number; failed: number; unpriced: number }>(
      `select count(*) n, min(started_at) first, max(started_at) last, count(distinct started_at / ${dayMs}) days,
         sum(outcome = 'failure') failed, sum(cost_nano_usd is null) unpriced
       from request_logs where is_synthetic = 1`,
    )
    .get()!
  database.close()
  expect(month.n).toBeGreaterThan(1000)
  expect(month.days).toBeGreaterThanOrEqual(30)
  expect(month.first).toBeGreaterThan(Date.now() - 32 * dayMs)
  expect(month.last).toBeLessThanOrEqual(Date.now())
  expect(month.failed).toBeGreaterThan(0)
  expect(month.unpriced).toBe(0)
  const { data } = await hub.admin('GET', '/api/logs?limit=3&provider=demo')
  expect(data.some((row: { is_synthetic: boolean }) => row.is_synthetic)).toBe(true)
})

test('--demo a second time adds nothing, and the provider is where the hub is now', async () => {
  const before = countSynthetic()
  const { length } = await hub.admin('GET', '/api/providers')
  await hub.stop()
  await hub.restart()
  expect(countSynthetic()).toEqual(before)
  expect(await hub.admin('GET', '/api/providers')).toHaveLength(length)
  expect((await chat(false)).status).toBe(200)
  const items = () => fetch(`${hub.url()}/api/demo-plugin/items`)
  await until('the plugin is where the hub is', async () => (await items()).status === 200)
})

test('removing leaves nothing synthetic and keeps what really happened', async () => {
  const { request_logs: requests } = countSynthetic()
  const removed = await demo('remove')
  expect(removed).toMatchObject({ exitCode: 0, err: '' })
  expect(JSON.parse(removed.out)).toEqual({ requests, backup: expect.stringMatching(/^bak_/) })
  expect(countSynthetic()).toEqual({ request_logs: 0, usage_hourly: 0, providers: 0, models: 0 })
  const headers = { authorization: `Bearer ${hub.env.ADMIN_KEY}` }
  const plugin = () => fetch(`${hub.url()}/api/demo-plugin/items`, { headers })
  await until('the plugin is gone', async () => (await plugin()).status === 404)
  const again = await demo('remove')
  expect(JSON.parse(again.out)).toMatchObject({ requests: 0 })

  expect(await hub.stop()).toMatchObject({ exitCode: 0 })
  const audit = await auditLedger({ databaseUrl: '', dataDir: hub.dataDir }, [])
  expect(audit.rows).toBeGreaterThanOrEqual(3)
  expect(audit).toMatchObject({ wrongSums: [], unsettled: 0, rejected: 0 })
})

test('the plugin answers before anybody owns the hub, to its own machine', async () => {
  const own = await startProcessHub({ args: ['--demo'], env: { ADMIN_KEY: '' } })
  try {
    const items = () => fetch(`${own.url()}/api/demo-plugin/items`)
    await until('it is there', async () => (await items()).status === 200)
  } finally {
    await own.destroy()
  }
})

test('a start that fails after it has bound its port ends, and nothing runs on', async () => {
  const own = await startProcessHub()
  try {
    // The name that the demo would take is somebody's already.
    await own.admin('POST', '/api/providers', { name: 'demo', type: 'openai', api_key: 'sk-mine' })
    await own.stop()
    const { exitCode, err } = await runGatehouse(['serve', '--demo'], { env: own.env, cwd: own.dataDir }).ended
    expect(exitCode).toBe(1)
    expect(err).toContain('✗')
  } finally {
    await own.destroy()
  }
})
