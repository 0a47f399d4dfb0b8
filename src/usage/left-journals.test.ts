import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Kysely } from 'kysely'
import { describe, expect, test } from 'vitest'
import { createManualClock, systemClock } from '../kernel/clock.ts'
import { engines } from '../platform/database/testing.ts'
import { openTestJournal, temporaryFolder } from '../platform/journal/testing.ts'
import { createMetrics } from '../platform/metrics.ts'
import { createLedger } from './ledger.ts'
import { createLeftJournals } from './left-journals.ts'
import { priceBook } from './price-book/index.ts'
import { createPriceList } from './price-list.ts'
import type { UsageTables } from './rows.ts'
import { createUsageStore } from './store.ts'
import { quietLog, sampleEntry, usageMigrations } from './testing.ts'

const prices = createPriceList(priceBook(0))

describe.each(engines())('journals that ended processes have left, on $name', ({ open }) => {
  async function start() {
    const database = await open(usageMigrations)
    const db = database.kysely as Kysely<UsageTables>
    const store = createUsageStore(db)
    const folder = join(temporaryFolder(), 'worker-2')
    mkdirSync(folder)
    const journal = openTestJournal(join(folder, 'journal'))
    const ledger = createLedger({
      ...{ journal, store, prices, clock: createManualClock(), log: quietLog, metrics: createMetrics() },
    })
    const left = createLeftJournals({
      ...{ store, prices, clock: systemClock, log: quietLog, list: () => [folder] },
      config: { durability: 'crash', journal_max_mb: 16 },
    })
    const ids = async () =>
      (await db.selectFrom('request_logs').select('id').orderBy('id').execute()).map(({ id }) => id)
    return { journal, ledger, left, ids, folder }
  }

  test('rows of a process that is no more come home, each once', async () => {
    const { journal, ledger, left, ids, folder } = await start()
    await ledger.record(sampleEntry({ id: 'req_1' }))
    await ledger.settle()
    await ledger.record(sampleEntry({ id: 'req_2' }))
    journal.close()
    await left.settle()
    await left.settle()
    expect(await ids()).toEqual(['req_1', 'req_2'])
    const again = openTestJournal(join(folder, 'journal'))
    expect(again.size()).toBe(0)
    again.close()
  })

  test('a process that lives keeps its journal to itself', async () => {
    const { journal, ledger, left, ids } = await start()
    await ledger.record(sampleEntry({ id: 'req_1' }))
    await left.settle()
    expect(await ids()).toEqual([])
    expect(journal.size()).toBe(1)
    journal.close()
    await left.settle()
    expect(await ids()).toEqual(['req_1'])
  })
})
