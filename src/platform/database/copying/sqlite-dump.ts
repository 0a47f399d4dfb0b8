import Sqlite from 'better-sqlite3'
import type { Dump } from './contract.ts'
import { putOffTable, quoteName, type Row, type Shape, shapeOf, type Value } from './shape.ts'

const batchRows = 500
const batchBytes = 1_000_000

/** A connection of its own in one read transaction: in WAL mode it sees one moment and holds nobody up. */
export async function openSqliteDump(file: string): Promise<Dump> {
  const db = new Sqlite(file, { readonly: true, fileMustExist: true, timeout: 5000 })
  try {
    db.exec('begin')
    const tables = readShapes(db)
    return {
      engine: 'sqlite',
      tables,
      rows: (shape) => readRows(db, shape),
      async close() {
        db.close()
      },
    }
  } catch (error) {
    db.close()
    throw error
  }
}

export function readShapes(db: Sqlite.Database): Shape[] {
  const columnsOf = db.prepare<[string], { name: string; key: number }>(
    'select name, pk as key from pragma_table_info(?)',
  )
  return db
    .prepare<[string], { name: string }>(
      "select name from sqlite_master where type = 'table' and name not like 'sqlite\\_%' escape '\\' and name <> ? order by name",
    )
    .all(putOffTable)
    .map(({ name }) => shapeOf(name, columnsOf.all(name)))
}

async function* readRows(db: Sqlite.Database, { table, columns, keys }: Shape): AsyncIterable<readonly Row[]> {
  const names = columns.map(quoteName)
  const order = keys > 0 ? `order by ${names.slice(0, keys).join(', ')}` : ''
  const statement = db
    .prepare<[], unknown[]>(`select ${names.join(', ')} from ${quoteName(table)} ${order}`)
    .raw(true)
    .safeIntegers(true)
  let batch: Row[] = []
  let bytes = 0
  for (const row of statement.iterate() as Iterable<Value[]>) {
    batch.push(row)
    for (const value of row) bytes += typeof value === 'string' ? value.length : (value as Uint8Array)?.byteLength || 8
    if (batch.length < batchRows && bytes < batchBytes) continue
    yield batch
    batch = []
    bytes = 0
  }
  if (batch.length > 0) yield batch
}
