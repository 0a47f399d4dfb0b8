import { type Kysely, sql, type Transaction } from 'kysely'

/**
 * A number for each kind of stored configuration, raised in the transaction that changes it. Whoever keeps such
 * configuration in memory polls the number and reads the rest only when it moved. The table is made by `migrate`.
 */
export type RevisionTables = { revisions: { name: string; value: number } }

/** Raises the number of `name` by one. Call it in the transaction of the change: both become visible together. */
// biome-ignore lint/suspicious/noExplicitAny: rooms pass transactions over their own tables
export async function bumpRevision(trx: Transaction<any>, name: string): Promise<void> {
  await (trx as Transaction<RevisionTables>)
    .insertInto('revisions')
    .values({ name, value: 1 })
    .onConflict((conflict) => conflict.column('name').doUpdateSet({ value: sql`revisions.value + 1` }))
    .execute()
}

/** The number of `name`; 0 when nothing was ever changed. */
// biome-ignore lint/suspicious/noExplicitAny: rooms pass databases over their own tables
export async function readRevision(db: Kysely<any>, name: string): Promise<number> {
  const row = await (db as Kysely<RevisionTables>)
    .selectFrom('revisions')
    .select('value')
    .where('name', '=', name)
    .executeTakeFirst()
  return row?.value ?? 0
}
