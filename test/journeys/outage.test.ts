import pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { createDice } from '../../src/kernel/dice.ts'
import { createApiKey } from '../../src/platform/secrets.ts'
import { type FakeProvider, startFakeProvider } from '../fake-providers/index.ts'
import { until } from '../harness/control.ts'
import { auditLedger } from '../harness/ledger-audit.ts'
import { type Load, startLoad } from '../harness/load.ts'
import { type ProcessHub, runGatehouse, startProcessHub } from '../harness/process-hub.ts'
import { type Service, startPostgres } from '../harness/services.ts'

const model = 'gpt-4o-mini'
const minuteMs = 60_000

let postgres: Service
let upstream: FakeProvider
let hub: ProcessHub
let apiKey: string

beforeAll(async () => {
  postgres = await startPostgres()
})
afterAll(() => postgres.destroy())

beforeEach(async () => {
  await postgres.start()
  upstream = await startFakeProvider({ kind: 'openai', models: [model] })
  const env = { DATABASE_URL: await freshDatabase(), GATEHOUSE_DATABASE_WAIT_INTERVAL_SECONDS: '0.1' }
  hub = await startProcessHub({ env })
  await hub.serveModel(model, { type: 'openai', base_url: upstream.baseUrl, api_key: upstream.apiKey })
  apiKey = (await hub.createKey()).key
})
afterEach(async () => {
  await hub.destroy()
  await upstream.close()
})

async function freshDatabase(): Promise<string> {
  const name = `outage_${Math.random().toString(36).slice(2)}`
  const client = new pg.Client({ connectionString: postgres.url })
  await client.connect()
  await client.query(`create database ${name}`).finally(() => client.end())
  const url = new URL(postgres.url)
  url.pathname = `/${name}`
  return url.href
}

/** Callers who come steadily, not as fast as they can: it is the hour of the outage that is tried, not the machine. */
async function callersAtWork(): Promise<Load> {
  const load = startLoad({ url: hub.url, apiKey, model, callers: 6, pauseMs: 50, random: createDice(1) })
  await until('callers are answered', () => load.answered.length > 20)
  return load
}

const chat = (key: string) =>
  fetch(`${hub.url()}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model, messages: [{ role: 'user', content: 'hello' }] }),
  })

async function look() {
  const [ready, health, unknown] = await Promise.all([
    fetch(`${hub.url()}/readyz`),
    fetch(`${hub.url()}/health`),
    chat(createApiKey()),
  ])
  return {
    ready: { status: ready.status, body: await ready.json() },
    health: { status: health.status, body: await health.json() },
    unknown: { status: unknown.status, retryAfter: unknown.headers.get('retry-after'), text: await unknown.text() },
  }
}

test('4.4.12 a minute without PostgreSQL fails no call of a known key and loses no row', async () => {
  const leaver = await hub.createKey()
  const dismissed = await hub.createKey()
  await hub.admin('PATCH', `/api/keys/${dismissed.id}`, { enabled: false })
  const load = await callersAtWork()

  const stoppedAt = performance.now()
  await postgres.stop()
  const atStop = load.answered.length
  let looks = 0
  await until(
    'a minute passes',
    async () => {
      const seen = await look()
      // Nobody can tell whether such a key exists, so nobody says that it does not.
      expect(seen.unknown).toMatchObject({ status: 503, retryAfter: expect.stringMatching(/^[1-9]\d*$/) })
      expect(seen.ready.status).toBe(200)
      // The checks go round every ten seconds.
      if (performance.now() - stoppedAt > 20_000) {
        expect(seen.ready.body).toMatchObject({ degraded: true })
        expect(seen.health).toMatchObject({ status: 503, body: { checks: { database: 'failed' } } })
      }
      expect((await chat(leaver.key)).status).toBe(200)
      expect((await chat(dismissed.key)).status).toBe(401)
      await expect(hub.createKey()).rejects.toThrow('answered 503')
      looks++
      return performance.now() - stoppedAt > minuteMs
    },
    { limitMs: 2 * minuteMs, everyMs: 1000 },
  )
  expect(looks).toBeGreaterThan(20)
  expect(load.answered.length - atStop).toBeGreaterThan(1000)

  await postgres.start()
  const startedAt = performance.now()
  let fresh = { id: '', key: '' }
  await until('a key can be made again', () =>
    hub.createKey().then(
      (made) => {
        fresh = made
        return true
      },
      () => false,
    ),
  )
  expect((await chat(fresh.key)).status).toBe(200)
  await hub.admin('DELETE', `/api/keys/${leaver.id}`)
  expect((await chat(leaver.key)).status).toBe(401)
  await until('an unknown key is refused for what it is', async () => (await chat(createApiKey())).status === 401)
  expect(performance.now() - startedAt).toBeLessThan(5000)
  await until('the hub calls itself healthy', async () => (await look()).health.status === 200)

  await load.stop()
  expect(load.failed).toEqual([])
  await hub.settled()
  expect(await hub.stop()).toMatchObject({ exitCode: 0 })
  const audit = await auditLedger({ databaseUrl: hub.env.DATABASE_URL!, dataDir: hub.dataDir }, load.answered)
  expect(audit).toMatchObject({ missing: [], doubled: [], wrongSums: [], unsettled: 0, rejected: 0 })
}, 150_000)

test('rows of a hub that was stopped without its store are settled by the next start', async () => {
  const load = await callersAtWork()
  await postgres.stop()
  const atStop = load.answered.length
  await until('callers are answered without a store', () => load.answered.length > atStop + 20)
  await load.stop()
  const { exitCode, out } = await hub.stop()
  expect(exitCode).toBe(0)
  expect(out).toContain('Some rows of the ledger wait in the journal')

  const restarted = hub.restart()
  await until('the start waits', () =>
    hub
      .run()
      .lines()
      .some(({ msg, attempt }) => msg === 'Waiting for database' && attempt === 2),
  )
  await postgres.start()
  await restarted
  await hub.settled()
  await hub.stop()
  expect(load.failed).toEqual([])
  const audit = await auditLedger({ databaseUrl: hub.env.DATABASE_URL!, dataDir: hub.dataDir }, load.answered)
  expect(audit).toMatchObject({ missing: [], doubled: [], wrongSums: [], unsettled: 0, rejected: 0 })
}, 60_000)

test('a start without the database tells each try, then ends with cause and remedy', async () => {
  await hub.stop()
  await postgres.stop()
  const run = runGatehouse(['serve'], { env: { ...hub.env, GATEHOUSE_DATABASE_WAIT_TRIES: '3' } })
  const { exitCode, err } = await run.ended
  expect(exitCode).toBe(1)
  const messages = run.lines().map(({ msg }) => msg)
  expect(messages).toEqual(['Starting Gatehouse', ...Array(4).fill('Waiting for database'), 'The hub cannot start'])
  const cause = expect.stringContaining('ECONNREFUSED')
  expect(run.lines().slice(2, 5)).toMatchObject(
    [1, 2, 3].map((attempt) => ({ attempt, count: 3, wait_ms: 100, cause })),
  )
  expect(err).toMatch(
    /did not answer in 3 tries.*PostgreSQL at 127\.0\.0\.1:\d+.*ECONNREFUSED.*Start it, or correct database\.url \(DATABASE_URL\)/,
  )
})
