import type { Clock } from '../kernel/clock.ts'
import { readEntry, writeEntry } from './entry-text.ts'
import type { PriceList } from './price-list.ts'
import type { UsageEntry } from './schema.ts'
import type { UsageStore } from './store.ts'

const batchRows = 500

export type SyntheticParts = { store: Pick<UsageStore, 'settle' | 'deleteSynthetic'>; prices: PriceList; clock: Clock }

/** Made-up requests for demonstrations: valued and summed like real ones, marked, and removable as a whole. */
export function createSynthetic({ store, prices, clock }: SyntheticParts) {
  return {
    async insert(entries: readonly UsageEntry[]): Promise<number> {
      let inserted = 0
      for (let start = 0; start < entries.length; start += batchRows) {
        const batch = entries.slice(start, start + batchRows)
        inserted += await store.settle(
          batch.map((entry) => readEntry(writeEntry({ ...entry, isSynthetic: true }, prices.cost(entry)))),
        )
      }
      return inserted
    },

    async remove(): Promise<number> {
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
