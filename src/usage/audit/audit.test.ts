import type { Kysely } from 'kysely'
import { describe, expect, test } from 'vitest'
import { engines } from '../../platform/database/testing.ts'
import { readEntry, writeEntry } from '../entry-text.ts'
import { createPriceList } from '../price-list.ts'
import { noOtherRates, type PriceRow, type UsageTables } from '../rows.ts'
import { createUsageStore } from '../store.ts'
import { sampleEntry, testTime, usageMigrations } from '../testing.ts'
import { openUsageAudit, type SpendCounters } from './index.ts'

const hourMs = 3_600_000

function price(changes: Partial<PriceRow>): PriceRow {
  return {
    ...{ id: 'prc_1', provider_type: '', model: 'gpt-4o', above_tokens_in: 0, input: 1e9, output: 2e9 },
    ...{ cached_read: null, cached_write: null, effective_from: 0, origin: 'operator', source: '', created_at: 0 },
    ...noOtherRates,
    ...changes,
  }
}

describe.each(engines())('a second look at the ledger on $name', ({ open }) => {
  async function start() {
    const db = (await open(usageMigrations)).kysely as Kysely<UsageTables>
    const store = createUsageStore(db)
    const prices = createPriceList([price({})])
    /** Rows as the ledger stored them while gpt-4o cost 1 and 2 dollars a million. */
    const record = (...changes: Parameters<typeof sampleEntry>[0][]) =>
      store.storeRows(
        changes.map((each) => {
          const entry = sampleEntry(each)
          return readEntry(writeEntry(entry, prices.cost(entry), prices.wasted(entry)))
        }),
      )
    const audit = openUsageAudit({ db, now: () => testTime + hourMs })
    const reconcile = (options = {}) => audit.reconcile({ retentionDays: 30, isFix: false, ...options })
    const rows = () => db.selectFrom('request_logs').selectAll().orderBy('id').execute()
    return { db, store, record, audit, reconcile, rows }
  }

  describe('rerate', () => {
    test('a price entered late values rows from its date on, and the sums follow', async () => {
      const { store, record, audit, reconcile, rows } = await start()
      await record({ id: 'req_a', startedAt: testTime - hourMs }, { id: 'req_b' }, { id: 'req_c', modelServed: 'new' })
      await store.addPrices([
        price({}),
        price({ id: 'prc_2', input: 3e9, effective_from: testTime }),
        price({ id: 'prc_3', model: 'new' }),
      ])
      const dry = await audit.rerate({}, { isDryRun: true })
      expect(dry).toMatchObject({ looked: 3, changed: 2, unpriced: 0, costBefore: 2_000_000, costAfter: 6_000_000 })
      expect((await rows()).map((row) => row.cost_nano_usd)).toEqual([2_000_000, 2_000_000, null])

      expect(await audit.rerate({}, { isDryRun: false })).toMatchObject({ looked: 3, changed: 2, costAfter: 6_000_000 })
      expect((await rows()).map((row) => [row.cost_nano_usd, row.price_id])).toEqual([
        [2_000_000, 'prc_1'],
        [4_000_000, 'prc_2'],
        [2_000_000, 'prc_3'],
      ])
      expect(await reconcile()).toMatchObject({ verdict: 'equal', requests: 3 })
    })

    test('it is narrowed by time, model and provider', async () => {
      const { store, record, audit, rows } = await start()
      await record({ id: 'req_a', startedAt: testTime - 1 }, { id: 'req_b' }, { id: 'req_c', providerName: 'other' })
      await store.addPrices([price({ id: 'prc_2', input: 3e9 })])
      const filter = { from: testTime, model: 'gpt-4o', provider: 'A provider' }
      expect(await audit.rerate(filter, { isDryRun: false })).toMatchObject({ looked: 1, changed: 1 })
      expect(await audit.rerate({ ...filter, model: 'none' }, { isDryRun: false })).toMatchObject({ looked: 0 })
      expect((await rows()).map((row) => row.price_id)).toEqual(['prc_1', 'prc_2', 'prc_1'])
    })

    test('a run that is interrupted is repeated: nothing is corrected twice', async () => {
      const { store, record, audit, reconcile } = await start()
      const many = Array.from({ length: 1200 }, (_, i) => ({ id: `req_${i}`, startedAt: testTime + (i % 7) }))
      await record(...many)
      await store.addPrices([price({ id: 'prc_2', input: 3e9 })])
      const interrupted = audit.rerate(
        {},
        {
          isDryRun: false,
          onBatch() {
            throw new Error('the person left')
          },
        },
      )
      await expect(interrupted).rejects.toThrow('the person left')
      expect(await reconcile()).toMatchObject({ verdict: 'equal' })
      expect(await audit.rerate({}, { isDryRun: false })).toMatchObject({ looked: 1200, changed: 700 })
      expect(await audit.rerate({}, { isDryRun: false })).toMatchObject({ looked: 1200, changed: 0 })
      expect(await reconcile()).toMatchObject({ verdict: 'equal', requests: 1200 })
    })

    test('two runs at once correct every row once', async () => {
      const { store, record, audit, reconcile } = await start()
      await record(...Array.from({ length: 900 }, (_, i) => ({ id: `req_${i}` })))
      await store.addPrices([price({ id: 'prc_2', input: 3e9 })])
      const runs = await Promise.all([audit.rerate({}, { isDryRun: false }), audit.rerate({}, { isDryRun: false })])
      expect(runs[0].changed + runs[1].changed).toBe(900)
      expect(await reconcile()).toMatchObject({ verdict: 'equal' })
    })

    test('what attempts wasted is valued too, and unknown when one of them has no price', async () => {
      const { store, record, audit, reconcile, rows } = await start()
      const wasted = { providerType: 'openai', tokensIn: 1000, tokensOut: 0, tokensCachedRead: 0 }
      const failed = { provider: 'A', status: 500, code: 'server_error', durationMs: 1, wasted }
      await record(
        { id: 'req_a', attempts: [{ ...failed, model: 'gpt-4o' }] },
        { id: 'req_b', attempts: [{ ...failed, model: 'nobody-knows' }] },
      )
      expect((await rows()).map((row) => row.wasted_nano_usd)).toEqual([1_000_000, null])
      await store.addPrices([price({}), price({ id: 'prc_2', model: 'nobody-knows', input: 5e9 })])
      expect(await audit.rerate({}, { isDryRun: false })).toMatchObject({ changed: 1, wastedAfter: 5_000_000 })
      expect((await rows()).map((row) => row.wasted_nano_usd)).toEqual([1_000_000, 5_000_000])
      expect(await reconcile()).toMatchObject({ verdict: 'equal' })
    })
  })

  describe('reconcile', () => {
    test('a sum that is wrong is told by hour, key and measure, and corrected on demand', async () => {
      const { db, record, reconcile } = await start()
      await record({ id: 'req_a' }, { id: 'req_b' }, { id: 'req_c', keyId: 'key_b', startedAt: testTime - hourMs })
      expect(await reconcile()).toMatchObject({ verdict: 'equal', hours: 2, requests: 3 })
      await db.updateTable('usage_hourly').set({ tokens_out: 999, searches: 4 }).where('key_id', '=', 'key_a').execute()
      const key = { hour: testTime, key_id: 'key_a', outcome: 'success' }
      expect(await reconcile()).toMatchObject({
        ...{ verdict: 'different', differing: 2, isFixed: false },
        differences: [
          { ...key, measure: 'tokens_out', rows: 1000, sums: 999 },
          { ...key, measure: 'searches', rows: 0, sums: 4 },
        ],
      })
      expect(await reconcile({ isFix: true })).toMatchObject({ verdict: 'different', isFixed: true })
      expect(await reconcile()).toMatchObject({ verdict: 'equal' })
    })

    test('a row that is not in the sums, and sums of no row, are both found', async () => {
      const { db, record, reconcile } = await start()
      await record(
        { id: 'req_first', startedAt: testTime - 2 * hourMs },
        { id: 'req_a' },
        { id: 'req_b', keyId: 'key_b' },
      )
      await db.deleteFrom('usage_hourly').where('key_id', '=', 'key_b').execute()
      await db.deleteFrom('request_logs').where('id', '=', 'req_a').execute()
      const told = await reconcile({ isFix: true })
      expect(told.differences.filter(({ measure }) => measure === 'requests')).toMatchObject([
        { key_id: 'key_a', rows: 0, sums: 1 },
        { key_id: 'key_b', rows: 1, sums: 0 },
      ])
      expect(await reconcile()).toMatchObject({ verdict: 'equal', requests: 2 })
      expect(await db.selectFrom('usage_hourly').select('key_id').where('requests', '=', 0).execute()).toEqual([])
    })

    test('where retention deleted rows nothing is proved, and nothing is corrected', async () => {
      const { db, store, record, reconcile } = await start()
      await record({ id: 'req_a', startedAt: testTime - 2 * hourMs }, { id: 'req_b', startedAt: testTime - hourMs })
      await record({ id: 'req_c', startedAt: testTime - hourMs + 1 }, { id: 'req_d' })
      await store.deleteOldest(2)
      expect(await reconcile({ isFix: true })).toMatchObject({
        verdict: 'inconclusive',
        differing: 0,
        unproved: [
          { hour: testTime - 2 * hourMs, reason: 'rows_deleted' },
          { hour: testTime - hourMs, reason: 'rows_deleted' },
        ],
      })
      const requests = await db.selectFrom('usage_hourly').select('requests').orderBy('hour').execute()
      expect(requests).toEqual([{ requests: 1 }, { requests: 2 }, { requests: 1 }])
      expect(await reconcile({ from: testTime })).toMatchObject({ verdict: 'equal', hours: 1 })
    })

    test('hours older than rows are kept for are not looked at unless asked for', async () => {
      const { store, record, reconcile } = await start()
      await record({ id: 'req_a', startedAt: testTime - 40 * 24 * hourMs }, { id: 'req_b' })
      await store.deleteOldest(1)
      expect(await reconcile()).toMatchObject({ verdict: 'equal', hours: 1 })
      expect(await reconcile({ from: 0 })).toMatchObject({ verdict: 'inconclusive' })
    })

    test('it is right beside a node that settles into the same hour', async () => {
      const { record, reconcile } = await start()
      let isRunning = true
      const settling = (async () => {
        for (let i = 0; i < 40; i++) await record({ id: `req_x${i}` }, { id: `req_y${i}`, keyId: `key_${i}` })
        isRunning = false
      })()
      while (isRunning) expect((await reconcile()).verdict).not.toBe('different')
      await settling
      expect(await reconcile()).toMatchObject({ verdict: 'equal', requests: 80 })
    })

    test('counters of limits are compared with the sums of their window', async () => {
      const { db, record } = await start()
      await record({ id: 'req_a' }, { id: 'req_b', startedAt: testTime - hourMs }, { id: 'req_c', keyId: 'key_b' })
      const spent = new Map([
        ['key_a', 2_000_000],
        ['key_b', 5],
      ])
      const counters: SpendCounters = {
        totals: async () =>
          [...spent].map(([id, spentNanoUsd]) => ({
            ...{ scope: 'key' as const, id, spentNanoUsd, from: testTime, to: testTime + hourMs },
          })),
        correct: async ({ id }, spentNanoUsd) => void spent.set(id, spentNanoUsd),
      }
      const audit = openUsageAudit({ db, counters, now: () => testTime + hourMs })
      const options = { retentionDays: 30, isFix: false }
      expect(await audit.reconcile(options)).toMatchObject({
        verdict: 'different',
        counters: [{ id: 'key_b', spentNanoUsd: 5, ledgerNanoUsd: 2_000_000 }],
      })
      expect(await audit.reconcile({ ...options, isFix: true })).toMatchObject({ isFixed: true })
      expect(await audit.reconcile(options)).toMatchObject({ verdict: 'equal', counters: [] })
    })
  })
})
