import { existsSync, renameSync } from 'node:fs'
import Database from 'better-sqlite3'
import type { Clock } from '../kernel/clock.ts'
import { fail, type HubError } from '../kernel/errors.ts'
import { makePrivate } from './files.ts'
import type { Log } from './log.ts'
import type { Metrics } from './metrics.ts'

/**
 * A durable queue of texts in one local file, written on the thread that serves and read by whoever carries the texts
 * on. One process owns the file; a second one that opens it is refused.
 */
export type Journal = {
  /**
   * Resolves after the commit that holds `body`. Everything appended in one turn of the event loop shares one
   * transaction and one promise. Rejects with HubError `ledger_unavailable`; nothing of that turn is kept then. `memo`
   * comes back with the entry while it is still in this process's memory, and is never written.
   */
  append(body: string, memo?: unknown): Promise<void>
  /** Oldest first. */
  read(limit: number): JournalEntry[]
  /** Forgets every entry up to and including `upToSeq`. */
  remove(upToSeq: number): void
  /** Moves one entry out of the queue into the table `ledger_rejects` of the same file, with the reason. */
  setAside(entry: JournalEntry, reason: string): void
  /** What was set aside, newest first. */
  rejects(limit: number): JournalReject[]
  /** Entries not yet removed. Kept in memory: costs nothing to ask. */
  size(): number
  /** False from a failed commit until a probe write, tried every second, succeeds. */
  isWritable(): boolean
  /** Commits what was appended, then closes the file. */
  close(): void
}

export type JournalEntry = { seq: number; body: string; memo?: unknown }
export type JournalReject = JournalEntry & { reason: string; at: number }

export type JournalOptions = {
  file: string
  clock: Clock
  log: Log
  metrics: Metrics
  /**
   * 'crash' survives the end of this process in any manner; 'power-loss' also the end of the machine, for one sync of
   * the disk per commit.
   */
  durability?: 'crash' | 'power-loss'
  /** The file stops growing here and appends fail, so that a store that is away for days can't fill the disk. */
  maxBytes?: number
}

type Batch = {
  bodies: string[]
  memos: unknown[]
  promise: Promise<void>
  resolve: () => void
  reject: (error: HubError) => void
}

const probeIntervalMs = 1000
const pageBytes = 4096
const commitBuckets = [0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.01, 0.05, 0.25, 1]

export function openJournal(options: JournalOptions): Journal {
  const { file, clock, log, metrics } = options
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
  let open = openOrBeginAnew(options)
  let size = open.count()
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
      recent.add(bodies, memos, open.insert(bodies))
      commitSeconds.observe((clock.monotonic() - startedAt) / 1000)
      size += bodies.length
      writable = true
      resolve()
    } catch (error) {
      failedCommits.inc()
      trouble(error)
      reject(unavailable(file, error))
    }
  }

  function trouble(error: unknown): void {
    if (writable) log.error('The journal cannot be written; new requests are refused until it can', { file, error })
    writable = false
    if (!probing) void probe(error)
  }

  async function probe(reason: unknown): Promise<void> {
    probing = true
    for (let why = reason; !writable; ) {
      await clock.sleep(probeIntervalMs, closing.signal)
      if (closing.signal.aborted) return
      try {
        if (isDamage(why) || !open.isOpen()) {
          open.close()
          open = openOrBeginAnew(options)
          size = open.count()
          recent.clear()
        }
        open.probe()
        writable = true
      } catch (error) {
        why = error
      }
    }
    probing = false
    log.info('The journal can be written again', { file })
  }

  /** Damage met while reading must stop the hub from taking work as surely as damage met while writing. */
  const watched = <T>(work: () => T): T => {
    try {
      return work()
    } catch (error) {
      if (isDamage(error)) trouble(error)
      throw error
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
    read: (limit) => (recent.size() === size ? recent.read(limit) : watched(() => open.read(limit))),
    remove(upToSeq) {
      recent.remove(upToSeq)
      size -= watched(() => open.remove(upToSeq))
    },
    setAside(entry, reason) {
      recent.clear()
      size -= watched(() => open.setAside(entry, reason, clock.now()))
    },
    rejects: (limit) => open.rejects(limit),
    size: () => size,
    isWritable: () => writable,
    close() {
      flush()
      closing.abort()
      open.close()
    },
  }
}

/** Most entries kept in memory beside the file. Past it the oldest are read from the file again. */
const mostRecent = 5000

/** The newest entries, so that carrying them on need not read them back. */
function createRecent() {
  let entries: JournalEntry[] = []
  let from = 0
  const clear = () => {
    entries = []
    from = 0
  }
  return {
    clear,
    size: () => entries.length - from,
    add(bodies: readonly string[], memos: readonly unknown[], lastSeq: number) {
      if (entries.length - from + bodies.length > mostRecent) clear()
      const before = lastSeq - bodies.length
      bodies.forEach((body, i) => void entries.push({ seq: before + i + 1, body, memo: memos[i] }))
    },
    read: (limit: number) => entries.slice(from, from + limit),
    remove(upToSeq: number) {
      while (from < entries.length && entries[from]!.seq <= upToSeq) from++
      if (from === entries.length) clear()
      else if (from > 1000) {
        entries = entries.slice(from)
        from = 0
      }
    },
  }
}

/** A damaged file may hold rows that a person can still save: it is moved aside, never deleted. */
function openOrBeginAnew(options: JournalOptions): OpenFile {
  try {
    return openFile(options)
  } catch (error) {
    if (!isDamage(error)) throw unavailable(options.file, error)
    const stamp = new Date(options.clock.now()).toISOString().replaceAll(/[:.]/g, '-')
    const aside = `${options.file}.damaged-${stamp}`
    for (const suffix of ['', '-wal', '-shm']) {
      if (existsSync(options.file + suffix)) renameSync(options.file + suffix, aside + suffix)
    }
    options.log.error('The journal is damaged; it was moved aside and a new one begun', {
      file: aside,
      error,
      remedy: `rows that were not settled yet are in that file; try: sqlite3 "${aside}" .recover`,
    })
    return openFile(options)
  }
}

type OpenFile = ReturnType<typeof openFile>

function openFile({ file, durability = 'crash', maxBytes = 4 * 1024 ** 3 }: JournalOptions) {
  // Made here, so that nobody else may read it: SQLite would leave that to the umask.
  makePrivate(file)
  const db = new Database(file, { timeout: 0 })
  try {
    // One owner: no shared memory, no lock calls per commit, and a second process is told at once.
    db.pragma('locking_mode = EXCLUSIVE')
    db.pragma('journal_mode = WAL')
    db.pragma(`synchronous = ${durability === 'power-loss' ? 'FULL' : 'NORMAL'}`)
    // A checkpoint syncs the disk on this thread: a larger log makes that rare.
    db.pragma('wal_autocheckpoint = 4000')
    db.pragma(`max_page_count = ${Math.max(16, Math.floor(maxBytes / pageBytes))}`)
    const verdict = db.pragma('quick_check(1)', { simple: true })
    if (verdict !== 'ok') throw new Database.SqliteError(String(verdict), 'SQLITE_CORRUPT')
    db.exec(`
      create table if not exists entries (seq integer primary key, body text not null);
      create table if not exists ledger_rejects (
        seq integer not null, body text not null, reason text not null, at integer not null);
      create table if not exists probe (id integer primary key, body blob not null);
    `)
  } catch (error) {
    db.close()
    throw error
  }

  const begin = db.prepare('begin immediate')
  const commit = db.prepare('commit')
  // Counted here: AUTOINCREMENT writes its counter with every row.
  let lastSeq = db
    .prepare<[], number>(
      'select max(ifnull((select max(seq) from entries), 0), ifnull((select max(seq) from ledger_rejects), 0))',
    )
    .pluck()
    .get()!
  const insert = db.prepare('insert into entries (seq, body) values (?, ?)')
  const read = db.prepare<[number], JournalEntry>('select seq, body from entries order by seq limit ?')
  const remove = db.prepare('delete from entries where seq <= ?')
  const removeOne = db.prepare('delete from entries where seq = ?')
  const keep = db.prepare('insert into ledger_rejects (seq, body, reason, at) values (?, ?, ?, ?)')
  const kept = db.prepare<[number], JournalReject>(
    'select seq, body, reason, at from ledger_rejects order by at desc, seq desc limit ?',
  )
  const count = db.prepare<[], number>('select count(*) from entries').pluck()
  // As much as a busy commit writes: a disk with room for one small row only is still full.
  const probe = db.prepare('replace into probe (id, body) values (1, zeroblob(65536))')

  const inTransaction = <T>(work: () => T): T => {
    begin.run()
    try {
      const result = work()
      commit.run()
      return result
    } catch (error) {
      // A full disk may have rolled back already.
      if (db.inTransaction) db.exec('rollback')
      throw error
    }
  }

  return {
    /** Returns the number of the last one; those before it have the numbers before it. */
    insert(bodies: readonly string[]): number {
      const insertAll = () => bodies.forEach((body, i) => void insert.run(lastSeq + i + 1, body))
      if (bodies.length === 1) insertAll()
      else inTransaction(insertAll)
      lastSeq += bodies.length
      return lastSeq
    },
    read: (limit: number) => read.all(limit),
    remove: (upToSeq: number) => remove.run(upToSeq).changes,
    setAside: (entry: JournalEntry, reason: string, at: number) =>
      inTransaction(() => {
        const removed = removeOne.run(entry.seq).changes
        if (removed > 0) keep.run(entry.seq, entry.body, reason, at)
        return removed
      }),
    rejects: (limit: number) => kept.all(limit),
    count: () => count.get() ?? 0,
    probe: () => void probe.run(),
    isOpen: () => db.open,
    close: () => void db.close(),
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : ''
}

function isDamage(error: unknown): boolean {
  const code = codeOf(error)
  return code.startsWith('SQLITE_CORRUPT') || code === 'SQLITE_NOTADB'
}

function unavailable(file: string, error: unknown): HubError {
  const code = codeOf(error)
  const remedy = code.startsWith('SQLITE_BUSY')
    ? 'another process has it open: give each hub its own data folder'
    : code.startsWith('SQLITE_FULL')
      ? 'the disk or the journal is full: free some space, or bring the main store back so that rows can move on'
      : 'check that the disk is there and that this user may write to it'
  return fail('ledger_unavailable', 'The ledger cannot be written, so nothing is served', {
    detail: `${file}: ${error instanceof Error ? error.message : String(error)}; ${remedy}`,
    retryAfterMs: probeIntervalMs,
    cause: error,
  })
}
