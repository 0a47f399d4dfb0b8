import { CompiledQuery, type Kysely, type KyselyPlugin, type RootOperationNode } from 'kysely'
import { describe, expect, test } from 'vitest'
import type { Principal } from '../kernel/principal.ts'
import { everything, scopeOf, withinTenant } from '../kernel/scope.ts'
import { migrations } from '../migrations/index.ts'
import { engines } from '../platform/database/testing.ts'
import { kpi } from './analytics/reports.ts'
import { createAnalyticsStore } from './analytics/store.ts'
import { readEntry, writeEntry } from './entry-text.ts'
import type { UsageTables } from './rows.ts'
import { createUsageStore } from './store.ts'
import { sampleEntry, testTime } from './testing.ts'

/** Keeps the queries that went through, so that the engine can be asked how it would run them. */
function createCaptor() {
  const nodes: RootOperationNode[] = []
  const plugin: KyselyPlugin = {
    transformQuery(query) {
      nodes.push(query.node)
      return query.node
    },
    transformResult: async ({ result }) => result,
  }
  return { nodes, plugin }
}

const rowOf = (changes: Parameters<typeof sampleEntry>[0]) =>
  readEntry(writeEntry(sampleEntry(changes), { nanoUsd: 1, priceId: 'p' }, 0))

/** 5,000 requests of many, of which ten are of somebody with little traffic, and statistics as the hub keeps them. */
async function grown({ name, open }: ReturnType<typeof engines>[number]) {
  const database = await open(migrations)
  const { nodes, plugin } = createCaptor()
  const db = (database.kysely as Kysely<UsageTables>).withPlugin(plugin)
  const store = createUsageStore(db)
  const rare = {
    tenantId: 'ten_rare',
    userId: 'usr_rare',
    agent: 'agent-rare',
    service: 'service-rare',
    traceId: 'ab12',
  }
  for (let batch = 0; batch < 10; batch++) {
    const rows = Array.from({ length: 500 }, (_, i) =>
      rowOf({
        ...{ id: `req_${batch}_${i}`, startedAt: testTime + (batch * 500 + i) * 1000 },
        ...{ tenantId: `ten_${i % 5}`, userId: `usr_${i % 50}`, keyId: `key_${i % 100}`, traceId: `${batch}-${i}` },
        ...{ agent: ['', `agent-${i % 9}`][i % 2]!, service: ['', `service-${i % 7}`][i % 2]! },
        ...(i === 0 ? rare : {}),
      }),
    )
    await store.storeRows(rows)
  }
  await db.executeQuery(CompiledQuery.raw('analyze request_logs'))
  nodes.length = 0
  const plans = async () => {
    const found: string[] = []
    for (const node of nodes.splice(0)) {
      const { sql, parameters } = db.getExecutor().compileQuery(node, { queryId: 'captured' } as never)
      if (!sql.includes('request_logs')) continue
      const explain = name === 'postgres' ? 'explain' : 'explain query plan'
      const { rows } = await db.executeQuery(CompiledQuery.raw(`${explain} ${sql}`, [...parameters]))
      found.push(JSON.stringify(rows))
    }
    nodes.length = 0
    return found
  }
  return { db, store, plans }
}

describe.each(engines())('a list of requests that has grown long, on $name', (engine) => {
  test('4.3.10 a page reads along an index and holds no attempts, however many requests there are', async () => {
    const { store, plans } = await grown(engine)
    const page = await store.listLogs(everything, {}, { startedAt: testTime + 2_500_000, id: 'req_5' }, 50)
    expect(page).toHaveLength(50)
    expect(page[0]).not.toHaveProperty('attempt_log')
    const [plan] = await plans()
    expect(plan).toContain('request_logs_by_time')
    // Neither engine sorts or walks the whole table.
    expect(plan).not.toMatch(/TEMP B-TREE|Seq Scan|"Sort /)
  })

  test('few of many are found at once: a small tenant, a person, an agent, a plugin service, a trace, and nobody', async () => {
    const { store, plans } = await grown(engine)
    const ofPerson = scopeOf({ role: 'user', tenantId: 'ten_rare', userId: 'usr_rare' } as Principal)
    for (const [index, scope, filter] of [
      ['tenant', withinTenant('ten_rare'), {}],
      ['user', ofPerson, {}],
      ['agent', everything, { agent: 'agent-rare' }],
      ['service', everything, { service: 'service-rare' }],
      ['trace', everything, { traceId: 'ab12' }],
      ['trace', withinTenant('ten_rare'), { traceId: 'ab12' }],
    ] as const) {
      const page = await store.listLogs(scope, filter, null, 50)
      expect({ index, found: page.length }).toEqual({ index, found: 10 })
      const [plan] = await plans()
      expect(plan).toContain(`request_logs_by_${index}`)
    }
    for (const [index, filter] of [
      ['agent', { agent: 'nobody' }],
      ['trace', { traceId: 'nobody' }],
    ] as const) {
      expect(await store.listLogs(everything, filter, null, 50)).toEqual([])
      expect((await plans())[0]).toContain(`request_logs_by_${index}`)
    }
    // Those of nobody are no index's, and found all the same.
    expect(await store.listLogs(everything, { agent: '' }, null, 50)).toHaveLength(50)
  })
})

// PostgreSQL reads a small table whole, whatever its indexes are.
describe.each(engines().filter(({ name }) => name === 'sqlite'))(
  'a range of a store that has grown, on $name',
  (engine) => {
    test('requests at the ends of a range are read along their time, and their durations from the index alone', async () => {
      const { db, plans } = await grown(engine)
      const parts = { store: createAnalyticsStore(db), namesOf: async () => new Map<string, string>() }
      const [from, to] = [testTime + 77_000, testTime + 4_321_000]
      const { now } = await kpi(parts, { scope: everything, from, to, filters: { source: ['', 'demo'] } })
      expect(now.reqs).toBe(4244)
      const all = (await plans()).flatMap((plan) => plan.match(/(SEARCH|SCAN) request_logs[^"]*/g) ?? [])
      expect(all.length).toBeGreaterThan(0)
      expect(all.filter((step) => !step.includes('INDEX request_logs_by_time (started_at'))).toEqual([])
      // Two kinds, at two ends of the range and two of the one before.
      expect(all.filter((step) => step.includes('COVERING')).length).toBeGreaterThanOrEqual(4)
    })
  },
)
