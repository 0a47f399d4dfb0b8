import type { z } from 'zod'
import type { IdKind } from '../kernel/ids.ts'

/** A column of a table, as a document says it. */
export type Column =
  | { is: 'text' | 'integer' | 'flag'; nullable: boolean; default: unknown }
  /** JSON text in the store, a value in the document. Ids of other things in it are mapped with them. */
  | { is: 'json'; nullable: false; default: unknown }
  /** Id of a thing of another kind, written as that one's name; '' or null for none, and where it may be missing. */
  | { is: 'reference'; to: string; as: string; nullable: boolean; default: unknown; mayBeMissing?: boolean }
  /** Id of a thing whose kind another column names, as `scope` does for `scope_id`. */
  | { is: 'reference_by'; by: string; nullable: false; default: unknown }
  /** An envelope in the store; in the document sealed, or the name of a variable. */
  | {
      is: 'secret'
      context(row: Readonly<Record<string, unknown>>): string
      lastFour: string | null
      nullable: false
      default: ''
    }

/**
 * Things of one kind in the control plane: a table, what names one of them for people, and its columns. What is not here
 * (people, sessions, what was counted) is data and goes with a backup.
 */
export type Kind = {
  /** Its list in the document. */
  name: string
  table: string
  /** Primary key of a table that has no `id`; its things have no id in the document either. */
  keys?: readonly string[]
  /** Columns that tell one from another; null: its id does. */
  names: readonly string[] | null
  columns: Readonly<Record<string, Column>>
  /** Rows that are exported at all. */
  only?: Readonly<Record<string, string | number>>
  /** For new ones; null where the id is somebody's word and stays as it is. */
  newId: IdKind | null
  /** False: what is not there cannot be made from a document. */
  isMade: boolean
  /** Columns that say when it was made and changed. */
  times: readonly ('created_at' | 'updated_at' | 'seen_at')[]
  /** What else a new row needs. */
  fixed?: Readonly<Record<string, string | number | null>>
  /** Columns that are made of secrets, given in clear; throws for what cannot be read. */
  derived?: Readonly<Record<string, (plain: (column: string) => string) => string>>
  /** A row of another table that each new thing has. */
  companion?: { table: string; row(id: Row['id']): Record<string, unknown> }
  /** Columns that stay at home. */
  left?: readonly string[]
  /** Counters that tell other nodes. */
  revision: string
  announced: 'keys' | 'routes' | 'prices' | 'limits' | 'checks' | 'conversations' | 'channels' | null
}

export type Row = Record<string, unknown> & { id: string | number }

/** What a member may be, where a room says more than its type does. By kind and column. */
export type Shapes = Readonly<Record<string, Readonly<Record<string, z.ZodType>>>>

/** Kinds that are only pointed at: whom a limit stands on may be a person, and people are not exported. */
export const pointedAt: Readonly<Record<string, { table: string; name: string }>> = {
  users: { table: 'users', name: 'email' },
}

/** Which kind a scope's ids are of. */
export const scopeKinds: Readonly<Record<string, string>> = {
  tenant: 'tenants',
  key: 'keys',
  user: 'users',
  provider: 'providers',
  model: 'models',
}

export const text = (fallback = ''): Column => ({ is: 'text', nullable: false, default: fallback })
export const integer = (fallback: number | null): Column => ({
  is: 'integer',
  nullable: fallback === null,
  default: fallback,
})
export const flag = (fallback: boolean): Column => ({ is: 'flag', nullable: false, default: fallback })
export const json = (fallback: unknown): Column => ({ is: 'json', nullable: false, default: fallback })
export const reference = (to: string, as: string): Column => ({ is: 'reference', to, as, nullable: false, default: '' })
/** Somebody who is named where they are known, and nobody where they are not. */
export const person = (as: string): Column => ({
  ...{ is: 'reference', to: 'users', as, nullable: false, default: '', mayBeMissing: true },
})
export const secret = (
  context: (row: Readonly<Record<string, unknown>>) => string,
  lastFour: string | null = null,
): Column => ({ is: 'secret', context, lastFour, nullable: false, default: '' })

/** What tells one row from the others; made of its key where the table has no `id`. */
export function idOfRow({ keys }: Kind, row: Readonly<Record<string, unknown>>): Row['id'] {
  return keys === undefined ? (row.id as Row['id']) : keys.map((name) => String(row[name])).join(' ')
}

/** What a column is called in a document. */
export function fieldOf(name: string, column: Column): string {
  return column.is === 'reference' ? column.as : name
}
