import type { Kysely, Transaction } from 'kysely'
import { bumpRevision } from '../platform/database/index.ts'
import { idOfRow, type Kind, pointedAt, type Row } from './kind.ts'

/** Tables of other rooms by their names: what may be read and written of them is said in `kinds.ts` and nowhere else. */
type AnyTables = Record<string, Row>
export type TransferDb = Kysely<AnyTables> | Transaction<AnyTables>

export function createTransferStore(db: Kysely<AnyTables>) {
  return {
    /** All that `work` does, or nothing of it. */
    inOne: <T>(work: (trx: TransferDb) => Promise<T>): Promise<T> => db.transaction().execute(work),
    db: db as TransferDb,

    async list(from: TransferDb, kind: Kind): Promise<Row[]> {
      const { table, only = {}, keys = ['id'] } = kind
      let query = from.selectFrom(table).selectAll()
      for (const [name, value] of Object.entries(only)) query = query.where(name, '=', value)
      for (const name of keys) query = query.orderBy(name)
      return (await query.execute()).map((row) => ({ ...row, id: idOfRow(kind, row) }))
    },
    /** Names by id of what is only pointed at. */
    async names(from: TransferDb, kind: string): Promise<Map<string, string>> {
      const { table, name } = pointedAt[kind]!
      const rows = await from.selectFrom(table).select(['id', name]).execute()
      return new Map(rows.map((row) => [String(row.id), String(row[name])]))
    },
    async insert(trx: TransferDb, { table, keys, companion }: Kind, { id, ...row }: Row): Promise<void> {
      await trx
        .insertInto(table)
        .values(keys === undefined ? { id, ...row } : (row as Row))
        .execute()
      if (companion !== undefined)
        await trx
          .insertInto(companion.table)
          .values(companion.row(id) as Row)
          .execute()
    },
    async update(trx: TransferDb, { table, keys = ['id'] }: Kind, row: Row, change: Record<string, unknown>) {
      let query = trx.updateTable(table).set(change)
      for (const name of keys) query = query.where(name, '=', row[name])
      await query.execute()
    },
    changed: (trx: TransferDb, revision: string) => bumpRevision(trx as Transaction<AnyTables>, revision),
  }
}
export type TransferStore = ReturnType<typeof createTransferStore>
