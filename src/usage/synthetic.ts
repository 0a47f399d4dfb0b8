import type { Kysely } from 'kysely'
import type { Clock } from '../kernel/clock.ts'
import { readEntry, writeEntry } from './entry-text.ts'
import { createPriceList } from './price-list.ts'
import type { UsageTables } from './rows.ts'
import type { UsageEntry } from './schema.ts'
import { createUsageStore } from './store.ts'

const batchRows = 500

export type SyntheticUsage = {
  /** Stores made-up requests, marked as such, past the journal. Returns how many were new. */
  insert(entries: readonly UsageEntry[]): Promise<number>
  /** Deletes every made-up request and its share of the sums. Returns how many requests went. */
  remove(): Promise<number>
}

/**
 * Made-up requests for demonstrations: valued and summed like real ones, marked, and removable as a whole. It works on
 * the store alone, beside a running hub too.
 */
export function openSyntheticUsage({ db, clock }: { db: Kysely<UsageTables>; clock: Clock }): SyntheticUsage {
  const store = createUsageStore(db)
  return {
    async insert(entries) {
      const prices = createPriceList(await store.listPrices())
      let inserted = 0
      for (let start = 0; start < entries.length; start += batchRows) {
        const batch = entries.slice(start, start + batchRows)
        inserted += await store.storeRows(
          batch.map((entry) => readEntry(writeEntry({ ...entry, isSynthetic: true }, prices.cost(entry), 0))),
        )
      }
      return inserted
    },

    async remove() {
      let removed = 0
      for (;;) {
        const gone = await store.deleteSynthetic(batchRows)
        removed += gone
        if (gone < batchRows) return removed
        await clock.sleep(10)
      }
    },
  }
}
