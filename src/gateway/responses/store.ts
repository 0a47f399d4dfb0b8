import type { Kysely, Selectable } from 'kysely'

export type ResponseTables = {
  responses: {
    id: string
    tenant_id: string
    user_id: string
    key_id: string
    /** `provider`: its content is there and nowhere else. `hub`: it is in this row. */
    owner: 'hub' | 'provider'
    provider_id: string
    provider_key: string
    /** What the input goes on from at the provider, '' where the input is all there is. */
    previous_id: string
    model: string
    status: string
    is_background: number
    /** The process that runs it, and when it last said so. */
    node: string
    beat_at: number
    input: string
    response: string
    last_sequence: number
    created_at: number
    expires_at: number
    /** The session its call belonged to: as the caller said, or the id of the first response of its chain. */
    session_id: string
  }
  response_items: { item_id: string; response_id: string }
}

export type ResponseRow = Selectable<ResponseTables['responses']>

/** Of whom nobody else may see anything. */
export type Owner = { tenantId: string; keyId: string }

export type ResponseStore = ReturnType<typeof createResponseStore>

const running = ['queued', 'in_progress']

/** Every query about kept responses. */
export function createResponseStore(db: Kysely<ResponseTables>) {
  return {
    insert: (row: ResponseRow, itemIds: readonly string[]) =>
      db.transaction().execute(async (trx) => {
        // A provider may answer twice under one id; the first is whose it is.
        await trx
          .insertInto('responses')
          .values(row)
          .onConflict((conflict) => conflict.doNothing())
          .execute()
        const items = itemIds.map((item_id) => ({ item_id, response_id: row.id }))
        if (items.length === 0) return
        await trx
          .insertInto('response_items')
          .values(items)
          .onConflict((conflict) => conflict.doNothing())
          .execute()
      }),

    find: (id: string, owner: Owner, nowMs: number): Promise<ResponseRow | undefined> =>
      db
        .selectFrom('responses')
        .selectAll()
        .where('id', '=', id)
        .where('tenant_id', '=', owner.tenantId)
        .where('key_id', '=', owner.keyId)
        .where('expires_at', '>', nowMs)
        .executeTakeFirst(),

    /** The responses in which these items were said, one row an item. */
    findItems: (
      itemIds: readonly string[],
      owner: Owner,
      nowMs: number,
    ): Promise<(ResponseRow & { item_id: string })[]> =>
      db
        .selectFrom('response_items')
        .innerJoin('responses', 'responses.id', 'response_items.response_id')
        .selectAll('responses')
        .select('response_items.item_id')
        .where('response_items.item_id', 'in', [...itemIds])
        .where('responses.tenant_id', '=', owner.tenantId)
        .where('responses.key_id', '=', owner.keyId)
        .where('responses.expires_at', '>', nowMs)
        .execute(),

    /** Ends a run, or moves it on; false when somebody else has ended it before. */
    change: (
      id: string,
      change: Pick<ResponseRow, 'status' | 'response'> & Partial<Pick<ResponseRow, 'last_sequence' | 'provider_id'>>,
      itemIds: readonly string[] = [],
    ): Promise<boolean> =>
      db.transaction().execute(async (trx) => {
        const done = await trx
          .updateTable('responses')
          .set(change)
          .where('id', '=', id)
          .where('status', 'in', running)
          .returning('id')
          .execute()
        const items = itemIds.map((item_id) => ({ item_id, response_id: id }))
        if (done.length > 0 && items.length > 0) {
          await trx
            .insertInto('response_items')
            .values(items)
            .onConflict((conflict) => conflict.doNothing())
            .execute()
        }
        return done.length > 0
      }),

    /** Says that this process still runs what it runs; answers which of its runs were ended by others. */
    beat: (node: string, ids: readonly string[], nowMs: number): Promise<string[]> =>
      db.transaction().execute(async (trx) => {
        const mine = trx.updateTable('responses').set({ beat_at: nowMs }).where('node', '=', node)
        const rows = await mine
          .where('id', 'in', [...ids])
          .returning(['id', 'status'])
          .execute()
        const alive = new Set(rows.filter(({ status }) => running.includes(status)).map(({ id }) => id))
        return ids.filter((id) => !alive.has(id))
      }),

    /** Runs whose process has not been heard of since. */
    lost: (beforeMs: number): Promise<ResponseRow[]> =>
      db
        .selectFrom('responses')
        .selectAll()
        .where('status', 'in', running)
        .where('beat_at', '<', beforeMs)
        .limit(200)
        .execute(),

    remove: (id: string) => db.deleteFrom('responses').where('id', '=', id).execute(),
    removeExpired: (nowMs: number) => db.deleteFrom('responses').where('expires_at', '<=', nowMs).execute(),
  }
}
