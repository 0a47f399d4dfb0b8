import type { Clock } from '../kernel/clock.ts'
import type { Log } from '../platform/log.ts'
import type { Metrics } from '../platform/metrics.ts'
import type { AnalyticsStore } from './analytics/store.ts'
import type { SumsKind } from './analytics/sums-store.ts'
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
  const old = await deleteInBatches(
    (asked) => store.deleteOldest(asked, clock.now() - limits.retentionDays * dayMs),
    Number.POSITIVE_INFINITY,
    clock,
    signal,
  )
  const surplus = signal.aborted
    ? 0
    : await deleteInBatches(
        (asked) => store.deleteOldest(asked),
        (await store.countLogs()) - limits.maxRows,
        clock,
        signal,
      )
  if (old + surplus > 0) log.info(`Old ${what}`, { count: old + surplus })
  return old + surplus
}

async function deleteInBatches(
  deleteSome: (asked: number) => Promise<number>,
  wanted: number,
  clock: Clock,
  signal: AbortSignal,
): Promise<number> {
  let deleted = 0
  while (deleted < wanted && !signal.aborted) {
    const asked = Math.min(batchRows, wanted - deleted)
    const gone = await deleteSome(asked)
    deleted += gone
    if (gone < asked) break
    await clock.sleep(pauseMs, signal)
  }
  return deleted
}

/** Days that each is kept; what is coarser is kept at least as long as what is finer. `maxBytes` 0 is no limit. */
export type UsageLimits = {
  rows: number
  maxRows: number
  quarter: number
  hour: number
  latency: number
  day: number
  maxBytes: number
}

export type UsageRetentionParts = {
  store: Pick<UsageStore, 'countLogs' | 'deleteOldest' | 'measureBytes'>
  sums: Pick<AnalyticsStore, 'deleteOldestSums' | 'rowsWithoutSumsBefore'>
  clock: Clock
  log: Log
  metrics: Metrics
}

const sumsKinds = ['quarter', 'latency', 'hour', 'day'] as const satisfies readonly SumsKind[]

/**
 * What the ledger and its sums may keep: rows by age and number, sums by the age of their grain, and both together by the
 * room they take, where the oldest rows go first and the finest sums after them. Nothing is deleted while rows wait to be
 * added up. One run at a time.
 */
export function createUsageRetention(
  { store, sums, clock, log, metrics }: UsageRetentionParts,
  limitsNow: () => UsageLimits,
) {
  const deletedTotal = metrics.counter(
    'gatehouse_usage_deleted_rows_total',
    'Rows of the ledger and of its sums that were deleted, by what they were and why.',
    ['kind', 'reason'],
  )
  const bytesGauge = metrics
    .gauge('gatehouse_usage_store_bytes', 'Room that the ledger and its sums took at the last look.')
    .with({})

  /** Sums that began before `before`. */
  async function deleteSums(kind: SumsKind, before: number, reason: string, signal: AbortSignal): Promise<number> {
    let count = 0
    while (!signal.aborted) {
      const { deleted, isAll } = await sums.deleteOldestSums(kind, before)
      count += deleted
      if (isAll) break
      await clock.sleep(pauseMs, signal)
    }
    deletedTotal.with({ kind, reason }).inc(count)
    return count
  }

  async function deleteRows(olderThan: number | undefined, wanted: number, reason: string, signal: AbortSignal) {
    const count = await deleteInBatches((asked) => store.deleteOldest(asked, olderThan), wanted, clock, signal)
    deletedTotal.with({ kind: 'rows', reason }).inc(count)
    return count
  }

  /** What does not fit is worked out from what rows take on average, and looked at again: room is not told to the byte. */
  async function makeRoom(signal: AbortSignal): Promise<void> {
    const limits = limitsNow()
    let { bytes, rowBytes, oldestSlot } = await store.measureBytes()
    bytesGauge.set(bytes)
    if (limits.maxBytes === 0 || bytes <= limits.maxBytes) return
    const gone = { rows: 0, sums: 0 }
    for (let tries = 0; tries < 5 && bytes > limits.maxBytes && !signal.aborted; tries++) {
      const wanted = Math.ceil((bytes - limits.maxBytes) / Math.max(1, rowBytes))
      const deleted = await deleteRows(undefined, wanted, 'size', signal)
      gone.rows += deleted
      ;({ bytes, rowBytes, oldestSlot } = await store.measureBytes())
      if (deleted === 0) break
    }
    // Without rows it is the finest sums, a day at a time; those of whole days stay.
    const today = clock.now() - (clock.now() % dayMs)
    while (bytes > limits.maxBytes && oldestSlot !== null && oldestSlot < today && !signal.aborted) {
      const until = oldestSlot - (oldestSlot % dayMs) + dayMs
      for (const kind of ['quarter', 'latency'] as const) gone.sums += await deleteSums(kind, until, 'size', signal)
      ;({ bytes, oldestSlot } = await store.measureBytes())
    }
    bytesGauge.set(bytes)
    const told = { count: gone.rows + gone.sums, setting: 'usage.max_mb' }
    if (bytes > limits.maxBytes) {
      log.warn('The ledger takes more room than usage.max_mb, and nothing is left to delete for it', told)
    } else log.warn('The ledger took more room than usage.max_mb: its oldest rows were deleted', told)
  }

  return {
    /** One whole run; ends after the batch it is in when `signal` aborts. */
    async run(signal: AbortSignal): Promise<void> {
      const limits = limitsNow()
      if ((await sums.rowsWithoutSumsBefore()) !== null) {
        log.info('Nothing of the ledger is deleted while requests of former versions are added up')
        return
      }
      const now = clock.now()
      let count = await deleteRows(now - limits.rows * dayMs, Number.POSITIVE_INFINITY, 'age', signal)
      if (!signal.aborted) {
        count += await deleteRows(undefined, (await store.countLogs()) - limits.maxRows, 'number', signal)
      }
      let days = limits.rows
      for (const kind of sumsKinds) {
        if (signal.aborted) break
        const kept = Math.max(days, limits[kind])
        // Percentiles have no coarser sums of their own to stand for them.
        if (kind !== 'latency') days = kept
        const before = now - kept * dayMs
        count += await deleteSums(kind, before - (before % dayMs), 'age', signal)
      }
      if (count > 0) log.info('Old rows of the ledger and of its sums were deleted; coarser sums stay', { count })
      if (!signal.aborted) await makeRoom(signal)
    },
  }
}

export type UsageRetention = ReturnType<typeof createUsageRetention>
