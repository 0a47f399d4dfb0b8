import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { fail, type HubError } from '../../kernel/errors.ts'
import type { Metrics } from '../metrics.ts'
import type { JournalEntry, JournalReject } from './entry.ts'
import { type FilesOptions, type JournalFiles, JournalFull, openFiles } from './files.ts'
import { takeOwnership } from './owner.ts'
import { createRecent } from './recent.ts'
import { Damage } from './segments.ts'

/**
 * A durable queue of texts in a local folder, written on the thread that serves and read by whoever carries the texts
 * on. One process owns the folder; a second one that opens it is refused. docs/adr/0019 says why it is no database.
 */
export type Journal = {
  /**
   * Resolves after the commit that holds `body`. Everything appended in one turn of the event loop shares one commit,
   * which is one write, and one promise. Rejects with HubError `ledger_unavailable`; nothing of that turn is kept then.
   * `memo` comes back with the entry while it is still in this process's memory, and is never written.
   */
  append(body: string, memo?: unknown): Promise<void>
  /** Oldest first. */
  read(limit: number): JournalEntry[]
  /** Forgets every entry up to and including `upToSeq`. */
  remove(upToSeq: number): void
  /** Moves one entry out of the queue into the file `rejects.jsonl` of the same folder, with the reason. */
  setAside(entry: JournalEntry, reason: string): void
  /** What was set aside, newest first. */
  rejects(limit: number): JournalReject[]
  /** Entries not yet removed. Kept in memory: costs nothing to ask. */
  size(): number
  /** False from a failed commit until a probe write, tried every second, succeeds. */
  isWritable(): boolean
  /** Commits what was appended, then closes the files. */
  close(): void
}

export type JournalOptions = FilesOptions & { metrics: Metrics }

type Batch = {
  bodies: string[]
  memos: unknown[]
  promise: Promise<void>
  resolve: () => void
  reject: (error: HubError) => void
}

const probeIntervalMs = 1000
const commitBuckets = [0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.01, 0.05, 0.25, 1]

export function openJournal(options: JournalOptions): Journal {
  const { folder, clock, log, metrics } = options
  const commitSeconds = metrics
    .histogram(
      'gatehouse_journal_commit_seconds',
      'Time to commit what one turn appended to the journal.',
      [],
      commitBuckets,
    )
    .with({})
  const failedCommits = metrics
    .counter('gatehouse_journal_failed_commits_total', 'Commits the journal could not make.')
    .with({})
  const owner = own(folder)
  let files = openOrGiveUp(options, owner)
  const recent = createRecent()
  let batch: Batch | null = null
  let writable = true
  let probing = false
  const closing = new AbortController()

  const flush = () => {
    if (!batch) return
    const { bodies, memos, resolve, reject } = batch
    batch = null
    const startedAt = clock.monotonic()
    try {
      assertOpen()
      recent.add(bodies, memos, files.append(bodies))
      commitSeconds.observe((clock.monotonic() - startedAt) / 1000)
      writable = true
      resolve()
    } catch (error) {
      failedCommits.inc()
      trouble(error)
      reject(unavailable(folder, error))
    }
  }

  /** The folder may be another process's by now. */
  function assertOpen(): void {
    if (closing.signal.aborted) throw new Error('the journal is closed')
  }

  function trouble(error: unknown): void {
    if (writable)
      log.error('The journal cannot be written; new requests are refused until it can', { file: folder, error })
    writable = false
    if (!probing) void probe()
  }

  async function probe(): Promise<void> {
    probing = true
    while (!writable) {
      await clock.sleep(probeIntervalMs, closing.signal)
      if (closing.signal.aborted) return
      try {
        files.probe()
        writable = true
      } catch {
        // It was told once; the next try is in a second.
      }
    }
    probing = false
    log.info('The journal can be written again', { file: folder })
  }

  /** Reads from the files; damage is put aside at once, as at a start, and what is sound goes on. */
  function readFiles(limit: number): JournalEntry[] {
    assertOpen()
    try {
      return files.read(limit)
    } catch (error) {
      if (!(error instanceof Damage)) throw error
      const before = files
      files = openFiles(options, before.lastSeq())
      before.close()
      recent.clear()
      return files.read(limit)
    }
  }

  return {
    append(body, memo) {
      if (!batch) {
        const { promise, resolve, reject } = Promise.withResolvers<void>()
        batch = { bodies: [], memos: [], promise, resolve, reject }
        setImmediate(flush)
      }
      batch.bodies.push(body)
      batch.memos.push(memo)
      return batch.promise
    },
    // What this process wrote and nobody has removed is still at hand, unless there is more than is kept so.
    read: (limit) => (recent.size() === files.size() ? recent.read(limit) : readFiles(limit)),
    remove(upToSeq) {
      // Then the next start asks for these rows once more.
      if (closing.signal.aborted) return
      recent.remove(upToSeq)
      try {
        files.remove(upToSeq)
      } catch (error) {
        trouble(error)
      }
    },
    setAside(entry, reason) {
      assertOpen()
      recent.clear()
      files.setAside(entry, reason)
    },
    rejects: (limit) => files.rejects(limit),
    size: () => files.size(),
    isWritable: () => writable,
    close() {
      if (closing.signal.aborted) return
      flush()
      closing.abort()
      files.close()
      owner.release()
    },
  }
}

function own(folder: string): { release(): void } {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    return takeOwnership(join(folder, 'owner.lock'))
  } catch (error) {
    throw unavailable(folder, error)
  }
}

function openOrGiveUp(options: JournalOptions, owner: { release(): void }): JournalFiles {
  try {
    return openFiles(options)
  } catch (error) {
    owner.release()
    throw unavailable(options.folder, error)
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : ''
}

function unavailable(folder: string, error: unknown): HubError {
  const code = codeOf(error)
  const remedy = code.startsWith('SQLITE_BUSY')
    ? 'another process has it open: give each hub its own data folder'
    : error instanceof JournalFull || code === 'ENOSPC' || code === 'EDQUOT'
      ? 'the disk or the journal is full: free some space, or bring the main store back so that rows can move on'
      : 'check that the disk is there and that this user may write to it'
  return fail('ledger_unavailable', 'The ledger cannot be written, so nothing is served', {
    detail: `${folder}: ${error instanceof Error ? error.message : String(error)}; ${remedy}`,
    retryAfterMs: probeIntervalMs,
    cause: error,
  })
}
