import { join } from 'node:path'
import type { Clock } from '../kernel/clock.ts'
import { HubError } from '../kernel/errors.ts'
import { readFileSize } from '../platform/files.ts'
import { openJournal } from '../platform/journal/journal.ts'
import type { Log } from '../platform/log.ts'
import { createMetrics } from '../platform/metrics.ts'
import type { UsageConfig } from './config.ts'
import { createLedger, type LedgerParts } from './ledger.ts'

export type LeftJournalsParts = Pick<LedgerParts, 'store' | 'prices' | 'stored'> & {
  clock: Clock
  log: Log
  config: Pick<UsageConfig, 'durability' | 'journal_max_mb'>
  /** Data folders of processes that have ended; each may live again at any time. */
  list(): readonly string[]
}

/** At once; what the store does not take in this time waits for the next round. */
const limitMs = 30_000

/** Brings home what processes that nobody starts again have left in their journals. */
export function createLeftJournals({ store, prices, stored, clock, log, config, list }: LeftJournalsParts) {
  const done = new Set<string>()

  async function settleOne(folder: string): Promise<void> {
    if (readFileSize(join(folder, 'journal', 'owner.lock')) === null) return
    // Its numbers are those of a journal that is about to be none.
    const metrics = createMetrics({ clock })
    const journal = openJournal({
      ...{ folder: join(folder, 'journal'), clock, log, metrics, durability: config.durability },
      maxBytes: config.journal_max_mb * 1024 * 1024,
    })
    try {
      const count = journal.size()
      const ledger = createLedger({ journal, store, prices, clock, log, metrics, ...(stored && { stored }) })
      await ledger.flush(limitMs)
      if (journal.size() > 0) return
      done.add(folder)
      if (count > 0) log.info('Rows that an ended process had left were brought home', { count, file: folder })
    } finally {
      journal.close()
    }
  }

  return {
    async settle(): Promise<void> {
      const folders = list()
      // Who lives again may leave something again.
      for (const folder of done) if (!folders.includes(folder)) done.delete(folder)
      for (const folder of folders) {
        if (done.has(folder)) continue
        // A process has it: its rows are its own business.
        await settleOne(folder).catch((error: unknown) => {
          if (!(error instanceof HubError && error.code === 'ledger_unavailable')) throw error
        })
      }
    },
  }
}
