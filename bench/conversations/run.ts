/**
 * `npm run bench -- conversations [-- --messages 10000000] [--url postgres://…]`: what lists of sessions and messages cost when
 * there are many. Fills a store of its own, ten messages a session, and asks what pages ask.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { Kysely } from 'kysely'
import { type ConversationTables, createConversationStore } from '../../src/conversations/store.ts'
import { everything, withinTenant } from '../../src/kernel/scope.ts'
import { migrations } from '../../src/migrations/index.ts'
import { insertMany, migrate, openDatabase } from '../../src/platform/database/index.ts'
import { quietLog } from '../../src/usage/testing.ts'

const { values: options } = parseArgs({
  options: { messages: { type: 'string', default: '200000' }, url: { type: 'string', default: '' } },
})
const wanted = Number(options.messages)
if (!Number.isInteger(wanted) || wanted < 10_000) throw new Error('--messages is a whole number from 10000 on')

const perSession = 10
const sessions = Math.floor(wanted / perSession)
const people = 1000
const tenants = 20
const start = Date.UTC(2026, 0, 1)
const everyMs = 2000
const batch = 5000
const rounds = 200

const folder = mkdtempSync(join(tmpdir(), 'gatehouse-bench-'))
const url = options.url === '' ? `sqlite:${join(folder, 'gatehouse.db')}` : options.url
const database = await openDatabase<ConversationTables>({ url, dataDir: folder, poolSize: 4, log: quietLog })
await migrate(database, migrations, { log: quietLog })
const db = database.kysely as Kysely<ConversationTables>

const pad = (number: number) => String(number).padStart(9, '0')
// Spread over ids as hashes are.
const idOf = (i: number) => `cnv_${pad((i * 7_919) % sessions)}${pad(i)}`
const userOf = (i: number) => `usr_${i % people}`
const tenantOf = (i: number) => `ten_${(i % people) % tenants}`
const text = 'What was said in this message, about as long as people write. '.repeat(4)

const sessionColumns = [
  ...['id', 'tenant_id', 'user_id', 'key_id', 'session_id', 'model', 'first_at', 'last_at', 'calls', 'failures'],
  ...['tokens_in', 'tokens_out', 'cost_nano_usd', 'unpriced_calls', 'deleted_at'],
]
const messageColumns = [
  ...['id', 'conversation_id', 'tenant_id', 'user_id', 'request_id', 'role', 'name', 'content', 'tool_calls'],
  ...['digest', 'said_at', 'expires_at'],
]
const filled = performance.now()
for (let from = 0; from < sessions; from += batch / perSession) {
  const some = Array.from({ length: Math.min(batch / perSession, sessions - from) }, (_, i) => from + i)
  await db.transaction().execute(async (trx) => {
    const sums = some.map((i) => {
      const at = start + i * everyMs
      const head = [idOf(i), tenantOf(i), userOf(i), `key_${i % people}`, `session ${i}`, 'a-model']
      return [...head, at, at + perSession * 1000, perSession / 2, 0, 5000, 1000, 1_000_000, 0, 0]
    })
    await insertMany(trx, 'conversations', sessionColumns, sums, { ignoreConflictOn: 'id', returning: 'id' })
    const said = some.flatMap((i) =>
      Array.from({ length: perSession }, (_, n) => {
        const at = start + i * everyMs + n * 1000
        const request = `req_${pad(i)}${n >> 1}`
        const head = [`${request}.0${n & 1}`, idOf(i), tenantOf(i), userOf(i), request]
        return [...head, n % 2 === 0 ? 'user' : 'assistant', '', text, '', 'd'.repeat(64), at, at + 1e12]
      }),
    )
    await insertMany(trx, 'conversation_messages', messageColumns, said, { ignoreConflictOn: 'id', returning: 'id' })
  })
}
const fillSeconds = (performance.now() - filled) / 1000

const store = createConversationStore(db)
const now = start + sessions * everyMs
/** A place somewhere in the list: deep pages must cost what the first costs. */
const somewhere = (i: number) => ({ at: start + Math.floor(((i * 0.618) % 1) * sessions) * everyMs, id: 'cnv_5' })
const cases: Record<string, (i: number) => Promise<unknown[]>> = {
  'sessions, everybody': (i) => store.listSessions(everything, {}, somewhere(i), 51),
  'sessions, a tenant': (i) => store.listSessions(withinTenant(tenantOf(i)), {}, somewhere(i), 51),
  'sessions, a person': (i) => store.listSessions(everything, { userId: userOf(i) }, somewhere(i), 51),
  'sessions, a person of the tenant': (i) =>
    store.listSessions(withinTenant(tenantOf(i)), { userId: userOf(i) }, somewhere(i), 51),
  'sessions, by its own id': (i) =>
    store.listSessions(everything, { sessionId: `session ${(i * 7919) % sessions}` }, null, 51),
  'messages of a session': (i) => store.listMessages({ id: idOf((i * 7919) % sessions), deleted_at: 0 }, null, now, 51),
  'latest 500 messages of a person': (i) =>
    store.latestMessages(everything, { user_id: userOf(i), tenant_id: tenantOf(i) }, now, null, 500),
}
console.log(
  `${database.engine}: ${sessions * perSession} messages in ${sessions} sessions, filled in ${fillSeconds.toFixed(0)} s`,
)
console.log(`${'list'.padEnd(36)}${'p50 ms'.padStart(9)}${'p95 ms'.padStart(9)}${'max ms'.padStart(9)}`)
for (const [name, ask] of Object.entries(cases)) {
  const times: number[] = []
  for (let i = 0; i < rounds; i++) {
    const before = performance.now()
    const rows = await ask(i)
    times.push(performance.now() - before)
    if (rows.length === 0 && i > 20 && times.length === rounds) throw new Error(`${name} found nothing`)
  }
  times.sort((a, b) => a - b)
  const at = (share: number) => times[Math.min(rounds - 1, Math.floor(rounds * share))]!.toFixed(1).padStart(9)
  console.log(`${name.padEnd(36)}${at(0.5)}${at(0.95)}${at(1)}`)
}
await database.close()
rmSync(folder, { recursive: true, force: true })
