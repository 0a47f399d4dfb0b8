import { dirname } from 'node:path'
import type { Clock } from '../kernel/clock.ts'
import { HubError } from '../kernel/errors.ts'
import { sqliteFileOf } from '../platform/database/connect.ts'
import type { StoreAddress } from '../platform/database/copying/index.ts'
import type { Migration } from '../platform/database/index.ts'
import { readDiskSpace } from '../platform/files.ts'
import type { Log } from '../platform/log.ts'
import { type ObjectPlace, openObjectStore } from '../platform/object-store/index.ts'
import type { Header } from './archive/format.ts'
import { contentsOf } from './archive/manifest.ts'
import { type Keys, openArchive } from './archive/read.ts'
import { stage } from './restore.ts'
import { type Runner, saysNothing, tellOf } from './runner.ts'
import type { Outcome } from './schema.ts'
import { beginStep, type Gauge } from './work.ts'

/** Asks a restored store what the hub would ask it. One line each; what fails is held against the backup. */
export type Smoke = {
  (address: StoreAddress): Promise<readonly { question: string; isGood: boolean; told: string }[]>
  /** Gives back what it has kept for the next store of the same drill. */
  rest?(): Promise<void>
}

export type DrilledBackup = {
  id: string
  outcome: Exclude<Outcome, 'running'>
  cause: string
  taken_at: number
  rows: number
  /** From the first byte read until the last question was answered. */
  rto_ms: number
  steps: { step: string; is_good: boolean; told: string }[]
}

export type DrillResult = {
  outcome: Exclude<Outcome, 'running'>
  cause: string
  backups: DrilledBackup[]
  /** What would have been lost, had the store gone when the drill began. */
  rpo_ms: number
  /** The longest time between two backups that are there, of the last week. */
  worst_gap_ms: number
  is_recoverable_without_master_key: boolean
}

export type DrillParts = {
  address: StoreAddress
  place: ObjectPlace
  keys: Keys
  ids: readonly string[]
  /** Newest first. */
  backups: readonly Header[]
  migrations: readonly Migration[]
  version: string
  runner: Runner
  smoke: Smoke | null
  clock: Clock
  log: Log
  gauge: Gauge
  isRecoverable: boolean
}

const weekMs = 7 * 24 * 3_600_000

/** Restores each of `ids` beside the store and looks at it, then takes it away. What could not be tried is inconclusive. */
export async function drill(parts: DrillParts): Promise<DrillResult> {
  const { ids, backups, clock } = parts
  const now = clock.now()
  const newest = backups[0]?.takenAt
  const drilled: DrilledBackup[] = []
  try {
    for (const id of ids) drilled.push(await drillOne(id, parts))
  } finally {
    await parts.smoke?.rest?.()
  }
  const bad = drilled.find(({ outcome }) => outcome === 'failed') ?? drilled.find(({ outcome }) => outcome !== 'ok')
  return {
    outcome: ids.length === 0 ? 'failed' : (bad?.outcome ?? 'ok'),
    cause: ids.length === 0 ? 'There is no backup at all.' : (bad?.cause ?? ''),
    backups: drilled,
    rpo_ms: newest === undefined ? 0 : Math.max(0, now - newest),
    worst_gap_ms: worstGap(backups, now),
    is_recoverable_without_master_key: parts.isRecoverable,
  }
}

async function drillOne(id: string, parts: DrillParts): Promise<DrilledBackup> {
  const { address, place, keys, clock } = parts
  const beganAt = clock.monotonic()
  const result: DrilledBackup = { id, outcome: 'ok', cause: '', taken_at: 0, rows: 0, rto_ms: 0, steps: [] }
  const step = (name: string, told: string, isGood = true) => result.steps.push({ step: name, is_good: isGood, told })
  let at = 'open'
  try {
    const archive = await openArchive(openObjectStore(place), id, keys)
    const { rows, bytes, tables } = contentsOf(archive.manifest)
    result.taken_at = archive.header.takenAt
    result.rows = rows
    step('open', `${tables} tables, ${rows} rows, ${bytes} bytes`)
    at = 'restore'
    assertRoom(address, bytes)
    const staged = await stage({
      ...{ address, place, id, keys, migrations: parts.migrations, log: parts.log, version: parts.version },
      ...{ allowOlder: true, besideName: `drill_${id.slice(-8)}`, gauge: parts.gauge, load: parts.runner.load },
    })
    try {
      step('restore', `${staged.loaded.loadMs} ms, with what the engine checks of keys and pages`)
      step('compare', `every row is as it was written, ${staged.loaded.compareMs} ms`)
      step('sentinel', archive.manifest.sentinel === '' ? 'there was none' : `${archive.manifest.sentinel} is there`)
      at = 'questions'
      beginStep(parts.gauge, 'ask')
      for (const { question, isGood, told } of (await parts.smoke?.(staged.beside.address)) ?? []) {
        step(question, told, isGood)
        if (isGood) continue
        result.outcome = 'failed'
        result.cause ||= `The restored store of ${id} does not serve: ${question}: ${told}`
      }
    } finally {
      await staged.beside.remove()
    }
  } catch (error) {
    result.outcome = saysNothing(error) || error instanceof NoRoom ? 'inconclusive' : 'failed'
    result.cause = tellOf(error)
    const kind = error instanceof HubError && error.param !== undefined ? `${error.param}: ` : ''
    step(at, `${kind}${result.cause}`, false)
  }
  result.rto_ms = Math.round(clock.monotonic() - beganAt)
  return result
}

class NoRoom extends Error {}

/** Better not begun than a disk that is filled up under a running hub. */
function assertRoom(address: StoreAddress, bytes: number): void {
  const file = sqliteFileOf(address.url, address.dataDir)
  if (file === null) return
  const { freeBytes } = readDiskSpace(dirname(file))
  const wanted = bytes * 2
  if (freeBytes >= wanted) return
  throw new NoRoom(`The disk of ${dirname(file)} has ${freeBytes} bytes free; a drill takes about ${wanted}.`)
}

/** Between neighbours of the last week, and from the newest to now. */
function worstGap(newestFirst: readonly Header[], now: number): number {
  let worst = 0
  let later = now
  for (const { takenAt } of newestFirst) {
    if (takenAt < now - weekMs) break
    worst = Math.max(worst, later - takenAt)
    later = takenAt
  }
  return worst
}
