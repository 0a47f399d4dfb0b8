import type pg from 'pg'
import { fail } from '../../../kernel/errors.ts'
import type { Fill } from './contract.ts'
import { readShapes } from './postgres-dump.ts'
import { openSession } from './postgres-session.ts'
import { keyed, putOffTable, quoteName, type Row, type Shape, type Value } from './shape.ts'

type Constraint = { table: string; name: string; text: string }

/** Foreign keys are taken off and put on again at the end, which looks at every row: tables come in no order of theirs. */
export async function openPostgresFill(url: string, goesOn: boolean): Promise<Fill> {
  const client = await openSession(url)
  try {
    return await prepare(client, goesOn)
  } catch (error) {
    await client.end().catch(() => {})
    throw error
  }
}

async function prepare(client: pg.Client, goesOn: boolean): Promise<Fill> {
  await client.query('set synchronous_commit = off')
  const tables = await readShapes(client)
  const constraints = await putOffConstraints(client)
  // What guards rows against being changed later is not in the way of putting them there.
  for (const { table } of tables) await client.query(`alter table ${quoteName(table)} disable trigger user`)
  if (!goesOn && tables.length > 0)
    await client.query(`truncate ${tables.map(({ table }) => quoteName(table)).join(', ')}`)

  async function add(shape: Shape, rows: readonly Row[]): Promise<void> {
    const { table, columns } = shape
    const names = columns.map(quoteName).join(', ')
    const text = `insert into ${quoteName(table)} (${names}) select ${names} from json_populate_recordset(null::${quoteName(table)}, $1::json)`
    try {
      await client.query(text, [toRecords(columns, rows)])
    } catch (error) {
      if ((error as { code?: string }).code !== '22P05') throw error
      throw fail(
        'invalid_request',
        `A text in the table ${table} holds the character NUL, which PostgreSQL cannot store. Change the row where it came from, and begin again.`,
        { cause: error },
      )
    }
  }

  return {
    tables,
    async add(shape, rows) {
      if (rows.length > 0) await add(shape, rows)
    },
    async remove(shape, rows) {
      if (rows.length === 0) return
      const { table, columns, keys } = keyed(shape)
      const names = columns.slice(0, keys)
      const list = names.map(quoteName).join(', ')
      await client.query(
        `delete from ${quoteName(table)} where (${list}) in (select ${list} from json_populate_recordset(null::${quoteName(table)}, $1::json))`,
        [toRecords(names, rows)],
      )
    },
    async clear({ table }) {
      await client.query(`delete from ${quoteName(table)}`)
    },
    async finish() {
      const findings = await putBack(client, constraints)
      for (const { table } of tables) {
        await client.query(`alter table ${quoteName(table)} enable trigger user`)
        await client.query(`analyze ${quoteName(table)}`)
      }
      // A commit that waits for the disk takes all that were made before it along.
      await client.query('set synchronous_commit = on')
      await client.query('select pg_current_xact_id()')
      return findings
    },
    close: () => client.end(),
  }
}

/** As the table's own record type reads it. A bigint has no JSON of its own; PostgreSQL reads one from text. */
function toRecords(columns: readonly string[], rows: readonly Row[]): string {
  return JSON.stringify(rows.map((row) => Object.fromEntries(columns.map((name, at) => [name, toJson(row[at]!)]))))
}

/** All of them in one transaction with the note of them: a run that is killed finds them there or noted. */
async function putOffConstraints(client: pg.Client): Promise<Constraint[]> {
  await client.query('begin')
  await client.query(`create table if not exists ${putOffTable} ("table" text, name text, text text)`)
  await client.query(`
    insert into ${putOffTable}
    select c.relname, k.conname, pg_get_constraintdef(k.oid)
      from pg_constraint k join pg_class c on c.oid = k.conrelid
     where k.contype = 'f' and k.connamespace = current_schema()::regnamespace`)
  const { rows } = await client.query<Constraint>(`select "table", name, text from ${putOffTable}`)
  for (const { table, name } of rows) {
    await client.query(`alter table ${quoteName(table)} drop constraint if exists ${quoteName(name)}`)
  }
  await client.query('commit')
  return rows
}

/** Returns what rows are in the way of; then nothing was put back. */
async function putBack(client: pg.Client, constraints: readonly Constraint[]): Promise<string[]> {
  const findings: string[] = []
  await client.query('begin')
  for (const { table, name, text } of constraints) {
    await client.query('savepoint one')
    const added = `alter table ${quoteName(table)} add constraint ${quoteName(name)} ${text}`
    await client.query(added).catch(async (error: Error & { code?: string }) => {
      if (error.code !== '23503') throw error
      findings.push(error.message)
      await client.query('rollback to savepoint one')
    })
  }
  if (findings.length === 0) await client.query(`drop table ${putOffTable}`)
  await client.query(findings.length === 0 ? 'commit' : 'rollback')
  return findings
}

function toJson(value: Value): unknown {
  if (typeof value === 'bigint') return String(value)
  if (typeof value === 'number')
    return Number.isFinite(value) && !Object.is(value, -0) ? value : `${Object.is(value, -0) ? '-0' : value}`
  return value instanceof Uint8Array ? `\\x${Buffer.from(value).toString('hex')}` : value
}
