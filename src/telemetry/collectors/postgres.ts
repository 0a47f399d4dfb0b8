import { type PostgresStatistics, watchPostgres } from '../../platform/statistics/postgres.ts'
import { listTargets } from '../targets.ts'
import type { Collector, CollectorParts, Reading } from './collector.ts'

/** PostgreSQL, by its own statistics: the hub's store, where it is one, and what `collectors.postgres` names. */
export const postgres: Collector = {
  name: 'postgres',
  open({ metrics, log, config, own, guardSecret }) {
    const param = 'collectors.postgres'
    const targets = listTargets(own.postgres, config.postgres, { param, guardSecret })
    if (targets.length === 0) return []
    const families = openFamilies(metrics)
    return targets.map(({ target, url }) => {
      const watch = watchPostgres({
        url,
        timeoutMs: config.timeout_seconds * 1000,
        slowMs: config.slow_query_seconds * 1000,
      })
      let slow = 0
      let told = ''
      return {
        target,
        when: 'interval',
        async read() {
          const found = await watch.read()
          slow += found.statements?.slow ?? 0
          if (found.statementsMissing !== told && found.statementsMissing !== '') {
            log.info(`PostgreSQL (${target}): slow queries are not counted and the top ones not known`, {
              cause: found.statementsMissing,
              remedy:
                "Put pg_stat_statements into shared_preload_libraries, restart the server, then run CREATE EXTENSION pg_stat_statements as its superuser and GRANT pg_read_all_stats to the hub's role.",
            })
          }
          told = found.statementsMissing
          return toReadings(families, target, found, slow)
        },
        close: () => watch.close(),
      }
    })
  },
}

type Families = ReturnType<typeof openFamilies>

function openFamilies(metrics: CollectorParts['metrics']) {
  const own = ['target'] as const
  const gauge = <N extends string>(name: string, help: string, labels: readonly N[]) =>
    metrics.readings('gauge', `gatehouse_postgres_${name}`, help, labels)
  const counter = <N extends string>(name: string, help: string, labels: readonly N[]) =>
    metrics.readings('counter', `gatehouse_postgres_${name}_total`, help, labels)
  return {
    connections: gauge('connections', 'Connections of clients, by state.', ['target', 'state']),
    maxConnections: gauge('max_connections', 'Connections the server takes.', own),
    clock: gauge('clock_ahead_seconds', 'How far the clock of the server is ahead of ours.', own),
    waiting: gauge('lock_waiting_sessions', 'Sessions that wait for a lock.', own),
    waitedLocks: gauge('waited_locks', 'Locks that are waited for.', own),
    longest: gauge('longest_transaction_seconds', 'Age of the oldest open transaction.', own),
    slowRunning: gauge('slow_running', 'Statements that run now and are slow already.', own),
    bytes: gauge('database_bytes', 'Size of the database.', own),
    transactions: counter('transactions', 'Transactions of the database.', ['target', 'outcome']),
    blocks: counter('blocks', 'Blocks asked for: found in the buffers (hit) or not (read).', ['target', 'from']),
    deadlocks: counter('deadlocks', 'Deadlocks.', own),
    temp: counter('temp_bytes', 'Bytes that queries wrote to temporary files.', own),
    rows: counter('rows', 'Rows by what was done with them.', ['target', 'operation']),
    tableBytes: gauge('table_bytes', 'Size of the largest tables, with their indexes.', ['target', 'table']),
    tableRows: gauge('table_rows', 'Rows of the largest tables, as the server estimates them.', [
      ...(['target', 'table', 'kind'] as const),
    ]),
    hasStatements: gauge('statement_statistics', 'Whether pg_stat_statements tells of statements.', own),
    slow: counter(
      'slow_queries',
      'Statements run that were slow on average between two readings; absent without pg_stat_statements.',
      own,
    ),
    calls: counter('statement_calls', 'Calls of the ten statements that took most time.', [
      ...(['target', 'query', 'statement'] as const),
    ]),
    seconds: counter('statement_seconds', 'Time of the ten statements that took most of it.', [
      ...(['target', 'query', 'statement'] as const),
    ]),
  }
}

function toReadings(to: Families, target: string, found: PostgresStatistics, slow: number): Reading[] {
  const own = { target }
  const { statements } = found
  return [
    ...Object.entries(found.connections).map(([state, value]) => [to.connections, value, { target, state }] as const),
    [to.maxConnections, found.maxConnections, own],
    [to.clock, found.clockAheadSeconds, own],
    [to.waiting, found.waitingSessions, own],
    [to.waitedLocks, found.waitedLocks, own],
    [to.longest, found.longestTransactionSeconds, own],
    [to.slowRunning, found.slowRunning, own],
    [to.bytes, found.databaseBytes, own],
    [to.transactions, found.commits, { target, outcome: 'commit' }],
    [to.transactions, found.rollbacks, { target, outcome: 'rollback' }],
    [to.blocks, found.blocksHit, { target, from: 'hit' }],
    [to.blocks, found.blocksRead, { target, from: 'read' }],
    [to.deadlocks, found.deadlocks, own],
    [to.temp, found.tempBytes, own],
    ...Object.entries(found.rows).map(([operation, value]) => [to.rows, value, { target, operation }] as const),
    ...found.tables.flatMap(({ name: table, bytes, liveRows, deadRows }) => [
      [to.tableBytes, bytes, { target, table }] as const,
      [to.tableRows, liveRows, { target, table, kind: 'live' }] as const,
      [to.tableRows, deadRows, { target, table, kind: 'dead' }] as const,
    ]),
    [to.hasStatements, statements === null ? 0 : 1, own],
    ...(statements === null ? [] : [[to.slow, slow, own] as const]),
    ...(statements?.top ?? []).flatMap(({ id: query, text: statement, calls, seconds }) => [
      [to.calls, calls, { target, query, statement }] as const,
      [to.seconds, seconds, { target, query, statement }] as const,
    ]),
  ]
}
