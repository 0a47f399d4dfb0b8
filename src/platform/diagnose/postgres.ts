import type pg from 'pg'
import { type Clock, waitAtMost } from '../../kernel/clock.ts'
import { loadPg } from '../on-demand.ts'
import { identifyServer } from './server.ts'

export type PostgresFault =
  | 'address'
  | 'name'
  | 'unreachable'
  | 'not_postgres'
  | 'tls'
  | 'password'
  | 'role'
  | 'refused_host'
  | 'database'
  | 'connections'
  | 'starting'
  | 'other'

export type PostgresLook =
  | { kind: 'fault'; fault: PostgresFault; where: string; message: string }
  | {
      kind: 'open'
      where: string
      version: string
      /** The server's clock less ours, in the middle of the question; ± half of `roundTripMs`. */
      aheadMs: number
      roundTripMs: number
      connections: number
      maxConnections: number
      isReadOnly: boolean
      canCreate: boolean
      /** Tables of the hub that the role may not read or not write. */
      forbidden: string[]
      /** Who waits for a lock for more than five seconds, and for whom. */
      lockWaits: string[]
    }

/** Connects once as the hub would, with no pool and no second try, and names what is wrong. Changes nothing. */
export async function lookAtPostgres(url: string, clock: Clock, timeoutMs = 4000): Promise<PostgresLook> {
  if (!URL.canParse(url) || url.includes('#')) {
    return { kind: 'fault', fault: 'address', where: 'database.url', message: 'the address cannot be read' }
  }
  const client = new (loadPg().Client)({
    connectionString: url,
    connectionTimeoutMillis: timeoutMs,
    statement_timeout: timeoutMs,
    query_timeout: timeoutMs,
  })
  const { host, port, user, database } = client
  const where = `PostgreSQL at ${host.startsWith('/') ? host : `${host}:${port}`}, role "${user}", database "${database}"`
  const fault = (kind: PostgresFault, message: string): PostgresLook => ({ kind: 'fault', fault: kind, where, message })
  if (!host.startsWith('/')) {
    const spoken = await identifyServer(host, port, Math.min(timeoutMs, 2000))
    if (!spoken.reached) return fault(/ENOTFOUND|EAI_/.test(spoken.code) ? 'name' : 'unreachable', spoken.message)
    if (spoken.kind !== 'postgres') {
      return fault(
        'not_postgres',
        `${host}:${port} answers as ${spoken.kind}${spoken.firstBytes && `: ${spoken.firstBytes}`}`,
      )
    }
  }
  client.on('error', () => {})
  try {
    await client.connect()
    return await readFacts(client, where, clock)
  } catch (error) {
    return fault(faultOf(error as Error & { code?: string }), (error as Error).message)
  } finally {
    await waitAtMost(
      clock,
      500,
      client.end().catch(() => {}),
    )
  }
}

async function readFacts(client: pg.Client, where: string, clock: Clock): Promise<PostgresLook> {
  const before = clock.now()
  const time = await client.query<{ now: number }>('select extract(epoch from clock_timestamp())::float8 * 1000 as now')
  const after = clock.now()
  const { rows } = await client.query<{
    version: string
    max: string
    used: string
    is_read_only: boolean
    can_create: boolean
    forbidden: string[]
    lock_waits: string[]
  }>(`
    select current_setting('server_version') as version, current_setting('max_connections') as max,
      (select count(*) from pg_stat_activity where backend_type = 'client backend') as used,
      pg_is_in_recovery() or current_setting('default_transaction_read_only') = 'on' as is_read_only,
      has_schema_privilege(coalesce(current_schema(), 'public'), 'create') as can_create,
      array(select c.relname::text from pg_class c where c.relnamespace = coalesce(current_schema(), 'public')::regnamespace
        and c.relkind = 'r'
        and not (has_table_privilege(c.oid, 'select') and has_table_privilege(c.oid, 'insert')
          and has_table_privilege(c.oid, 'update') and has_table_privilege(c.oid, 'delete'))
        order by 1 limit 5) as forbidden,
      array(select format('process %s of %s waits %s s for %s', a.pid, coalesce(a.usename, '?'),
          extract(epoch from clock_timestamp() - a.query_start)::int, array_to_string(pg_blocking_pids(a.pid), ', '))
        from pg_stat_activity a where a.datname = current_database() and a.wait_event_type = 'Lock'
          and a.query_start < clock_timestamp() - interval '5 seconds' order by a.query_start limit 5) as lock_waits`)
  const row = rows[0]!
  return {
    kind: 'open',
    where,
    version: row.version,
    aheadMs: Math.round(time.rows[0]!.now - (before + after) / 2),
    roundTripMs: after - before,
    connections: Number(row.used),
    maxConnections: Number(row.max),
    isReadOnly: row.is_read_only,
    canCreate: row.can_create,
    forbidden: row.forbidden,
    lockWaits: row.lock_waits,
  }
}

// SQLSTATE: https://www.postgresql.org/docs/current/errcodes-appendix.html
function faultOf({ code = '', message }: Error & { code?: string }): PostgresFault {
  if (code === '28P01' || message.startsWith('SASL')) return 'password'
  if (code === '28000') return /pg_hba\.conf/.test(message) ? 'refused_host' : 'role'
  if (code === '3D000') return 'database'
  if (code === '42501') return /database/.test(message) ? 'refused_host' : 'other'
  if (code === '53300' || /too many clients|too many connections/.test(message)) return 'connections'
  if (code.startsWith('57P0')) return 'starting'
  if (/SSL|certificate|self.signed/i.test(message) || /^(CERT_|DEPTH_|SELF_|UNABLE_|ERR_TLS|ERR_SSL|EPROTO)/.test(code))
    return 'tls'
  return /^(ECONN|ETIMEDOUT|EHOST|ENET|EPIPE)/.test(code) || /timeout|terminated/.test(message)
    ? 'unreachable'
    : 'other'
}
