/** Databases as their owners work with them, for tests and benches. */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Sqlite from 'better-sqlite3'
import { createConnection } from 'mysql2/promise'
import pg from 'pg'
import { quoteName } from './address.ts'
import type { ForeignEngine } from './foreign.ts'

/** A database of somebody else's, as its owner works with it. */
export type TestForeign = {
  engine: ForeignEngine
  /** As the owner. */
  dsn: string
  /** One statement of the owner's. */
  run(sql: string): Promise<void>
  insert(table: string, columns: readonly string[], rows: readonly (readonly unknown[])[]): Promise<void>
  /** A new account without any right; its address. */
  account(): Promise<{ name: string; dsn: string; grantee: string }>
  close(): Promise<void>
}

const rowsAtOnce = 500

function insertText(engine: ForeignEngine, table: string, columns: readonly string[], rows: number): string {
  const names = columns.map((name) => quoteName(engine, name)).join(', ')
  let place = 0
  const one = () => `(${columns.map(() => (engine === 'postgres' ? `$${++place}` : '?')).join(', ')})`
  return `insert into ${table} (${names}) values ${Array.from({ length: rows }, one).join(', ')}`
}

function batches<T>(rows: readonly T[]): (readonly T[])[] {
  return Array.from({ length: Math.ceil(rows.length / rowsAtOnce) }, (_, i) =>
    rows.slice(i * rowsAtOnce, (i + 1) * rowsAtOnce),
  )
}

/** A file in a folder of its own. */
export async function createSqliteFile(): Promise<TestForeign> {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-foreign-'))
  const file = join(folder, 'one-api.db')
  const db = new Sqlite(file)
  db.pragma('journal_mode = WAL')
  const dsn = `sqlite:${file}`
  return {
    ...{ engine: 'sqlite', dsn },
    async run(sql) {
      db.exec(sql)
    },
    async insert(table, columns, rows) {
      const statement = db.prepare(insertText('sqlite', table, columns, 1))
      db.transaction(() => {
        for (const row of rows) statement.run(row.map((value) => (typeof value === 'boolean' ? Number(value) : value)))
      })()
    },
    account: async () => ({ name: '', dsn, grantee: '' }),
    async close() {
      db.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** A database of its own on a server that is there. */
export async function createPostgresDatabase(server: string): Promise<TestForeign> {
  const name = `foreign_${randomBytes(6).toString('hex')}`
  const admin = new pg.Client({ connectionString: server })
  admin.on('error', () => {})
  await admin.connect()
  await admin.query(`create database ${name}`)
  const url = new URL(server)
  url.pathname = `/${name}`
  const pool = new pg.Pool({ connectionString: url.href, max: 2 })
  pool.on('error', () => {})
  const accounts: string[] = []
  return {
    ...{ engine: 'postgres', dsn: url.href },
    async run(sql) {
      await pool.query(sql)
    },
    async insert(table, columns, rows) {
      for (const some of batches(rows))
        await pool.query(insertText('postgres', table, columns, some.length), some.flat())
    },
    async account() {
      const account = `ro_${randomBytes(6).toString('hex')}`
      accounts.push(account)
      await pool.query(`create role ${account} login password 'reads only'`)
      const own = new URL(url)
      own.username = account
      own.password = 'reads only'
      return { name: account, dsn: own.href, grantee: account }
    },
    async close() {
      await pool.end()
      await admin.query(`drop database if exists ${name} with (force)`).catch(() => {})
      for (const account of accounts) await admin.query(`drop role if exists ${account}`).catch(() => {})
      await admin.end()
    },
  }
}

/** A database of its own on a server that is there, MySQL or MariaDB. */
export async function createMysqlDatabase(server: string): Promise<TestForeign> {
  const name = `foreign_${randomBytes(6).toString('hex')}`
  const url = new URL(server)
  // A connection for each statement: tests take the server away.
  const run = async (sql: string, values: unknown[] = [], database = '') => {
    const connection = await createConnection({
      ...{ host: url.hostname, port: Number(url.port), user: url.username, password: url.password, charset: 'utf8mb4' },
      ...(database === '' ? {} : { database }),
    })
    try {
      await connection.query(sql, values)
    } finally {
      await connection.end()
    }
  }
  await run(`create database ${name} character set utf8mb4`)
  url.pathname = `/${name}`
  const accounts: string[] = []
  return {
    ...{ engine: 'mysql', dsn: url.href },
    run: (sql) => run(sql, [], name),
    async insert(table, columns, rows) {
      for (const some of batches(rows)) {
        await run(insertText('mysql', table, columns, some.length), some.flat(), name)
      }
    },
    async account() {
      const account = `ro_${randomBytes(6).toString('hex')}`
      accounts.push(account)
      await run(`create user ${account}@'%' identified by 'reads only'`)
      // A right to nothing in particular: without any, the database itself is refused.
      await run(`create table if not exists anybody (id int)`, [], name)
      await run(`grant select on ${name}.anybody to ${account}@'%'`)
      const own = new URL(url)
      own.username = account
      own.password = 'reads only'
      return { name: account, dsn: own.href, grantee: `${account}@'%'` }
    },
    async close() {
      await run(`drop database if exists ${name}`).catch(() => {})
      for (const account of accounts) await run(`drop user if exists ${account}@'%'`).catch(() => {})
    },
  }
}
