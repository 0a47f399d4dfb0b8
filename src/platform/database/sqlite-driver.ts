import {
  CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  IdentifierNode,
  type QueryCompiler,
  type QueryResult,
  RawNode,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from 'kysely'
import type { WriteCounts } from './database.ts'
import { storeError } from './faults.ts'
import { ManyRows, type SqliteRequest, type SqliteResult, type SqliteThread } from './sqlite-thread.ts'

export type SqliteThreads = {
  writer: SqliteThread
  reader: SqliteThread
  where: string
  lock: Lock
  counts: WriteCounts
}

/** Lets one through at a time, in the order of asking. */
export type Lock = { acquire(): Promise<() => void> }

export function createLock(counts: WriteCounts): Lock {
  let tail = Promise.resolve()
  return {
    acquire() {
      let release = () => {}
      const askedAt = performance.now()
      counts.waiting++
      const mine = tail.then(() => {
        counts.waiting--
        counts.writes++
        counts.waitedMs += performance.now() - askedAt
        return release
      })
      tail = new Promise((resolve) => {
        release = resolve
      })
      return mine
    },
  }
}

/**
 * SQLite behind two threads. Transactions and single writes take turns on the writer, first come first served; reads
 * outside a transaction go to the reader and wait for nobody. What was committed is seen by every later read.
 */
export function sqliteDialect(threads: SqliteThreads): Dialect {
  return {
    createAdapter: () => new ThreadedAdapter(),
    createDriver: () => createDriver(threads),
    createIntrospector: (db) => new SqliteIntrospector(db),
    createQueryCompiler: () => new SqliteQueryCompiler(),
  }
}

class ThreadedAdapter extends SqliteAdapter {
  // Else Kysely would let one query at a time through, and a transaction would hold up every read.
  override get supportsMultipleConnections() {
    return true
  }
  override get supportsTransactionalDdl() {
    return true
  }
}

type SqliteConnection = DatabaseConnection & {
  begin(): Promise<void>
  finish(kind: 'commit' | 'rollback'): Promise<void>
  release(): void
}

function createDriver(threads: SqliteThreads): Driver {
  const of = (connection: DatabaseConnection) => connection as SqliteConnection
  const savepoint = async (
    command: string,
    connection: DatabaseConnection,
    name: string,
    compile: QueryCompiler['compileQuery'],
  ) => {
    const node = RawNode.createWithChildren([RawNode.createWithSql(`${command} `), IdentifierNode.create(name)])
    await connection.executeQuery(compile(node, CompiledQuery.raw('').queryId))
  }
  return {
    init: async () => {},
    acquireConnection: async () => createConnection(threads),
    beginTransaction: (connection) => of(connection).begin(),
    commitTransaction: (connection) => of(connection).finish('commit'),
    rollbackTransaction: (connection) => of(connection).finish('rollback'),
    savepoint: (connection, name, compile) => savepoint('savepoint', connection, name, compile),
    rollbackToSavepoint: (connection, name, compile) => savepoint('rollback to', connection, name, compile),
    releaseSavepoint: (connection, name, compile) => savepoint('release', connection, name, compile),
    releaseConnection: async (connection) => of(connection).release(),
    // Whoever opened the threads closes them.
    destroy: async () => {},
  }
}

function createConnection({ writer, reader, where, lock, counts }: SqliteThreads): SqliteConnection {
  // Set while a transaction of this connection has the writer.
  let leaveWriter: (() => void) | null = null

  function release() {
    leaveWriter?.()
    leaveWriter = null
  }

  async function ask(thread: SqliteThread, request: SqliteRequest): Promise<SqliteResult> {
    try {
      return await thread.call(request)
    } catch (error) {
      if (/^SQLITE_(BUSY|LOCKED)/.test(String((error as { code?: unknown }).code))) counts.busy++
      // The error was made where the thread's answer came in; its reader wants to know who asked.
      if (error instanceof Error) Error.captureStackTrace(error)
      throw storeError(error, where)
    }
  }

  async function write(request: SqliteRequest): Promise<SqliteResult> {
    if (leaveWriter !== null) return ask(writer, request)
    const leave = await lock.acquire()
    try {
      return await ask(writer, request)
    } finally {
      leave()
    }
  }

  return {
    release,

    async begin() {
      leaveWriter = await lock.acquire()
      try {
        await ask(writer, { kind: 'begin' })
      } catch (error) {
        release()
        throw error
      }
    },

    async finish(kind) {
      await ask(writer, { kind })
      release()
    },

    async executeQuery<Row>(query: CompiledQuery): Promise<QueryResult<Row>> {
      const inTransaction = leaveWriter !== null
      const { sql, parameters } = query
      const many = parameters[0] instanceof ManyRows ? parameters[0] : null
      const request: SqliteRequest = many
        ? { kind: 'many', before: many.before, after: many.after, rows: many.rows, give: many.give, inTransaction }
        : { kind: 'run', sql, parameters, inTransaction }
      const result = await (!inTransaction && !many && isRead(query) ? ask(reader, request) : write(request))
      const rows = toRows<Row>(result)
      if (result.changes === undefined) return { rows }
      const numAffectedRows = BigInt(result.changes)
      return result.insertId === undefined
        ? { rows, numAffectedRows }
        : { rows, numAffectedRows, insertId: BigInt(result.insertId) }
    },

    async *streamQuery<Row>(query: CompiledQuery, chunkSize: number): AsyncIterableIterator<QueryResult<Row>> {
      const inTransaction = leaveWriter !== null
      const thread = inTransaction ? writer : reader
      const { sql, parameters } = query
      const { stream = 0 } = await ask(thread, { kind: 'stream', sql, parameters, inTransaction })
      try {
        for (;;) {
          const chunk = await ask(thread, { kind: 'next', stream, count: chunkSize })
          if (chunk.rows.length > 0) yield { rows: toRows<Row>(chunk) }
          if (chunk.rows.length < chunkSize) return
        }
      } finally {
        await ask(thread, { kind: 'end', stream })
      }
    },
  }
}

/** Raw SQL is a read only where its text leaves no doubt; the writer runs everything. */
function isRead(query: CompiledQuery): boolean {
  if (query.query.kind === 'SelectQueryNode') return true
  if (query.query.kind !== 'RawNode') return false
  if (/^\s*(select|values)\b/i.test(query.sql)) return true
  return /^\s*with\b/i.test(query.sql) && !/\b(insert|update|delete|replace)\b/i.test(query.sql)
}

/** Rows cross the thread boundary without their column names, which would be most of the bytes. */
function toRows<Row>({ columns, rows }: SqliteResult): Row[] {
  return rows.map((values) => {
    const row: Record<string, unknown> = {}
    for (let i = 0; i < columns.length; i++) {
      const value = values[i]
      row[columns[i]!] =
        value instanceof Uint8Array ? Buffer.from(value.buffer, value.byteOffset, value.byteLength) : value
    }
    return row as Row
  })
}
