import { SqliteAdapter, sql } from 'kysely'
import type { AnyDatabase, Migration } from '../platform/database/index.ts'

/** What lists of requests are narrowed to: few of many are found at once, and who has none of it keeps none of it. */
const narrowed = ['tenant', 'user', 'agent', 'service', 'trace'] as const
const columnOf = {
  tenant: 'tenant_id',
  user: 'user_id',
  agent: 'agent',
  service: 'service',
  trace: 'trace_id',
} as const

/**
 * The ends of a range are counted from the index by time alone as far as durations go, and lists of one tenant, person,
 * agent, plugin service or trace no longer walk through everybody's requests.
 */
export const ledgerIndexesMigration: Migration = {
  name: '0033-ledger-indexes',

  async up(db) {
    const more = sql.raw('tenant_id, latency_ms, first_token_ms')
    await remakeByTime(db, isSqlite(db) ? sql`(started_at, id, ${more})` : sql`(started_at, id) include (${more})`)
    for (const name of narrowed) {
      const column = columnOf[name]
      const columns = name === 'trace' ? [column] : [column, 'started_at']
      // No row of `''` is in it, so that no engine takes it for a way to everybody's rows of a time.
      await sql`
        create index ${sql.id(`request_logs_by_${name}`)} on request_logs (${sql.join(columns.map((each) => sql.id(each)))})
        where ${sql.id(column)} <> ''
      `.execute(db)
    }
  },

  async down(db) {
    for (const name of narrowed) await sql`drop index ${sql.id(`request_logs_by_${name}`)}`.execute(db)
    await remakeByTime(db, sql`(started_at, id)`)
  },
}

async function remakeByTime(db: AnyDatabase, columns: ReturnType<typeof sql>): Promise<void> {
  await sql`drop index request_logs_by_time`.execute(db)
  await sql`create index request_logs_by_time on request_logs ${columns}`.execute(db)
}

function isSqlite(db: AnyDatabase): boolean {
  return db.getExecutor().adapter instanceof SqliteAdapter
}
