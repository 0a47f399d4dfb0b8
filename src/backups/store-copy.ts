import { fail, HubError } from '../kernel/errors.ts'
import {
  type Beside,
  type Brought,
  besideOf,
  bringTable,
  type Dump,
  type Fill,
  openDump,
  openFill,
  type StoreAddress,
} from '../platform/database/copying/index.ts'
import type { Migration } from '../platform/database/index.ts'
import type { Log } from '../platform/log.ts'
import { compareStore } from './archive/load.ts'
import { createRowSum } from './archive/sum.ts'
import { shape } from './restore.ts'

export type CopyParts = {
  from: StoreAddress
  to: StoreAddress
  migrations: readonly Migration[]
  version: string
  log: Log
  /** A store that is in the place already is kept under another name. */
  replaces: boolean
  /** For that name, such as `2026-11-28T08-00-00`. */
  stamp: string
  signal: AbortSignal
  now(): number
  onProgress(told: { round: number; table: string; rows: number }): void
}

export type CopyRound = { rows: number; moved: number; tookMs: number }

export type Copied = {
  /** Whether it is in its place. If not, it waits beside it for a run that finds nobody using the source. */
  isInPlace: boolean
  /** Who had the source open at the end; '' for nobody. */
  inUse: string
  /** Epoch ms of the moment that the copy shows. */
  asOf: number
  tables: { table: string; rows: number; checksum: string }[]
  rows: number
  rounds: CopyRound[]
  /** Where the store that was in the place is kept; '' where there was none. */
  kept: string
}

const besideName = 'copying'
const mostRounds = 5
/** A round that moved no more than this has caught up with those who write. */
const caughtUpRows = 2000

/**
 * Makes the store at `to` what the one at `from` is, while others write to that. Everything is built beside, in rounds of
 * which each moves only what has changed, and compared row by row; it takes its place in one step, once nobody has the
 * source open any more: what is there is whole and lacks nothing. Run again, after a kill or after the hub was stopped, it
 * goes on where it was.
 */
export async function copyStore(parts: CopyParts): Promise<Copied> {
  const { from, to, migrations, log, version, signal } = parts
  const beside = besideOf(to, besideName)
  if (beside.address.url === besideOf(from, besideName).address.url) {
    throw fail('invalid_request', 'Both addresses name the same store', { param: '--to' })
  }
  await assertCurrent(from, migrations)
  if (!parts.replaces && (await beside.isOccupied())) {
    throw fail(
      'conflict',
      'There is a store in the place to copy to. Name another place, or add --replace: the store as it is stays under another name.',
    )
  }
  if (!(await isBegun(beside, migrations))) {
    await beside.prepare()
    await shape(beside.address, migrations, { log, version })
  }

  const rounds: CopyRound[] = []
  let last: Round
  // Whatever is written until nobody has it open any more is brought by a round that begins after that.
  let inUse = await usersOf(from)
  const fill = await openFill(beside.address, { goesOn: true })
  try {
    do last = await bring(parts, { beside, fill, rounds })
    while (inUse !== '' && last.moved > caughtUpRows && rounds.length < mostRounds)
    if (inUse !== '') {
      inUse = await usersOf(from)
      if (inUse === '') last = await bring(parts, { beside, fill, rounds })
    }
    const findings = await fill.finish()
    if (findings.length > 0) throw different(findings)
  } finally {
    await fill.close()
  }
  const found = await compareStore(beside.address, last, { signal, onProgress() {} })
  if (found.length > 0) throw different(found)
  inUse ||= await usersOf(from)
  let kept = ''
  if (inUse === '') {
    if (await beside.isOccupied()) await beside.assertUnused()
    kept = await beside.swapIn(parts.stamp)
  }
  const tables = last.tables.map(({ table, rows, checksum }) => ({ table, rows, checksum }))
  const rows = tables.reduce((sum, each) => sum + each.rows, 0)
  return { isInPlace: inUse === '', inUse, asOf: last.asOf, tables, rows, rounds, kept }
}

type Round = { tables: TableCopy[]; moved: number; asOf: number }
type TableCopy = Brought & { table: string; columns: string[]; keys: number; pieces: [] }

async function bring(
  parts: CopyParts,
  { beside, fill, rounds }: { beside: Beside; fill: Fill; rounds: CopyRound[] },
): Promise<Round> {
  const beganAt = performance.now()
  const asOf = parts.now()
  const from = await openDump(parts.from)
  const dumps: Dump[] = [from]
  try {
    const to = await openDump(beside.address)
    dumps.push(to)
    assertSameShape(from, to)
    const tables: TableCopy[] = []
    for (const own of from.tables) {
      let rows = 0
      const brought = await bringTable(own, {
        ...{ from, to, fill, createSum: createRowSum },
        onBatch(count) {
          parts.signal.throwIfAborted()
          rows += count
          parts.onProgress({ round: rounds.length + 1, table: own.table, rows })
        },
      })
      tables.push({ ...brought, table: own.table, columns: [...own.columns], keys: own.keys, pieces: [] })
    }
    const sum = (of: (each: Brought) => number) => tables.reduce((all, each) => all + of(each), 0)
    const moved = sum(({ added, removed, changed }) => added + removed + changed)
    rounds.push({ rows: sum(({ rows }) => rows), moved, tookMs: Math.round(performance.now() - beganAt) })
    return { tables, moved, asOf }
  } finally {
    for (const dump of dumps) await dump.close()
  }
}

function assertSameShape(from: Dump, to: Dump): void {
  const textOf = ({ tables }: Dump) => new Map(tables.map(({ table, columns }) => [table, columns.join()]))
  const theirs = textOf(to)
  const lacking = [...textOf(from)].filter(([table, columns]) => theirs.get(table) !== columns).map(([table]) => table)
  if (lacking.length === 0) return
  throw fail(
    'invalid_request',
    `The source has ${lacking.join(', ')} in another shape than this version's migrations make: it must hold the hub's tables alone.`,
    { param: '--from' },
  )
}

async function assertCurrent(from: StoreAddress, migrations: readonly Migration[]): Promise<void> {
  const applied = await appliedTo(from)
  const known = migrations.map(({ name }) => name)
  const unknown = applied.filter((name) => !known.includes(name))
  const missing = known.filter((name) => !applied.includes(name))
  if (applied.length === 0)
    throw fail('not_found', 'There is no store of a hub to copy from; look at --from', { param: '--from' })
  if (unknown.length > 0)
    throw fail('invalid_request', `The store is newer than this program: it has ${unknown.join(', ')}`, {
      param: '--from',
    })
  if (missing.length > 0)
    throw fail(
      'invalid_request',
      `The store lacks ${missing.length} migrations of this version; run "gatehouse migrate up" first`,
      { param: '--from' },
    )
}

/** Whether a copy of an earlier run, of the same version, waits there to be gone on with. */
async function isBegun(beside: Beside, migrations: readonly Migration[]): Promise<boolean> {
  if (!(await beside.isThere())) return false
  const applied = await appliedTo(beside.address).catch((): string[] => [])
  return applied.length === migrations.length && migrations.every(({ name }) => applied.includes(name))
}

async function appliedTo(address: StoreAddress): Promise<string[]> {
  const dump = await openDump(address)
  try {
    const bookkeeping = dump.tables.find(({ table }) => table === 'schema_migrations')
    if (bookkeeping === undefined) return []
    const names: string[] = []
    for await (const rows of dump.rows(bookkeeping))
      names.push(...rows.map((row) => String(row[bookkeeping.columns.indexOf('name')])))
    return names
  } finally {
    await dump.close()
  }
}

async function usersOf(store: StoreAddress): Promise<string> {
  try {
    await besideOf(store, besideName).assertUnused()
    return ''
  } catch (error) {
    if (error instanceof HubError && error.code === 'conflict') return error.message
    throw error
  }
}

function different(findings: readonly string[]) {
  return fail(
    'internal',
    `The copy is not what the source is, and was not put in its place: ${findings.join('; ')}. Run it again; it goes on with what differs.`,
  )
}
