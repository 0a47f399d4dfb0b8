import fc from 'fast-check'
import { CompiledQuery, type Kysely, type KyselyPlugin, type RootOperationNode, type Transaction } from 'kysely'
import { beforeEach, describe, expect, test } from 'vitest'
import { createManualClock } from '../kernel/clock.ts'
import type { Principal } from '../kernel/principal.ts'
import { everything, withinTenant } from '../kernel/scope.ts'
import { migrations } from '../migrations/index.ts'
import { engines } from '../platform/database/testing.ts'
import type { SettledRow } from '../usage/index.ts'
import { digestOf } from './capture.ts'
import { eraseOwner, eraseSession, finishErasures } from './erase.ts'
import {
  addToSessions,
  type ConversationTables,
  conversationId,
  createConversationStore,
  type MessageRow,
} from './store.ts'

const start = Date.UTC(2026, 0, 1)
const owner = { user_id: 'usr_a', tenant_id: 'ten_a' }

const row = (id: string, changes: Partial<SettledRow> = {}) =>
  ({
    ...{ id, started_at: start + 1, tenant_id: 'ten_a', user_id: 'usr_a', key_id: 'key_a', session_id: 's' },
    ...{ outcome: 'success', model_asked: 'm', tokens_in: 10, tokens_out: 5, cost_nano_usd: 100 },
    ...changes,
  }) as SettledRow

const message = (request: string, at: number, session = 's', number = 0): MessageRow => ({
  ...{ id: `${request}.0${number}`, conversation_id: conversationId('ten_a', 'usr_a', session), ...owner },
  ...{ request_id: request, role: 'user', name: '', content: `said in ${request}`, tool_calls: '' },
  digest: digestOf({ role: 'user', content: `said in ${request}`, tool_calls: '' }),
  ...{ said_at: at, expires_at: start + 1e12 },
})
const head = (at: number, session = 's') => ({
  ...{ id: conversationId('ten_a', 'usr_a', session), ...owner, session_id: session, key_id: 'key_a', at },
})

const admin = { role: 'super_admin', id: 'admin', tenantId: '', userId: '' } as Principal

describe.each(engines())('the store of conversations on $name', ({ name, open }) => {
  let db: Kysely<ConversationTables>
  let store: ReturnType<typeof createConversationStore>
  let clock: ReturnType<typeof createManualClock>
  const settle = (rows: SettledRow[]) =>
    db.transaction().execute((trx) => addToSessions(trx as unknown as Transaction<never>, rows))
  const parts = () => ({ store, clock, sign: () => 'signed' })
  const list = () => store.listSessions(everything, {}, null, 100)
  const said = async (session = 's') => {
    const found = await store.findSession(everything, conversationId('ten_a', 'usr_a', session))
    return found === undefined ? [] : await store.listMessages(found, null, start, 1000)
  }

  beforeEach(async () => {
    db = (await open(migrations)).kysely
    store = createConversationStore(db)
    clock = createManualClock(start + 1000)
  })

  test('calls add up by tenant, owner and session, whatever batches they come in; who has no person is its key', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.record({
            session_id: fc.constantFrom('', 'one', 'two'),
            user_id: fc.constantFrom('usr_a', 'usr_b', ''),
            tenant_id: fc.constantFrom('ten_a', 'ten_b'),
            started_at: fc.integer({ min: start + 1, max: start + 50 }),
            outcome: fc.constantFrom('success' as const, 'failure' as const),
            cost_nano_usd: fc.constantFrom(null, 5, 7),
          }),
          { maxLength: 30 },
        ),
        fc.integer({ min: 1, max: 10 }),
        async (changes, size) => {
          await db.deleteFrom('conversations').execute()
          const rows = changes.map((change, i) => row(`req_${i}`, change))
          for (let i = 0; i < rows.length; i += size) await settle(rows.slice(i, i + size))
          const wanted = new Map<string, SettledRow[]>()
          for (const one of rows.filter(({ session_id }) => session_id !== '')) {
            const id = conversationId(one.tenant_id, one.user_id || one.key_id, one.session_id)
            wanted.set(id, [...(wanted.get(id) ?? []), one])
          }
          const found = await list()
          expect(found.map(({ id }) => id).sort()).toEqual([...wanted.keys()].sort())
          for (const one of found) {
            const own = wanted.get(one.id)!
            const times = own.map(({ started_at }) => started_at)
            expect(one).toMatchObject({
              ...{ calls: own.length, tokens_in: own.length * 10, tokens_out: own.length * 5 },
              ...{ first_at: Math.min(...times), last_at: Math.max(...times) },
              failures: own.filter(({ outcome }) => outcome === 'failure').length,
              cost_nano_usd: own.reduce((sum, { cost_nano_usd }) => sum + (cost_nano_usd ?? 0), 0),
              unpriced_calls: own.filter(({ cost_nano_usd }) => cost_nano_usd === null).length,
            })
          }
        },
      ),
      { numRuns: 30 },
    )
  })

  test('what was said is kept once, however often it is handed in', async () => {
    for (let i = 0; i < 3; i++) expect(await store.keep(head(start + 1), [message('req_1', start + 1)])).toBe(true)
    expect(await said()).toHaveLength(1)
  })

  test('a late row and a late capture do not bring a deleted session back; a new call begins anew', async () => {
    await settle([row('req_1')])
    await store.keep(head(start + 1), [message('req_1', start + 1)])
    const receipt = await eraseSession(head(0).id, admin, parts())
    expect(receipt).toMatchObject({ sessions: 1, messages: 1, signature: 'signed' })
    await settle([row('req_0', { started_at: start })])
    expect(await store.keep(head(start + 1), [message('req_1', start + 1)])).toBe(false)
    expect(await store.keep(head(start + 1000), [message('req_9', start + 1000)])).toBe(false)
    expect(await list()).toEqual([])
    expect(await db.selectFrom('conversation_messages').selectAll().execute()).toEqual([])
    const left = await db.selectFrom('conversations').selectAll().executeTakeFirstOrThrow()
    expect(left).toMatchObject({ session_id: '', model: '', key_id: '', calls: 0 })

    await settle([row('req_2', { started_at: start + 2000 })])
    expect(await store.keep(head(start + 2000), [message('req_2', start + 2000)])).toBe(true)
    expect(await list()).toMatchObject([{ session_id: 's', calls: 1, first_at: start + 2000 }])
    expect(await said()).toMatchObject([{ request_id: 'req_2' }])
  })

  test("all of a person's is gone, also sessions that nobody had heard of yet", async () => {
    await settle([row('req_1'), row('req_2', { session_id: 't' }), row('req_3', { user_id: 'usr_b' })])
    expect(await eraseOwner(owner, admin, parts())).toMatchObject({ sessions: 2, messages: 0 })
    expect(await store.keep(head(start + 5, 'never heard of'), [message('req_4', start + 5, 'never heard of')])).toBe(
      false,
    )
    await settle([row('req_5', { session_id: 'late' })])
    expect(await list()).toMatchObject([{ user_id: 'usr_b' }])
  })

  test('a capture and a deletion at the same time: whichever is first, nothing is left over', async () => {
    for (let i = 0; i < 20; i++) {
      const session = `race ${i}`
      await settle([row(`req_${i}`, { session_id: session })])
      const [, receipt] = await Promise.all([
        store.keep(head(start + 1, session), [message(`req_${i}`, start + 1, session)]),
        eraseSession(head(0, session).id, admin, parts()),
      ])
      expect(receipt.finished_at).toBeGreaterThan(0)
      const left = await db
        .selectFrom('conversation_messages')
        .select('id')
        .where('request_id', '=', `req_${i}`)
        .execute()
      expect(left).toEqual([])
    }
  })

  test('a deletion whose process dies between two batches is gone on with, to the same digest and number', async () => {
    const fill = async (session: string) => {
      await store.keep(
        head(start + 1, session),
        Array.from({ length: 1201 }, (_, i) => ({
          ...message(`req_${String(i).padStart(4, '0')}`, start + 1, session),
          id: `${session}.${String(i).padStart(4, '0')}`,
        })),
      )
    }
    await fill('a')
    const broken = {
      ...parts(),
      store: {
        ...store,
        eraseSome: ((...args) =>
          ++steps > 2 ? Promise.reject(new Error('killed')) : store.eraseSome(...args)) as typeof store.eraseSome,
      },
    }
    let steps = 0
    await expect(eraseSession(head(0, 'a').id, admin, broken)).rejects.toThrow('killed')
    expect(await list()).toEqual([])
    expect(await said('a')).toEqual([])
    const [half] = await store.listReceipts(everything, undefined, 10)
    expect(half).toMatchObject({ finished_at: 0, messages: 1000, signature: '' })
    // Two nodes at once.
    await Promise.all([1, 2].map(() => finishErasures(parts(), new AbortController().signal)))
    const done = await store.findReceipt(everything, half!.id)
    expect(done).toMatchObject({ messages: 1201, signature: 'signed' })

    await db.deleteFrom('conversations').execute()
    await fill('a')
    expect((await eraseSession(head(0, 'a').id, admin, parts())).digest).toBe(done!.digest)
  })

  test('old messages and sessions go, and with them the rows that kept deleted ones away', async () => {
    await store.keep(head(start + 1), [{ ...message('req_1', start + 1), expires_at: start + 10 }])
    await store.keep(head(start + 1, 'other'), [message('req_2', start + 1, 'other')])
    expect(await store.deleteExpiredMessages(start + 10, 100)).toBe(1)
    await eraseSession(head(0, 'other').id, admin, parts())
    expect(await store.deleteOldSessions(start + 1, 100)).toBe(0)
    expect(await store.deleteOldSessions(start + 1001, 100)).toBe(2)
  })

  test('lists read along an index, however many sessions there are, for everybody, a tenant, a person and a session', async () => {
    let last: RootOperationNode | undefined
    const captor: KyselyPlugin = {
      transformQuery({ node }) {
        last = node
        return node
      },
      transformResult: async ({ result }) => result,
    }
    const watched = db.withPlugin(captor)
    const seen = createConversationStore(watched)
    const many = Array.from({ length: 3000 }, (_, i) =>
      row(`req_${i}`, {
        session_id: `s${i}`,
        user_id: `usr_${i % 20}`,
        tenant_id: `ten_${i % 4}`,
        started_at: start + i,
      }),
    )
    for (let i = 0; i < many.length; i += 500) await settle(many.slice(i, i + 500))
    for (let i = 0; i < 3000; i += 10)
      await store.keep(head(start + 1, `s${i}`), [message(`req_${i}`, start + 1, `s${i}`)])
    if (name === 'postgres') {
      await db.executeQuery(CompiledQuery.raw('analyze conversations'))
      await db.executeQuery(CompiledQuery.raw('analyze conversation_messages'))
    }
    const explain = async () => {
      const { sql, parameters } = watched.getExecutor().compileQuery(last!, { queryId: 'captured' } as never)
      const { rows } = await db.executeQuery(
        CompiledQuery.raw(`${name === 'postgres' ? 'explain' : 'explain query plan'} ${sql}`, [...parameters]),
      )
      return JSON.stringify(rows)
    }
    const before = { at: start + 2500, id: 'cnv_0' }
    for (const [scope, filter, index] of [
      [everything, {}, 'by_time'],
      [withinTenant('ten_1'), {}, 'by_tenant'],
      [everything, { userId: 'usr_1' }, 'by_user'],
      [withinTenant('ten_1'), { userId: 'usr_1' }, 'by_user'],
    ] as const) {
      await seen.listSessions(scope, filter, before, 50)
      const plan = await explain()
      expect(plan).toContain(`conversations_${index}`)
      expect(plan).not.toMatch(/TEMP B-TREE|Seq Scan|"Sort /)
    }
    await seen.listMessages({ id: head(0, 's10').id, deleted_at: 0 }, null, start, 50)
    expect(await explain()).toContain('conversation_messages_by_conversation')
  })
})
