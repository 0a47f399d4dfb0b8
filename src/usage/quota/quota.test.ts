import type { Kysely } from 'kysely'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { Route, RouteCall } from '../../http/route.ts'
import { createManualClock } from '../../kernel/clock.ts'
import { fail } from '../../kernel/errors.ts'
import type { Announcements } from '../../kernel/events.ts'
import type { Principal } from '../../kernel/principal.ts'
import { migrations } from '../../migrations/index.ts'
import { createMemoryBus } from '../../platform/bus/memory.ts'
import type { Counter } from '../../platform/counter/counter.ts'
import { createMemoryCounter } from '../../platform/counter/memory.ts'
import { createRedisCounter } from '../../platform/counter/redis.ts'
import { engines } from '../../platform/database/testing.ts'
import { createMemoryLeases } from '../../platform/lease/memory.ts'
import { createMetrics } from '../../platform/metrics.ts'
import { openRedis } from '../../platform/redis.ts'
import { createSchedule } from '../../platform/schedule.ts'
import { readEntry, summedRow, writeEntry } from '../entry-text.ts'
import type { UsageTables } from '../rows.ts'
import { createUsageStore } from '../store.ts'
import { quietLog, sampleEntry } from '../testing.ts'
import { limitsConfig } from './config.ts'
import type { QuotaCall } from './demands.ts'
import { createQuota } from './quota.ts'
import { quotaRoutes } from './routes.ts'
import { standingBudgets } from './standing.ts'
import { createQuotaStore, type QuotaTables } from './store.ts'

const noon = Date.UTC(2026, 10, 25, 12)
const usd = 1_000_000_000

const caller: Principal = {
  ...{ kind: 'api_key', id: 'key_a', role: 'user', tenantId: 'ten_a', userId: 'usr_a', keyId: 'key_a', keyName: 'a' },
  ...{ allowedModels: null, rateLimit: null, tokenLimit: null, concurrencyLimit: null, tags: ['team:blue'] },
  ...{ allowedServices: null, allowedEndpoints: null, service: '' },
}
const admin: Principal = { ...caller, kind: 'admin_key', role: 'super_admin', tenantId: '', keyId: '' }
const ofTenant: Principal = { ...caller, kind: 'user', role: 'tenant_admin', keyId: '' }
const tenants: Record<string, string> = {
  ...{ key_a: 'ten_a', usr_a: 'ten_a', key_b: 'ten_b', key_own: '' },
  // A tenant by its id, and by its name.
  ...{ ten_a: 'ten_a', ten_b: 'ten_b', acme: 'ten_a', hub: '' },
}

describe.each(engines())('limits and budgets on $name', ({ open }) => {
  type Options = {
    at?: number
    config?: object
    ownDaily?: Record<string, number>
    counter?: Counter
    db?: Kysely<UsageTables & QuotaTables>
  }

  async function start({ at = noon, config = {}, ownDaily = {}, ...given }: Options = {}) {
    const clock = createManualClock(at)
    const db = given.db ?? ((await open(migrations)).kysely as Kysely<UsageTables & QuotaTables>)
    const counter = given.counter ?? createMemoryCounter({ clock })
    const bus = createMemoryBus({ log: quietLog })
    const told: Announcements['budget.threshold'][] = []
    bus.on('budget.threshold', (news) => told.push(news))
    const store = createQuotaStore(db)
    const schedule = createSchedule({ clock, leases: createMemoryLeases({ clock }), log: quietLog })
    const quota = createQuota({
      ...{
        store,
        counter,
        bus,
        schedule,
        clock,
        log: quietLog,
        metrics: createMetrics(),
        longestCallMs: () => 600_000,
      },
      config: limitsConfig.parse(config),
      ownDaily,
    })
    await quota.start()
    onTestFinished(() => schedule.stop())
    const routes = quotaRoutes({ store, quota, clock, tenantOf: async (_, id) => tenants[id] ?? null })
    const usage = createUsageStore(db)
    let number = 0

    /** Calls as the gateway does. The price is one dollar a token. */
    const callOf = (size: Partial<QuotaCall['size']> = {}, principal = caller): QuotaCall => ({
      requestId: `req_${++number}`,
      startedAt: clock.now(),
      principal,
      size: { tokensIn: 1, tokensOut: 1, cost: (tokensIn, tokensOut) => (tokensIn + tokensOut) * usd, ...size },
    })
    const admit = async (call: QuotaCall, clientIp = '192.0.2.7') =>
      quota.admit(quota.find(call.principal, clientIp) ?? [], call)
    const entryOf = (call: QuotaCall, dollars: number, changes: object = {}) => {
      const { keyId, tenantId, userId } = call.principal
      const ids = { id: call.requestId, startedAt: call.startedAt, keyId, tenantId, userId }
      return sampleEntry({ ...ids, tokensIn: dollars, tokensOut: 0, ...changes })
    }
    const end = (call: QuotaCall, dollars: number, changes: object = {}) =>
      quota.end(entryOf(call, dollars, changes), { nanoUsd: dollars * usd, priceId: 'p' })
    /** What the settler of the ledger does with the row of a call. */
    const storeRow = async (call: QuotaCall, dollars: number, changes: object = {}) => {
      const cost = { nanoUsd: dollars * usd, priceId: 'p' }
      const entry = entryOf(call, dollars, changes)
      await usage.storeRows([readEntry(writeEntry(entry, cost, 0))])
      quota.noteStored([summedRow(entry, cost, 0)])
    }
    const api = (principal: Principal, method: Route['method'], path: string, input: Partial<RouteCall> = {}) =>
      callRoute(routes, principal, method, path, input)
    const budgetFor = (scope: string, scope_id: string, limit_usd: string, more: object = {}) =>
      api(admin, 'POST', '/api/budgets', { body: { scope, scope_id, period: 'day', limit_usd, ...more } })
    const limitFor = (scope: string, scope_id: string, limits: object) =>
      api(admin, 'POST', '/api/limits', { body: { scope, scope_id, ...limits } })
    const spentOf = async (id: string) =>
      ((await api(admin, 'GET', '/api/budgets/:id', { params: { id } })) as { spent_usd: string }).spent_usd
    return { clock, db, quota, told, callOf, admit, end, storeRow, api, budgetFor, limitFor, spentOf }
  }

  test('what the hub spends of its own accord is one budget of all nodes, and no caller’s', async () => {
    const ownDaily = { mirror: 10 * usd, canary: 0 }
    const one = await start({ ownDaily })
    const counter = createMemoryCounter({ clock: one.clock })
    const [a, b] = [await start({ ownDaily, counter, db: one.db }), await start({ ownDaily, counter, db: one.db })]
    const nobody = { ...caller, keyId: '', userId: '', tenantId: '', tags: [] }
    const size = { tokensIn: 2, tokensOut: 2 }
    expect(a.quota.findOwn('canary')).toBeNull()
    let number = 0
    const own = (node: typeof a) => {
      const call = { ...node.callOf(size, nobody), requestId: `req_own_${++number}` }
      return node.quota.admit([node.quota.findOwn('mirror')!], call)
    }
    expect((await own(a)).refusal).toBeNull()
    expect((await own(b)).refusal).toBeNull()
    // Two reserved four dollars each; two are left, and the third may cost four.
    expect((await own(b)).refusal).toMatchObject({ code: 'budget_exhausted' })
    const budget = (await a.budgetFor('tenant', 'ten_a', '100')) as { id: string }
    await a.storeRow({ ...a.callOf(size, nobody), requestId: 'req_mirror' }, 9, { endpoint: 'mirror' })
    await a.storeRow(a.callOf(size, caller), 3)
    expect(await a.spentOf(budget.id)).toBe('3')
  })

  test('a counter that knows nothing of the hub’s own spending reads it in the ledger, by what for', async () => {
    const before = await start({ ownDaily: { mirror: 10 * usd } })
    const nobody = { ...caller, keyId: '', userId: '', tenantId: '', tags: [] }
    await before.storeRow(before.callOf({}, nobody), 9, { endpoint: 'mirror' })
    await before.storeRow(before.callOf({}, nobody), 9, { endpoint: 'canary' })
    const ownDaily = { mirror: 10 * usd, canary: 20 * usd }
    const after = await start({ ownDaily, db: before.db })
    const own = (purpose: string, node = after) =>
      node.quota.admit([node.quota.findOwn(purpose)!], node.callOf({ tokensIn: 1, tokensOut: 1 }, nobody))
    expect((await own('mirror')).refusal).toMatchObject({ code: 'budget_exhausted' })
    expect((await own('canary')).refusal).toBeNull()
    const tomorrow = await start({ ownDaily, db: before.db, at: noon + 86_400_000 })
    expect((await own('mirror', tomorrow)).refusal).toBeNull()
  })

  test('whom nothing limits is not counted at all', async () => {
    const { quota } = await start()
    expect(quota.find(caller, '192.0.2.7')).toBeNull()
    expect(quota.findProvider('prv_a', null, null, null)).toBeNull()
  })

  test.each([
    ['key', 'key_a'],
    ['user', 'usr_a'],
    ['tenant', 'ten_a'],
    ['ip', '192.0.2.7'],
  ])('a limit of a %s holds for its calls and for no others', async (scope, id) => {
    const { limitFor, admit, callOf, quota } = await start()
    await limitFor(scope, id, { rpm: 1 })
    expect((await admit(callOf())).refusal).toBeNull()
    const { refusal, headers } = await admit(callOf())
    expect(refusal).toMatchObject({ code: 'rate_limited', status: 429, retryAfterMs: expect.any(Number) })
    expect(headers).toEqual([
      ...['x-ratelimit-limit-requests', '1', 'x-ratelimit-remaining-requests', '0'],
      ...['x-ratelimit-reset-requests', expect.stringMatching(/^6[012]s$/)],
    ])
    const other = { ...caller, keyId: 'key_b', userId: 'usr_b', tenantId: 'ten_b', tags: [] }
    expect(quota.find(other, '192.0.2.8')).toBeNull()
  })

  test("the lower of a key's own limit and the one set for it holds", async () => {
    const { limitFor, admit, callOf } = await start()
    await limitFor('key', 'key_a', { rpm: 5, concurrency: 9 })
    const call = callOf({}, { ...caller, rateLimit: 3, concurrencyLimit: 1, tokenLimit: 100 })
    const { headers } = await admit(call)
    expect(headers).toContain('x-ratelimit-limit-tokens')
    expect(headers[1]).toBe('3')
    expect((await admit({ ...call, requestId: 'req_other' })).refusal).toMatchObject({ code: 'rate_limited' })
  })

  test('a slot is free again when the entry of its call reaches the ledger, also of one that failed', async () => {
    const { limitFor, admit, callOf, end } = await start()
    await limitFor('key', 'key_a', { concurrency: 1 })
    const first = callOf()
    await admit(first)
    expect((await admit(callOf())).refusal).toMatchObject({ code: 'rate_limited', retryAfterMs: 1000 })
    end(first, 0, { outcome: 'failure' })
    end(first, 0, { outcome: 'failure' })
    expect((await admit(callOf())).refusal).toBeNull()
    expect((await admit(callOf())).refusal).not.toBeNull()
  })

  test('a long call keeps its slot, a lost one does not', async () => {
    const { limitFor, admit, callOf, clock } = await start()
    await limitFor('key', 'key_a', { concurrency: 1 })
    await admit(callOf())
    await clock.advance(300_000)
    expect((await admit(callOf())).refusal).not.toBeNull()
    // Longer than any call may take.
    await clock.advance(400_000)
    expect((await admit(callOf())).refusal).toBeNull()
  })

  test('tokens that were only assumed do not keep a call from a small limit', async () => {
    const { limitFor, admit, callOf, end } = await start()
    await limitFor('key', 'key_a', { tpm: 100 })
    const call = callOf({ tokensIn: 10, tokensOut: null })
    expect((await admit(call)).refusal).toBeNull()
    end(call, 30)
    expect((await admit(callOf({ tokensIn: 10, tokensOut: 60 }))).refusal).toBeNull()
    const { refusal } = await admit(callOf({ tokensIn: 10, tokensOut: 200 }))
    expect(refusal).toMatchObject({
      code: 'rate_limited',
      message: expect.stringContaining('set a lower output limit'),
    })
  })

  test.each([
    ['key', 'key_a'],
    ['user', 'usr_a'],
    ['tenant', 'ten_a'],
    ['tag', 'team:blue'],
  ])('4.7.32 a used-up budget of a %s refuses its calls with 402 until it begins anew', async (scope, id) => {
    const { budgetFor, admit, callOf, end, clock, quota } = await start({ at: Date.UTC(2026, 10, 25, 23, 59) })
    await budgetFor(scope, id, '10')
    const call = callOf({ tokensIn: 5, tokensOut: 5 })
    expect((await admit(call)).refusal).toBeNull()
    expect((await admit(callOf())).refusal).toMatchObject({ code: 'budget_exhausted', status: 402 })
    end(call, 4)
    const next = callOf({ tokensIn: 3, tokensOut: 3 })
    expect((await admit(next)).refusal).toBeNull()
    end(next, 6)
    const { refusal } = await admit(callOf())
    expect(refusal).toMatchObject({ code: 'budget_exhausted', retryAfterMs: 60_000 })
    expect(quota.find({ ...caller, keyId: 'key_b', userId: '', tenantId: 'ten_b', tags: [] }, '')).toBeNull()
    await clock.advance(60_000)
    expect((await admit(callOf())).refusal).toBeNull()
  })

  test('4.7.32 a month ends at the midnight of its zone', async () => {
    const { budgetFor, admit, callOf, end, clock } = await start({ at: Date.UTC(2026, 2, 31, 21, 59) })
    await budgetFor('key', 'key_a', '10', { period: 'month', zone: 'Europe/Berlin' })
    const call = callOf()
    await admit(call)
    end(call, 10)
    expect((await admit(callOf())).refusal).toMatchObject({ retryAfterMs: 60_000 })
    await clock.advance(60_000)
    expect((await admit(callOf())).refusal).toBeNull()
  })

  test('a soft budget refuses nothing and is told of all the same, each percent once', async () => {
    const { budgetFor, admit, callOf, end, told, clock } = await start()
    const budget = await budgetFor('tenant', 'ten_a', '10', { hard: false })
    for (const dollars of [4, 1, 0, 4, 3, 5]) {
      const call = callOf()
      expect((await admit(call)).refusal).toBeNull()
      end(call, dollars)
    }
    await clock.advance(60_000)
    expect(told.map(({ percent }) => percent)).toEqual([50, 80, 95, 100])
    expect(told[0]).toMatchObject({ budgetId: budget.id, scope: 'tenant', scopeId: 'ten_a', spentNanoUsd: 5 * usd })
  })

  test('a new budget begins with what the ledger says was spent, and a restart forgets nothing', async () => {
    const first = await start()
    const call = first.callOf()
    await first.storeRow(call, 7)
    const budget = await first.budgetFor('key', 'key_a', '10')
    expect(budget).toMatchObject({ spent_usd: '7', reserved_usd: '0' })

    const second = await start({ db: first.db })
    expect((await second.admit(second.callOf({ tokensIn: 2, tokensOut: 2 }))).refusal).toMatchObject({ status: 402 })
    expect((await second.admit(second.callOf({ tokensIn: 1, tokensOut: 2 }))).refusal).toBeNull()
  })

  test('what budgets of keys, people and tenants have spent is told as the ledger has it, and tells nobody a threshold', async () => {
    const { storeRow, callOf, budgetFor, quota, clock, told } = await start()
    await storeRow(callOf(), 7)
    const made = await budgetFor('key', 'key_a', '10')
    await budgetFor('tenant', 'ten_a', '5', { period: 'month', zone: 'Asia/Kathmandu' })
    await budgetFor('tag', 'batch', '5')
    told.length = 0
    // Ids made within one millisecond stand in any order.
    const standing = (await standingBudgets(quota, clock)).sort((a, b) => a.of.localeCompare(b.of))
    expect(standing.map(({ of, ofId, spentNanoUsd }) => [of, ofId, spentNanoUsd])).toEqual([
      ['key', 'key_a', 7 * usd],
      ['tenant', 'ten_a', 7 * usd],
    ])
    expect(standing[0]).toMatchObject({ id: made.id, limitNanoUsd: 10 * usd, readAt: clock.now() })
    const { startsAt, endsAt } = standing[1]!.periodAt(clock.now())
    expect([startsAt % 86_400_000, endsAt % 86_400_000]).toEqual([65_700_000, 65_700_000])
    expect(told).toEqual([])
  })

  test('4.6.27 kill -9 in the middle of a call: its reservation ends, and its row, if any, is spent once', async () => {
    const { budgetFor, admit, callOf, storeRow, clock, spentOf, quota, db } = await start()
    const budget = await budgetFor('key', 'key_a', '10')
    const lost = callOf({ tokensIn: 4, tokensOut: 4 })
    await admit(lost)
    expect((await admit(callOf({ tokensIn: 2, tokensOut: 2 }))).refusal).toMatchObject({ status: 402 })

    // The process is gone; another one has its journal.
    const next = await start({ db, at: clock.now() })
    await next.clock.advance(20_000)
    await next.storeRow(lost, 3)
    await next.storeRow(lost, 3)
    await next.clock.advance(2000)
    await expect.poll(() => next.spentOf(budget.id)).toBe('3')
    expect((await next.admit(next.callOf({ tokensIn: 4, tokensOut: 3 }))).refusal).toBeNull()
    // Where it was settled in time, its row changes nothing.
    quota.end(sampleEntry({ id: lost.requestId, startedAt: lost.startedAt, keyId: 'key_a' }), {
      nanoUsd: 3 * usd,
      priceId: 'p',
    })
    await storeRow(lost, 3)
    await clock.advance(60_000)
    expect(await spentOf(budget.id)).toBe('3')
  })

  test('what a provider may spend is its own, and an attempt that moved on gives back what it held', async () => {
    const { budgetFor, limitFor, quota, callOf, end, spentOf } = await start()
    const budget = await budgetFor('provider', 'prv_a', '10')
    await limitFor('provider', 'prv_a', { concurrency: 1 })
    await limitFor('provider', 'prv_b', { concurrency: 1 })
    const [a, b] = ['prv_a', 'prv_b'].map((id) => quota.findProvider(id, null, null, null)!)
    const call = callOf()
    expect((await quota.admitProvider([a!], call)).refusal).toBeNull()
    expect((await quota.admitProvider([a!], callOf())).refusal).toMatchObject({ status: 429 })
    expect((await quota.admitProvider([b!], call)).refusal).toBeNull()
    const other = callOf()
    expect((await quota.admitProvider([a!], other)).refusal).toBeNull()
    end(other, 10, { providerId: 'prv_a' })
    end(call, 10, { providerId: 'prv_b' })
    expect(await spentOf(budget.id)).toBe('10')
    expect((await quota.admitProvider([a!], callOf())).refusal).toMatchObject({ code: 'budget_exhausted' })
    expect((await quota.admitProvider([b!], callOf())).refusal).toBeNull()
  })

  test('without Redis limited callers get 503 with what they may know, others are not asked', async () => {
    const down = openRedis('redis://127.0.0.1:1/0', quietLog)
    onTestFinished(() => down.disconnect())
    const { quota, callOf, admit } = await start({
      counter: createRedisCounter({ redis: down, clock: createManualClock() }),
    })
    const { refusal, headers } = await admit(callOf({}, { ...caller, rateLimit: 5 }))
    expect(refusal).toMatchObject({ code: 'unavailable', status: 503, retryAfterMs: 1000 })
    expect(headers).toEqual([
      ...['x-ratelimit-limit-requests', '5', 'x-ratelimit-remaining-requests', '0'],
      ...['x-ratelimit-reset-requests', '1s'],
    ])
    expect(quota.find(caller, '')).toBeNull()
  })

  test('strangers are refused for what they are until there are too many of one address', async () => {
    const { quota } = await start({ config: { stranger_rpm: 2 } })
    const error = fail('invalid_api_key')
    for (let i = 0; i < 2; i++) await expect(quota.refuseStranger(error, '192.0.2.1')).rejects.toBe(error)
    await expect(quota.refuseStranger(error, '192.0.2.1')).rejects.toMatchObject({ code: 'rate_limited' })
    await expect(quota.refuseStranger(error, '192.0.2.2')).rejects.toBe(error)
    const broken = new Error()
    await expect(quota.refuseStranger(broken, '192.0.2.1')).rejects.toBe(broken)
  })

  test('every address has the limit of the settings unless it has one of its own', async () => {
    const { admit, callOf, limitFor } = await start({ config: { address_rpm: 1 } })
    await limitFor('ip', '192.0.2.9', { rpm: 2 })
    const admitted = async (ip: string) => (await admit(callOf(), ip)).refusal === null
    expect([await admitted('192.0.2.1'), await admitted('192.0.2.1')]).toEqual([true, false])
    expect([await admitted('192.0.2.9'), await admitted('192.0.2.9')]).toEqual([true, true])
  })

  test('a tenant is limited by id, by name, or as the hub’s own; one that is not there is told', async () => {
    const { admit, callOf, limitFor, budgetFor, api } = await start()
    const limit = await limitFor('tenant', 'acme', { rpm: 1 })
    expect(limit).toMatchObject({ scope_id: 'ten_a', tenant_id: 'ten_a' })
    await expect(limitFor('tenant', 'ten_a', { rpm: 2 })).rejects.toMatchObject({ code: 'conflict' })
    await expect(limitFor('tenant', 'nowhere', { rpm: 2 })).rejects.toMatchObject({ code: 'not_found' })
    await expect(budgetFor('tenant', 'nowhere', '1')).rejects.toMatchObject({ code: 'not_found' })
    expect([(await admit(callOf())).refusal, (await admit(callOf())).refusal?.code]).toEqual([null, 'rate_limited'])

    const own = { ...caller, keyId: 'key_own', userId: '', tenantId: '', tags: [] }
    expect(await limitFor('tenant', 'hub', { rpm: 1 })).toMatchObject({ scope_id: 'hub', tenant_id: 'hub' })
    const budget = await budgetFor('tenant', 'hub', '100')
    expect(budget).toMatchObject({ scope_id: 'hub', tenant_id: 'hub' })
    expect(await api(admin, 'GET', '/api/budgets/:id', { params: { id: budget.id } })).toMatchObject({
      scope_id: 'hub',
    })
    const first = await admit(callOf({}, own))
    expect([first.refusal, (await admit(callOf({}, own))).refusal?.code]).toEqual([null, 'rate_limited'])
  })

  test('a tenant_admin limits its own keys and people, sees what holds for the tenant, and nothing else', async () => {
    const { api, limitFor, budgetFor } = await start()
    const own = await api(ofTenant, 'POST', '/api/limits', { body: { scope: 'key', scope_id: 'key_a', rpm: 5 } })
    expect(own).toMatchObject({ tenant_id: 'ten_a', rpm: 5, tpm: null })
    await api(ofTenant, 'PATCH', '/api/limits/:id', { params: { id: own.id }, body: { rpm: 6 } })
    const all = await limitFor('tenant', 'ten_a', { rpm: 100 })
    const foreign = await limitFor('key', 'key_b', { rpm: 1 })
    await limitFor('ip', '192.0.2.1', { rpm: 1 })
    const { data } = (await api(ofTenant, 'GET', '/api/limits')) as { data: { id: string }[] }
    expect(new Set(data.map(({ id }) => id))).toEqual(new Set([all.id, own.id]))
    const change = (id: string) => api(ofTenant, 'DELETE', '/api/limits/:id', { params: { id } })
    await expect(change(all.id)).rejects.toMatchObject({ code: 'forbidden' })
    await expect(change(foreign.id)).rejects.toMatchObject({ code: 'not_found' })
    const create = (body: object) => api(ofTenant, 'POST', '/api/limits', { body })
    await expect(create({ scope: 'key', scope_id: 'key_b' })).rejects.toMatchObject({ code: 'not_found' })
    await expect(create({ scope: 'provider', scope_id: 'prv_a' })).rejects.toMatchObject({ code: 'forbidden' })
    await expect(create({ scope: 'key', scope_id: 'key_a' })).rejects.toMatchObject({ code: 'conflict' })
    await change(own.id)
    const foreignBudget = await budgetFor('key', 'key_b', '1')
    await expect(api(ofTenant, 'GET', '/api/budgets/:id', { params: { id: foreignBudget.id } })).rejects.toMatchObject({
      code: 'not_found',
    })
  })
})

// biome-ignore lint/suspicious/noExplicitAny: tests read replies as a program without our types would
type Json = any

async function callRoute(
  routes: Route[],
  principal: Principal,
  method: string,
  path: string,
  input: Partial<RouteCall>,
): Promise<Json> {
  const route = routes.find((each) => each.method === method && each.path === path)!
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
  const answer = await route.handle({ principal, ...parsed, ...edge })
  return route.reply ? route.reply.parse(answer) : answer
}
