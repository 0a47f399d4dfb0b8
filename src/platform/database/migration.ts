import type { Kysely, Transaction } from 'kysely'
import type { Engine } from './database.ts'

// biome-ignore lint/suspicious/noExplicitAny: a migration speaks of tables as they were then, not of today's types
export type AnyDatabase = Kysely<any>
// biome-ignore lint/suspicious/noExplicitAny: as above
export type AnyTransaction = Transaction<any>

/**
 * One step of the store's shape. Each runs once, in one transaction together with its record, so a step that throws
 * leaves nothing behind. A name that was released is never changed, and steps are only ever appended.
 */
export type Migration = {
  /** `NNNN-room`, e.g. `0001-identity`; names are applied in the order of the list. */
  name: string
  up(db: AnyDatabase, engine: Engine): Promise<void>
  /** Takes the step back. What only existed because of it is lost. */
  down(db: AnyDatabase, engine: Engine): Promise<void>
}
