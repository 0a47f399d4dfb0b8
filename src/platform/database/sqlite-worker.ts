/**
 * The thread that owns one SQLite connection, so that no statement, however long, stops the event loop that serves
 * callers. The hub runs two: one that writes and one that reads.
 */
import { parentPort, workerData } from 'node:worker_threads'
import Sqlite from 'better-sqlite3'
import { collectStartGarbage } from '../start-garbage.ts'
import { placesFor } from './sqlite-places.ts'
import type { SqliteReply, SqliteRequest, SqliteResult, SqliteThreadOptions } from './sqlite-thread.ts'

type Statement = Sqlite.Statement<unknown[], unknown[]>
type Prepared = { statement: Statement; columns: readonly string[]; schemaVersion: number }
type Stream = { columns: readonly string[]; rows: Iterator<unknown[]>; end(): void }

const { file, isReadOnly, busyTimeoutMs, survivesPowerLoss } = workerData as SqliteThreadOptions
const cacheSize = 256
const nothing: SqliteResult = { columns: [], rows: [] }

let db: Sqlite.Database
let schemaVersion: Sqlite.Statement<[], number>
const cache = new Map<string, Prepared>()
const manyCacheSize = 16
const manyCache = new Map<string, Statement>()
const streams = new Map<number, Stream>()
let lastStream = 0

parentPort?.on('message', ({ id, request }: { id: number; request: SqliteRequest }) => {
  let reply: SqliteReply
  try {
    reply = { id, result: answer(request) }
  } catch (error) {
    const { code, message } = error as Error & { code?: unknown }
    reply = { id, error: { code: typeof code === 'string' ? code : '', message } }
  }
  parentPort?.postMessage(reply)
})

function answer(request: SqliteRequest): SqliteResult {
  switch (request.kind) {
    case 'open':
      return open()
    case 'begin':
      // Left over only when a rollback itself failed.
      if (db.inTransaction) db.exec('rollback')
      db.exec('begin immediate')
      return nothing
    case 'commit':
      assertTransaction()
      db.exec('commit')
      return nothing
    case 'rollback':
      // SQLite has already rolled back by itself after some errors, such as a full disk.
      if (db.inTransaction) db.exec('rollback')
      return nothing
    case 'run':
      if (request.inTransaction) assertTransaction()
      return run(request.sql, request.parameters)
    case 'many':
      if (request.inTransaction) assertTransaction()
      return runMany(request)
    case 'stream':
      return openStream(request.sql, request.parameters, request.inTransaction)
    case 'next':
      return readStream(request.stream, request.count)
    case 'end':
      streams.get(request.stream)?.end()
      streams.delete(request.stream)
      return nothing
    case 'close':
      return close()
    default:
      // Only a defect of ours sends anything else: better no thread than one out of step with its caller.
      process.exit(70)
  }
}

function open(): SqliteResult {
  db = connect()
  collectStartGarbage()
  schemaVersion = db.prepare<[], number>('pragma schema_version').pluck(true)
  if (isReadOnly) return nothing
  db.pragma('journal_mode = WAL')
  db.pragma(`synchronous = ${survivesPowerLoss ? 'FULL' : 'NORMAL'}`)
  // Pages that are written again and again, as the ends of indexes are, go into the file once in a while only.
  db.pragma('wal_autocheckpoint = 4000')
  db.pragma('cache_size = -16000')
  // Proves that the file can be written, before anybody relies on it.
  db.exec('begin immediate')
  db.exec('rollback')
  return nothing
}

function connect(): Sqlite.Database {
  const connection = new Sqlite(file, { readonly: isReadOnly, timeout: busyTimeoutMs })
  connection.pragma('foreign_keys = ON')
  return connection
}

function run(sql: string, parameters: readonly unknown[]): SqliteResult {
  const prepared = prepare(sql)
  const { statement } = prepared
  const values = parameters.map(toSqlite)
  if (!statement.reader) {
    const { changes, lastInsertRowid } = statement.run(...values)
    return { columns: [], rows: [], changes, insertId: lastInsertRowid }
  }
  const rows = statement.all(...values)
  // SQLite prepares a statement anew by itself when it meets a changed table, and only then knows its columns.
  const version = schemaVersion.get() ?? 0
  if (version !== prepared.schemaVersion) {
    prepared.columns = namesOf(statement)
    prepared.schemaVersion = version
  }
  return statement.readonly
    ? { columns: prepared.columns, rows }
    : { columns: prepared.columns, rows, changes: rows.length }
}

/** Numbers are bound as they are: the columns' own integer affinity makes whole ones integers again. */
function runMany({ before, after, rows, give, inTransaction }: Extract<SqliteRequest, { kind: 'many' }>): SqliteResult {
  const all = rows.map((text) => JSON.parse(text) as unknown[])
  const places = placesFor(all)
  const statement = prepareMany(`${before} (${places.sql}) ${after}`)
  const given: unknown[][] = []
  const runAll = () => {
    for (const values of all) {
      const { changes } = statement.run(...places.bound.map((at) => values[at]))
      if (changes > 0) given.push([values[give]])
    }
  }
  if (inTransaction) runAll()
  else db.transaction(runAll)()
  return { columns: ['inserted'], rows: given, changes: given.length }
}

/** Batches that are alike come one after another; they must not push other statements out. */
function prepareMany(sql: string): Statement {
  let statement = manyCache.get(sql)
  if (statement === undefined) {
    statement = prepareOn(db, sql)
    manyCache.set(sql, statement)
    if (manyCache.size > manyCacheSize) manyCache.delete(manyCache.keys().next().value as string)
  }
  return statement
}

function prepare(sql: string): Prepared {
  const known = cache.get(sql)
  if (known !== undefined) {
    // The map keeps the order of use: its first entry is the one to give up.
    cache.delete(sql)
    cache.set(sql, known)
    return known
  }
  const prepared = { statement: prepareOn(db, sql), columns: [], schemaVersion: -1 }
  cache.set(sql, prepared)
  if (cache.size > cacheSize) cache.delete(cache.keys().next().value as string)
  return prepared
}

function prepareOn(connection: Sqlite.Database, sql: string): Statement {
  const statement = connection.prepare<unknown[], unknown[]>(sql)
  return statement.reader ? statement.raw(true) : statement
}

function namesOf(statement: Statement): string[] {
  return statement.columns().map((column) => column.name)
}

/**
 * Outside a transaction a stream has a connection of its own: an open statement holds its connection to the moment it
 * began, and other reads must see what was committed since. Inside one it must see the transaction's own writes and
 * must not keep it from writing more, so its rows are read at once.
 */
function openStream(sql: string, parameters: readonly unknown[], inTransaction: boolean): SqliteResult {
  if (inTransaction) assertTransaction()
  const connection = inTransaction ? db : connect()
  try {
    const statement = prepareOn(connection, sql)
    const values = parameters.map(toSqlite)
    const rows = inTransaction ? statement.all(...values).values() : statement.iterate(...values)
    const columns = namesOf(statement)
    const end = () => {
      rows.return?.()
      if (!inTransaction) connection.close()
    }
    streams.set(++lastStream, { columns, rows, end })
    return { columns, rows: [], stream: lastStream }
  } catch (error) {
    if (!inTransaction) connection.close()
    throw error
  }
}

function readStream(id: number, count: number): SqliteResult {
  const stream = streams.get(id)
  if (stream === undefined) throw new Error('The stream is not open')
  const rows: unknown[][] = []
  while (rows.length < count) {
    const next = stream.rows.next()
    if (next.done) break
    rows.push(next.value)
  }
  return { columns: stream.columns, rows }
}

function close(): SqliteResult {
  for (const stream of streams.values()) stream.end()
  streams.clear()
  if (!db?.open) return nothing
  if (db.inTransaction) db.exec('rollback')
  if (!isReadOnly) {
    db.pragma('optimize')
    db.pragma('wal_checkpoint(TRUNCATE)')
  }
  db.close()
  return nothing
}

/** Without this a statement after such an error would be committed by itself, outside any transaction. */
function assertTransaction() {
  if (!db.inTransaction) throw new Error('The transaction was rolled back by SQLite after an earlier error')
}

/**
 * The driver binds every JavaScript number as floating point, and `ms / 3600000` would no longer be a whole hour.
 * Bytes cross the thread boundary as plain Uint8Array.
 */
function toSqlite(value: unknown): unknown {
  if (typeof value === 'number') return Number.isSafeInteger(value) ? BigInt(value) : value
  if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.byteLength)
  return value
}
