import type { Kysely } from 'kysely'
import { compareSums, type Rebuilt, type RollUpDifference, rebuild } from '../analytics/rebuild.ts'
import { createAnalyticsStore } from '../analytics/store.ts'
import { priceBook } from '../price-book/index.ts'
import { createPriceList } from '../price-list.ts'
import type { UsageTables } from '../rows.ts'
import { createUsageStore } from '../store.ts'
import { type Reconciled, reconcile, type SpendCounters } from './reconcile.ts'
import { type Rerated, rerate } from './rerate.ts'
import { createAuditStore, type RatedFilter } from './store.ts'

export type { CounterTotal, Difference, Reconciled, SpendCounters } from './reconcile.ts'
export type { Rerated } from './rerate.ts'

export type UsageAudit = {
  rerate(
    filter: Partial<RatedFilter>,
    options: { isDryRun: boolean; onBatch?: (sofar: Rerated) => void },
  ): Promise<Rerated>
  reconcile(options: Parameters<typeof reconcile>[1]): Promise<Reconciled>
  /** Sums of reports that are not what the rows say, by day of UTC. */
  compareSums(range: { from: number; to: number }): Promise<RollUpDifference[]>
  /** Makes the sums of reports anew from the rows. */
  rebuild(range: { from: number; to: number }, onDay?: (day: number) => void): Promise<Rebuilt>
}

/** A second look at what is stored. It works on the store alone, beside running hubs too. */
export function openUsageAudit(parts: {
  db: Kysely<UsageTables>
  counters?: SpendCounters | undefined
  now: () => number
}): UsageAudit {
  const store = createAuditStore(parts.db)
  const analytics = createAnalyticsStore(parts.db)
  return {
    async rerate(filter, options) {
      const stored = await createUsageStore(parts.db).listPrices()
      const ids = new Set(stored.map(({ id }) => id))
      // A store that no hub of this version has served yet lacks lines of the book: rows are not to lose their cost by it.
      const prices = createPriceList([...stored, ...priceBook(parts.now()).filter(({ id }) => !ids.has(id))])
      return rerate({ store, prices }, { ...filter, from: filter.from ?? 0, to: filter.to ?? parts.now() }, options)
    },
    compareSums: (range) => compareSums(analytics, range),
    rebuild: (range, onDay) => rebuild(analytics, range, onDay),
    reconcile: (options) => reconcile({ store, counters: parts.counters, now: parts.now }, options),
  }
}
