import type { Kysely } from 'kysely'

export type RevisionTables = {
  config_revisions: {
    id: string
    at: number
    node: string
    author_kind: string
    author_id: string
    author_name: string
    origin: string
    outcome: string
    reason: string
    /** JSON: what changed, with secrets masked. */
    diff: string
    applied: string
    waiting: string
    /** The file's text and every value, sealed: secrets stand in them. */
    sealed: string
  }
}

export const origins = ['start', 'signal', 'api', 'command', 'rollback'] as const
export type RevisionOrigin = (typeof origins)[number]

/** `kept`: it outlived its watch. `rolled_back`: the hub took it back by itself, or a part of it could not live with it. */
export const revisionOutcomes = ['watched', 'kept', 'rolled_back'] as const
export type RevisionOutcome = (typeof revisionOutcomes)[number]

export type Change = { name: string; before: unknown; after: unknown }
export type Author = { kind: string; id: string; name: string }

export type Revision = {
  id: string
  /** Epoch ms. */
  at: number
  node: string
  author: Author
  origin: RevisionOrigin
  outcome: RevisionOutcome
  reason: string
  diff: Change[]
  applied: string[]
  waiting: string[]
}
export type StoredRevision = Revision & { sealed: string }

/** Older ones go, so that a program that reloads every minute fills no store. */
const mostKept = 500

export type RevisionsStore = ReturnType<typeof createRevisionsStore>

export function createRevisionsStore(db: Kysely<RevisionTables>) {
  return {
    async add({ author, diff, applied, waiting, ...rest }: StoredRevision): Promise<void> {
      await db.transaction().execute(async (trx) => {
        await trx
          .insertInto('config_revisions')
          .values({
            ...rest,
            ...{ author_kind: author.kind, author_id: author.id, author_name: author.name },
            ...{ diff: JSON.stringify(diff), applied: JSON.stringify(applied), waiting: JSON.stringify(waiting) },
          })
          .execute()
        const oldest = await trx
          .selectFrom('config_revisions')
          .select('id')
          .orderBy('id', 'desc')
          .offset(mostKept)
          .limit(1)
          .executeTakeFirst()
        if (oldest !== undefined) await trx.deleteFrom('config_revisions').where('id', '<=', oldest.id).execute()
      })
    },

    async settle(id: string, outcome: RevisionOutcome, reason: string): Promise<void> {
      await db.updateTable('config_revisions').set({ outcome, reason }).where('id', '=', id).execute()
    },

    /** Newest first. */
    async list({ limit, before }: { limit: number; before: string }): Promise<Revision[]> {
      let query = db.selectFrom('config_revisions').selectAll()
      if (before !== '') query = query.where('id', '<', before)
      return (await query.orderBy('id', 'desc').limit(limit).execute()).map(toRevision)
    },

    async find(id: string): Promise<StoredRevision | undefined> {
      const row = await db.selectFrom('config_revisions').selectAll().where('id', '=', id).executeTakeFirst()
      return row && toRevision(row)
    },

    /** The newest that a node has kept or is watching; of any node when it has none of its own. */
    async latest(node: string): Promise<StoredRevision | undefined> {
      const kept = db.selectFrom('config_revisions').selectAll().where('outcome', '!=', 'rolled_back')
      const row =
        (await kept.where('node', '=', node).orderBy('id', 'desc').limit(1).executeTakeFirst()) ??
        (await kept.orderBy('id', 'desc').limit(1).executeTakeFirst())
      return row && toRevision(row)
    },
  }
}

function toRevision(row: RevisionTables['config_revisions']): StoredRevision {
  return {
    ...{ id: row.id, at: Number(row.at), node: row.node, reason: row.reason, sealed: row.sealed },
    author: { kind: row.author_kind, id: row.author_id, name: row.author_name },
    origin: row.origin as RevisionOrigin,
    outcome: row.outcome as RevisionOutcome,
    diff: JSON.parse(row.diff) as Change[],
    applied: JSON.parse(row.applied) as string[],
    waiting: JSON.parse(row.waiting) as string[],
  }
}
