import type { PostgresDialectConfig, PostgresPool, PostgresPoolClient } from 'kysely'
import type { Pool, PoolClient } from 'pg'
import { loadPgCursor } from '../on-demand.ts'
import { storeError } from './faults.ts'

/** Said inside a transaction that may run long (a migration): neither the server nor the guard cuts it off. */
export const liftStatementLimit = 'set local statement_timeout = 0'

type GuardOptions = {
  where: string
  /** Longer than the server's own limit: what is still unanswered then has no server behind it. */
  limitMs: number
}

/**
 * What Kysely gets instead of the bare pool. It tells the driver's errors in our words, and ends connections whose
 * server has silently gone: without that, a lost network holds queries until the kernel gives up a quarter of an hour
 * later.
 */
export function guardPool(pool: Pool, options: GuardOptions): PostgresDialectConfig {
  const told = (error: unknown) => {
    throw storeError(error, options.where)
  }
  // Kysely recognises a connection by the identity of its client.
  const guards = new WeakMap<PoolClient, PostgresPoolClient>()
  // A client that breaks while it is lent out has nobody else listening, and an unheard 'error' ends the process.
  // Whoever uses the client learns of it from the query that fails.
  pool.on('connect', (client) => client.on('error', () => {}))

  const guarded: PostgresPool = {
    options: pool.options,
    async connect() {
      const client = await pool.connect().catch(told)
      let guard = guards.get(client)
      if (guard === undefined) {
        guard = guardClient(client, options)
        guards.set(client, guard)
      }
      return guard
    },
    end: () => pool.end(),
  }
  return { pool: guarded, cursor: guardCursor(options.where) }
}

function guardClient(client: PoolClient, { where, limitMs }: GuardOptions): PostgresPoolClient {
  let isLimited = true
  const hangUp = () =>
    (client as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy()

  async function run(text: string, parameters: readonly unknown[]) {
    if (text === liftStatementLimit) isLimited = false
    const timer = isLimited ? setTimeout(hangUp, limitMs).unref() : undefined
    try {
      return await client.query(text, parameters as unknown[])
    } catch (error) {
      throw storeError(error, where)
    } finally {
      clearTimeout(timer)
      if (text === 'commit' || text === 'rollback') isLimited = true
    }
  }

  return {
    query: ((query: string | { submit: unknown }, parameters: readonly unknown[]) =>
      typeof query === 'string'
        ? run(query, parameters)
        : client.query(query as never)) as unknown as PostgresPoolClient['query'],
    release(destroy) {
      isLimited = true
      client.release(destroy)
    },
    get processID() {
      return (client as unknown as { processID: number }).processID
    },
  } as PostgresPoolClient
}

function guardCursor(where: string): NonNullable<PostgresDialectConfig['cursor']> {
  const Cursor = loadPgCursor()
  return class GuardedCursor<Row> extends Cursor<Row> {
    #hasFailed = false

    override async read(rowCount: number): Promise<Row[]> {
      try {
        return await super.read(rowCount)
      } catch (error) {
        this.#hasFailed = true
        throw storeError(error, where)
      }
    }

    // The driver's own close waits for an answer that a broken connection never gives; after an error there is
    // nothing left to close.
    override async close(): Promise<void> {
      if (!this.#hasFailed) await super.close()
    }
  }
}
