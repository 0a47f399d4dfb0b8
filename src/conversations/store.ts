import { createHash } from 'node:crypto'
import { type ExpressionBuilder, type Kysely, type Selectable, sql, type Transaction } from 'kysely'
import type { Scope } from '../kernel/scope.ts'
import { bumpRevision, readRevision } from '../platform/database/index.ts'
import type { SettledRow } from '../usage/index.ts'
import { ownerOf } from './schema.ts'

export type ConversationTables = {
  conversations: {
    id: string
    tenant_id: string
    user_id: string
    key_id: string
    /** As callers write it; '' once it was deleted. */
    session_id: string
    model: string
    first_at: number
    /** 0 once it was deleted: it is in no list any more, and its row only keeps it from coming back. */
    last_at: number
    calls: number
    failures: number
    tokens_in: number
    tokens_out: number
    cost_nano_usd: number
    unpriced_calls: number
    deleted_at: number
  }
  conversation_owners: { user_id: string; tenant_id: string; erased_before: number }
  conversation_messages: {
    id: string
    conversation_id: string
    tenant_id: string
    user_id: string
    request_id: string
    role: string
    name: string
    content: string
    /** JSON, '' for none. */
    tool_calls: string
    /** SHA-256 of role, content and tool calls, as they are kept. */
    digest: string
    said_at: number
    expires_at: number
  }
  conversation_settings: {
    scope: string
    scope_id: string
    tenant_id: string
    is_stored: number
    redact: string
    words: string
    retention_days: number | null
    updated_at: number
  }
  deletion_receipts: {
    id: string
    tenant_id: string
    user_id: string
    /** '' where all of a person's were deleted. */
    conversation_id: string
    requested_by: string
    digest: string
    signature: string
    erased_before: number
    /** 0 while it is under way. */
    finished_at: number
    sessions: number
    messages: number
  }
}

type Table = keyof ConversationTables
export type ConversationRow = Selectable<ConversationTables['conversations']>
export type MessageRow = Selectable<ConversationTables['conversation_messages']>
export type SettingRow = Selectable<ConversationTables['conversation_settings']>
export type ReceiptRow = Selectable<ConversationTables['deletion_receipts']>
export type Position = { at: number; id: string }
export type SessionFilter = {
  userId?: string | undefined
  sessionId?: string | undefined
  from?: number | undefined
  to?: number | undefined
}
export type ConversationStore = ReturnType<typeof createConversationStore>

type Trx = Transaction<ConversationTables>
type Owner = { user_id: string; tenant_id: string }

const alphabet = '0123456789abcdefghjkmnpqrstvwxyz'

/** One session of one owner has one id, whoever computes it: lengths in front keep parts from running together. */
export function conversationId(tenantId: string, owner: string, sessionId: string): string {
  const parts = [tenantId, owner, sessionId].map((part) => `${part.length}:${part}`)
  const hash = createHash('sha256').update(parts.join('')).digest()
  return `cnv_${Array.from(hash.subarray(0, 26), (byte) => alphabet[byte & 31]).join('')}`
}

/**
 * Adds rows of the ledger to the sums of their sessions, in the transaction that stores the rows: exactly once. Calls
 * from before a deletion add nothing, however late they come.
 */
export async function addToSessions(transaction: Transaction<never>, rows: readonly SettledRow[]): Promise<void> {
  const trx = transaction as unknown as Trx
  const sums = new Map<string, { sum: ConversationRow; rows: SettledRow[] }>()
  for (const row of rows) {
    if (row.session_id === '' || row.tenant_id + row.key_id + row.user_id === '') continue
    const owner = ownerOf({ userId: row.user_id, keyId: row.key_id })
    const id = conversationId(row.tenant_id, owner, row.session_id)
    const group = sums.get(id)
    if (group) group.rows.push(row)
    else sums.set(id, { sum: emptyOf(id, row.tenant_id, owner, row.session_id), rows: [row] })
  }
  if (sums.size === 0) return
  const groups = [...sums.values()]
  const erased = await takeOwners(
    trx,
    groups.map(({ sum }) => sum),
  )
  const deleted = await deletedAt(trx, [...sums.keys()])
  const added = groups.flatMap(({ sum, rows: own }) => {
    const since = Math.max(erased.get(ownerKey(sum)) ?? 0, deleted.get(sum.id) ?? 0)
    const counted = own.filter((row) => row.started_at > since)
    for (const row of counted) addCall(sum, row)
    return counted.length === 0 ? [] : [sum]
  })
  await upsertSessions(trx, added)
}

function emptyOf(id: string, tenantId: string, owner: string, sessionId: string): ConversationRow {
  return {
    ...{ id, tenant_id: tenantId, user_id: owner, key_id: '', session_id: sessionId, model: '' },
    ...{ first_at: 0, last_at: 0, calls: 0, failures: 0, tokens_in: 0, tokens_out: 0, cost_nano_usd: 0 },
    ...{ unpriced_calls: 0, deleted_at: 0 },
  }
}

function addCall(sum: ConversationRow, row: SettledRow): void {
  if (row.started_at >= sum.last_at) {
    sum.last_at = row.started_at
    sum.key_id = row.key_id
    sum.model = row.model_asked
  }
  sum.first_at = sum.first_at === 0 ? row.started_at : Math.min(sum.first_at, row.started_at)
  sum.calls++
  if (row.outcome !== 'success') sum.failures++
  sum.tokens_in += row.tokens_in
  sum.tokens_out += row.tokens_out
  sum.cost_nano_usd += row.cost_nano_usd ?? 0
  if (row.cost_nano_usd === null) sum.unpriced_calls++
}

const ownerKey = ({ user_id, tenant_id }: Owner) => `${tenant_id} ${user_id}`

/** Locks the owners until the transaction ends, always in one order; from before when everything of theirs is gone. */
async function takeOwners(trx: Trx, owners: readonly Owner[]): Promise<Map<string, number>> {
  const named = new Map(owners.map((owner) => [ownerKey(owner), owner]))
  const ordered = [...named.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, owner]) => owner)
  const rows = await trx
    .insertInto('conversation_owners')
    .values(ordered.map(({ user_id, tenant_id }) => ({ user_id, tenant_id, erased_before: 0 })))
    .onConflict((conflict) =>
      conflict.columns(['user_id', 'tenant_id']).doUpdateSet({ erased_before: sql`conversation_owners.erased_before` }),
    )
    .returning(['user_id', 'tenant_id', 'erased_before'])
    .execute()
  return new Map(rows.map((row) => [ownerKey(row), row.erased_before]))
}

async function deletedAt(trx: Trx, ids: readonly string[]): Promise<Map<string, number>> {
  const rows = await trx
    .selectFrom('conversations')
    .select(['id', 'deleted_at'])
    .where('id', 'in', [...ids])
    .execute()
  return new Map(rows.map((row) => [row.id, row.deleted_at]))
}

async function upsertSessions(trx: Trx, rows: readonly ConversationRow[]): Promise<void> {
  if (rows.length === 0) return
  const plus = (name: string) => sql<number>`conversations.${sql.ref(name)} + excluded.${sql.ref(name)}`
  // Of the later of the two; one that was deleted (last_at 0) begins anew.
  const ofLater = (name: string) =>
    sql<string>`case when excluded.last_at >= conversations.last_at
      then excluded.${sql.ref(name)} else conversations.${sql.ref(name)} end`
  await trx
    .insertInto('conversations')
    .values([...rows])
    .onConflict((conflict) =>
      conflict.column('id').doUpdateSet({
        session_id: sql`excluded.session_id`,
        key_id: ofLater('key_id'),
        model: ofLater('model'),
        first_at: sql<number>`case when conversations.last_at = 0 or excluded.first_at < conversations.first_at
          then excluded.first_at else conversations.first_at end`,
        last_at: sql<number>`case when excluded.last_at > conversations.last_at
          then excluded.last_at else conversations.last_at end`,
        calls: plus('calls'),
        failures: plus('failures'),
        tokens_in: plus('tokens_in'),
        tokens_out: plus('tokens_out'),
        cost_nano_usd: plus('cost_nano_usd'),
        unpriced_calls: plus('unpriced_calls'),
      }),
    )
    .execute()
}

/** Whose rows a scope covers; a person's are those of the user in its own tenant. */
function covers<T extends Table>(scope: Scope) {
  return (eb: ExpressionBuilder<ConversationTables, T>) => {
    const row = eb as unknown as ExpressionBuilder<Record<'t', Owner>, 't'>
    if (scope.kind === 'everything') return row.lit(true)
    const ofTenant = row('tenant_id', '=', scope.tenantId)
    return scope.kind === 'tenant' ? ofTenant : row.and([ofTenant, row('user_id', '=', scope.userId)])
  }
}

export function createConversationStore(db: Kysely<ConversationTables>) {
  const write = <T>(work: (trx: Trx) => Promise<T>): Promise<T> => db.transaction().execute(work)

  return {
    revision: () => readRevision(db, 'conversations'),
    allSettings: (): Promise<SettingRow[]> => db.selectFrom('conversation_settings').selectAll().execute(),
    listSettings: (tenantId: string | null): Promise<SettingRow[]> =>
      db
        .selectFrom('conversation_settings')
        .selectAll()
        .$if(tenantId !== null, (query) => query.where('tenant_id', '=', tenantId!))
        .orderBy('scope')
        .orderBy('scope_id')
        .limit(1000)
        .execute(),
    putSetting: (row: SettingRow) =>
      write(async (trx) => {
        const { scope: _, scope_id: __, ...change } = row
        await trx
          .insertInto('conversation_settings')
          .values(row)
          .onConflict((conflict) => conflict.columns(['scope', 'scope_id']).doUpdateSet(change))
          .execute()
        await bumpRevision(trx, 'conversations')
      }),
    deleteSetting: (scope: string, scopeId: string): Promise<boolean> =>
      write(async (trx) => {
        const query = trx.deleteFrom('conversation_settings').where('scope', '=', scope).where('scope_id', '=', scopeId)
        const { numDeletedRows } = await query.executeTakeFirst()
        await bumpRevision(trx, 'conversations')
        return numDeletedRows > 0
      }),

    /**
     * Keeps what was said in a call, once however often it is handed in; false when its session, or all of its owner's,
     * was deleted after the call began.
     */
    keep: (
      session: Owner & { id: string; session_id: string; key_id: string; at: number },
      said: readonly MessageRow[],
    ) =>
      write(async (trx) => {
        const { id, at, tenant_id, user_id, session_id, key_id } = session
        const erased = (await takeOwners(trx, [session])).get(ownerKey(session)) ?? 0
        const deleted = (await deletedAt(trx, [id])).get(id) ?? 0
        if (at <= Math.max(erased, deleted)) return false
        // The call's row of the ledger may come later, and adds to this.
        const row = { ...emptyOf(id, tenant_id, user_id, session_id), key_id, first_at: at, last_at: at }
        await upsertSessions(trx, [row])
        await trx
          .insertInto('conversation_messages')
          .values([...said])
          .onConflict((conflict) => conflict.column('id').doNothing())
          .execute()
        return true
      }),

    /** Newest first. */
    async listSessions(scope: Scope, filter: SessionFilter, before: Position | null, limit: number) {
      const { sessionId, to } = filter
      const userId = scope.kind === 'person' ? scope.userId : filter.userId
      if (filter.userId !== undefined && filter.userId !== userId) return []
      let query = db
        .selectFrom('conversations')
        .selectAll()
        .where('last_at', '>', filter.from ?? 0)
      if (userId === undefined) query = query.where(covers(scope))
      else {
        query = query.where('user_id', '=', userId)
        // Not as a plain column: the planner would read all of the tenant for the sake of the order.
        if (scope.kind !== 'everything') query = query.where(sql`tenant_id || ''`, '=', scope.tenantId)
      }
      if (sessionId !== undefined) query = query.where('session_id', '=', sessionId)
      if (to !== undefined) query = query.where('last_at', '<', to)
      if (before) query = query.where((eb) => eb(eb.refTuple('last_at', 'id'), '<', eb.tuple(before.at, before.id)))
      return query.orderBy('last_at', 'desc').orderBy('id', 'desc').limit(limit).execute()
    },

    findSession: (scope: Scope, id: string): Promise<ConversationRow | undefined> =>
      db
        .selectFrom('conversations')
        .selectAll()
        .where('id', '=', id)
        .where('last_at', '>', 0)
        .where(covers(scope))
        .executeTakeFirst(),

    /** In the order they were said. */
    listMessages(session: { id: string; deleted_at: number }, after: Position | null, nowMs: number, limit: number) {
      let query = db
        .selectFrom('conversation_messages')
        .selectAll()
        .where('conversation_id', '=', session.id)
        .where('said_at', '>', session.deleted_at)
        .where('expires_at', '>', nowMs)
      if (after) query = query.where((eb) => eb(eb.refTuple('said_at', 'id'), '>', eb.tuple(after.at, after.id)))
      return query.orderBy('said_at').orderBy('id').limit(limit).execute()
    },

    /** A person's newest messages, down to `limit` of them; what was deleted and is not gone yet is left out. */
    latestMessages: (scope: Scope, owner: Owner, nowMs: number, before: Position | null, limit: number) =>
      db
        .selectFrom('conversation_messages')
        .innerJoin('conversations', 'conversations.id', 'conversation_messages.conversation_id')
        .selectAll('conversation_messages')
        .where('conversation_messages.user_id', '=', owner.user_id)
        .where('conversation_messages.tenant_id', '=', owner.tenant_id)
        .$if(scope.kind !== 'everything', (query) =>
          query.where('conversation_messages.tenant_id', '=', scope.kind === 'everything' ? '' : scope.tenantId),
        )
        .whereRef('conversation_messages.said_at', '>', 'conversations.deleted_at')
        .where('conversation_messages.expires_at', '>', nowMs)
        .$if(before !== null, (query) =>
          query.where((eb) =>
            eb(
              eb.refTuple('conversation_messages.said_at', 'conversation_messages.id'),
              '<',
              eb.tuple(before!.at, before!.id),
            ),
          ),
        )
        .orderBy('conversation_messages.said_at', 'desc')
        .orderBy('conversation_messages.id', 'desc')
        .limit(limit)
        .execute(),

    /** Hides a session, or all of an owner's, from this moment on and for ever, and opens the receipt. False: nothing is there. */
    beginErasure: (scope: Scope, receipt: ReceiptRow): Promise<boolean> =>
      write(async (trx) => {
        const { user_id, tenant_id, conversation_id: id, erased_before: now } = receipt
        await takeOwners(trx, [receipt])
        const hidden = { last_at: 0, first_at: 0, calls: 0, failures: 0, tokens_in: 0, tokens_out: 0 }
        const nameless = { session_id: '', key_id: '', model: '', cost_nano_usd: 0, unpriced_calls: 0 }
        const gone = await trx
          .updateTable('conversations')
          .set({ ...hidden, ...nameless, deleted_at: now })
          .where('user_id', '=', user_id)
          .where('tenant_id', '=', tenant_id)
          .where('last_at', '>', 0)
          .where(covers(scope))
          .$if(id !== '', (query) => query.where('id', '=', id))
          .executeTakeFirst()
        const sessions = Number(gone.numUpdatedRows)
        if (id !== '' && sessions === 0) return false
        if (id === '') {
          const owner = trx.updateTable('conversation_owners').set({ erased_before: now })
          await owner.where('user_id', '=', user_id).where('tenant_id', '=', tenant_id).execute()
        }
        await trx
          .insertInto('deletion_receipts')
          .values({ ...receipt, sessions })
          .execute()
        return true
      }),

    /** Deletes up to `limit` of the messages a receipt is about, in their order; `chain` makes the next digest. Null: none are left. */
    eraseSome: (
      id: string,
      limit: number,
      chain: (digest: string, gone: readonly Pick<MessageRow, 'id' | 'digest'>[]) => string,
    ): Promise<number | null> =>
      write(async (trx) => {
        // Taken first: two nodes that finish the same deletion count nothing twice.
        const receipt = await trx
          .updateTable('deletion_receipts')
          .set({ finished_at: 0 })
          .where('id', '=', id)
          .where('finished_at', '=', 0)
          .returningAll()
          .executeTakeFirst()
        if (receipt === undefined) return null
        let query = trx
          .selectFrom('conversation_messages')
          .select(['id', 'digest'])
          .where('user_id', '=', receipt.user_id)
          .where('tenant_id', '=', receipt.tenant_id)
          .where('said_at', '<=', receipt.erased_before)
        if (receipt.conversation_id !== '') query = query.where('conversation_id', '=', receipt.conversation_id)
        const gone = await query.orderBy('said_at').orderBy('id').limit(limit).execute()
        if (gone.length === 0) return null
        const ids = gone.map((row) => row.id)
        await trx.deleteFrom('conversation_messages').where('id', 'in', ids).execute()
        await trx
          .updateTable('deletion_receipts')
          .set({ digest: chain(receipt.digest, gone), messages: receipt.messages + gone.length })
          .where('id', '=', id)
          .execute()
        return gone.length
      }),

    finishErasure: (id: string, finishedAt: number, signature: string) =>
      db
        .updateTable('deletion_receipts')
        .set({ finished_at: finishedAt, signature })
        .where('id', '=', id)
        .where('finished_at', '=', 0)
        .execute(),

    openReceipts: (limit: number): Promise<ReceiptRow[]> =>
      db.selectFrom('deletion_receipts').selectAll().where('finished_at', '=', 0).limit(limit).execute(),

    findReceipt: (scope: Scope, id: string): Promise<ReceiptRow | undefined> =>
      db.selectFrom('deletion_receipts').selectAll().where('id', '=', id).where(covers(scope)).executeTakeFirst(),

    listReceipts: (scope: Scope, before: string | undefined, limit: number): Promise<ReceiptRow[]> =>
      db
        .selectFrom('deletion_receipts')
        .selectAll()
        .where(covers(scope))
        .$if(before !== undefined, (query) => query.where('id', '<', before!))
        .orderBy('id', 'desc')
        .limit(limit)
        .execute(),

    /** Where an owner was ever heard of. */
    tenantsOf,

    async deleteExpiredMessages(nowMs: number, limit: number): Promise<number> {
      const old = db.selectFrom('conversation_messages').select('id').where('expires_at', '<=', nowMs).limit(limit)
      const gone = await db.deleteFrom('conversation_messages').where('id', 'in', old).executeTakeFirst()
      return Number(gone.numDeletedRows)
    },

    /** Sessions whose last call is older, and rows that only kept deleted ones from coming back. */
    async deleteOldSessions(olderThan: number, limit: number): Promise<number> {
      const old = db
        .selectFrom('conversations')
        .select('id')
        .where('last_at', '<', olderThan)
        .where('deleted_at', '<', olderThan)
        .limit(limit)
      const gone = await db.deleteFrom('conversations').where('id', 'in', old).executeTakeFirst()
      return Number(gone.numDeletedRows)
    },
  }

  async function tenantsOf(userId: string): Promise<string[]> {
    const rows = await db.selectFrom('conversation_owners').select('tenant_id').where('user_id', '=', userId).execute()
    return rows.map((row) => row.tenant_id)
  }
}
