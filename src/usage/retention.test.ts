import type { Kysely } from 'kysely'
import { describe, expect, test } from 'vitest'
import { createManualClock } from '../kernel/clock.ts'
import { everything } from '../kernel/scope.ts'
import { engines } from '../platform/database/testing.ts'
import { readEntry, writeEntry } from './entry-text.ts'
import { deleteOldLogs } from './retention.ts'
import type { RequestLogRow, UsageTables } from './rows.ts'
import { createUsageStore } from './store.ts'
import { quietLog, sampleEntry, testTime, usageMigrations } from './testing.ts'

const dayMs = 86_400_000
const instantly = { ...createManualClock(testTime), sleep: async () => {} }

function row(number: number, startedAt: number): RequestLogRow {
  const id = `req_${String(number).padStart(6, '0')}`
  return readEntry(writeEntry(sampleEntry({ id, startedAt }), { nanoUsd: 1, priceId: 'p' }, 0))
}

describe.each(engines())('retention on $name', ({ open }) => {
  async function start(rows: RequestLogRow[]) {
    const database = await open(usageMigrations)
    const db = database.kysely as Kysely<UsageTables>
    const store = createUsageStore(db)
    for (let i = 0; i < rows.length; i += 500) await store.storeRows(rows.slice(i, i + 500))
    const requests = async () => {
      const sum = await db
        .selectFrom('usage_hourly')
        .select((eb) => eb.fn.sum<number>('requests').as('n'))
        .executeTakeFirstOrThrow()
      return sum.n
    }
    return { store, requests }
  }
  const ids = async (store: ReturnType<typeof createUsageStore>) =>
    (await store.listLogs(everything, {}, null, 10_000)).map((each) => each.id).sort()

  test('4.3.9 rows older than the limit go, younger ones and all sums stay', async () => {
    const old = Array.from({ length: 2500 }, (_, i) => row(i, testTime - 30 * dayMs - 1 - i))
    const young = [row(9000, testTime - 30 * dayMs), row(9001, testTime)]
    const { store, requests } = await start([...old, ...young])
    const asked: number[] = []
    const watched: Pick<typeof store, 'countLogs' | 'deleteOldest'> = {
      countLogs: store.countLogs,
      deleteOldest(limit, olderThan) {
        asked.push(limit)
        return store.deleteOldest(limit, olderThan)
      },
    }
    const limits = { retentionDays: 30, maxRows: 1_000_000 }
    const signal = new AbortController().signal
    expect(await deleteOldLogs({ store: watched, clock: instantly, log: quietLog }, limits, signal)).toBe(2500)
    expect(asked).toEqual([1000, 1000, 1000])
    expect(await ids(store)).toEqual(['req_009000', 'req_009001'])
    expect(await requests()).toBe(2502)
  })

  test('above the number of rows allowed the oldest go, and all sums stay', async () => {
    const { store, requests } = await start(Array.from({ length: 20 }, (_, i) => row(i, testTime - i)))
    const limits = { retentionDays: 30, maxRows: 5 }
    const signal = new AbortController().signal
    expect(await deleteOldLogs({ store, clock: instantly, log: quietLog }, limits, signal)).toBe(15)
    expect(await ids(store)).toEqual(['req_000000', 'req_000001', 'req_000002', 'req_000003', 'req_000004'])
    expect(await requests()).toBe(20)
  })

  test('4.2.7 a run that is told to stop ends after the batch it is in', async () => {
    const { store } = await start(Array.from({ length: 2500 }, (_, i) => row(i, testTime - 40 * dayMs)))
    const stopping = new AbortController()
    const clock = { ...instantly, sleep: async () => stopping.abort() }
    const limits = { retentionDays: 30, maxRows: 5 }
    expect(await deleteOldLogs({ store, clock, log: quietLog }, limits, stopping.signal)).toBe(1000)
    expect(await store.countLogs()).toBe(1500)
  })
})
