import type pg from 'pg'
import type Cursor from 'pg-cursor'
import { fail } from '../../../kernel/errors.ts'
import { loadPgCursor } from '../../on-demand.ts'
import type { Dump } from './contract.ts'
import { copiedTypes, openSession } from './postgres-session.ts'
import { putOffTable, quoteName, type Row, type Shape, shapeOf, type Value } from './shape.ts'

const mostRows = 2000
const batchBytes = 1_000_000

/** One transaction that sees one moment: https://www.postgresql.org/docs/current/transaction-iso.html#XACT-REPEATABLE-READ */
export async function openPostgresDump(url: string): Promise<Dump> {
  const client = await openSession(url)
  try {
    await client.query('begin transaction isolation level repeatable read read only')
    await client.query("set local work_mem = '64MB'")
    const columns = await readColumns(client)
    const texts = new Set(columns.filter(({ type }) => isText(type)).map(({ table, name }) => `${table}.${name}`))
    return {
      engine: 'postgres',
      tables: toShapes(columns),
      rows: (shape, order = 'engine') => readRows(client, shape, order === 'bytes' ? texts : new Set()),
      close: () => client.end(),
    }
  } catch (error) {
    await client.end().catch(() => {})
    throw error
  }
}

type ColumnRow = { table: string; name: string; type: string; key: number }

const isText = (type: string) => type === 'text' || type === 'varchar'

export async function readShapes(client: pg.Client): Promise<Shape[]> {
  return toShapes(await readColumns(client))
}

function toShapes(columns: readonly ColumnRow[]): Shape[] {
  return [...Map.groupBy(columns, ({ table }) => table)].map(([table, own]) => shapeOf(table, own))
}

async function readColumns(client: pg.Client): Promise<ColumnRow[]> {
  const { rows } = await client.query<ColumnRow>(`
    select c.relname as table, a.attname as name, t.typname as type,
           coalesce(array_position(i.indkey::int2[], a.attnum), -1) + 1 as key
      from pg_class c
      join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
      join pg_type t on t.oid = a.atttypid
      left join pg_index i on i.indrelid = c.oid and i.indisprimary
     where c.relkind = 'r' and c.relnamespace = current_schema()::regnamespace and c.relname <> '${putOffTable}'
     order by c.relname collate "C", a.attnum`)
  const foreign = rows.find(({ type }) => !copiedTypes.has(type))
  if (foreign !== undefined) {
    throw fail(
      'invalid_request',
      `The column ${foreign.table}.${foreign.name} has the type ${foreign.type}, which the hub does not use: its schema must hold tables of the hub alone. Move the table ${foreign.table} into another schema.`,
      { param: 'database.url' },
    )
  }
  return rows
}

/** `texts` are sorted by their bytes, as SQLite does, whatever the database's own collation says. */
async function* readRows(
  client: pg.Client,
  { table, columns, keys }: Shape,
  texts: ReadonlySet<string>,
): AsyncIterable<readonly Row[]> {
  const names = columns.map(quoteName)
  const sorted = columns
    .slice(0, keys)
    .map((name) => (texts.has(`${table}.${name}`) ? `${quoteName(name)} collate "C"` : quoteName(name)))
  const order = keys > 0 ? `order by ${sorted.join(', ')}` : ''
  const text = `select ${names.join(', ')} from ${quoteName(table)} ${order}`
  // Rows as lists: two columns may not be told apart by a name that is a number.
  const Rows = loadPgCursor() as unknown as new (sql: string, values: unknown[], config: object) => Cursor<Value[]>
  const cursor = client.query(new Rows(text, [], { rowMode: 'array' }) as never) as unknown as Cursor<Value[]>
  try {
    for (let count = 50; ; ) {
      const rows = await cursor.read(count)
      if (rows.length > 0) yield rows
      if (rows.length < count) return
      const bytes = bytesOf(rows)
      if (bytes > batchBytes) count = Math.max(1, Math.floor(count / 2))
      else if (bytes < batchBytes / 3) count = Math.min(mostRows, count * 2)
    }
  } finally {
    await cursor.close()
  }
}

function bytesOf(rows: readonly Row[]): number {
  let bytes = 0
  for (const row of rows) {
    for (const value of row) bytes += typeof value === 'string' ? value.length : (value as Uint8Array)?.byteLength || 8
  }
  return bytes
}
