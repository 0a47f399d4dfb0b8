import { type Kysely, sql } from 'kysely'
import type { HourMark, NameKind } from './reader.ts'
import type { SourceKind } from './readers.ts'
import type { SourceState } from './schema.ts'

export type SourcesTables = {
  sources: {
    id: string
    name: string
    kind: SourceKind
    /** Sealed. */
    dsn: string
    /** Sealed; '' where there is none. */
    log_dsn: string
    place: string
    enabled: number
    /** In millionths: gateways may set a fraction. */
    quota_per_usd_millionths: number
    rows_per_second: number | null
    created_at: number
    updated_at: number
  }
  source_cursors: {
    source_id: string
    state: SourceState
    message: string
    /** JSON of the last probe; '' before there was one. */
    probe: string
    read_up_to: number | null
    last_row_at: number | null
    last_row_id: number | null
    rows_read: number
    rows_per_second: number
    backfill_from: number | null
    backfill_to: number | null
    /** Everything from here to `backfill_to` is filled in. */
    backfill_reached: number | null
    backfill_rows: number
  }
  source_hours: { source_id: string; hour: number; rows: number; last_id: number; mark: number }
  source_names: { source_id: string; kind: NameKind; id: string; name: string; looked_up_at: number }
}

export type SourceRecord = SourcesTables['sources']
export type CursorRecord = SourcesTables['source_cursors']
export type SourcesStore = ReturnType<typeof createSourcesStore>

const namesAtOnce = 200

/** Sources, how far each was read, what its hours held then, and what its ids are called. */
export function createSourcesStore(db: Kysely<SourcesTables>) {
  async function addCursor(trx: Kysely<SourcesTables>, sourceId: string, backfillTo: number | null): Promise<void> {
    await trx
      .insertInto('source_cursors')
      .values({
        ...{ source_id: sourceId, state: 'waiting', message: '', probe: '', read_up_to: null, last_row_at: null },
        ...{ last_row_id: null, rows_read: 0, rows_per_second: 0, backfill_from: null },
        ...{ backfill_to: backfillTo, backfill_reached: backfillTo, backfill_rows: 0 },
      })
      .execute()
  }

  return {
    list: (limit: number, after: string): Promise<SourceRecord[]> =>
      db.selectFrom('sources').selectAll().where('id', '>', after).orderBy('id').limit(limit).execute(),

    find: (written: string): Promise<SourceRecord | undefined> =>
      db
        .selectFrom('sources')
        .selectAll()
        .where((eb) => eb.or([eb('id', '=', written), eb('name', '=', written)]))
        .executeTakeFirst(),

    /** With its history to fill in up to `backfillTo`, or null for none. */
    insert: (row: SourceRecord, backfillTo: number | null): Promise<void> =>
      db.transaction().execute(async (trx) => {
        await trx.insertInto('sources').values(row).execute()
        await addCursor(trx, row.id, backfillTo)
      }),

    update: async (id: string, change: Partial<SourceRecord>): Promise<void> => {
      await db.updateTable('sources').set(change).where('id', '=', id).execute()
    },

    delete: (id: string): Promise<void> =>
      db.transaction().execute(async (trx) => {
        for (const table of ['source_cursors', 'source_hours', 'source_names'] as const) {
          await trx.deleteFrom(table).where('source_id', '=', id).execute()
        }
        await trx.deleteFrom('sources').where('id', '=', id).execute()
      }),

    cursor: (id: string): Promise<CursorRecord | undefined> =>
      db.selectFrom('source_cursors').selectAll().where('source_id', '=', id).executeTakeFirst(),

    cursors: (ids: readonly string[]): Promise<CursorRecord[]> =>
      ids.length === 0
        ? Promise.resolve([])
        : db.selectFrom('source_cursors').selectAll().where('source_id', 'in', ids).execute(),

    note: async (id: string, change: Partial<CursorRecord>): Promise<void> => {
      await db.updateTable('source_cursors').set(change).where('source_id', '=', id).execute()
    },

    /** The back-fill goes on only where nobody asked for another one meanwhile. */
    noteReached: async (id: string, to: number, reached: number, rows: number, from: number): Promise<void> => {
      await db
        .updateTable('source_cursors')
        .set({ backfill_reached: reached, backfill_from: from, backfill_rows: sql`backfill_rows + ${rows}` })
        .where('source_id', '=', id)
        .where('backfill_to', '=', to)
        .execute()
    },

    hours: (id: string, from: number, to: number): Promise<HourMark[]> =>
      db
        .selectFrom('source_hours')
        .select(['hour', 'rows', 'last_id as lastId', 'mark'])
        .where('source_id', '=', id)
        .where('hour', '>=', from)
        .where('hour', '<', to)
        .execute(),

    /** Has hours read again; how many rows they had is kept, so that what was deleted since is not lost. */
    forgetHours: async (id: string, from: number, to: number): Promise<void> => {
      await db
        .updateTable('source_hours')
        .set({ mark: -1 })
        .where('source_id', '=', id)
        .where('hour', '>=', from)
        .where('hour', '<', to)
        .execute()
    },

    /** The first and the last hour that something was read of. */
    async span(id: string): Promise<{ first: number; last: number } | null> {
      const row = await db
        .selectFrom('source_hours')
        .select((eb) => [eb.fn.min('hour').as('first'), eb.fn.max('hour').as('last')])
        .where('source_id', '=', id)
        .executeTakeFirst()
      return row?.first == null ? null : { first: Number(row.first), last: Number(row.last) }
    },

    /**
     * What was read of some hours, after it was counted, with the hours to be read again because of it and how far
     * reading came. All of it or nothing: whoever is cut off before reads those hours again.
     */
    noteRead: (
      id: string,
      read: { hours: readonly HourMark[]; again: readonly number[]; rows: number; rowsPerSecond: number },
      last: { at: number; id: number } | null,
    ): Promise<void> =>
      db.transaction().execute(async (trx) => {
        for (const { hour, rows, lastId, mark } of read.hours) {
          await trx
            .insertInto('source_hours')
            .values({ source_id: id, hour, rows, last_id: lastId, mark })
            .onConflict((conflict) =>
              conflict.columns(['source_id', 'hour']).doUpdateSet({ rows, last_id: lastId, mark }),
            )
            .execute()
        }
        if (read.again.length > 0) {
          await trx
            .updateTable('source_hours')
            .set({ mark: -1 })
            .where('source_id', '=', id)
            .where('hour', 'in', read.again)
            .execute()
        }
        let cursor = trx
          .updateTable('source_cursors')
          .set({ rows_read: sql`rows_read + ${read.rows}`, rows_per_second: read.rowsPerSecond })
          .where('source_id', '=', id)
        if (last !== null) cursor = cursor.set({ last_row_at: last.at, last_row_id: last.id })
        await cursor.execute()
      }),

    /** Which of these ids were looked up since. */
    async lookedUp(id: string, ids: readonly string[], since: number): Promise<Set<string>> {
      const found = new Set<string>()
      for (let start = 0; start < ids.length; start += namesAtOnce) {
        const rows = await db
          .selectFrom('source_names')
          .select('id')
          .where('source_id', '=', id)
          .where('id', 'in', ids.slice(start, start + namesAtOnce))
          .where('looked_up_at', '>=', since)
          .execute()
        for (const row of rows) found.add(row.id)
      }
      return found
    },

    /** Keeps names; those that a gateway has no more are simply never written over. */
    async keepNames(
      sourceId: string,
      names: readonly { kind: NameKind; id: string; name: string }[],
      lookedUpAt: number,
    ): Promise<void> {
      for (let start = 0; start < names.length; start += namesAtOnce) {
        const rows = names
          .slice(start, start + namesAtOnce)
          .map((each) => ({ source_id: sourceId, ...each, looked_up_at: lookedUpAt }))
        await db
          .insertInto('source_names')
          .values(rows)
          .onConflict((conflict) =>
            conflict.columns(['source_id', 'kind', 'id']).doUpdateSet({
              name: (eb) => eb.ref('excluded.name'),
              looked_up_at: (eb) => eb.ref('excluded.looked_up_at'),
            }),
          )
          .execute()
      }
    },

    async namesOf(kind: NameKind, ids: readonly string[]): Promise<Map<string, string>> {
      const found = new Map<string, string>()
      for (let start = 0; start < ids.length; start += namesAtOnce) {
        const rows = await db
          .selectFrom('source_names')
          .select(['id', 'name'])
          .where('kind', '=', kind)
          .where('id', 'in', ids.slice(start, start + namesAtOnce))
          .execute()
        for (const { id, name } of rows) found.set(id, name)
      }
      return found
    },
  }
}
