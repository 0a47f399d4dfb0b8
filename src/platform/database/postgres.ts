import { Kysely, PostgresDialect, sql } from 'kysely'
import { fail } from '../../kernel/errors.ts'
import type { Log } from '../log.ts'
import { loadPg } from '../on-demand.ts'
import type { Database } from './database.ts'
import { guardPool } from './postgres-guard.ts'

type PostgresOptions = { url: string; poolSize: number; statementTimeoutMs: number; log: Log }

/**
 * A pool on PostgreSQL; connections are made when they are needed. Bigint and numeric arrive as numbers (exact up to
 * 2^53, as the rules of `database.ts` want them). While the server is away queries reject with `unavailable`.
 */
export async function openPostgres<Tables>(options: PostgresOptions): Promise<Database<Tables>> {
  const { url, poolSize, statementTimeoutMs, log } = options
  const { where, settings } = readAddress(url)
  const pg = loadPg()
  // PostgreSQL's ids of the types that its driver would hand over as text.
  const numberTypes: ReadonlySet<number> = new Set([pg.types.builtins.INT8, pg.types.builtins.NUMERIC])
  const pool = new pg.Pool({
    ...settings,
    max: poolSize,
    connectionTimeoutMillis: 5000,
    idleTimeoutMillis: 30_000,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    statement_timeout: statementTimeoutMs,
    // A node that hangs between two statements must not hold its locks for ever.
    idle_in_transaction_session_timeout: 60_000,
    types: {
      getTypeParser: ((type: number, format?: 'text' | 'binary') =>
        numberTypes.has(type)
          ? Number
          : pg.types.getTypeParser(type, format as 'text')) as typeof pg.types.getTypeParser,
    },
  })
  let isClosed = false
  pool.on('error', (error) => {
    if (isClosed) return
    log.warn('An idle database connection broke; the next query makes a new one', { engine: 'postgres', error })
  })
  const guarded = guardPool(pool, { where, limitMs: statementTimeoutMs + 5000 })
  const kysely = new Kysely<Tables>({ dialect: new PostgresDialect(guarded) })
  return {
    engine: 'postgres',
    sqlite: null,
    kysely,
    async ping() {
      await sql`select 1`.execute(kysely)
    },
    async close() {
      if (isClosed) return
      isClosed = true
      // A server that is silently gone never answers the farewell.
      const givenUp = new Promise<void>((resolve) => setTimeout(resolve, 5000).unref())
      await Promise.race([pool.end(), givenUp])
    },
  }
}

/** The driver's settings for `url`, and how operators are told which server, role and database it means. */
function readAddress(url: string): { where: string; settings: { connectionString: string } } {
  // The driver guesses on where an unescaped character has cut the address short, and would try some other host.
  if (!URL.canParse(url) || url.includes('#')) {
    throw fail(
      'invalid_request',
      'The database address cannot be read. Write postgres://user:password@host:5432/database and percent-encode special characters in the password (# is %23, @ is %40, / is %2F).',
      { param: 'database.url' },
    )
  }
  // Made only for what it reads from the address, from its own defaults and from PGUSER and the like.
  const { host, port, user, database } = new (loadPg().Client)({ connectionString: url })
  const at = host.startsWith('/') ? host : `${host}:${port}`
  return { where: `PostgreSQL at ${at}, role "${user}", database "${database}"`, settings: { connectionString: url } }
}
