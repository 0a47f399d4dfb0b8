import { dirname } from 'node:path'
import { Kysely, sql } from 'kysely'
import { fail, HubError } from '../../kernel/errors.ts'
import { checkFolderUse } from '../data-folder.ts'
import { makePrivate, readFileSize } from '../files.ts'
import type { Log } from '../log.ts'
import type { Database, WriteCounts } from './database.ts'
import { isSettingFault, storeError } from './faults.ts'
import { createLock, sqliteDialect } from './sqlite-driver.ts'
import { startSqliteThread } from './sqlite-thread.ts'

type SqliteOptions = {
  file: string
  /** How long a write waits for another process that holds the file; default 5 s. */
  busyTimeoutMs?: number
  /** Whether each commit waits for the disk. */
  survivesPowerLoss?: boolean
  /** Both threads only read. */
  isReadOnly?: boolean
  log: Log
}

/**
 * Opens (or makes) the SQLite file, in WAL mode, and proves that it can be written. Rejects with `invalid_request` and
 * the remedy when folder or file cannot be used, with `unavailable` when another process holds the file too long.
 */
export async function openSqlite<Tables>(options: SqliteOptions): Promise<Database<Tables>> {
  const { file, busyTimeoutMs = 5000, survivesPowerLoss = false, isReadOnly = false, log } = options
  assertFolder(file)
  if (!isReadOnly) makeFile(file)
  const onCrash = (error: unknown) => {
    log.error('The SQLite thread ended; the store is lost until a restart', { error, file })
  }
  const writer = startSqliteThread({ file, isReadOnly, busyTimeoutMs, survivesPowerLoss }, onCrash)
  const reader = startSqliteThread({ file, isReadOnly: true, busyTimeoutMs, survivesPowerLoss }, onCrash)
  try {
    await writer.call({ kind: 'open' })
    // After the writer: a file that is not there yet cannot be opened for reading.
    await reader.call({ kind: 'open' })
  } catch (error) {
    await Promise.all([writer.close(), reader.close()])
    throw openingError(error, file)
  }

  const counts: WriteCounts = { writes: 0, waitedMs: 0, waiting: 0, busy: 0 }
  const lock = createLock(counts)
  const kysely = new Kysely<Tables>({
    dialect: sqliteDialect({ writer, reader, where: `SQLite file ${file}`, lock, counts }),
  })
  let closing: Promise<void> | null = null
  return {
    engine: 'sqlite',
    kysely,
    async ping() {
      await sql`select 1`.execute(kysely)
    },
    async sqlite() {
      const { rows } = await sql<{ pages: number; free_pages: number; page_bytes: number }>`
        select page_count as pages, freelist_count as free_pages, page_size as page_bytes
          from pragma_page_count(), pragma_freelist_count(), pragma_page_size()`.execute(kysely)
      const { pages, free_pages, page_bytes } = rows[0]!
      return {
        ...{ ...counts, pages, freePages: free_pages, pageBytes: page_bytes },
        ...{ fileBytes: readFileSize(file) ?? 0, walBytes: readFileSize(`${file}-wal`) ?? 0 },
      }
    },
    close() {
      closing ??= close()
      return closing
    },
  }

  async function close() {
    // What has been asked for before is finished first.
    const leave = await lock.acquire()
    await reader.close()
    await writer.close()
    // What is asked for later is refused by the threads; behind a lock that nobody leaves it would wait for good.
    leave()
  }
}

/** -wal and -shm beside the file get its mode. */
function makeFile(file: string) {
  try {
    makePrivate(file)
  } catch {
    // SQLite meets the same trouble, and its error is told with a remedy.
  }
}

function assertFolder(file: string) {
  const trouble = checkFolderUse(dirname(file), true)
  if (trouble === null) return
  const { path, reason, blocker, runningAs } = trouble
  throw fail(
    'invalid_request',
    `The data folder ${path} cannot be used: ${reason}. The hub runs as ${runningAs}; ${blocker.path} is a ${blocker.kind} of ${blocker.owner}, mode ${blocker.mode}. Give the folder to that user (chown, chmod u+rwx), or name another one with --data or GATEHOUSE_DATA_DIR.`,
    { param: 'data.dir', detail: reason },
  )
}

function openingError(error: unknown, file: string): unknown {
  const code = (error as { code?: unknown }).code
  if (isSettingFault(error)) {
    return fail(
      'invalid_request',
      `${file} is not a SQLite database, or it is damaged (${String(code)}). Move it away to start with an empty store, restore it from a backup, or name another file in database.url.`,
      { param: 'database.url', cause: error },
    )
  }
  if (code === 'SQLITE_CANTOPEN' || (typeof code === 'string' && /^SQLITE_(READONLY|PERM|AUTH|CANTOPEN)/.test(code))) {
    return fail(
      'invalid_request',
      `The database file ${file} cannot be opened for writing (${code}). Give the file and the -wal and -shm files beside it to the user the hub runs as (chown, chmod u+rw), or name another file in database.url.`,
      { param: 'database.url', cause: error },
    )
  }
  return error instanceof HubError ? error : storeError(error, `SQLite file ${file}`)
}
