import Sqlite from 'better-sqlite3'
import { syncFile } from '../../files.ts'
import type { Fill } from './contract.ts'
import { keyed, putOffTable, quoteName, type Row, type Value } from './shape.ts'
import { readShapes } from './sqlite-dump.ts'

/** Nothing is synced before the end: until `finish` the file is nobody's store, and a crash only costs the work. */
export async function openSqliteFill(file: string, goesOn: boolean): Promise<Fill> {
  const db = new Sqlite(file, { fileMustExist: true, timeout: 5000 })
  db.pragma('synchronous = OFF')
  db.pragma('foreign_keys = OFF')
  db.pragma('cache_size = -32000')
  const tables = readShapes(db)
  const triggers = putOffTriggers(db)
  if (!goesOn) {
    db.transaction(() => {
      for (const { table } of tables) db.exec(`delete from ${quoteName(table)}`)
    })()
  }
  const statements = new Map<string, Sqlite.Statement>()

  function statementFor(text: string): Sqlite.Statement {
    const statement = statements.get(text) ?? db.prepare(text)
    statements.set(text, statement)
    return statement
  }

  const runAll = db.transaction((text: string, rows: readonly Row[]) => {
    const statement = statementFor(text)
    for (const row of rows) statement.run(...row.map(toBound))
  })

  return {
    tables,
    async add({ table, columns }, rows) {
      const places = columns.map(() => '?').join(', ')
      runAll(`insert into ${quoteName(table)} (${columns.map(quoteName).join(', ')}) values (${places})`, rows)
    },
    async remove(shape, rows) {
      const { table, columns, keys } = keyed(shape)
      const wanted = columns.slice(0, keys).map((name) => `${quoteName(name)} = ?`)
      runAll(
        `delete from ${quoteName(table)} where ${wanted.join(' and ')}`,
        rows.map((row) => row.slice(0, keys)),
      )
    },
    async clear({ table }) {
      db.exec(`delete from ${quoteName(table)}`)
    },
    async finish() {
      db.transaction(() => {
        for (const { text } of triggers) db.exec(text)
        db.exec(`drop table ${putOffTable}`)
      })()
      const integrity = db.prepare<[], { integrity_check: string }>('pragma integrity_check').all()
      const foreign = db
        .prepare<[], { table: string; parent: string }>('pragma foreign_key_check')
        .all()
        .map(({ table, parent }) => `a row of ${table} names a row of ${parent} that is not there`)
      db.pragma('wal_checkpoint(TRUNCATE)')
      syncFile(file)
      return [...integrity.map((row) => row.integrity_check).filter((text) => text !== 'ok'), ...new Set(foreign)]
    },
    async close() {
      db.close()
    },
  }
}

type PutOff = { name: string; text: string }

/** What guards rows against being changed later is not in the way of putting them there. */
function putOffTriggers(db: Sqlite.Database): PutOff[] {
  return db.transaction(() => {
    db.exec(`create table if not exists ${putOffTable} (name text not null, text text not null)`)
    db.exec(`insert into ${putOffTable} select name, sql from sqlite_master where type = 'trigger'`)
    const triggers = db.prepare<[], PutOff>(`select name, text from ${putOffTable}`).all()
    for (const { name } of triggers) db.exec(`drop trigger if exists ${quoteName(name)}`)
    return triggers
  })()
}

/** The driver binds every JavaScript number as floating point. */
function toBound(value: Value): Value {
  return Number.isSafeInteger(value) && !Object.is(value, -0) ? BigInt(value as number) : value
}
