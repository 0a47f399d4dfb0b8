import type { Kysely, Selectable } from 'kysely'
import type { Principal } from '../../../kernel/principal.ts'

export type PinnedTables = {
  /** A file or a batch that lives at a provider, and whose it is. */
  pinned_objects: {
    kind: PinKind
    /** The provider's own. */
    id: string
    provider_id: string
    /** Which of the provider's keys made it; '' for its only one. */
    provider_key_id: string
    tenant_id: string
    user_id: string
    key_id: string
    /** Of a file: what it is for. */
    purpose: string
    /** The model that a file for a batch, or a batch, asks: as the caller names it, and as the provider does. */
    model: string
    provider_model: string
    /** The object as the provider last showed it. */
    wire: string
    /** Of a batch: what it consumed is in the ledger. */
    is_settled: number
    created_at: number
    expires_at: number | null
  }
}

export type PinKind = 'file' | 'batch'
export type Pin = Selectable<PinnedTables['pinned_objects']>
export type PinPage = { limit: number; after: string | null; order: 'asc' | 'desc'; purpose: string | null }

export type PinStore = ReturnType<typeof createPinStore>

export function createPinStore(db: Kysely<PinnedTables>) {
  const own = (kind: PinKind, { keyId, tenantId }: Principal) =>
    db
      .selectFrom('pinned_objects')
      .selectAll()
      .where('kind', '=', kind)
      .where('key_id', '=', keyId)
      .where('tenant_id', '=', tenantId)

  const find = (kind: PinKind, id: string, owner: Principal): Promise<Pin | undefined> =>
    own(kind, owner).where('id', '=', id).orderBy('created_at', 'desc').executeTakeFirst()

  return {
    find,

    /** One page of a caller's own, and whether there are more. An unknown `after` is where nothing follows. */
    async list(kind: PinKind, owner: Principal, page: PinPage): Promise<{ pins: Pin[]; hasMore: boolean }> {
      const after = page.after === null ? null : await find(kind, page.after, owner)
      if (after === undefined) return { pins: [], hasMore: false }
      const beyond = page.order === 'desc' ? '<' : '>'
      const found = await own(kind, owner)
        .$if(page.purpose !== null, (query) => query.where('purpose', '=', page.purpose!))
        .$if(after !== null, (query) =>
          query.where((eb) =>
            eb.or([
              eb('created_at', beyond, after!.created_at),
              eb.and([eb('created_at', '=', after!.created_at), eb('id', beyond, after!.id)]),
            ]),
          ),
        )
        .orderBy('created_at', page.order)
        .orderBy('id', page.order)
        .limit(page.limit + 1)
        .execute()
      return { pins: found.slice(0, page.limit), hasMore: found.length > page.limit }
    },

    /** Batches since then that nobody has seen end, oldest first, from behind `after`. */
    listUnsettled(sinceMs: number, after: Pick<Pin, 'created_at' | 'id'> | null, limit: number): Promise<Pin[]> {
      return db
        .selectFrom('pinned_objects')
        .selectAll()
        .where('kind', '=', 'batch')
        .where('is_settled', '=', 0)
        .where('created_at', '>=', sinceMs)
        .$if(after !== null, (query) =>
          query.where((eb) =>
            eb.or([
              eb('created_at', '>', after!.created_at),
              eb.and([eb('created_at', '=', after!.created_at), eb('id', '>', after!.id)]),
            ]),
          ),
        )
        .orderBy('created_at')
        .orderBy('id')
        .limit(limit)
        .execute()
    },

    /** Keeps a new pin; one that is there already stays its first owner's. Long expired ones go. */
    async keep(pin: Pin, forgetBefore: number): Promise<void> {
      await db.deleteFrom('pinned_objects').where('expires_at', '<', forgetBefore).execute()
      await db
        .insertInto('pinned_objects')
        .values(pin)
        .onConflict((conflict) => conflict.columns(['kind', 'provider_id', 'id']).doNothing())
        .execute()
    },

    async show({ kind, provider_id, id }: Pin, wire: string): Promise<void> {
      await db
        .updateTable('pinned_objects')
        .set({ wire })
        .where('kind', '=', kind)
        .where('provider_id', '=', provider_id)
        .where('id', '=', id)
        .execute()
    },

    async settle({ kind, provider_id, id }: Pin): Promise<void> {
      await db
        .updateTable('pinned_objects')
        .set({ is_settled: 1 })
        .where('kind', '=', kind)
        .where('provider_id', '=', provider_id)
        .where('id', '=', id)
        .execute()
    },

    async forget({ kind, provider_id, id }: Pin): Promise<void> {
      await db
        .deleteFrom('pinned_objects')
        .where('kind', '=', kind)
        .where('provider_id', '=', provider_id)
        .where('id', '=', id)
        .execute()
    },
  }
}
