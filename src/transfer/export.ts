import type { Clock } from '../kernel/clock.ts'
import type { Secrets } from '../platform/secrets.ts'
import type { Document, Item } from './document.ts'
import { type Column, fieldOf, type Kind, pointedAt, type Row, scopeKinds } from './kind.ts'
import { kinds } from './kinds.ts'
import type { Sealer } from './seal.ts'
import type { TransferDb, TransferStore } from './store.ts'

/** Everything of the control plane, or the named kinds, as it stands at one moment. */
export async function exportPlane(
  parts: { store: TransferStore; secrets: Pick<Secrets, 'decrypt'>; clock: Pick<Clock, 'now'>; version: string },
  { only, seal }: { only: readonly string[] | null; seal: Sealer },
): Promise<Omit<Document, 'gatehouse'>> {
  const { store, secrets, clock, version } = parts
  return store.inOne(async (trx) => {
    const rows = new Map<string, Row[]>()
    for (const kind of kinds) rows.set(kind.name, await store.list(trx, kind))
    const names = await namesOf(store, trx, rows)
    const items: Record<string, Item[]> = {}
    for (const kind of kinds) {
      if (only !== null && !only.includes(kind.name)) continue
      const list = rows.get(kind.name)!
      if (list.length > 0) items[kind.name] = list.map((row) => toItem(kind, row))
    }
    return { exported_at: new Date(clock.now()).toISOString(), version, items }

    function toItem(kind: Kind, row: Row): Item {
      const item: Item = kind.keys === undefined ? { id: row.id } : {}
      for (const [name, column] of Object.entries(kind.columns)) {
        item[fieldOf(name, column)] = toValue(kind, row, name, column)
      }
      return item
    }

    function toValue(kind: Kind, row: Row, name: string, column: Column): unknown {
      const value = row[name]
      if (column.is === 'flag') return value === 1 || value === true
      if (column.is === 'integer') return value === null ? null : Number(value)
      if (column.is === 'json') return JSON.parse(String(value || 'null')) ?? column.default
      if (column.is === 'reference') return names.get(column.to)?.get(String(value)) ?? value
      if (column.is === 'reference_by') {
        const to = scopeKinds[String(row[column.by])]
        return (to === undefined ? undefined : names.get(to)?.get(String(value))) ?? value
      }
      if (column.is !== 'secret') return value
      if (value === '') return ''
      const label = kind.names === null ? String(row.id) : kind.names.map((each) => nameAt(kind, row, each)).join(' ')
      return seal(secrets.decrypt(String(value), column.context(row)), `${kind.name} ${label} ${name}`)
    }

    function nameAt(kind: Kind, row: Row, name: string): string {
      const column = kind.columns[name]!
      return String(column.is === 'reference' ? (names.get(column.to)?.get(String(row[name])) ?? '') : row[name])
    }
  })
}

/** What things are called, by kind and id; a key has no name of its own that tells it from others. */
export async function namesOf(
  store: TransferStore,
  db: TransferDb,
  rows: ReadonlyMap<string, readonly Row[]>,
): Promise<Map<string, Map<string, string>>> {
  const names = new Map<string, Map<string, string>>()
  for (const kind of Object.keys(pointedAt)) names.set(kind, await store.names(db, kind))
  for (const [kind, list] of rows) {
    const isNamed = kind !== 'keys' && list.every((row) => typeof row.name === 'string')
    const unique = new Set(list.map(({ name }) => name)).size === list.length
    if (isNamed && unique) names.set(kind, new Map(list.map(({ id, name }) => [String(id), String(name)])))
  }
  return names
}
