import type pg from 'pg'
import { fail } from '../../../kernel/errors.ts'
import type { Fill } from './contract.ts'
import { readShapes } from './postgres-dump.ts'
import { openSession } from './postgres-session.ts'
import { quoteName, type Row, type Shape, type Value } from './shape.ts'

type Constraint = { table: string; name: string; text: string }

/** Foreign keys are taken off and put on again at the end, which looks at every row: tables come in no order of theirs. */
export async function openPostgresFill(url: string): Promise<Fill> {
  const client = await openSession(url)
  try {
    return await prepare(client)
  } catch (error) {
    await client.end().catch(() => {})
    throw error
  }
}

async function prepare(client: pg.Client): Promise<Fill> {
  await client.query('set synchronous_commit = off')
  const tables = await readShapes(client)
  const { rows: constraints } = await client.query<Constraint>(`
    select c.relname as table, k.conname as name, pg_get_constraintdef(k.oid) as text
      from pg_constraint k join pg_class c on c.oid = k.conrelid
     where k.contype = 'f' and k.connamespace = current_schema()::regnamespace`)
  for (const { table, name } of constraints) {
    await client.query(`alter table ${quoteName(table)} drop constraint ${quoteName(name)}`)
  }
  // What guards rows against being changed later is not in the way of putting them there.
  for (const { table } of tables) await client.query(`alter table ${quoteName(table)} disable trigger user`)
  if (tables.length > 0) await client.query(`truncate ${tables.map(({ table }) => quoteName(table)).join(', ')}`)

  async function add({ table, columns }: Shape, rows: readonly Row[]): Promise<void> {
    const names = columns.map(quoteName).join(', ')
    const records = rows.map((row) => Object.fromEntries(columns.map((name, at) => [name, toJson(row[at]!)])))
    // A bigint has no JSON of its own; PostgreSQL reads one from text.
    const text = `insert into ${quoteName(table)} (${names}) select ${names} from json_populate_recordset(null::${quoteName(table)}, $1::json)`
    try {
      await client.query(text, [JSON.stringify(records)])
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
    async finish() {
      const findings: string[] = []
      for (const { table, name, text } of constraints) {
        const added = `alter table ${quoteName(table)} add constraint ${quoteName(name)} ${text}`
        await client.query(added).catch((error: Error & { code?: string }) => {
          if (error.code !== '23503') throw error
          findings.push(error.message)
        })
      }
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

function toJson(value: Value): unknown {
  if (typeof value === 'bigint') return String(value)
  if (typeof value === 'number')
    return Number.isFinite(value) && !Object.is(value, -0) ? value : `${Object.is(value, -0) ? '-0' : value}`
  return value instanceof Uint8Array ? `\\x${Buffer.from(value).toString('hex')}` : value
}
