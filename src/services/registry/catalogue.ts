import type { Clock } from '../../kernel/clock.ts'
import type { Log } from '../../platform/log.ts'
import { createSnapshot } from '../../platform/snapshot.ts'
import type { Directory, DirectoryService } from '../directory.ts'
import type { InstanceRow, ServicesStore } from '../store.ts'
import { type ServiceRecord, toRecord } from './records.ts'

/** All services in memory: read by the proxy through `directory`, by the registry through the rest. */
export type Catalogue = {
  directory: Directory
  /** By name or id, gone instances included. */
  find(nameOrId: string): ServiceRecord | undefined
  /** The service of an instance's id. */
  ofInstance(id: string): ServiceRecord | undefined
  /** The service that an API key is the own token of. */
  ofKey(keyId: string): ServiceRecord | undefined
  list(): readonly ServiceRecord[]
  /** Moves whenever something changed; the same on every node that has read the same. Never below 1. */
  index(): number
  /** Services that were removed since `index`, null when that is too long ago to tell. */
  removedSince(index: number): readonly ServiceRecord[] | null
  /** Called after a change that `names` were part of, once for all of them. */
  onChange(listener: (names: readonly string[]) => void): () => void
  /**
   * Reads the store again: what was committed before this call is known when it resolves. An instance or service that
   * was `withdrawn` is known to be gone even if the store went away in between.
   */
  apply(withdrawn?: readonly string[]): Promise<void>
  /** After news of another node: reads the store again if it has moved. */
  follow(): Promise<void>
  ready(): Promise<void>
  isStale(): boolean
  stop(): void
}

type Rows = Awaited<ReturnType<ServicesStore['readAll']>>
type Held = { index: number; records: Map<string, ServiceRecord>; byId: Map<string, ServiceRecord>; rows: Rows }

/** Removals that watchers can still be told of. */
const mostRemovals = 1000

export function createCatalogue(parts: {
  store: ServicesStore
  clock: Clock
  log: Log
  intervalMs?: number
}): Catalogue {
  const { store, clock, log, intervalMs = 1000 } = parts
  const listeners = new Set<(names: readonly string[]) => void>()
  const withdrawn = new Set<string>()
  let removals: { index: number; record: ServiceRecord }[] = []
  // Removals are known from here on only: a node does not know what went before it came.
  let knownSince = Number.POSITIVE_INFINITY
  let signatures = new Map<string, string>()
  let keyOwners = new Map<string, string>()
  let held: Held = { index: 1, records: new Map(), byId: new Map(), rows: emptyRows }

  const snapshot = createSnapshot<number>({
    name: 'plugin services',
    async load() {
      // Before the rows: what is read may be newer than its number, never older.
      const index = Math.max(1, await store.revision())
      hold(index, await store.readAll())
      return index
    },
    revision: store.revision,
    intervalMs,
    clock,
    log,
  })

  function hold(index: number, rows: Rows): void {
    const instances = groupInstances(rows.instances)
    const openapi = new Map(rows.openapi.map((each) => [each.service_id, each]))
    const records = new Map<string, ServiceRecord>()
    const written = new Map<string, string>()
    const changed: string[] = []
    // Rows may be newer than the number read before them. A change that is seen must have a number nobody was given yet.
    const moved = index === held.index ? index + 1 : index
    for (const row of rows.services) {
      if (withdrawn.has(row.id)) continue
      const own = (instances.get(row.id) ?? []).filter(({ id }) => !withdrawn.has(id))
      const signature = JSON.stringify([row, own.map(withoutBeat), openapi.get(row.id)])
      const known = held.records.get(row.name)
      const isSame = known !== undefined && signatures.get(row.name) === signature
      if (!isSame) changed.push(row.name)
      records.set(row.name, isSame ? known : toRecord(row, own, openapi.get(row.id), moved))
      written.set(row.name, signature)
    }
    for (const [name, record] of held.records) {
      if (records.get(name)?.row.id === record.row.id) continue
      removals.push({ index: moved, record })
      if (!changed.includes(name)) changed.push(name)
    }
    if (removals.length > mostRemovals) {
      const dropped = removals.splice(0, removals.length - mostRemovals)
      knownSince = Math.max(knownSince, dropped.at(-1)!.index)
    }
    if (index < held.index) removals = []
    const now = changed.length > 0 ? moved : index
    if (knownSince === Number.POSITIVE_INFINITY || index < held.index) knownSince = now
    signatures = written
    keyOwners = new Map(rows.tokens.map(({ key_id, service_id }) => [key_id, service_id]))
    const all = [...records.values()]
    held = { index: now, records, byId: new Map(all.map((each) => [each.row.id, each])), rows }
    for (const record of all) for (const { row } of record.instances) held.byId.set(row.id, record)
    if (changed.length > 0) for (const listener of [...listeners]) listener(changed)
  }

  const find = (nameOrId: string) => {
    const byId = held.byId.get(nameOrId)
    return held.records.get(nameOrId) ?? (byId?.row.id === nameOrId ? byId : undefined)
  }

  return {
    directory: {
      find: (nameOrId) => find(nameOrId)?.directory,
      list: (): readonly DirectoryService[] => [...held.records.values()].map(({ directory }) => directory),
      onChange(listener) {
        const own = (names: readonly string[]) => names.forEach(listener)
        listeners.add(own)
        return () => void listeners.delete(own)
      },
    },
    find,
    ofInstance: (id) => held.byId.get(id),
    ofKey: (keyId) => held.byId.get(keyOwners.get(keyId) ?? ''),
    list: () => [...held.records.values()],
    index: () => held.index,
    removedSince: (index) =>
      index < knownSince || index > held.index
        ? null
        : removals.filter((each) => each.index > index).map(({ record }) => record),
    onChange(listener) {
      const own: typeof listener = (names) => listener(names)
      listeners.add(own)
      return () => void listeners.delete(own)
    },
    async apply(gone = []) {
      for (const id of gone) withdrawn.add(id)
      await snapshot.refresh()
      if (gone.length === 0) return
      if (snapshot.isStale()) hold(held.index, held.rows)
      else for (const id of gone) withdrawn.delete(id)
    },
    async follow() {
      if ((await store.revision()) !== held.index) await snapshot.refresh()
    },
    ready: () => snapshot.ready(),
    isStale: () => snapshot.isStale(),
    stop: () => snapshot.stop(),
  }
}

const emptyRows: Rows = { services: [], instances: [], tokens: [], openapi: [] }

function groupInstances(rows: readonly InstanceRow[]): Map<string, InstanceRow[]> {
  const groups = new Map<string, InstanceRow[]>()
  for (const row of rows) {
    const group = groups.get(row.service_id)
    if (group === undefined) groups.set(row.service_id, [row])
    else group.push(row)
  }
  return groups
}

/** A heartbeat is no news for those who watch. */
function withoutBeat({ last_heard_at: _at, ...rest }: InstanceRow) {
  return rest
}
