import { join, resolve } from 'node:path'
import { fail } from '../../kernel/errors.ts'
import type { Log } from '../log.ts'
import type { Database } from './database.ts'
import { openPostgres } from './postgres.ts'
import { openSqlite } from './sqlite.ts'

export type DatabaseOptions = {
  /** `postgres://…`, `sqlite:<path>`, `file:<path>`, or '' for `gatehouse.db` in the data folder. */
  url: string
  dataDir: string
  /** Most connections to PostgreSQL; SQLite has one writer whatever this says. */
  poolSize?: number
  /** PostgreSQL only; default 30 s. */
  statementTimeoutMs?: number
  /** SQLite only: a commit survives the end of the machine, for one sync of the disk each. */
  survivesPowerLoss?: boolean
  /** Writes are refused by the engine. The store must be there. */
  isReadOnly?: boolean
  log: Log
}

/**
 * Opens the main store that `url` names; the only place that looks at its scheme. SQLite is opened and checked here;
 * PostgreSQL is first spoken to by a query or `ping`. Rejects with `invalid_request` when waiting cannot help.
 */
export async function openDatabase<Tables>(options: DatabaseOptions): Promise<Database<Tables>> {
  const { url, dataDir, log, isReadOnly = false } = options
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(url)?.[1]?.toLowerCase()
  const survivesPowerLoss = options.survivesPowerLoss ?? false
  if (url === '')
    return openSqlite<Tables>({ file: resolve(join(dataDir, 'gatehouse.db')), survivesPowerLoss, isReadOnly, log })
  if (scheme === 'postgres' || scheme === 'postgresql') {
    return openPostgres<Tables>({
      url: isReadOnly ? withOption(url, 'default_transaction_read_only=on') : url,
      poolSize: options.poolSize ?? 10,
      statementTimeoutMs: options.statementTimeoutMs ?? 30_000,
      log,
    })
  }
  if (scheme === 'sqlite' || scheme === 'file')
    return openSqlite<Tables>({ file: sqliteFile(url), survivesPowerLoss, isReadOnly, log })
  const found = scheme === undefined ? 'has no scheme' : `has the scheme "${scheme}:"`
  throw fail(
    'invalid_request',
    `The database address ${found}. Use postgres://user:password@host:5432/database, sqlite:<path of a file>, or nothing for gatehouse.db in the data folder.`,
    { param: 'database.url' },
  )
}

/** The address of a PostgreSQL store whose sessions begin with a setting, beside those that the address has already. */
export function withOption(url: string, setting: string): string {
  if (!URL.canParse(url)) return url
  const changed = new URL(url)
  changed.searchParams.set('options', `${changed.searchParams.get('options') ?? ''} -c ${setting}`.trim())
  return changed.href
}

/** The file of a store that is SQLite; null for PostgreSQL. */
export function sqliteFileOf(url: string, dataDir: string): string | null {
  if (url === '') return resolve(join(dataDir, 'gatehouse.db'))
  return /^(sqlite|file):/i.test(url) ? sqliteFile(url) : null
}

function sqliteFile(url: string): string {
  const path = url.replace(/^(sqlite|file):(\/\/)?/i, '')
  if (path === '' || path.startsWith(':') || path.includes('?')) {
    throw fail(
      'invalid_request',
      'The SQLite address names no file: write sqlite:<path>, such as sqlite:/var/lib/gatehouse/gatehouse.db, without options and not :memory:.',
      { param: 'database.url' },
    )
  }
  return resolve(path)
}
