import type { Kysely } from 'kysely'
import { describe, expect, test } from 'vitest'
import type { Principal } from '../kernel/principal.ts'
import { engines } from '../platform/database/testing.ts'
import { readEntry, writeEntry } from './entry-text.ts'
import { getLog, listLogs, readTime } from './logs.ts'
import type { UsageTables } from './rows.ts'
import type { UsageEntry } from './schema.ts'
import { createUsageStore } from './store.ts'
import { sampleEntry, testTime, usageMigrations } from './testing.ts'

const superAdmin: Principal = {
  ...{ kind: 'user', id: 'usr_root', role: 'super_admin', tenantId: 'ten_root', userId: 'usr_root' },
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
const adminOf = (tenantId: string): Principal => ({ ...superAdmin, role: 'tenant_admin', tenantId })

describe.each(engines())('the list of requests on $name', ({ open }) => {
  async function start(entries: Partial<UsageEntry>[]) {
    const database = await open(usageMigrations)
    const store = createUsageStore(database.kysely as Kysely<UsageTables>)
    await store.storeRows(
      entries.map((changes) => readEntry(writeEntry(sampleEntry(changes), { nanoUsd: 1_250_000, priceId: 'p' }, 0))),
    )
    const ids = async (filter = {}, principal = superAdmin) =>
      (await listLogs(store, principal, filter, { limit: 200 })).data.map((each) => each.id)
    return { store, ids }
  }

  test('pages never skip or repeat, though many requests share one millisecond and new ones arrive', async () => {
    const entries = Array.from({ length: 47 }, (_, i) => ({
      id: `req_${String((i * 31) % 47).padStart(3, '0')}`,
      startedAt: testTime + Math.floor(i / 20),
    }))
    const { store } = await start(entries)
    const seen: string[] = []
    let cursor: string | undefined
    for (let page = 0; page < 20; page++) {
      const { data, next_cursor } = await listLogs(store, superAdmin, {}, { limit: 5, cursor })
      seen.push(...data.map((each) => each.id))
      const late = sampleEntry({ id: `req_new_${page}`, startedAt: testTime + 10 + page })
      await store.storeRows([readEntry(writeEntry(late, { nanoUsd: null, priceId: '' }, 0))])
      if (next_cursor === null) break
      cursor = next_cursor
    }
    const expected = entries.sort((a, b) => b.startedAt - a.startedAt || (a.id < b.id ? 1 : -1)).map((each) => each.id)
    expect(seen).toEqual(expected)
  })

  test('the last page says that it is the last', async () => {
    const { store } = await start([{ id: 'req_1' }, { id: 'req_2' }])
    expect((await listLogs(store, superAdmin, {}, { limit: 2 })).next_cursor).toBe(null)
    expect((await listLogs(store, superAdmin, {}, { limit: 1 })).next_cursor).not.toBe(null)
  })

  test('each filter keeps what fits and nothing else', async () => {
    const { ids } = await start([
      { id: 'req_1', startedAt: testTime },
      { id: 'req_2', startedAt: testTime + 1, providerId: 'prv_b', providerName: 'Bee', stream: true },
      { id: 'req_3', startedAt: testTime + 2, modelAsked: 'slow', modelServed: 'o3', keyId: 'key_b' },
      {
        ...{ id: 'req_4', startedAt: testTime + 3, status: 502, outcome: 'failure' as const, traceId: 'feed' },
        ...{ errorCode: 'upstream_failed', errorMessage: 'Got 100%_sure nonsense' },
      },
    ])
    expect(await ids({ provider: 'prv_b' })).toEqual(['req_2'])
    expect(await ids({ provider: 'Bee' })).toEqual(['req_2'])
    expect(await ids({ model: 'slow' })).toEqual(['req_3'])
    expect(await ids({ model: 'o3' })).toEqual(['req_3'])
    expect(await ids({ keyId: 'key_b' })).toEqual(['req_3'])
    expect(await ids({ status: 502 })).toEqual(['req_4'])
    expect(await ids({ outcome: 'failure' })).toEqual(['req_4'])
    expect(await ids({ stream: true })).toEqual(['req_2'])
    expect(await ids({ stream: false })).toEqual(['req_4', 'req_3', 'req_1'])
    expect(await ids({ traceId: 'feed' })).toEqual(['req_4'])
    expect(await ids({ from: testTime + 1, to: testTime + 3 })).toEqual(['req_3', 'req_2'])
    expect(await ids({ errorText: '100%_SURE' })).toEqual(['req_4'])
    expect(await ids({ errorText: '1%s' })).toEqual([])
    expect(await ids({ model: 'fast', stream: false, from: testTime })).toEqual(['req_4', 'req_1'])
  })

  test('the number of rows is the number shown: nothing has to exist still for a request to be listed', async () => {
    const entries = Array.from({ length: 17 }, (_, i) => ({
      id: `req_${i}`,
      // Three requests that never had a provider, the others' providers were never in this store at all.
      ...(i < 3 ? { providerId: '', providerName: '', providerType: '', modelServed: '' } : { providerId: `prv_${i}` }),
    }))
    const { store, ids } = await start(entries)
    expect(await store.countLogs()).toBe(17)
    expect(await ids()).toHaveLength(17)
  })

  test("another tenant's requests are not there, in the list or by id", async () => {
    const { store, ids } = await start([
      { id: 'req_a', tenantId: 'ten_a' },
      { id: 'req_b', tenantId: 'ten_b' },
    ])
    expect(await ids({}, adminOf('ten_a'))).toEqual(['req_a'])
    expect(await ids({ tenantId: 'ten_b' }, adminOf('ten_a'))).toEqual(['req_a'])
    const notFound = { code: 'not_found' }
    await expect(getLog(store, adminOf('ten_a'), 'req_b')).rejects.toMatchObject(notFound)
    await expect(getLog(store, adminOf('ten_a'), 'req_none')).rejects.toMatchObject(notFound)
    expect(await getLog(store, superAdmin, 'req_b')).toMatchObject({ id: 'req_b', tenant_id: 'ten_b' })
  })

  test('one request shows its cost as number and text, its time as ISO 8601 and every attempt', async () => {
    const { store } = await start([{ id: 'req_1' }])
    expect(await getLog(store, superAdmin, 'req_1')).toMatchObject({
      started_at: '2026-11-23T10:00:00.000Z',
      cost_nano_usd: 1_250_000,
      cost_usd: '0.00125',
      stream: false,
      attempts: 1,
      attempt_log: [{ provider: 'A provider', model: 'gpt-4o', status: 200, code: '', duration_ms: 880 }],
    })
  })

  test('a cursor that is none of ours is refused by name', async () => {
    const { store } = await start([])
    await expect(listLogs(store, superAdmin, {}, { limit: 5, cursor: 'eyJhIjoxfQ' })).rejects.toMatchObject({
      code: 'invalid_request',
      param: 'cursor',
    })
  })
})

test('times are read as ISO 8601 or epoch milliseconds, and anything else is refused by name', () => {
  expect(readTime('2026-11-23T10:00:00Z', 'from')).toBe(testTime)
  expect(readTime(String(testTime), 'from')).toBe(testTime)
  expect(() => readTime('yesterday', 'from')).toThrow('from is not a time')
})
