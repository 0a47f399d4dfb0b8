import type { Clock } from '../../kernel/clock.ts'
import { fail, HubError } from '../../kernel/errors.ts'
import type { Log } from '../log.ts'
import type { Database } from './database.ts'
import { isSettingFault } from './faults.ts'

export type WaitOptions = {
  /** Default 30. */
  tries?: number
  /** Default 2000. */
  intervalMs?: number
  clock: Clock
  log: Log
}

/**
 * Opens the store and waits until it answers. Rejects with `unavailable` after the last try, and at once with
 * `invalid_request` when waiting cannot help: wrong role, password or database, or a file that is no database.
 */
export async function waitForDatabase<Tables>(
  open: () => Promise<Database<Tables>>,
  { tries = 30, intervalMs = 2000, clock, log }: WaitOptions,
): Promise<Database<Tables>> {
  let last: unknown
  log.info('Waiting for database')
  for (let attempt = 1; attempt <= tries; attempt++) {
    try {
      const database = await openAndPing(open)
      log.info('Database is ready', { engine: database.engine })
      return database
    } catch (error) {
      if (!(error instanceof HubError) || error.code !== 'unavailable') throw error
      if (isSettingFault(error)) throw settingError(error)
      last = error
      log.warn('Waiting for database', { attempt, count: tries, cause: reasonOf(error), waitMs: intervalMs })
    }
    if (attempt < tries) await clock.sleep(intervalMs)
  }
  throw fail(
    'unavailable',
    `The database did not answer in ${tries} tries. ${reasonOf(last)}. Start it, or correct database.url (DATABASE_URL).`,
    { cause: last },
  )
}

async function openAndPing<Tables>(open: () => Promise<Database<Tables>>): Promise<Database<Tables>> {
  const database = await open()
  try {
    await database.ping()
    return database
  } catch (error) {
    await database.close().catch(() => {})
    throw error
  }
}

function settingError(error: HubError): HubError {
  return fail('invalid_request', `${reasonOf(error)}. ${remedyFor(error.cause as Error & { code?: unknown })}`, {
    param: 'database.url',
    cause: error.cause,
  })
}

function remedyFor({ code, message }: Error & { code?: unknown }): string {
  if (code === '28P01') {
    return 'Correct the password in database.url (DATABASE_URL), or set it anew: ALTER ROLE … PASSWORD … PostgreSQL says the same of a role that is not there: CREATE ROLE … LOGIN PASSWORD …'
  }
  if (code === '28000' && message.endsWith('does not exist')) {
    return 'Create the role (CREATE ROLE … LOGIN PASSWORD …), or name another one in database.url (DATABASE_URL). Is it the server you mean that listens there?'
  }
  if (code === '3D000') {
    return 'Create the database (CREATE DATABASE … OWNER …), or name another one in database.url (DATABASE_URL).'
  }
  if (typeof code === 'string' && code.startsWith('28')) {
    return 'Let this role in from this host in pg_hba.conf (with TLS: add ?sslmode=require), or name another role in database.url (DATABASE_URL).'
  }
  if (message.startsWith('unsupported startup parameter')) {
    return 'A pooler stands before the server: let it pass statement_timeout and idle_in_transaction_session_timeout on (PgBouncer: ignore_startup_parameters), or name the server itself in database.url (DATABASE_URL).'
  }
  return 'Correct database.url (DATABASE_URL): role, password and TLS settings (?sslmode=…) must fit the server.'
}

function reasonOf(error: unknown): string {
  if (error instanceof HubError) return (error.detail ?? error.message).replace(/\.$/, '')
  return error instanceof Error ? error.message : String(error)
}
