import { CompiledQuery, type Kysely, type RawBuilder, SqliteAdapter, sql, type Transaction } from 'kysely'
import { ManyRows } from './sqlite-thread.ts'

export type InsertManyOptions = {
  /** Column whose unique key makes a row count once: rows whose value is already there are left out. */
  ignoreConflictOn: string
  /** Column, among those written, to give back of the rows that were really inserted. */
  returning: string
}

/**
 * Inserts all `rows` (values in the order of `columns`) in one round trip with one JSON parameter, however many there
 * are, and returns `returning` of those that were new. Who has that JSON passes it as it is. The statement's text depends on table and columns alone, so it
 * is prepared once. SQLite's thread runs it for each row, which costs half of taking the rows out of the JSON in SQL.
 * NUL and broken surrogates, which PostgreSQL refuses in text, become U+FFFD there.
 */
export async function insertMany(
  // biome-ignore lint/suspicious/noExplicitAny: rooms pass databases over their own tables
  db: Kysely<any> | Transaction<any>,
  table: string,
  columns: readonly string[],
  rows: readonly (readonly (string | number | null)[])[] | string,
  options: InsertManyOptions,
): Promise<string[]> {
  for (const name of [table, ...columns, options.ignoreConflictOn, options.returning]) assertIdentifier(name)
  if (rows.length === 0) return []
  const into = sql.table(table)
  const names = sql.join(columns.map((column) => sql.ref(column)))
  const conflict = sql`on conflict (${sql.ref(options.ignoreConflictOn)}) do nothing`
  if (db.getExecutor().adapter instanceof SqliteAdapter) {
    const places = sql.raw(columns.map(() => '?').join(', '))
    const { sql: text } = sql`insert into ${into} (${names}) values (${places}) ${conflict}`.compile(db)
    const many = new ManyRows(typeof rows === 'string' ? rows : toJson(rows), columns.indexOf(options.returning))
    const done = await db.executeQuery<{ inserted: string }>(CompiledQuery.raw(text, [many]))
    return done.rows.map((row) => row.inserted)
  }
  const result = await sql<{ inserted: string }>`
    insert into ${into} (${names}) ${fromPostgresJson(table, columns, typeof rows === 'string' ? JSON.parse(rows) : rows)} ${conflict}
    returning ${sql.ref(options.returning)} as inserted
  `.execute(db)
  return result.rows.map((row) => row.inserted)
}

/** Only a text that holds one can have this escape; the bytes may also be a backslash and letters, which costs time only. */
function toJson(rows: readonly (readonly unknown[])[]): string {
  const json = JSON.stringify(rows)
  return json.includes('\\u0000') ? JSON.stringify(rows.map((row) => row.map(cleanText))) : json
}

/** Rows as objects: PostgreSQL takes each column's type from the table itself. */
function fromPostgresJson(
  table: string,
  columns: readonly string[],
  rows: readonly (readonly unknown[])[],
): RawBuilder<unknown> {
  const records = rows.map((row) => Object.fromEntries(columns.map((column, index) => [column, cleanText(row[index])])))
  const names = sql.join(columns.map((column) => sql.ref(column)))
  return sql`select ${names} from json_populate_recordset(null::${sql.table(table)}, ${JSON.stringify(records)}::json)`
}

function cleanText(value: unknown): unknown {
  return typeof value === 'string' ? value.toWellFormed().replaceAll('\u0000', '\uFFFD') : (value ?? null)
}

function assertIdentifier(name: string) {
  if (!/^[a-z_]+$/.test(name)) throw new Error(`Not a name of ours for a table or column: ${name}`)
}
