import { type Clock, waitAtMost } from '../kernel/clock.ts'
import { fail, HubError } from '../kernel/errors.ts'
import { type Heartbeats, unwatched } from '../kernel/heartbeats.ts'
import type { JournalEntry } from '../platform/journal/entry.ts'
import type { Journal } from '../platform/journal/journal.ts'
import type { Log } from '../platform/log.ts'
import { durationBuckets, type Metrics } from '../platform/metrics.ts'
import { readEntry, summedRow, valuesOf, writeEntry } from './entry-text.ts'
import type { PriceList } from './price-list.ts'
import type { SettledRow } from './rows.ts'
import type { Ledger } from './schema.ts'
import type { UsageStore } from './store.ts'

export type LedgerParts = {
  journal: Journal
  store: Pick<UsageStore, 'settle'>
  prices: PriceList
  clock: Clock
  log: Log
  metrics: Metrics
  /** Told of rows that the store has taken, perhaps twice of the same. */
  stored?(rows: readonly SettledRow[]): void
  heartbeats?: Heartbeats | undefined
}

export type SettlingLedger = Ledger & {
  /** Moves one batch from the journal to the store; returns how many entries left the journal. */
  settle(): Promise<number>
  /** Settles from now on, until `flush` or `stop`. */
  start(): void
  /** Stops settling, then moves what it can within `limitMs`; the rest stays in the journal for the next start. */
  flush(limitMs: number): Promise<void>
  /** Rows of this node that the store does not have yet. */
  pending(): number
  /** Time up to which every row of this node is in the store, epoch ms. */
  dataAsOf(): number
}

/** Small enough that reading one back keeps the serving thread for a millisecond or two. */
const batchRows = 500
const idleMs = 200
const longestBackoffMs = 5000
/** A turn with statements that run into their time-out and the wait after them: an outage wedges nothing. */
const longestTurnMs = 60_000

/**
 * Rows go to the local journal at once and to the store when it answers. The store counts a request id once, so a
 * batch that was stored but not yet forgotten by the journal may be sent again without harm.
 */
export function createLedger({
  journal,
  store,
  prices,
  clock,
  log,
  metrics,
  stored,
  heartbeats = unwatched,
}: LedgerParts): SettlingLedger {
  const settledTotal = metrics
    .counter('gatehouse_ledger_settled_total', 'Rows moved from the journal to the store.')
    .with({})
  const rejectedTotal = metrics
    .counter(
      'gatehouse_ledger_rejected_total',
      'Journal entries that no store would take, kept aside in rejects.jsonl of the journal.',
    )
    .with({})
  const commitSeconds = metrics
    .histogram('gatehouse_ledger_commit_seconds', 'Time to store one batch of rows with its sums.', [], durationBuckets)
    .with({})
  const pendingRows = metrics
    .gauge('gatehouse_ledger_pending_rows', 'Rows in the journal that the store lacks.')
    .with({})
  const lag = metrics
    .gauge('gatehouse_ledger_lag_seconds', 'How old what the store has is: 0 when it has every row.')
    .with({})
  metrics.beforeRender(() => {
    pendingRows.set(journal.size())
    lag.set(Math.max(0, clock.now() - dataAsOf()) / 1000)
  })

  const stopping = new AbortController()
  /** While the settler waits for more rows: cut short by a full batch. */
  let gathering: AbortController | null = null
  let running: Promise<number> | null = null
  let settledAt = clock.now()

  function dataAsOf(): number {
    return journal.size() === 0 ? clock.now() : settledAt
  }

  function settle(): Promise<number> {
    running ??= settleBatch().finally(() => {
      running = null
    })
    return running
  }

  async function settleBatch(): Promise<number> {
    const readAt = clock.now()
    const entries = journal.read(batchRows)
    const last = entries.at(-1)
    if (last === undefined) return 0
    const rows: { entry: JournalEntry; row: SettledRow }[] = []
    for (const entry of entries) {
      try {
        rows.push({ entry, row: (entry.memo as SettledRow | undefined) ?? readEntry(entry.body) })
      } catch (error) {
        setAside(entry, error)
      }
    }
    const startedAt = clock.monotonic()
    await storeRows(rows)
    commitSeconds.observe((clock.monotonic() - startedAt) / 1000)
    journal.remove(last.seq)
    if (entries.length < batchRows) settledAt = readAt
    return entries.length
  }

  /** A row the store refuses for what it holds must not hold up the others: halves are tried until it stands alone. */
  async function storeRows(rows: readonly { entry: JournalEntry; row: SettledRow }[]): Promise<void> {
    if (rows.length === 0) return
    try {
      await store.settle(
        rows.map(({ row }) => row),
        rows.map(({ entry }) => valuesOf(entry.body)),
      )
      settledTotal.inc(rows.length)
      stored?.(rows.map(({ row }) => row))
    } catch (error) {
      if (!isFaultOfARow(error)) throw error
      if (rows.length === 1) return setAside(rows[0]!.entry, error)
      const middle = rows.length >> 1
      await storeRows(rows.slice(0, middle))
      await storeRows(rows.slice(middle))
    }
  }

  function setAside(entry: JournalEntry, error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error)
    journal.setAside(entry, reason)
    rejectedTotal.inc()
    log.error('A journal entry cannot be settled; it was set aside in rejects.jsonl of the journal', {
      error,
    })
  }

  /**
   * Waiting a moment lets one transaction carry many rows. Not longer than a batch takes to fill: rows that outlive two
   * young collections are copied into the old heap, and its collections then cost more than all the settling.
   */
  async function gather(): Promise<void> {
    gathering = new AbortController()
    await clock.sleep(idleMs, gathering.signal)
    gathering = null
  }

  async function keepSettling(): Promise<void> {
    const heart = heartbeats.watch('settler', longestTurnMs)
    let backoffMs = 0
    while (!stopping.signal.aborted) {
      heart.beat()
      if (backoffMs > 0) await clock.sleep(Math.max(idleMs, backoffMs), stopping.signal)
      else if (journal.size() < batchRows) await gather()
      if (stopping.signal.aborted || journal.size() === 0) continue
      try {
        await settle()
        if (backoffMs > 0) log.info('The store takes rows of the ledger again', { count: journal.size() })
        backoffMs = 0
      } catch (error) {
        if (backoffMs === 0) {
          log.warn('The store takes no rows of the ledger; they wait in the journal', { error, count: journal.size() })
        }
        backoffMs = Math.min(longestBackoffMs, Math.max(idleMs, backoffMs * 2))
      }
      await new Promise((resolve) => setImmediate(resolve))
    }
    heart.end()
  }

  return {
    record(entry) {
      let text: string
      const cost = prices.cost(entry)
      const wastedNanoUsd = prices.wasted(entry)
      try {
        text = writeEntry(entry, cost, wastedNanoUsd)
      } catch (cause) {
        return Promise.reject(
          fail('internal', undefined, { cause, detail: 'the entry of a request cannot be written as JSON' }),
        )
      }
      // Up to now the store has everything, however long ago it last took something.
      if (journal.size() === 0) settledAt = clock.now()
      if (gathering !== null && journal.size() >= batchRows) gathering.abort()
      return journal.append(text, summedRow(entry, cost, wastedNanoUsd))
    },
    isWritable: () => journal.isWritable(),
    settle,
    start: () => void keepSettling(),
    async flush(limitMs) {
      stopping.abort()
      gathering?.abort()
      const deadline = clock.monotonic() + limitMs
      const settleAll = async () => {
        while (journal.size() > 0 && clock.monotonic() < deadline) await settle()
      }
      await waitAtMost(
        clock,
        limitMs,
        settleAll().catch(() => {}),
      )
      if (journal.size() > 0) {
        log.warn('Some rows of the ledger wait in the journal for the next start', { count: journal.size() })
      }
    },
    pending: () => journal.size(),
    dataAsOf,
  }
}

/**
 * SQLSTATE classes 22, 23 and 54 and their kin in SQLite: the data is wrong, and no repeat can help.
 * https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
function isFaultOfARow(error: unknown): boolean {
  if (error instanceof HubError || !(error instanceof Error) || !('code' in error)) return false
  return /^((22|23|54)...|SQLITE_(CONSTRAINT|MISMATCH|TOOBIG|RANGE).*)$/.test(String(error.code))
}
