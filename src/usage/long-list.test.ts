import { CompiledQuery, type Kysely, type KyselyPlugin, type RootOperationNode } from 'kysely'
import { describe, expect, test } from 'vitest'
import { everything } from '../kernel/scope.ts'
import { migrations } from '../migrations/index.ts'
import { engines } from '../platform/database/testing.ts'
import { readEntry, writeEntry } from './entry-text.ts'
import type { UsageTables } from './rows.ts'
import { createUsageStore } from './store.ts'
import { sampleEntry, testTime } from './testing.ts'

/** Keeps the last query that went through, so that the engine can be asked how it would run it. */
function createCaptor(): KyselyPlugin & { last(): RootOperationNode } {
  let node: RootOperationNode | undefined
  return {
    transformQuery(query) {
      node = query.node
      return query.node
    },
    transformResult: async ({ result }) => result,
    last: () => node!,
  }
}

describe.each(engines())('a list of requests that has grown long, on $name', ({ name, open }) => {
  test('4.3.10 a page reads along an index and holds no attempts, however many requests there are', async () => {
    const database = await open(migrations)
    const captor = createCaptor()
    const db = (database.kysely as Kysely<UsageTables>).withPlugin(captor)
    const store = createUsageStore(db)
    for (let batch = 0; batch < 10; batch++) {
      const rows = Array.from({ length: 500 }, (_, i) =>
        sampleEntry({ id: `req_${batch}_${i}`, startedAt: testTime + batch * 500 + i }),
      )
      await store.storeRows(rows.map((entry) => readEntry(writeEntry(entry, { nanoUsd: 1, priceId: 'p' }, 0))))
    }
    if (name === 'postgres') await db.executeQuery(CompiledQuery.raw('analyze request_logs'))

    const page = await store.listLogs(everything, {}, { startedAt: testTime + 2500, id: 'req_5' }, 50)
    expect(page).toHaveLength(50)
    expect(page[0]).not.toHaveProperty('attempt_log')
    const { sql, parameters } = db.getExecutor().compileQuery(captor.last(), { queryId: 'captured' })
    const explain = name === 'postgres' ? 'explain' : 'explain query plan'
    const { rows } = await db.executeQuery(CompiledQuery.raw(`${explain} ${sql}`, [...parameters]))
    const plan = JSON.stringify(rows)
    expect(plan).toContain('request_logs_by_time')
    // Neither engine sorts or walks the whole table.
    expect(plan).not.toMatch(/TEMP B-TREE|Seq Scan|"Sort /)
  })
})
