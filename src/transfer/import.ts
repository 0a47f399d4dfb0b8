import type { z } from 'zod'
import type { Clock } from '../kernel/clock.ts'
import { fail, toHubError } from '../kernel/errors.ts'
import { createId, idPrefixes } from '../kernel/ids.ts'
import type { Secrets } from '../platform/secrets.ts'
import type { Item } from './document.ts'
import { namesOf } from './export.ts'
import { type Column, fieldOf, idOfRow, type Kind, type Row, type Shapes, scopeKinds } from './kind.ts'
import { kinds } from './kinds.ts'
import type { TransferDb, TransferStore } from './store.ts'

/** What becomes of something that is there already: left alone; changed in what the document says; made as it says. */
export const conflictModes = ['skip', 'update', 'replace'] as const
export type ConflictMode = (typeof conflictModes)[number]

export const actions = ['created', 'updated', 'replaced', 'unchanged', 'skipped'] as const
export type Told = {
  kind: string
  name: string
  action: (typeof actions)[number]
  /** Members that change. */
  changes: string[]
  /** Why it was left out, or what is to be done by hand. */
  note: string
}
export type Wrong = { path: string; message: string }

export type ImportWish = {
  items: Readonly<Record<string, readonly Item[]>>
  onConflict: ConflictMode
  /** Another mode for single things: `providers/OpenAI-Main`. */
  choices: Readonly<Record<string, ConflictMode>>
  isDry: boolean
  /** Where an item stands in what a person sent, `Providers row 3`; its list and number unless said. */
  placeOf?(kind: string, index: number): string
}

export type ImportParts = {
  store: TransferStore
  secrets: Pick<Secrets, 'encrypt' | 'decrypt'>
  shapes: Shapes
  clock: Pick<Clock, 'now'>
  openSecret(written: string): string | null
  /** Told of each thing that was looked at. */
  onProgress?(done: number, total: number): void
}

type Found = { kind: Kind; item: Item; place: string; key: string; name: string; existing: Row | null; id: Row['id'] }

class DryRun extends Error {}

/**
 * Reads things in, all of them or none: one transaction, which a dry run and any fault take back. Throws `invalid_request`
 * with everything that is wrong at once, and where it stands.
 */
export async function importPlane(parts: ImportParts, wish: ImportWish): Promise<Told[]> {
  const wrong: Wrong[] = []
  const told: Told[] = []
  const unknown = Object.keys(wish.items).filter((name) => !kinds.some((kind) => kind.name === name))
  for (const name of unknown) {
    wrong.push({ path: name, message: `there is no list ${name}: ${kinds.map((kind) => kind.name).join(', ')}` })
  }
  try {
    await parts.store.inOne(async (trx) => {
      await readIn(parts, wish, trx, told, wrong)
      if (wrong.length > 0) throw refuse(wrong)
      if (wish.isDry) throw new DryRun()
    })
  } catch (error) {
    if (!(error instanceof DryRun)) throw error
  }
  return told
}

async function readIn(
  parts: ImportParts,
  wish: ImportWish,
  trx: TransferDb,
  told: Told[],
  wrong: Wrong[],
): Promise<void> {
  const { store, clock } = parts
  const rows = new Map<string, Row[]>()
  for (const kind of kinds) rows.set(kind.name, await store.list(trx, kind))
  const names = await namesOf(store, trx, rows)
  const idsByName = new Map(
    [...names].map(([kind, byId]) => [kind, new Map([...byId].map(([id, name]) => [name, id]))]),
  )
  const newIds = new Map<string, string>()
  const found: Found[] = []

  for (const kind of kinds) {
    const items = wish.items[kind.name] ?? []
    const seen = new Set<string>()
    const stored = rows.get(kind.name)!
    const byKey = new Map(stored.map((row) => [keyOf(kind, row), row]))
    const taken = new Set(stored.map(({ id }) => String(id)))
    for (const [index, item] of items.entries()) {
      const place = wish.placeOf?.(kind.name, index) ?? `${kind.name}[${index}]`
      const one = find(kind, item, place, byKey, taken)
      if (one === null) continue
      if (seen.has(one.key)) {
        wrong.push({ path: place, message: `there are two of ${one.name} in ${kind.name}` })
        continue
      }
      seen.add(one.key)
      taken.add(String(one.id))
      if (typeof item.id === 'string' && item.id !== '') newIds.set(item.id, String(one.id))
      if (typeof item.name === 'string') {
        const known = idsByName.get(kind.name) ?? new Map<string, string>()
        idsByName.set(kind.name, known.set(item.name, String(one.id)))
      }
      found.push(one)
    }
  }
  if (wrong.length > 0) return
  const touched = new Map<string, Kind>()
  for (const [done, one] of found.entries()) {
    parts.onProgress?.(done, found.length)
    const line = await write(one)
    if (line === null) continue
    told.push(line)
    if (line.action !== 'skipped' && line.action !== 'unchanged') touched.set(one.kind.revision, one.kind)
  }
  for (const revision of touched.keys()) await store.changed(trx, revision)

  /** Which thing an item is, and under which id it will be. */
  function find(
    kind: Kind,
    item: Item,
    place: string,
    byKey: ReadonlyMap<string, Row>,
    taken: ReadonlySet<string>,
  ): Found | null {
    const fields = new Map(Object.entries(kind.columns).map(([name, column]) => [fieldOf(name, column), name]))
    for (const field of Object.keys(item)) {
      if (field === 'id' || fields.has(field)) continue
      wrong.push({
        path: `${place}.${field}`,
        message: `${kind.name} have no ${field}: ${[...fields.keys()].join(', ')}`,
      })
    }
    const id = item.id
    if (id !== undefined && typeof id !== 'number' && (typeof id !== 'string' || !/^[\w.:-]{0,200}$/.test(id))) {
      wrong.push({ path: `${place}.id`, message: 'an id is a short text' })
      return null
    }
    if (kind.names === null) {
      if (id === undefined) {
        wrong.push({ path: place, message: `${kind.name} are told apart by their id, and there is none` })
        return null
      }
      const existing = byKey.get(String(id)) ?? null
      const name = typeof item.name === 'string' ? `${item.name} (${id})` : String(id)
      return { ...{ kind, item, place, existing, name }, key: String(id), id: existing?.id ?? id }
    }
    const own: Record<string, unknown> = {}
    for (const name of kind.names) {
      const column = kind.columns[name]!
      const written = item[fieldOf(name, column)] ?? column.default
      const value = readOrNull(() => resolve(column, written, own), `${place}.${fieldOf(name, column)}`)
      if (value === undefined) return null
      if (value === '' && name === 'name') {
        wrong.push({ path: `${place}.name`, message: 'it needs a name' })
        return null
      }
      own[name] = value
    }
    const key = keyOf(kind, own)
    const existing = byKey.get(key) ?? null
    const newId = kind.keys === undefined ? newIdOf(kind, id, taken) : idOfRow(kind, { ...kind.fixed, ...own })
    const name = kind.names.map((each) => String(item[fieldOf(each, kind.columns[each]!)] ?? '')).filter(Boolean)
    return { ...{ kind, item, place, key, existing }, name: name.join(' / '), id: existing?.id ?? newId }
  }

  /** The one it had, unless that is another kind's or taken. */
  function newIdOf({ newId }: Kind, id: unknown, taken: ReadonlySet<string>): string {
    const isOwn = typeof id === 'string' && id.startsWith(`${idPrefixes[newId!]}_`) && !taken.has(id)
    return isOwn ? id : createId(newId!, clock.now())
  }

  async function write({ kind, item, place, name, existing, id }: Found): Promise<Told | null> {
    const mode = wish.choices[`${kind.name}/${name}`] ?? wish.onConflict
    const line = { kind: kind.name, name, changes: [], note: '' }
    if (existing !== null && mode === 'skip') return { ...line, action: 'skipped', note: 'it is there already' }
    if (existing === null && !kind.isMade) {
      return { ...line, action: 'skipped', note: 'a key is made by the hub alone: make one and give it these rights' }
    }
    const isWhole = existing === null || mode === 'replace'
    const change: Record<string, unknown> = {}
    const notes: string[] = []
    const plain = new Map<string, string>()
    for (const [column, about] of Object.entries(kind.columns)) {
      const field = fieldOf(column, about)
      const isSaid = item[field] !== undefined
      if (!isSaid && !isWhole) continue
      const at = `${place}.${field}`
      const value = readOrNull(() => {
        if (about.is === 'secret') return isSaid ? readSecret(about, item[field]) : existing === null ? '' : undefined
        return check(kind, column, about, isSaid ? item[field] : about.default, change, at)
      }, at)
      if (value === undefined) continue
      if (about.is !== 'secret') {
        change[column] = value
        if (value === '' && about.is === 'reference' && about.mayBeMissing && item[field])
          notes.push(`nobody here is called ${String(item[field])}: ${field} is left open`)
        continue
      }
      const now =
        existing === null || existing[column] === '' ? '' : openStored(about, existing, String(existing[column]))
      if (value === null) {
        if (existing === null || now === '')
          wrong.push({ path: at, message: `set the variable ${String(item[field]).slice(4)}, or give the secret` })
        else notes.push(`${field} stays as it is: ${String(item[field])} is not set`)
        continue
      }
      plain.set(column, value === undefined ? now : String(value))
      if (existing !== null && now === value) continue
      const row = { ...existing, ...change, id }
      change[column] = value === '' ? '' : parts.secrets.encrypt(String(value), about.context(row))
      if (about.lastFour !== null) change[about.lastFour] = String(value).length >= 12 ? String(value).slice(-4) : ''
    }
    for (const [column, make] of Object.entries(kind.derived ?? {})) {
      // Of secrets that stay as they are, so does what was made of them.
      if (![...plain.keys()].some((name) => change[name] !== undefined)) continue
      const value = readOrNull(() => make((name) => plain.get(name) ?? openedNow(kind, existing, name)), place)
      if (value !== undefined) change[column] = value
    }
    if (wrong.length > 0) return null
    const note = notes.join('; ')
    if (existing === null) {
      const times = Object.fromEntries(kind.times.map((each) => [each, clock.now()]))
      const row = { ...kind.fixed, ...change, ...times, id } as Row
      await attempt(place, () => store.insert(trx, kind, row))
      return { ...line, action: 'created', note }
    }
    const changes = Object.entries(change).filter(
      ([column, value]) => !isSame(kind.columns[column], existing[column], value),
    )
    if (changes.length === 0) return { ...line, action: 'unchanged', note }
    const times = kind.times.filter((each) => each !== 'created_at').map((each) => [each, clock.now()])
    await attempt(place, () => store.update(trx, kind, existing, Object.fromEntries([...changes, ...times])))
    const fields = changes.flatMap(([column]) =>
      kind.columns[column] === undefined ? [] : [fieldOf(column, kind.columns[column])],
    )
    return { ...line, action: mode === 'replace' ? 'replaced' : 'updated', changes: fields, note }
  }

  /** What the store refuses is told with its place; nothing after it is tried, for the transaction is over. */
  async function attempt(place: string, work: () => Promise<unknown>): Promise<void> {
    try {
      await work()
    } catch (cause) {
      throw fail('invalid_request', `${place} cannot be stored: ${toHubError(cause).message}`, { cause, param: place })
    }
  }

  function openedNow({ columns }: Kind, existing: Row | null, name: string): string {
    const column = columns[name]!
    if (existing === null || column.is !== 'secret' || !existing[name]) return ''
    return openStored(column, existing, String(existing[name]))
  }

  function openStored(column: Column & { is: 'secret' }, row: Row, envelope: string): string {
    try {
      return parts.secrets.decrypt(envelope, column.context(row))
    } catch {
      // Sealed with another master key: what the document brings takes its place.
      return ''
    }
  }

  function readSecret(_column: Column, written: unknown): string | null {
    if (typeof written !== 'string') throw new Error('a secret is a text')
    return parts.openSecret(written)
  }

  /** A member as the store keeps it. */
  function check(
    kind: Kind,
    name: string,
    column: Column,
    written: unknown,
    row: Record<string, unknown>,
    at: string,
  ): unknown {
    if (written === null && column.is === 'json' && column.default === null) return ''
    if (written === null && !column.nullable) throw new Error('it cannot be null')
    const shape = parts.shapes[kind.name]?.[name]
    if (shape !== undefined && written !== '' && column.is !== 'reference') refuseShape(shape, written)
    if (written === null) return null
    if (column.is === 'flag') {
      if (typeof written !== 'boolean') throw new Error(`write true or false, not ${JSON.stringify(written)}`)
      return written ? 1 : 0
    }
    if (column.is === 'integer') {
      if (!Number.isSafeInteger(written)) throw new Error(`write a whole number, not ${JSON.stringify(written)}`)
      return written
    }
    if (column.is === 'json') return JSON.stringify(mapIds(written))
    if (typeof written !== 'string') throw new Error(`write a text, not ${JSON.stringify(written)}`)
    if (written.length > 1_000_000) throw new Error(`${at} is longer than a million characters`)
    return resolve(column, written, row)
  }

  function resolve(column: Column, written: unknown, row: Record<string, unknown>): unknown {
    if (column.is === 'reference') {
      if (column.mayBeMissing && !idsByName.get(column.to)?.has(String(written))) return isHere(column, written)
      return idOf(column.to, String(written))
    }
    if (column.is === 'reference_by') {
      const to = scopeKinds[String(row[column.by])]
      return to === undefined ? written : idOf(to, String(written))
    }
    return written
  }

  function isHere({ to }: Column & { is: 'reference' }, written: unknown): string {
    return names.get(to)?.has(String(written)) ? String(written) : ''
  }

  /** By name, else by an id of the store or of the document. */
  function idOf(kind: string, written: string): string {
    if (written === '') return ''
    const named = idsByName.get(kind)?.get(written)
    if (named !== undefined) return named
    const known = newIds.get(written) ?? written
    const isThere =
      [...(idsByName.get(kind)?.values() ?? [])].includes(known) ||
      (rows.get(kind) ?? []).some(({ id }) => String(id) === known)
    if (isThere || (kind === 'channels' && newIds.has(written))) return known
    throw new Error(`there are no ${kind} called ${written}, neither here nor in the document`)
  }

  function mapIds(value: unknown): unknown {
    if (typeof value === 'string') return newIds.get(value) ?? value
    if (Array.isArray(value)) return value.map(mapIds)
    if (typeof value !== 'object' || value === null) return value
    return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, mapIds(member)]))
  }

  function readOrNull<T>(read: () => T, path: string): T | undefined {
    try {
      return read()
    } catch (error) {
      wrong.push({ path, message: (error as Error).message })
      return undefined
    }
  }
}

function refuseShape(shape: z.ZodType, written: unknown): void {
  const read = shape.safeParse(written)
  if (read.success) return
  const [issue] = read.error.issues
  throw new Error([...(issue?.path ?? []), issue?.message].join(': '))
}

function keyOf(kind: Kind, row: Readonly<Record<string, unknown>>): string {
  return kind.names === null ? String(row.id) : JSON.stringify(kind.names.map((name) => String(row[name] ?? '')))
}

/** Numbers come as texts from one engine and as numbers from the other; JSON is compared by what it says. */
function isSame(column: Column | undefined, before: unknown, after: unknown): boolean {
  if (before === null || after === null) return before === after
  if (column?.is === 'json')
    return canonical(JSON.parse(String(before || 'null'))) === canonical(JSON.parse(String(after || 'null')))
  return String(before) === String(after)
}

function canonical(value: unknown): string {
  return JSON.stringify(value, (_, each: unknown) =>
    typeof each === 'object' && each !== null && !Array.isArray(each)
      ? Object.fromEntries(Object.entries(each).sort(([a], [b]) => (a < b ? -1 : 1)))
      : each,
  )
}

function refuse(wrong: readonly Wrong[]) {
  const [first] = wrong
  const more = wrong.length > 1 ? `, and ${wrong.length - 1} more` : ''
  return fail('invalid_request', `Nothing was read in: ${first!.path}: ${first!.message}${more}`, {
    ...{ issues: wrong.slice(0, 100), param: first!.path },
  })
}
