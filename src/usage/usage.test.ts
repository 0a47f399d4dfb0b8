import type { Kysely } from 'kysely'
import { describe, expect, test } from 'vitest'
import type { RouteCall } from '../http/route.ts'
import { systemClock } from '../kernel/clock.ts'
import { migrations } from '../migrations/index.ts'
import { createMemoryBus } from '../platform/bus/memory.ts'
import { createMemoryCounter } from '../platform/counter/memory.ts'
import { engines } from '../platform/database/testing.ts'
import { temporaryFolder } from '../platform/journal/testing.ts'
import { createMemoryLeases } from '../platform/lease/memory.ts'
import { createMetrics } from '../platform/metrics.ts'
import {
  createUsage,
  limitsConfig,
  openSyntheticUsage,
  type QuotaTables,
  type Usage,
  type UsageTables,
  usageConfig,
} from './index.ts'
import { quietLog, sampleEntry } from './testing.ts'

const principal = {
  ...{ kind: 'admin_key' as const, id: 'admin', role: 'super_admin' as const, tenantId: 't', userId: '' },
  ...{
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
  },
}

/** Calls a route as the edge would, reply schema included. */
async function call(usage: Usage, method: string, path: string, input: Partial<RouteCall> = {}) {
  const route = usage.routes.find((each) => each.method === method && each.path === path)!
  const parsed = {
    params: route.params?.parse(input.params),
    query: route.query?.parse(input.query ?? {}),
    body: route.body?.parse(input.body),
  }
  const edge = {
    requestId: '',
    traceId: '',
    clientIp: '',
    isLoopback: true,
    userAgent: '',
    accept: '',
    headers: {},
    language: null,
    closed: new AbortController().signal,
  }
  return route.reply?.parse(await route.handle({ principal, ...parsed, ...edge }))
}

describe.each(engines())('usage on $name', ({ open }) => {
  async function start(dataDir = temporaryFolder(), db?: Kysely<UsageTables & QuotaTables>) {
    const store = db ?? ((await open(migrations)).kysely as Kysely<UsageTables & QuotaTables>)
    const clock = systemClock
    const parts = { db: store, clock, dataDir, log: quietLog, metrics: createMetrics(), longestCallMs: () => 60_000 }
    const leases = createMemoryLeases({ clock })
    const shared = { bus: createMemoryBus({ log: quietLog }), leases, quotaLeases: leases }
    const counter = createMemoryCounter({ clock })
    const usage = createUsage(
      { ...parts, ...shared, counter, tenantOf: async () => null },
      usageConfig.parse({}),
      limitsConfig.parse({}),
    )
    return { usage, db: store, dataDir }
  }

  test('what was recorded is listed soon, and after a restart', async () => {
    const first = await start()
    await first.usage.start()
    await first.usage.record(sampleEntry())
    await expect
      .poll(() => call(first.usage, 'GET', '/api/logs'))
      .toMatchObject({
        data: [{ id: 'req_1', cost_usd: '0.0075' }],
        next_cursor: null,
        pending: 0,
      })
    await first.usage.record(sampleEntry({ id: 'req_2' }))
    await first.usage.stop()

    const second = await start(first.dataDir, first.db)
    await second.usage.start()
    expect(await call(second.usage, 'GET', '/api/logs')).toMatchObject({ data: [{ id: 'req_2' }, { id: 'req_1' }] })
    expect(await call(second.usage, 'GET', '/api/logs/:id', { params: { id: 'req_2' } })).toMatchObject({ attempts: 1 })
    await second.usage.stop()
  })

  test('what is not in the store yet is told in the list', async () => {
    const { usage } = await start()
    await usage.record(sampleEntry())
    expect(await call(usage, 'GET', '/api/logs')).toMatchObject({ data: [], pending: 1 })
    await usage.stop()
  })

  test('made-up requests are valued, marked, and leave nothing behind', async () => {
    const { usage, db } = await start()
    await usage.start()
    await usage.record(sampleEntry({ id: 'req_real' }))
    const synthetic = openSyntheticUsage({ db, clock: systemClock })
    const made = Array.from({ length: 1200 }, (_, i) => sampleEntry({ id: `req_made_${i}` }))
    expect(await synthetic.insert(made)).toBe(1200)
    expect(await synthetic.insert(made)).toBe(0)
    await expect
      .poll(() => call(usage, 'GET', '/api/logs', { query: { limit: '1', key_id: 'key_a' } }))
      .toMatchObject({ pending: 0 })
    const hours = () => db.selectFrom('usage_hourly').select(['is_synthetic', 'requests', 'cost_nano_usd']).execute()
    expect(await hours()).toContainEqual({ is_synthetic: 1, requests: 1200, cost_nano_usd: 1200 * 7_500_000 })

    expect(await synthetic.remove()).toBe(1200)
    expect(await hours()).toEqual([{ is_synthetic: 0, requests: 1, cost_nano_usd: 7_500_000 }])
    expect(await call(usage, 'GET', '/api/logs')).toMatchObject({ data: [{ id: 'req_real', is_synthetic: false }] })
    await usage.stop()
  })

  test('a price is entered in dollars and shown as it was entered', async () => {
    const { usage } = await start()
    await usage.start()
    const body = { model: 'ours-*', input_usd: '0.15', output_usd: '2', cached_read_usd: '0.0375' }
    const added = await call(usage, 'POST', '/api/prices', {
      body: { ...body, effective_from: '2026-01-01T00:00:00Z' },
    })
    expect(added).toMatchObject({
      ...body,
      cached_write_usd: null,
      origin: 'operator',
      effective_from: '2026-01-01T00:00:00.000Z',
    })
    expect(await call(usage, 'GET', '/api/prices')).toContainEqual(added)
    const entry = sampleEntry({ modelServed: 'ours-7', tokensIn: 1_000_000, tokensCachedRead: 400_000, tokensOut: 0 })
    expect(usage.prices.cost(entry).nanoUsd).toBe(90_000_000 + 15_000_000)
    const route = usage.routes.find((each) => each.method === 'POST')!
    for (const input_usd of ['-1', '1e3', '', 'free', '0.1234567891']) {
      expect(route.body!.safeParse({ ...body, input_usd }).success).toBe(false)
    }
    await usage.stop()
  })
})
