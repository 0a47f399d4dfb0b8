import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { createDice } from '../../src/kernel/dice.ts'
import { openDatabase } from '../../src/platform/database/index.ts'
import { engines } from '../../src/platform/database/testing.ts'
import { silentLog } from '../../src/platform/database/testing-log.ts'
import { openUsageAudit } from '../../src/usage/index.ts'
import { type FakeProvider, startFakeProvider } from '../fake-providers/index.ts'
import { until } from '../harness/control.ts'
import { startHub, type TestHub } from '../harness/hub.ts'
import { auditLedger } from '../harness/ledger-audit.ts'
import { startLoad } from '../harness/load.ts'
import { type ProcessHub, startProcessHub } from '../harness/process-hub.ts'
import type { Json } from './stage.ts'

const price = { model: 'm-*', input_usd: '1', output_usd: '2', effective_from: '2020-01-01T00:00:00Z' }
/** Of what the fakes say that a call used: 21 in, 9 out. */
const callNanoUsd = 21_000 + 18_000

let hub: TestHub
let first: FakeProvider
let other: FakeProvider
let apiKey = ''
let dataDir = ''

async function start(settings: Json = {}, second: Json = {}): Promise<void> {
  dataDir = mkdtempSync(join(tmpdir(), 'gatehouse-mirrors-'))
  first = await startFakeProvider({ kind: 'openai' })
  other = await startFakeProvider({ kind: 'openai' })
  hub = await startHub({ settings, dataDir })
  apiKey = await hub.createKey()
  await hub.admin('POST', '/api/prices', price)
  await serve('m-first', first)
  await serve('m-second', other, second)
  await hub.admin('PATCH', '/api/models/m-first', { mirror: { model: 'm-second' } })
}
const serve = (model: string, fake: FakeProvider, more: Json = {}) =>
  hub.serve(model, { type: 'openai', base_url: fake.baseUrl, api_key: fake.apiKey, max_retries: 0, ...more })

afterEach(async () => {
  await hub?.stop()
  await first?.close()
  await other?.close()
  rmSync(dataDir, { recursive: true, force: true })
})

async function ask(model = 'm-first'): Promise<number> {
  const response = await fetch(`${hub.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model, max_tokens: 9, messages: [{ role: 'user', content: 'Hello' }] }),
  })
  await response.text()
  return response.status
}

/** How often mirrors came to each result. */
async function results(): Promise<Record<string, number>> {
  const response = await fetch(`${hub.url}/metrics`, { headers: { 'x-admin-key': hub.adminKey } })
  const lines = [...(await response.text()).matchAll(/^gatehouse_gateway_mirrors_total\{.*result="(\w+)"\} (\d+)$/gm)]
  return Object.fromEntries(lines.map(([, result, count]) => [result, Number(count)]))
}
const sumOf = (all: Record<string, number>) => Object.values(all).reduce((sum, count) => sum + count, 0)

async function askAndSettle(times: number): Promise<void> {
  for (let i = 0; i < times; i++) {
    const before = sumOf(await results())
    expect(await ask()).toBe(200)
    await until('the mirror came to something', async () => sumOf(await results()) > before)
  }
}

const mirrorRows = async () => (await hub.logs()).filter(({ endpoint }) => endpoint === 'mirror')

test('they cost no more a day than an operator allows, and a hub that starts anew knows what was spent', async () => {
  // Room for two calls at what they may cost at most, and not for a third.
  const settings = { 'gateway.mirror_daily_usd': 0.000_12 }
  await start(settings)
  await askAndSettle(5)
  const told = await results()
  expect(told.budget_spent).toBeGreaterThanOrEqual(1)
  expect(told.compared).toBeGreaterThanOrEqual(1)
  const rows = await mirrorRows()
  expect(rows).toHaveLength(told.compared!)
  expect(rows.length * callNanoUsd).toBeLessThanOrEqual(120_000)

  await hub.stop()
  hub = await startHub({ settings, dataDir })
  await askAndSettle(1)
  expect(await results()).toEqual({ budget_spent: 1 })
  expect(await mirrorRows()).toHaveLength(rows.length)
})

test('no more run at one time than may: others are dropped and counted, and no caller notices', async () => {
  await start({ 'gateway.mirror_concurrency': 1 })
  other.behave({ holdAt: 'head' })
  expect(await ask()).toBe(200)
  await other.arrival(1)
  expect([await ask(), await ask()]).toEqual([200, 200])
  expect(await results()).toEqual({ busy: 2 })
  other.requests[0]!.release()
  await until('it was compared', async () => (await results()).compared === 1)
  expect(other.requests).toHaveLength(1)
})

test('a second model that never answers is given up in its time, and its row says so', async () => {
  await start({ 'gateway.mirror_timeout_seconds': 1 })
  other.behave({ holdAt: 'head' })
  expect(await ask()).toBe(200)
  await until('it was compared', async () => (await results()).compared === 1)
  expect(await mirrorRows()).toMatchObject([{ outcome: 'failure', error_code: 'upstream_timeout', cost_nano_usd: 0 }])
})

test('they take no more of a provider’s limits than leaves half to those who call it', async () => {
  await start({}, { rate_limit: 4 })
  await askAndSettle(4)
  expect(await results()).toEqual({ compared: 2, provider_limit: 2 })
  expect([await ask('m-second'), await ask('m-second'), await ask('m-second')]).toEqual([200, 200, 429])
})

test('they take no more than half of a provider’s budget, and callers have the rest', async () => {
  await start()
  const { id } = (await hub.admin('GET', '/api/providers')).find(({ base_url }: Json) => base_url === other.baseUrl)
  await hub.admin('POST', '/api/budgets', { scope: 'provider', scope_id: id, period: 'day', limit_usd: '0.0002' })
  await askAndSettle(4)
  const told = await results()
  expect(told.provider_limit).toBeGreaterThanOrEqual(1)
  expect(told.compared! * callNanoUsd).toBeLessThanOrEqual(100_000)
  expect(await ask('m-second')).toBe(200)
})

test('a hub that stops begins none, and what it ends has its row', async () => {
  await start()
  other.behave({ holdAt: 'head' })
  expect(await ask()).toBe(200)
  await other.arrival(1)
  first.behave({ holdAt: 'head' })
  const last = ask()
  await first.arrival(2)
  const stopped = hub.stop()
  await until('it drains', () => hub.lines.some((line) => line.includes('Stopping')))
  first.requests[1]!.release()
  expect(await last).toBe(200)
  await stopped
  expect(other.requests).toHaveLength(1)

  hub = await startHub({ dataDir })
  expect(await mirrorRows()).toMatchObject([{ outcome: 'aborted', error_code: 'client_closed' }])
  expect((await hub.admin('GET', '/api/mirrors')).data).toHaveLength(0)
})

describe.each(engines())('kill -9 with mirrors under way, on $name', ({ address }) => {
  let process: ProcessHub | undefined
  afterEach(() => process?.destroy())

  test('rows, sums and the budget of the caller stay right', async () => {
    dataDir = mkdtempSync(join(tmpdir(), 'gatehouse-mirrors-'))
    first = await startFakeProvider({ kind: 'openai' })
    other = await startFakeProvider({ kind: 'openai' })
    first.behave({ chunkDelayMs: 1 })
    other.behave({ headDelayMs: 30 })
    const random = createDice(Date.now() % 1_000_000)
    const databaseUrl = await address()
    process = await startProcessHub({ env: { DATABASE_URL: databaseUrl } })
    for (const [model, fake] of [
      ['m-first', first],
      ['m-second', other],
    ] as const) {
      const address = { type: 'openai', base_url: fake.baseUrl, api_key: fake.apiKey, max_retries: 0 }
      await process.serveModel(model, address)
    }
    await process.admin('POST', '/api/prices', price)
    await process.admin('PATCH', '/api/models/m-first', { mirror: { model: 'm-second' } })
    const { id, key } = await process.createKey()
    const budget = await process.admin('POST', '/api/budgets', {
      ...{ scope: 'key', scope_id: id, period: 'day', limit_usd: '1000' },
    })
    const load = startLoad({ url: process.url, apiKey: key, model: 'm-first', callers: 6, random })
    for (let kill = 0; kill < 3; kill++) {
      await new Promise((resolve) => setTimeout(resolve, 400 + 400 * random()))
      expect(await process.kill('SIGKILL')).toMatchObject({ signal: 'SIGKILL' })
      await process.restart()
    }
    await until('mirrors were compared', async () => (await process!.admin('GET', '/api/mirrors')).data.length > 0)
    await load.stop()
    await process.settled()
    const spent = await process.admin('GET', `/api/budgets/${budget.id}`)
    expect(await process.stop()).toMatchObject({ exitCode: 0 })

    const audit = await auditLedger({ databaseUrl, dataDir: process.dataDir }, load.answered)
    expect(audit).toMatchObject({ missing: [], wrongSums: [], unsettled: 0, rejected: 0 })
    // biome-ignore lint/suspicious/noExplicitAny: a look from outside
    const database = await openDatabase<any>({ url: databaseUrl, dataDir: process.dataDir, log: silentLog })
    try {
      const db = database.kysely
      const rows = await db.selectFrom('request_logs').selectAll().execute()
      const mirrored = rows.filter(({ endpoint }) => endpoint === 'mirror')
      expect(mirrored.length).toBeGreaterThan(0)
      const callers = rows.filter(({ endpoint }) => endpoint !== 'mirror')
      const ids = new Set(callers.map((row) => row.id))
      // Each repeats a request whose row is there, and no request twice.
      expect(mirrored.filter((row) => !ids.has(row.mirror_of))).toEqual([])
      expect(new Set(mirrored.map((row) => row.mirror_of)).size).toBe(mirrored.length)
      for (const row of mirrored) expect([row.tenant_id, row.user_id, row.key_id]).toEqual(['', '', ''])
      // Every call of the caller's is in its budget, and no mirror is.
      const cost = callers.reduce((sum, row) => sum + Number(row.cost_nano_usd ?? 0), 0)
      expect(spent.spent_nano_usd).toBe(cost)
      const compared = await db.selectFrom('mirrors').select('id').execute()
      const known = new Set(mirrored.map((row) => row.id))
      expect(compared.filter((row) => !known.has(row.id))).toEqual([])
      const reconciled = await openUsageAudit({ db, now: Date.now }).reconcile({ retentionDays: 30, isFix: false })
      expect(reconciled).toMatchObject({ differing: 0, differences: [] })
    } finally {
      await database.close()
    }
  }, 60_000)
})
