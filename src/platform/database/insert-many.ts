import { CompiledQuery, type Kysely, SqliteAdapter, type Transaction } from 'kysely'
import { ManyRows } from './sqlite-thread.ts'

export type InsertManyOptions = {
  /** Column whose unique key makes a row count once: rows whose value is already there are left out. */
  ignoreConflictOn: string
  /** Column, among those written, to give back of the rows that were really inserted. */
  returning: string
}

/** The values of a row in the order of the columns, or the same as the text of a JSON array. */
export type ManyValues = readonly (string | number | null)[] | string

// biome-ignore lint/suspicious/noExplicitAny: rooms pass databases over their own tables
type Db = Kysely<any> | Transaction<any>

/**
 * Inserts all `rows` in one round trip, however many there are, and returns `returning` of those that were new. Texts go
 * on as they are where the engine is SQLite, whose thread runs the statement for each row: that costs half of taking the
 * rows out of JSON in SQL. NUL and broken surrogates, which PostgreSQL refuses in text, become U+FFFD.
 */
export async function insertMany(
  db: Db,
  table: string,
  columns: readonly string[],
  rows: readonly ManyValues[],
  { ignoreConflictOn, returning }: InsertManyOptions,
): Promise<string[]> {
  assertNames([table, ...columns, ignoreConflictOn, returning])
  if (rows.length === 0) return []
  const conflict = `on conflict ("${ignoreConflictOn}") do nothing`
  const done = isSqlite(db)
    ? await runOnSqlite(db, table, columns, rows, conflict, columns.indexOf(returning))
    : await runOnPostgres(db, table, columns, rows, `${conflict} returning "${returning}" as inserted`)
  return done.rows.map((row) => row.inserted)
}

/**
 * Adds `measures` to those of the rows that have the same `keys`, a unique key of the table; inserts rows whose keys are
 * not there. All in one round trip, in the order given.
 */
export async function addMany<Column extends string>(
  db: Db,
  table: string,
  keys: readonly Column[],
  measures: readonly Column[],
  rows: readonly Readonly<Record<Column, string | number | null>>[],
): Promise<void> {
  const columns = [...keys, ...measures]
  assertNames([table, ...columns])
  if (rows.length === 0) return
  const sums = measures.map((name) => `"${name}" = "${table}"."${name}" + excluded."${name}"`)
  const conflict = `on conflict (${quote(keys)}) do update set ${sums.join(', ')}`
  const values = rows.map((row) => columns.map((column) => row[column]))
  if (isSqlite(db)) await runOnSqlite(db, table, columns, values, conflict, 0)
  else await runOnPostgres(db, table, columns, values, conflict)
}

type Inserted = { inserted: string }

function runOnSqlite(
  db: Db,
  table: string,
  columns: readonly string[],
  rows: readonly ManyValues[],
  after: string,
  give: number,
) {
  const texts = rows.map((row) => (typeof row === 'string' ? row : toJson(row)))
  const many = new ManyRows({ before: `insert into "${table}" (${quote(columns)}) values`, after, rows: texts, give })
  return db.executeQuery<Inserted>(CompiledQuery.raw(`${many.before} (…) ${after}`, [many]))
}

/** Rows as objects: PostgreSQL takes each column's type from the table itself. */
function runOnPostgres(db: Db, table: string, columns: readonly string[], rows: readonly ManyValues[], after: string) {
  const records = rows.map((row) => {
    const values: readonly unknown[] = typeof row === 'string' ? JSON.parse(row) : row
    return Object.fromEntries(columns.map((column, index) => [column, cleanText(values[index])]))
  })
  const names = quote(columns)
  const text = `insert into "${table}" (${names})
    select ${names} from json_populate_recordset(null::"${table}", $1::json) ${after}`
  return db.executeQuery<Inserted>(CompiledQuery.raw(text, [JSON.stringify(records)]))
}

function isSqlite(db: Db): boolean {
  return db.getExecutor().adapter instanceof SqliteAdapter
}

/** Only a text that holds one can have this escape; the bytes may also be a backslash and letters, which costs time only. */
function toJson(row: readonly unknown[]): string {
  const json = JSON.stringify(row)
  return json.includes('\\u0000') || json.includes('\\ud') ? JSON.stringify(row.map(cleanText)) : json
}

function cleanText(value: unknown): unknown {
  return typeof value === 'string' ? value.toWellFormed().replaceAll('\u0000', '\uFFFD') : (value ?? null)
}

function quote(names: readonly string[]): string {
  return names.map((name) => `"${name}"`).join(', ')
}

function assertNames(names: readonly string[]): void {
  for (const name of names) {
    if (!/^[a-z_][a-z0-9_]*$/.test(name)) throw new Error(`Not a name of ours for a table or column: ${name}`)
  }
}
