import { type Kysely, sql } from 'kysely'
import type { ConversationTables } from '../../src/conversations/store.ts'
import { insertMany, openDatabase } from '../../src/platform/database/index.ts'
import { silentLog } from '../../src/platform/database/testing-log.ts'

export const [perSession, people, tenants] = [10, 1000, 20]
/** The busiest person has every tenth session; the very first one of all is as long as a day's work of a program. */
const [busiest, longest] = [10, 20_000]
const everyMs = 2000
const batch = 5000
const text = 'What was said in this message, about as long as people write. '.repeat(4)
const pad = (number: number) => String(number).padStart(9, '0')

export type Known = { tenantId: string; busyId: string; quietId: string }
export type Filled = { sessions: number; messages: number; seconds: number; begun: number; ended: number }

/** Spread over ids as hashes are. */
export const idOf = (i: number, sessions: number) => `cnv_${pad((i * 7919) % sessions)}${pad(i)}`
export const sessionIdOf = (i: number) => `session ${i}`

/** Sessions that end at `now`, of made-up people, two of whom are such as can log in. The indexes are built at the end. */
export async function fill(url: string, dataDir: string, wanted: number, now: number, known: Known): Promise<Filled> {
  const startedAt = performance.now()
  const database = await openDatabase<ConversationTables>({ url, dataDir, log: silentLog })
  const db = database.kysely as Kysely<ConversationTables>
  const sessions = Math.floor(wanted / perSession)
  const begun = now - sessions * everyMs
  const userOf = (i: number) => {
    if (i % busiest === 0) return known.busyId
    return i % people === 1 ? known.quietId : `usr_${i % people}`
  }
  const tenantOf = (i: number) =>
    i % busiest === 0 || i % people === 1 ? known.tenantId : `ten_${(i % people) % tenants}`
  const indexes =
    database.engine === 'sqlite'
      ? sql<{ name: string; sql: string }>`select name, sql from sqlite_master where type = 'index' and sql is not null
          and tbl_name in ('conversations', 'conversation_messages')`
      : sql<{ name: string; sql: string }>`select indexname as name, indexdef as sql from pg_indexes
          where tablename in ('conversations', 'conversation_messages') and indexname not like '%_pkey'`
  const { rows: dropped } = await indexes.execute(db)
  for (const { name } of dropped) await sql`drop index ${sql.id(name)}`.execute(db)

  const sessionColumns = [
    ...['id', 'tenant_id', 'user_id', 'key_id', 'session_id', 'model', 'first_at', 'last_at', 'calls', 'failures'],
    ...['tokens_in', 'tokens_out', 'cost_nano_usd', 'unpriced_calls', 'deleted_at'],
  ]
  const messageColumns = [
    ...['id', 'conversation_id', 'tenant_id', 'user_id', 'request_id', 'role', 'name', 'content', 'tool_calls'],
    ...['digest', 'said_at', 'expires_at'],
  ]
  const once = { ignoreConflictOn: 'id', returning: 'id' }
  let messages = 0
  const messagesOf = (i: number, amount: number, first = 0) =>
    Array.from({ length: amount }, (_, index) => {
      const n = first + index
      const at = begun + i * everyMs + (amount > perSession ? n : n * 1000)
      const request = `req_${pad(i)}${pad(n >> 1)}`
      const head = [`${request}.0${n & 1}`, idOf(i, sessions), tenantOf(i), userOf(i), request]
      return [...head, n % 2 === 0 ? 'user' : 'assistant', '', text, '', 'd'.repeat(64), at, now + 1e12]
    })
  for (let from = 0; from < sessions; from += batch / perSession) {
    const some = Array.from({ length: Math.min(batch / perSession, sessions - from) }, (_, i) => from + i)
    await db.transaction().execute(async (trx) => {
      const sums = some.map((i) => {
        const at = begun + i * everyMs
        const head = [idOf(i, sessions), tenantOf(i), userOf(i), `key_${i % people}`, sessionIdOf(i), 'a-model']
        return [...head, at, at + perSession * 1000, perSession / 2, 0, 5000, 1000, 1_000_000, 0, 0]
      })
      await insertMany(trx, 'conversations', sessionColumns, sums, once)
      const said = some.flatMap((i) => messagesOf(i, i === 0 ? longest : perSession))
      messages += said.length
      await insertMany(trx, 'conversation_messages', messageColumns, said, once)
    })
  }
  for (const { sql: text } of dropped) await sql.raw(text).execute(db)
  if (database.engine === 'postgres') await sql`analyze`.execute(db)
  await database.close()
  const seconds = Math.round((performance.now() - startedAt) / 1000)
  return { sessions, messages, seconds, begun, ended: now }
}
