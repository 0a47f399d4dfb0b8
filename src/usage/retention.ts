import type { Clock } from '../kernel/clock.ts'
import type { Log } from '../platform/log.ts'
import type { UsageStore } from './store.ts'

const batchRows = 1000
const pauseMs = 100
const dayMs = 86_400_000

export type RetentionParts = {
  store: Pick<UsageStore, 'countLogs' | 'deleteOldest'>
  clock: Clock
  log: Log
  what?: string
}

/**
 * Deletes rows of single requests that are too old or too many, oldest first, in small batches with pauses between
 * them, so that writers never wait long. The hourly sums stay. Resolves with the number deleted, early when `signal`
 * aborts.
 */
export async function deleteOldLogs(
  { store, clock, log, what = 'rows of the ledger were deleted; their sums stay' }: RetentionParts,
  limits: { retentionDays: number; maxRows: number },
  signal: AbortSignal,
): Promise<number> {
  const deleteInBatches = async (wanted: number, olderThan?: number) => {
    let deleted = 0
    while (deleted < wanted && !signal.aborted) {
      const asked = Math.min(batchRows, wanted - deleted)
      const gone = await store.deleteOldest(asked, olderThan)
      deleted += gone
      if (gone < asked) break
      await clock.sleep(pauseMs, signal)
    }
    return deleted
  }

  const old = await deleteInBatches(Number.POSITIVE_INFINITY, clock.now() - limits.retentionDays * dayMs)
  const surplus = signal.aborted ? 0 : await deleteInBatches((await store.countLogs()) - limits.maxRows)
  if (old + surplus > 0) log.info(`Old ${what}`, { count: old + surplus })
  return old + surplus
}
