/**
 * Usage: what every request was, what it consumed and what that cost. The ledger takes one entry per request, keeps it
 * on this machine before the answer ends, and moves it to the store with its hourly sums; prices, the list of requests
 * and the deletion of old rows are here too. It decides nothing about who may call what: limits are the gateway's.
 */
import { join } from 'node:path'
import type { Kysely } from 'kysely'
import type { Route } from '../http/route.ts'
import type { Clock } from '../kernel/clock.ts'
import type { Bus } from '../platform/bus/bus.ts'
import { openJournal } from '../platform/journal/journal.ts'
import type { Leases } from '../platform/lease/lease.ts'
import type { Log } from '../platform/log.ts'
import type { Metrics } from '../platform/metrics.ts'
import { createSchedule } from '../platform/schedule.ts'
import type { UsageConfig } from './config.ts'
import { createLedger } from './ledger.ts'
import { createPrices, type Prices } from './prices.ts'
import { deleteOldLogs } from './retention.ts'
import { usageRoutes } from './routes.ts'
import type { UsageTables } from './rows.ts'
import type { Ledger } from './schema.ts'
import { createUsageStore } from './store.ts'

export { type UsageConfig, usageConfig } from './config.ts'
export { estimateTokensOfBytes } from './estimate.ts'
export type { Cost } from './price-list.ts'
export type { NewPrice, Prices } from './prices.ts'
export type { UsageTables } from './rows.ts'
export type { AttemptRecord, Ledger, Outcome, UsageEntry } from './schema.ts'
export { openSyntheticUsage, type SyntheticUsage } from './synthetic.ts'

const minuteMs = 60_000
const hourMs = 60 * minuteMs

export type UsageParts = {
  db: Kysely<UsageTables>
  bus: Bus
  leases: Leases
  clock: Clock
  log: Log
  metrics: Metrics
  /** Folder of this node alone: its journal lives here. */
  dataDir: string
}

export type Usage = Ledger & {
  routes: Route[]
  prices: Prices
  /** Loads prices and begins to settle. Entries recorded before have no cost; call it before serving. */
  start(): Promise<void>
  /** Moves what it can to the store within `usage.flush_seconds`, then closes the journal. Record nothing after. */
  stop(): Promise<void>
}

/** Opens the journal at once: throws `ledger_unavailable` when another process has it or the disk refuses. */
export function createUsage(parts: UsageParts, config: UsageConfig): Usage {
  const { db, bus, leases, clock, metrics } = parts
  const log = parts.log.child({ room: 'usage' })
  const journal = openJournal({
    folder: join(parts.dataDir, 'journal'),
    clock,
    log,
    metrics,
    durability: config.durability,
    maxBytes: config.journal_max_mb * 1024 * 1024,
  })
  const store = createUsageStore(db)
  const prices = createPrices({ store, bus, clock, log })
  const ledger = createLedger({ journal, store, prices, clock, log, metrics })
  const limits = { retentionDays: config.retention_days, maxRows: config.max_rows }
  const schedule = createSchedule({ clock, leases, log })

  return {
    record: ledger.record,
    isWritable: ledger.isWritable,
    routes: usageRoutes({ store, prices, ledger, now: clock.now }),
    prices,
    async start() {
      await prices.start()
      ledger.start()
      const deleteOld = async (signal: AbortSignal) => void (await deleteOldLogs({ store, clock, log }, limits, signal))
      schedule.every('usage-retention', hourMs, deleteOld, { onOneNode: true, firstDelayMs: minuteMs })
    },
    async stop() {
      await schedule.stop()
      prices.stop()
      await ledger.flush(config.flush_seconds * 1000)
      journal.close()
    },
  }
}
