import { sql } from 'kysely'
import type { Clock } from '../../kernel/clock.ts'
import { fail, HubError } from '../../kernel/errors.ts'
import type { Log } from '../log.ts'
import type { Database } from './database.ts'
import type { AnyDatabase, AnyTransaction } from './migration.ts'

/** Any number that nobody else uses for an advisory lock in this database: "gatehous" in ASCII. */
const lockKey = '7449363237540164979'
const pollMs = 250

export type LockedStore = {
  db: AnyDatabase
  transaction<R>(work: (trx: AnyTransaction) => Promise<R>): Promise<R>
}

type LockOptions = { log: Log; clock: Clock; lockWaitMs?: number }

/**
 * Runs `work` while no other process migrates the same store. PostgreSQL: a session lock on one connection, which the
 * transactions of `work` use too, so that a lost connection ends both together. SQLite: each transaction is the lock.
 * Rejects with `unavailable` when the other process has not finished after `lockWaitMs`.
 */
export async function withMigrationLock<R>(
  // biome-ignore lint/suspicious/noExplicitAny: any store can be migrated
  database: Database<any>,
  options: LockOptions,
  work: (store: LockedStore) => Promise<R>,
): Promise<R> {
  const db = database.kysely as AnyDatabase
  const wait = createWait(options)
  if (database.engine === 'sqlite') {
    return work({ db, transaction: (body) => wait(() => beginOrNull(db, body)) })
  }
  return db.connection().execute(async (connection) => {
    await wait(async () => ((await tryLock(connection)) ? { value: undefined } : null))
    try {
      return await work({ db: connection, transaction: (body) => connection.transaction().execute(body) })
    } finally {
      // When this fails the connection is gone, and the lock with it; the error of `work` is the one to tell.
      await sql`select pg_advisory_unlock(${sql.lit(lockKey)}::bigint)`.execute(connection).catch(() => {})
    }
  })
}

/** Repeats `attempt` until it gives a value; says once that it waits. */
function createWait({ log, clock, lockWaitMs = 60_000 }: LockOptions) {
  return async <R>(attempt: () => Promise<{ value: R } | null>): Promise<R> => {
    const start = clock.monotonic()
    for (let attempts = 0; ; attempts++) {
      const got = await attempt()
      if (got !== null) return got.value
      if (clock.monotonic() - start >= lockWaitMs) {
        throw fail(
          'unavailable',
          `Another process has been migrating this database for more than ${Math.round(lockWaitMs / 1000)} s. Wait until it has finished, or end it, and start again.`,
          { retryAfterMs: 5000 },
        )
      }
      if (attempts === 0) log.info('Waiting for another process to finish its migrations', { waitMs: lockWaitMs })
      await clock.sleep(pollMs)
    }
  }
}

async function tryLock(connection: AnyDatabase): Promise<boolean> {
  const { rows } = await sql<{ locked: boolean }>`
    select pg_try_advisory_lock(${sql.lit(lockKey)}::bigint) as locked
  `.execute(connection)
  return rows[0]?.locked === true
}

/** Null when another process holds the file; whatever fails after the start of the transaction is thrown. */
async function beginOrNull<R>(
  db: AnyDatabase,
  body: (trx: AnyTransaction) => Promise<R>,
): Promise<{ value: R } | null> {
  let hasBegun = false
  try {
    const value = await db.transaction().execute((trx) => {
      hasBegun = true
      return body(trx)
    })
    return { value }
  } catch (error) {
    if (!hasBegun && isBusy(error)) return null
    throw error
  }
}

function isBusy(error: unknown): boolean {
  const cause = error instanceof HubError ? (error.cause as { code?: unknown } | undefined) : undefined
  return typeof cause?.code === 'string' && cause.code.startsWith('SQLITE_BUSY')
}
