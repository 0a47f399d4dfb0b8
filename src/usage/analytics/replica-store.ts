import { type Kysely, sql } from 'kysely'
import type { Clock } from '../../kernel/clock.ts'
import type { Log } from '../../platform/log.ts'

/** How far a read replica has come: what stood in the main store at `asOf` stands in it too. */
export type Replica = {
  /** Epoch ms; 0 until that is known. */
  asOf(): number
  /** Asks both. While one of them is away `asOf` stays as it was, and the log says so once. */
  look(): Promise<void>
}

// biome-ignore lint/suspicious/noExplicitAny: no table of ours is asked
type AnyDb = Kysely<any>

/**
 * By places in PostgreSQL's log of changes, not by the time of the last one: a main store that writes nothing for an hour
 * would make a replica look an hour old, and one that has lost its main store looks fresh to itself.
 */
export function followReplica(
  main: AnyDb,
  replica: AnyDb,
  { clock, log }: { clock: Pick<Clock, 'now'>; log: Log },
): Replica {
  let mark: { place: string; at: number } | null = null
  let asOf = 0
  let isAway = false

  async function compare(): Promise<void> {
    if (mark === null) {
      const at = clock.now()
      const { rows } = await sql<{ place: string }>`select pg_current_wal_lsn()::text as place`.execute(main)
      mark = { place: rows[0]!.place, at }
    }
    const { rows } = await sql<{ reached: boolean | null }>`
      select pg_last_wal_replay_lsn() >= ${mark.place}::pg_lsn as reached`.execute(replica)
    // Null: it is no replica at all, but a store that somebody writes to.
    if (rows[0]!.reached !== true) return
    asOf = mark.at
    mark = null
  }

  return {
    asOf: () => asOf,
    async look() {
      try {
        await compare()
        if (isAway) log.info('The replica answers reports again')
        isAway = false
      } catch (error) {
        if (!isAway) log.warn('How far the replica has come cannot be told', { error })
        isAway = true
      }
    },
  }
}
