import Sqlite from 'better-sqlite3'
import { syncFile } from '../../files.ts'
import type { Fill } from './contract.ts'
import { quoteName, type Row, type Shape, shapeOf } from './shape.ts'

/** Nothing is synced before the end: until `finish` the file is nobody's store, and a crash only costs the work. */
export async function openSqliteFill(file: string): Promise<Fill> {
  const db = new Sqlite(file, { fileMustExist: true, timeout: 5000 })
  db.pragma('synchronous = OFF')
  db.pragma('foreign_keys = OFF')
  db.pragma('cache_size = -32000')
  const tables = db
    .prepare<[], { name: string }>(
      "select name from sqlite_master where type = 'table' and name not like 'sqlite\\_%' escape '\\' order by name",
    )
    .all()
    .map(({ name }) =>
      shapeOf(
        name,
        db
          .prepare<[string], { name: string; key: number }>('select name, pk as key from pragma_table_info(?)')
          .all(name),
      ),
    )
  // What guards rows against being changed later is not in the way of putting them there.
  const triggers = db
    .prepare<[], { name: string; sql: string }>("select name, sql from sqlite_master where type = 'trigger'")
    .all()
  db.transaction(() => {
    for (const { name } of triggers) db.exec(`drop trigger ${quoteName(name)}`)
    for (const { table } of tables) db.exec(`delete from ${quoteName(table)}`)
  })()
  const statements = new Map<string, Sqlite.Statement>()

  function statementFor({ table, columns }: Shape): Sqlite.Statement {
    let statement = statements.get(table)
    if (statement === undefined) {
      const places = columns.map(() => '?').join(', ')
      statement = db.prepare(
        `insert into ${quoteName(table)} (${columns.map(quoteName).join(', ')}) values (${places})`,
      )
      statements.set(table, statement)
    }
    return statement
  }

  const addAll = db.transaction((shape: Shape, rows: readonly Row[]) => {
    const statement = statementFor(shape)
    for (const row of rows) {
      // The driver binds every JavaScript number as floating point.
      statement.run(
        ...row.map((value) => (Number.isSafeInteger(value) && !Object.is(value, -0) ? BigInt(value as number) : value)),
      )
    }
  })

  return {
    tables,
    async add(shape, rows) {
      addAll(shape, rows)
    },
    async finish() {
      for (const trigger of triggers) db.exec(trigger.sql)
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
