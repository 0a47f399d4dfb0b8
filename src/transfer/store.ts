import type { Kysely, Transaction } from 'kysely'
import { bumpRevision } from '../platform/database/index.ts'
import { type Kind, pointedAt } from './kind.ts'

export type Row = Record<string, unknown> & { id: string | number }

/** Tables of other rooms by their names: what may be read and written of them is said in `kinds.ts` and nowhere else. */
type AnyTables = Record<string, Row>
export type TransferDb = Kysely<AnyTables> | Transaction<AnyTables>

export function createTransferStore(db: Kysely<AnyTables>) {
  return {
    /** All that `work` does, or nothing of it. */
    inOne: <T>(work: (trx: TransferDb) => Promise<T>): Promise<T> => db.transaction().execute(work),
    db: db as TransferDb,

    async list(from: TransferDb, { table, only = {} }: Kind): Promise<Row[]> {
      let query = from.selectFrom(table).selectAll()
      for (const [name, value] of Object.entries(only)) query = query.where(name, '=', value)
      return (await query.orderBy('id').execute()) as Row[]
    },
    /** Names by id of what is only pointed at. */
    async names(from: TransferDb, kind: string): Promise<Map<string, string>> {
      const { table, name } = pointedAt[kind]!
      const rows = await from.selectFrom(table).select(['id', name]).execute()
      return new Map(rows.map((row) => [String(row.id), String(row[name])]))
    },
    insert: (trx: TransferDb, { table }: Kind, row: Row) => trx.insertInto(table).values(row).execute(),
    update: (trx: TransferDb, { table }: Kind, id: Row['id'], change: Record<string, unknown>) =>
      trx.updateTable(table).set(change).where('id', '=', id).execute(),
    changed: (trx: TransferDb, revision: string) => bumpRevision(trx as Transaction<AnyTables>, revision),
  }
}
export type TransferStore = ReturnType<typeof createTransferStore>
