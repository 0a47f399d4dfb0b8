import type { Kysely } from 'kysely'
import { describe, expect, test } from 'vitest'
import { createManualClock } from '../kernel/clock.ts'
import { migrations } from '../migrations/index.ts'
import { createMemoryBus } from '../platform/bus/memory.ts'
import { engines } from '../platform/database/testing.ts'
import { createMetrics } from '../platform/metrics.ts'
import { readEntry, writeEntry } from '../usage/entry-text.ts'
import type { UsageTables } from '../usage/index.ts'
import type { UsageEntry } from '../usage/schema.ts'
import { createUsageStore } from '../usage/store.ts'
import { quietLog, sampleEntry } from '../usage/testing.ts'
import type { WatchedBudget } from './schema.ts'
import { readSettings } from './settings.ts'
import { createRiskStore, type RiskTables } from './store.ts'
import { createWatch } from './watch.ts'

const startAt = Date.UTC(2026, 10, 23, 10)
const minuteMs = 60_000
const hourMs = 60 * minuteMs
const dayMs = 24 * hourMs
type Tables = RiskTables & UsageTables

describe.each(engines())('the ledger, watched on $name', ({ open }) => {
  async function start() {
    const db = (await open(migrations)).kysely as Kysely<Tables>
    const ledger = createUsageStore(db as unknown as Kysely<UsageTables>)
    const store = createRiskStore(db)
    const heard: string[] = []
    let number = 0

    /** A node with a memory of its own; all share the store. */
    function node(now: number, budgets: readonly WatchedBudget[] = []) {
      const clock = createManualClock(now)
      const bus = createMemoryBus({ log: quietLog })
      bus.on('risk.found', ({ rule, entity }) => heard.push(`${rule} ${entity}`))
      const settings = readSettings({})
      const watch = createWatch({
        ...{ store, settings: () => settings, budgets: async () => budgets, mostEntities: 1000, bus, clock },
        ...{ log: quietLog, metrics: createMetrics({ clock }) },
      })
      return { clock, watch }
    }
    const write = (entries: (Partial<UsageEntry> & { costUsd?: number })[]) =>
      ledger.storeRows(
        entries.map(({ costUsd = 0.001, ...changes }) =>
          readEntry(
            writeEntry(sampleEntry({ id: `req_${++number}`, ...changes }), { nanoUsd: costUsd * 1e9, priceId: '' }, 0),
          ),
        ),
      )
    return { db, store, node, write, heard }
  }

  test('a budget of a tenant that ends before its month is found once, with what the ledger has spent of it', async () => {
    const { store, node, write, heard } = await start()
    const budget: WatchedBudget = {
      ...{ id: 'bud_a', of: 'tenant', ofId: 'ten_a', tenantId: 'ten_a', limitNanoUsd: 100e9 },
      periodAt: () => ({ startsAt: startAt - 10 * dayMs, endsAt: startAt + 20 * dayMs }),
      ...{ spentNanoUsd: 60e9, readAt: startAt },
    }
    // Six dollars a day from two keys: forty are left, for seven days.
    const hours = Array.from({ length: 240 }, (_, i) => startAt - (240 - i) * hourMs)
    await write(hours.map((startedAt, i) => ({ startedAt, keyId: `key_${i % 2}`, costUsd: 0.25 })))
    await node(startAt + minuteMs, [budget]).watch.look()
    await write([{ startedAt: startAt + 30_000, keyId: 'key_0', costUsd: 0.25 }])
    await node(startAt + 2 * minuteMs, [budget]).watch.look()
    expect(heard).toEqual(['budget_runway bud_a'])
    const [found] = await store.openFindings(10)
    expect(found).toMatchObject({ kind: 'budget', tenant_id: 'ten_a', key_id: '', user_id: '', severity: 'low' })
    const numbers = JSON.parse(found!.numbers)
    expect(numbers).toMatchObject({ budget_of: 'tenant', spent_percent: 60, limit_nano_usd: 100e9 })
    expect(numbers.days_left).toBeGreaterThan(6)
    expect(numbers.days_left).toBeLessThan(7)
  })
})
