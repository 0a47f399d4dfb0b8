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
    function node(now: number, budgets: readonly WatchedBudget[] = [], store = createRiskStore(db)) {
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
    /** Everything that is kept of findings and memories, as if it were text. */
    const kept = async () => {
      const findings = await db.selectFrom('risk_findings').selectAll().orderBy('rule').orderBy('entity').execute()
      const memories = await db.selectFrom('risk_memories').selectAll().orderBy('rule').orderBy('entity').execute()
      return {
        findings: findings.map(({ rule, entity, status, detections, first_at, last_at, numbers, evidence }) => {
          const { lastCalls } = JSON.parse(evidence)
          const told = { rule, entity, status, detections, first_at, last_at, numbers }
          return { ...told, last: lastCalls.map(({ id }: { id: string }) => id).at(-1) }
        }),
        memories: memories.map(({ rule, entity, memory }) => ({ rule, entity, memory: JSON.parse(memory) })),
      }
    }
    return { db, store, node, write, heard, kept }
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

  /** Twelve minutes: one key in a loop from the third on, one that fails from the fifth, an address that tries keys. */
  const crimes = () =>
    Array.from({ length: 12 }, (_, minute) => minute).flatMap((minute) => {
      const at = (i: number, of: number) => startAt + minute * minuteMs + Math.floor((i * minuteMs) / of)
      const some = (amount: number, changes: Partial<UsageEntry>) =>
        Array.from({ length: amount }, (_, i) => ({ startedAt: at(i, amount), ...changes }))
      return [
        ...some(20, { keyId: 'key_calm', clientIp: '198.51.100.1' }),
        ...(minute >= 3 ? some(150, { keyId: 'key_loop', clientIp: '198.51.100.2' }) : []),
        ...(minute >= 5
          ? some(12, { keyId: 'key_fails', clientIp: '198.51.100.3', outcome: 'failure', status: 400 })
          : []),
        ...(minute >= 7 ? some(8, { keyId: '', clientIp: '203.0.113.9', outcome: 'refused', status: 401 }) : []),
      ]
    })
  const minutes = [2, 4, 6, 8, 10, 12].map((minute) => startAt + minute * minuteMs + 6000)
  const found = ['burst key_loop', 'error_streak key_fails', 'key_probing 203.0.113.9']

  async function watchedInPeace() {
    const peaceful = await start()
    await peaceful.write(crimes())
    for (const now of minutes) await peaceful.node(now).watch.look()
    expect(peaceful.heard.toSorted()).toEqual(found)
    return peaceful.kept()
  }

  test('a hub that starts anew counts no call of the last quarter of an hour a second time', async () => {
    const { node, write, heard, store } = await start()
    const calls = Array.from({ length: 100 }, (_, i) => ({ startedAt: startAt + i * 500, keyId: 'key_busy' }))
    await write(calls)
    await node(minutes[0]!).watch.look()
    const { watch, clock } = node(minutes[0]! + 10_000)
    for (let look = 0; look < 12; look++) {
      await watch.look()
      await clock.advance(10_000)
    }
    // A hundred a minute is below the limit, two hundred would not be.
    expect(heard).toEqual([])
    const [memory] = (await store.memories('gatehouse', 100)).filter(({ rule }) => rule === 'burst')
    expect(memory).toMatchObject({ entity: 'key_busy', memory: { peaks: { amount: 100 } } })
  })

  test('two nodes that look at once, in any order, keep what one would have kept: nothing is found twice', async () => {
    const { node, write, heard, kept } = await start()
    await write(crimes())
    const [one, two] = [node(minutes[0]!), node(minutes[0]!)]
    for (const [turn, now] of minutes.entries()) {
      for (const { clock } of [one, two]) await clock.advance(now - clock.now())
      if (turn % 3 === 2) await one.watch.look()
      await Promise.all([two.watch.look(), one.watch.look()])
    }
    expect(heard.toSorted()).toEqual(found)
    expect(await kept()).toEqual(await watchedInPeace())
  })

  test.each(['before', 'after'] as const)(
    'a node that dies %s any of its statements loses no finding and doubles none',
    async (when) => {
      const { db, node, write, heard, kept } = await start()
      await write(crimes())
      let deaths = 0
      for (const now of minutes) {
        // The first statement, then the second, until one node lives to the end; what it did stands at the next.
        for (let step = 1; ; step++) {
          let left = step
          const dying = db.withPlugin({
            transformQuery({ node }) {
              if (when === 'before' && --left === 0) throw new Error('killed')
              return node
            },
            async transformResult({ result }) {
              if (when === 'after' && --left === 0) throw new Error('killed')
              return result
            },
          })
          const { watch } = node(now, [], createRiskStore(dying))
          const isDead = await watch.look().then(
            () => false,
            (error: Error) => error.message === 'killed' || Promise.reject(error),
          )
          if (!isDead) break
          deaths++
        }
      }
      expect(deaths).toBeGreaterThan(20)
      expect(heard.toSorted()).toEqual(found)
      expect(await kept()).toEqual(await watchedInPeace())
    },
  )
})
