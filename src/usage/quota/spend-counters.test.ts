import type { Kysely } from 'kysely'
import { describe, expect, test } from 'vitest'
import { createManualClock } from '../../kernel/clock.ts'
import { migrations } from '../../migrations/index.ts'
import { createMemoryCounter } from '../../platform/counter/memory.ts'
import { engines } from '../../platform/database/testing.ts'
import { openUsageAudit } from '../audit/index.ts'
import { readEntry, writeEntry } from '../entry-text.ts'
import type { UsageTables } from '../rows.ts'
import { createUsageStore } from '../store.ts'
import { sampleEntry, testTime } from '../testing.ts'
import { budgetCounterKey } from './counter-keys.ts'
import { readSpendCounters } from './spend-counters.ts'
import { createQuotaStore, type QuotaTables } from './store.ts'

describe.each(engines())('counters of budgets beside the ledger, on $name', ({ open }) => {
  test('reconciling finds a counter that lags behind the rows, and mends it', async () => {
    const clock = createManualClock(testTime)
    const db = (await open(migrations)).kysely as Kysely<QuotaTables & UsageTables>
    const counter = createMemoryCounter({ clock })
    const budget = (id: string, scope: 'key' | 'user', scope_id: string) => ({
      ...{ id, scope, scope_id, tenant_id: 'ten_a', period: 'day' as const, zone: 'UTC', limit_nano_usd: 1e9 },
      ...{ is_hard: 1, created_at: testTime, updated_at: testTime },
    })
    const quota = createQuotaStore(db)
    for (const row of [budget('bud_1', 'key', 'key_a'), budget('bud_2', 'user', 'usr_a')]) await quota.insertBudget(row)
    const row = readEntry(writeEntry(sampleEntry(), { nanoUsd: 2_000_000, priceId: 'p' }, 0))
    await createUsageStore(db).storeRows([row])
    const day = testTime - (testTime % 86_400_000)
    const counted = async (id: string) => (await counter.read([budgetCounterKey(id, day)]))[0]!.spent
    const known = (id: string) => ({ key: budgetCounterKey(id, day), limit: 1e9, lifeMs: 86_400_000 })
    await counter.raise(known('bud_1'), 500_000)
    await counter.raise(known('bud_2'), 2_000_000)

    const audit = openUsageAudit({ db, counters: readSpendCounters({ db, counter, clock }), now: clock.now })
    const options = { retentionDays: 30, isFix: false }
    expect(await audit.reconcile(options)).toMatchObject({
      verdict: 'different',
      counters: [{ scope: 'key', id: 'key_a', spentNanoUsd: 500_000, ledgerNanoUsd: 2_000_000 }],
    })
    expect(await audit.reconcile({ ...options, isFix: true })).toMatchObject({ isFixed: true })
    expect([await counted('bud_1'), await counted('bud_2')]).toEqual([2_000_000, 2_000_000])
    expect(await audit.reconcile(options)).toMatchObject({ verdict: 'equal', counters: [] })
  })
})
