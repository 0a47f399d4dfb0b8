import { type Kysely, PostgresAdapter, type RawBuilder, sql, type Transaction } from 'kysely'

export type InsertManyOptions = {
  /** Column whose unique key makes a row count once: rows whose value is already there are left out. */
  ignoreConflictOn: string
  /** Column to give back of the rows that were really inserted. */
  returning: string
}

/**
 * Inserts all `rows` (values in the order of `columns`) in one statement with one JSON parameter, however many there
 * are, and returns `returning` of those that were new. The statement's text depends on table and columns alone, so it
 * is prepared once. NUL and broken surrogates, which PostgreSQL refuses in text, become U+FFFD.
 */
export async function insertMany(
  // biome-ignore lint/suspicious/noExplicitAny: rooms pass databases over their own tables
  db: Kysely<any> | Transaction<any>,
  table: string,
  columns: readonly string[],
  rows: readonly (readonly (string | number | null)[])[],
  options: InsertManyOptions,
): Promise<string[]> {
  for (const name of [table, ...columns, options.ignoreConflictOn, options.returning]) assertIdentifier(name)
  if (rows.length === 0) return []
  const into = sql.table(table)
  const names = sql.join(columns.map((column) => sql.ref(column)))
  const isPostgres = db.getExecutor().adapter instanceof PostgresAdapter
  const source = isPostgres ? fromPostgresJson(table, columns, rows) : fromSqliteJson(columns, rows)
  const result = await sql<{ inserted: string }>`
    insert into ${into} (${names}) ${source}
    on conflict (${sql.ref(options.ignoreConflictOn)}) do nothing
    returning ${sql.ref(options.returning)} as inserted
  `.execute(db)
  return result.rows.map((row) => row.inserted)
}

/**
 * Rows as arrays, picked by position: from the parsed form, else each value would parse its row's text anew (28 ms
 * instead of 11 for 500 rows of 35 columns). `where true` keeps `on conflict` from being read as a join condition.
 */
function fromSqliteJson(columns: readonly string[], rows: readonly (readonly unknown[])[]): RawBuilder<unknown> {
  const picks = sql.join(columns.map((_, index) => sql.raw(`value ->> ${index}`)))
  return sql`select ${picks} from jsonb_each(${JSON.stringify(rows.map((row) => row.map(cleanText)))}) where true`
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
