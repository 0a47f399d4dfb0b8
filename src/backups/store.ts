import type { Kysely } from 'kysely'
import type { Outcome, Run, RunKind } from './schema.ts'

export type BackupTables = {
  backup_runs: {
    id: string
    kind: string
    outcome: string
    archive_id: string
    started_at: number
    finished_at: number
    bytes: number
    rows_count: number
    message: string
    details: string
  }
  schema_migrations: { applied_at: number }
}

export type BackupsStore = ReturnType<typeof createStore>

export function createStore(db: Kysely<BackupTables>) {
  return {
    async begin(run: { id: string; kind: RunKind; archiveId: string; startedAt: number }): Promise<void> {
      await db
        .insertInto('backup_runs')
        .values({
          ...{ id: run.id, kind: run.kind, archive_id: run.archiveId, started_at: run.startedAt },
          ...{ outcome: 'running', finished_at: 0, bytes: 0, rows_count: 0, message: '', details: '{}' },
        })
        .execute()
    },

    async end(
      id: string,
      told: { outcome: Outcome; finishedAt: number; bytes: number; rows: number; message: string; details: object },
    ): Promise<void> {
      await db
        .updateTable('backup_runs')
        .set({
          ...{ outcome: told.outcome, finished_at: told.finishedAt, bytes: told.bytes, rows_count: told.rows },
          ...{ message: told.message, details: JSON.stringify(told.details) },
        })
        .where('id', '=', id)
        .execute()
    },

    /** Newest first. */
    async list(options: { kinds: readonly RunKind[]; limit: number; before?: string; since?: number }): Promise<Run[]> {
      let query = db.selectFrom('backup_runs').selectAll().where('kind', 'in', options.kinds)
      if (options.before) query = query.where('id', '<', options.before)
      if (options.since !== undefined) query = query.where('started_at', '>=', options.since)
      const rows = await query.orderBy('id', 'desc').limit(options.limit).execute()
      return rows.map(toRun)
    },

    async find(id: string): Promise<Run | undefined> {
      const row = await db.selectFrom('backup_runs').selectAll().where('id', '=', id).executeTakeFirst()
      return row && toRun(row)
    },

    /** When each kind last ended well; kinds that never did are not there. */
    async lastOk(): Promise<ReadonlyMap<RunKind, { startedAt: number; finishedAt: number }>> {
      const rows = await db
        .selectFrom('backup_runs')
        .select((eb) => [
          'kind',
          eb.fn.max<number>('started_at').as('started_at'),
          eb.fn.max<number>('finished_at').as('finished_at'),
        ])
        .where('outcome', '=', 'ok')
        .groupBy('kind')
        .execute()
      return new Map(
        rows.map((row) => [
          row.kind as RunKind,
          { startedAt: Number(row.started_at), finishedAt: Number(row.finished_at) },
        ]),
      )
    },

    /** When something of that kind last began, however it ended. */
    async lastBegun(kinds: readonly RunKind[]): Promise<number> {
      const row = await db
        .selectFrom('backup_runs')
        .select((eb) => eb.fn.max<number>('started_at').as('at'))
        .where('kind', 'in', kinds)
        .executeTakeFirst()
      return Number(row?.at ?? 0)
    },

    /** When the first migration made this store. */
    async bornAt(): Promise<number> {
      const row = await db
        .selectFrom('schema_migrations')
        .select((eb) => eb.fn.min<number>('applied_at').as('at'))
        .executeTakeFirst()
      return Number(row?.at ?? 0)
    },

    /** By backup: when it was last read back, and last restored in a drill, as it was written. */
    async proofs(): Promise<ReadonlyMap<string, { verifiedAt: number; drilledAt: number }>> {
      const rows = await db
        .selectFrom('backup_runs')
        .select((eb) => ['archive_id', 'kind', eb.fn.max<number>('finished_at').as('at')])
        .where('outcome', '=', 'ok')
        .where('archive_id', '!=', '')
        .groupBy(['archive_id', 'kind'])
        .execute()
      const proofs = new Map<string, { verifiedAt: number; drilledAt: number }>()
      for (const { archive_id, kind, at } of rows) {
        const proof = proofs.get(archive_id) ?? { verifiedAt: 0, drilledAt: 0 }
        // What was taken was read back before it was called so.
        if (kind !== 'drill') proof.verifiedAt = Math.max(proof.verifiedAt, Number(at))
        else proof.drilledAt = Math.max(proof.drilledAt, Number(at))
        proofs.set(archive_id, proof)
      }
      return proofs
    },

    /** Runs that a node which has died has left as running. */
    async endAbandoned(before: number, now: number): Promise<void> {
      await db
        .updateTable('backup_runs')
        .set({ outcome: 'failed', finished_at: now, message: 'The process that did it ended before it was done.' })
        .where('outcome', '=', 'running')
        .where('started_at', '<', before)
        .execute()
    },

    async forget(before: number): Promise<void> {
      await db.deleteFrom('backup_runs').where('started_at', '<', before).where('outcome', '!=', 'running').execute()
    },
  }
}

function toRun(row: BackupTables['backup_runs']): Run {
  return {
    id: row.id,
    kind: row.kind as RunKind,
    outcome: row.outcome as Outcome,
    archiveId: row.archive_id,
    startedAt: row.started_at,
    finishedAt: row.finished_at,
    bytes: row.bytes,
    rows: row.rows_count,
    message: row.message,
    details: JSON.parse(row.details) as Record<string, unknown>,
  }
}
