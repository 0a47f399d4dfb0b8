import type pg from 'pg'
import { loadPg } from '../../on-demand.ts'

/** Types that the store's columns have, by their names in PostgreSQL's catalogue. */
export const copiedTypes: ReadonlySet<string> = new Set([
  ...['text', 'varchar', 'int2', 'int4', 'int8', 'float4', 'float8', 'bytea'],
])

/** A connection of its own, without the limits that hold for statements of the running hub. */
export async function openSession(url: string): Promise<pg.Client> {
  const { Client, types } = loadPg()
  const bigints: number = types.builtins.INT8
  const client = new Client({
    connectionString: url,
    connectionTimeoutMillis: 5000,
    keepAlive: true,
    application_name: 'gatehouse backups',
    types: {
      getTypeParser: ((type: number, format?: 'text' | 'binary') =>
        type === bigints ? readWhole : types.getTypeParser(type, format as 'text')) as typeof types.getTypeParser,
    },
  })
  // A connection that breaks between two statements is told by the next one; unheard, it would end the process.
  client.on('error', () => {})
  await client.connect()
  await client.query('set statement_timeout = 0')
  await client.query('set idle_in_transaction_session_timeout = 0')
  return client
}

function readWhole(text: string): number | bigint {
  const number = Number(text)
  return Number.isSafeInteger(number) ? number : BigInt(text)
}
