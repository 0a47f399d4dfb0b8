import { tmpdir } from 'node:os'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createControlApp } from '../http/mount.ts'
import { createManualClock } from '../kernel/clock.ts'
import type { Principal } from '../kernel/principal.ts'
import { createMemoryBus } from '../platform/bus/memory.ts'
import { createMetrics } from '../platform/metrics.ts'
import { silentLog } from '../platform/testing.ts'
import { createHealth, type HealthParts } from './index.ts'

const admin: Principal = {
  kind: 'admin_key',
  id: 'admin',
  role: 'super_admin',
  tenantId: '',
  userId: '',
  keyId: '',
  keyName: '',
  allowedModels: null,
  rateLimit: null,
  tokenLimit: null,
  concurrencyLimit: null,
  tags: [],
  allowedServices: null,
  allowedEndpoints: null,
  service: '',
}

const away = () => Promise.reject(new Error('connect ECONNREFUSED postgres://hub:hunter22@10.1.2.3'))

/** The health routes as they are mounted, with every check asked once. `x-admin-key` signs in. */
async function open(changes: Partial<HealthParts> = {}) {
  const clock = createManualClock(Date.UTC(2026, 10, 23, 6))
  const metrics = createMetrics({ clock })
  const health = createHealth({
    database: { engine: 'sqlite', ping: async () => {} },
    pingRedis: null,
    providers: () => ({ enabled: 1, failing: 0 }),
    ledger: { isWritable: () => true },
    dataDir: tmpdir(),
    clock,
    bus: createMemoryBus({ log: silentLog }),
    metrics,
    log: silentLog,
    version: '1.2.3',
    ...changes,
  })
  const app = await createControlApp({
    routes: health.routes,
    authenticate: (headers) => (headers['x-admin-key'] === undefined ? null : admin),
    log: silentLog,
    metrics,
    corsOrigins: () => [],
    version: '1.2.3',
    clock,
  })
  await health.start()
  onTestFinished(async () => {
    await health.stop()
    await app.close()
  })
  const get = (url: string, headers: Record<string, string> = {}) => app.inject({ url, headers })
  return { health, get }
}

const signedIn = { 'x-admin-key': 'x' }

describe('/health', () => {
  test('says in one body what both ancestors say: status and time, and check by check', async () => {
    const { get } = await open()
    for (const path of ['/health', '/healthz', '/api/health']) {
      const answer = await get(path)
      expect(answer.statusCode).toBe(200)
      expect(answer.headers).toMatchObject({ 'cache-control': 'no-store' })
      expect(answer.json()).toEqual({
        status: 'healthy',
        timestamp: '2026-11-23T06:00:00.000Z',
        service: 'gatehouse',
        version: '1.2.3',
        checks: { database: 'ok', redis: 'disabled', ai_service: 'ok', ledger: 'ok', disk: 'ok', event_loop: 'ok' },
      })
    }
  })

  test('is 503 when something critical failed, and degraded when anything else did', async () => {
    const down = await (await open({ database: { engine: 'postgres', ping: away } })).get('/health')
    expect(down.statusCode).toBe(503)
    expect(down.json()).toMatchObject({ status: 'unhealthy', checks: { database: 'failed', ledger: 'ok' } })
    const limping = await (await open({ providers: () => ({ enabled: 1, failing: 1 }) })).get('/health')
    expect(limping.statusCode).toBe(200)
    expect(limping.json()).toMatchObject({ status: 'degraded', checks: { ai_service: 'failed' } })
  })

  test('tells what and why to people who are signed in, and states only to others', async () => {
    const { get } = await open({ database: { engine: 'postgres', ping: away } })
    for (const path of ['/health', '/health/database']) {
      expect((await get(path)).body).not.toMatch(/ECONNREFUSED|10\.1\.2\.3|hunter22|remedy|message/)
    }
    const told = await get('/health', signedIn)
    expect(told.json().details.database).toMatchObject({
      state: 'failed',
      message: expect.stringContaining('ECONNREFUSED'),
      remedy: expect.stringContaining('database.url'),
      observed: { engine: 'postgres' },
      checked_at: '2026-11-23T06:00:00.000Z',
    })
    expect((await get('/health/database', signedIn)).json().message).toContain('ECONNREFUSED')
    expect(told.body).not.toContain('hunter22')
  })

  test('speaks application/health+json when asked to', async () => {
    const { get } = await open({ database: { engine: 'postgres', ping: away } })
    const answer = await get('/health', { accept: 'application/health+json' })
    expect(answer.statusCode).toBe(503)
    expect(answer.headers['content-type']).toMatch(/^application\/health\+json/)
    const body = JSON.parse(answer.body)
    expect(body).toMatchObject({ status: 'fail', version: 'v1', releaseId: '1.2.3', serviceId: 'gatehouse' })
    expect(body.checks['database:responseTime']).toEqual([
      { status: 'fail', time: '2026-11-23T06:00:00.000Z', observedValue: 0, observedUnit: 'ms' },
    ])
    expect(body.checks['redis:responseTime'][0].status).toBe('pass')
  })
})

test('one check has its own path and status', async () => {
  const { get } = await open({ pingRedis: away })
  const database = await get('/health/database')
  expect(database.statusCode).toBe(200)
  expect(database.json()).toEqual({ status: 'ok', timestamp: '2026-11-23T06:00:00.000Z', latency_ms: 0 })
  const redis = await get('/health/redis')
  expect([redis.statusCode, redis.json().status]).toEqual([503, 'failed'])
  expect((await get('/health/ai_service')).json().status).toBe('ok')
  expect((await (await open()).get('/health/redis')).json().status).toBe('disabled')
})

test('4.4.13 the hub is ready when it says so, also while the database is away, and not while it drains', async () => {
  const { health, get } = await open({ database: { engine: 'postgres', ping: away } })
  expect((await get('/readyz')).statusCode).toBe(503)
  health.setReady(true)
  const ready = await get('/readyz')
  expect([ready.statusCode, ready.json()]).toEqual([200, { status: 'ready', degraded: true }])
  health.setReady(false)
  expect((await get('/readyz')).json()).toMatchObject({ status: 'not_ready' })
  expect((await get('/livez')).statusCode).toBe(200)
})

test('the version is told, and the environment where it has a name', async () => {
  expect((await (await open()).get('/version')).json()).toEqual({
    version: '1.2.3',
    api_version: 'v1',
    node: process.versions.node,
  })
  expect((await (await open({ environment: 'staging' })).get('/version')).json()).toMatchObject({
    environment: 'staging',
  })
})

test('a request for health asks nobody: it answers what was found in the background', async () => {
  let pings = 0
  const ping = async () => void pings++
  const { get } = await open({ database: { engine: 'sqlite', ping } })
  for (let i = 0; i < 5; i++) await get('/health', signedIn)
  expect(pings).toBe(1)
})
