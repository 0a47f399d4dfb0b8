import type pg from 'pg'
import { loadPg } from '../on-demand.ts'

/** What a PostgreSQL server tells of itself and of the database that the address names. */
export type PostgresStatistics = {
  /** Connections of clients by state, as `pg_stat_activity` names them; ours is among them. */
  connections: Readonly<Record<string, number>>
  maxConnections: number
  /** How far its clock is ahead of ours, give or take half the time that the question took. */
  clockAheadSeconds: number
  /** Sessions that wait for a lock now, and locks that are waited for. */
  waitingSessions: number
  waitedLocks: number
  longestTransactionSeconds: number
  /** Statements that run now for longer than asked for. */
  slowRunning: number
  databaseBytes: number
  commits: number
  rollbacks: number
  blocksHit: number
  blocksRead: number
  deadlocks: number
  tempBytes: number
  rows: Readonly<Record<'returned' | 'fetched' | 'inserted' | 'updated' | 'deleted', number>>
  /** The largest ones. */
  tables: readonly { name: string; bytes: number; liveRows: number; deadRows: number }[]
  /** From `pg_stat_statements`; null where it is not to be had, with the reason beside it. */
  statements: PostgresStatements | null
  statementsMissing: string
}

export type PostgresStatements = {
  /** Statements that were slow on average since the last reading, by how often they ran; 0 at the first reading. */
  slow: number
  /** Those that took most time. `text` has no constants: the server leaves them out of what it lets through here. */
  top: readonly { id: string; text: string; calls: number; seconds: number }[]
}

export type PostgresWatch = { read(): Promise<PostgresStatistics>; close(): Promise<void> }

const lockMs = 250
const topStatements = 10
const topTables = 20
const statementTextLength = 120
/** What `pg_stat_statements` holds unless somebody asked for more. */
const mostStatements = 5000

/**
 * One connection of its own, so that a pool that is used up is seen rather than waited for; made anew after a failure.
 * Everything it asks is read-only and cut off by the server after `timeoutMs`. `slowMs`: from when a statement is slow.
 */
export function watchPostgres(options: { url: string; timeoutMs: number; slowMs: number }): PostgresWatch {
  const { url, timeoutMs, slowMs } = options
  let client: pg.Client | null = null
  let before: ReadonlyMap<string, Ran> | null = null

  async function connect(): Promise<pg.Client> {
    const made = new (loadPg().Client)({
      connectionString: url,
      connectionTimeoutMillis: timeoutMs,
      statement_timeout: timeoutMs,
      query_timeout: timeoutMs,
      application_name: 'gatehouse-telemetry',
      options: `-c default_transaction_read_only=on -c lock_timeout=${lockMs}`,
    })
    // A connection that breaks between two readings: the next one learns of it.
    made.on('error', () => drop(made))
    try {
      await made.connect()
    } catch (error) {
      drop(made)
      throw error
    }
    return made
  }

  function drop(broken: pg.Client): void {
    if (client === broken) client = null
    ;(broken as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy()
  }

  async function readStatements(ask: Ask): Promise<Pick<PostgresStatistics, 'statements' | 'statementsMissing'>> {
    const [found] = await ask(
      `select n.nspname as schema from pg_extension e join pg_namespace n on n.oid = e.extnamespace
        where e.extname = 'pg_stat_statements'`,
    )
    if (found === undefined) return without('the extension pg_stat_statements is not in this database')
    const view = `${quote(String(found.schema))}.pg_stat_statements`
    try {
      const ran = await ask(
        `select userid || '/' || dbid || '/' || queryid || '/' || toplevel as key, calls, total_exec_time as ms
           from ${view} where max_exec_time >= $1 limit ${mostStatements}`,
        [slowMs],
      )
      const after = new Map(ran.map(({ key, calls, ms }) => [String(key), { calls: Number(calls), ms: Number(ms) }]))
      const slow = before === null ? 0 : countSlow(before, after, slowMs)
      before = after
      const top = await ask(
        `select queryid as id, left(min(query), ${statementTextLength}) as text, sum(calls) as calls,
                sum(total_exec_time) / 1000 as seconds
           from ${view} where dbid = (select oid from pg_database where datname = current_database())
            and queryid is not null
          group by queryid order by sum(total_exec_time) desc limit ${topStatements}`,
      )
      const toTop = ({ id, text, calls, seconds }: Row) => ({
        ...{ id: String(id), text: showStatement(String(text)), calls: Number(calls), seconds: Number(seconds) },
      })
      return { statements: { slow, top: top.map(toTop) }, statementsMissing: '' }
    } catch (error) {
      const { code, message } = error as { code?: string; message: string }
      // Not loaded at the start of the server, no right to look, a version with other columns: it never gets better.
      if (code === '55000' || code === '42501' || code === '42703') return without(message)
      throw error
    }
  }

  async function readAll(ask: Ask): Promise<PostgresStatistics> {
    const states = await ask(
      `select coalesce(state, 'unknown') as state, count(*) as sessions,
              count(*) filter (where wait_event_type = 'Lock') as waiting,
              coalesce(extract(epoch from max(clock_timestamp() - xact_start)), 0) as longest,
              count(*) filter (where state = 'active' and clock_timestamp() - query_start > $1 * interval '1 ms') as slow
         from pg_stat_activity where backend_type = 'client backend' group by 1`,
      [slowMs],
    )
    const askedAt = Date.now()
    const [one] = await ask(
      `select extract(epoch from clock_timestamp()) as clock, current_setting('max_connections') as most, pg_database_size(current_database()) as bytes,
              (select count(*) from pg_locks where not granted) as waited, d.*
         from pg_stat_database d where datname = current_database()`,
    )
    const clockAheadSeconds = one === undefined ? 0 : Number(one.clock) - (askedAt + Date.now()) / 2000
    if (one === undefined) throw new Error('pg_stat_database has no row of this database')
    const tables = await readTables(ask)
    const sum = (column: string) => states.reduce((total, row) => total + Number(row[column]), 0)
    return {
      connections: Object.fromEntries(states.map(({ state, sessions }) => [String(state), Number(sessions)])),
      maxConnections: Number(one.most),
      clockAheadSeconds,
      waitingSessions: sum('waiting'),
      waitedLocks: Number(one.waited),
      longestTransactionSeconds: Math.max(0, ...states.map(({ longest }) => Number(longest))),
      slowRunning: sum('slow'),
      databaseBytes: Number(one.bytes),
      commits: Number(one.xact_commit),
      rollbacks: Number(one.xact_rollback),
      blocksHit: Number(one.blks_hit),
      blocksRead: Number(one.blks_read),
      deadlocks: Number(one.deadlocks),
      tempBytes: Number(one.temp_bytes),
      rows: {
        ...{ returned: Number(one.tup_returned), fetched: Number(one.tup_fetched) },
        ...{ inserted: Number(one.tup_inserted), updated: Number(one.tup_updated), deleted: Number(one.tup_deleted) },
      },
      tables: tables.map(({ name, bytes, n_live_tup, n_dead_tup }) => ({
        ...{ name: String(name), bytes: Number(bytes), liveRows: Number(n_live_tup), deadRows: Number(n_dead_tup) },
      })),
      ...(await readStatements(ask)),
    }
  }

  return {
    async read() {
      client ??= await connect()
      const asked = client
      try {
        return await readAll(async (text, values = []) => (await asked.query(text, values)).rows as Row[])
      } catch (error) {
        // Whatever it was: what a broken connection would say next cannot be trusted.
        drop(asked)
        throw error
      }
    },
    async close() {
      if (client !== null) drop(client)
    },
  }
}

/**
 * The size of a table that somebody has locked for himself alone cannot be asked without waiting for him, and then the locks
 * would go unseen: such tables are left out, and all of them when one is locked just then.
 */
async function readTables(ask: Ask): Promise<Row[]> {
  const text = `select schemaname || '.' || relname as name, pg_total_relation_size(relid) as bytes, n_live_tup, n_dead_tup
                  from pg_stat_user_tables
                 where relid not in (
                   select relation from pg_locks where mode = 'AccessExclusiveLock' and relation is not null)
                 order by 2 desc nulls last limit ${topTables}`
  try {
    return await ask(text)
  } catch (error) {
    if ((error as { code?: string }).code === '55P03') return []
    throw error
  }
}

type Row = Record<string, unknown>
type Ask = (text: string, values?: unknown[]) => Promise<Row[]>
type Ran = { calls: number; ms: number }

function without(reason: string): Pick<PostgresStatistics, 'statements' | 'statementsMissing'> {
  return { statements: null, statementsMissing: reason }
}

function countSlow(before: ReadonlyMap<string, Ran>, after: ReadonlyMap<string, Ran>, slowMs: number): number {
  let slow = 0
  for (const [key, { calls, ms }] of after) {
    const known = before.get(key) ?? { calls: 0, ms: 0 }
    // Somebody emptied the statistics: what is there is what ran since.
    const from = calls < known.calls ? { calls: 0, ms: 0 } : known
    const ran = calls - from.calls
    if (ran > 0 && (ms - from.ms) / ran >= slowMs) slow += ran
  }
  return slow
}

/**
 * Constants of these are replaced by places; of others, such as `alter role … password '…'`, they are not.
 * https://www.postgresql.org/docs/current/pgstatstatements.html
 */
function showStatement(text: string): string {
  const flat = text.replace(/\s+/g, ' ').trim()
  return /^(select|insert|update|delete|with|merge|values)\b/i.test(flat) ? flat : (/^\w+/.exec(flat)?.[0] ?? '')
}

function quote(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}
