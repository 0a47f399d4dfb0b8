import { join } from 'node:path'
import { fail } from '../kernel/errors.ts'
import { type Beside, besideOf, type StoreAddress } from '../platform/database/copying/index.ts'
import { type Migration, migrate, openDatabase } from '../platform/database/index.ts'
import { createPrivateFile } from '../platform/files.ts'
import type { Log } from '../platform/log.ts'
import { type ObjectPlace, openObjectStore } from '../platform/object-store/index.ts'
import { unusable } from './archive/format.ts'
import type { Manifest } from './archive/manifest.ts'
import { type Archive, type Keys, openArchive } from './archive/read.ts'
import { assertSchema } from './archive/verify.ts'
import { openNote } from './restore-note.ts'
import type { Gauge, LoadResult, LoadWish } from './work.ts'
import { readFile } from './work.ts'

export type StageParts = {
  address: StoreAddress
  place: ObjectPlace
  id: string
  keys: Keys
  migrations: readonly Migration[]
  log: Log
  version: string
  /** A backup of an earlier version is brought forward. */
  allowOlder: boolean
  /** Tells stores beside the same one apart. */
  besideName: string
  gauge: Gauge
  /** Here, or in a thread. */
  load(wish: LoadWish): Promise<LoadResult>
}

export type Staged = { archive: Archive; beside: Beside; loaded: LoadResult }

export const masterKeyFile = 'secret.key'
export const configurationFile = 'gatehouse.toml'
export const auditPrefix = 'audit/'

/**
 * Makes a store beside the hub's and fills it from a backup. Throws `backup_unusable` when anything is not as it was
 * written, and leaves nothing beside then. The hub's own store is not touched.
 */
export async function stage(parts: StageParts): Promise<Staged> {
  const { address, place, id, keys, migrations, log, version } = parts
  const archive = await openArchive(openObjectStore(place), id, keys)
  const known = migrations.map(({ name }) => name)
  assertSchema(archive.manifest, known, { id, allowOlder: parts.allowOlder })
  const beside = besideOf(address, parts.besideName)
  await beside.prepare()
  try {
    const applied = migrations.filter(({ name }) => archive.manifest.migrations.includes(name))
    await shape(beside.address, applied, { log, version })
    const loaded = await parts.load({ id, place, keys, address: beside.address, gauge: parts.gauge })
    if (loaded.findings.length > 0) {
      throw unusable('mismatch', `The backup ${id} was not restored as it was written: ${loaded.findings.join('; ')}.`)
    }
    await assertSentinel(beside.address, archive.manifest, { id, log })
    if (applied.length < migrations.length) await shape(beside.address, migrations, { log, version })
    return { archive, beside, loaded }
  } catch (error) {
    await beside.remove().catch(() => {})
    throw error
  }
}

/** Makes the tables of these migrations. */
export async function shape(
  address: StoreAddress,
  migrations: readonly Migration[],
  { log, version }: { log: Log; version: string },
): Promise<void> {
  const database = await openDatabase({ ...address, poolSize: 2, statementTimeoutMs: 600_000, log })
  try {
    await migrate(database, migrations, { log, version })
  } finally {
    await database.close()
  }
}

/** The row that was written just before the backup was taken: what is in it can only be as old as it says. */
async function assertSentinel(
  address: StoreAddress,
  { sentinel }: Pick<Manifest, 'sentinel'>,
  { id, log }: { id: string; log: Log },
): Promise<void> {
  if (sentinel === '') return
  const database = await openDatabase<{ backup_runs: { id: string } }>({ ...address, poolSize: 1, log })
  try {
    const row = await database.kysely
      .selectFrom('backup_runs')
      .select('id')
      .where('id', '=', sentinel)
      .executeTakeFirst()
    if (row !== undefined) return
    throw unusable(
      'mismatch',
      `The backup ${id} lacks the row ${sentinel}, which was written just before it was taken.`,
    )
  } finally {
    await database.close()
  }
}

export type RestoreParts = StageParts & {
  dataDir: string
  /** Of the master key that this hub uses; null where it has none yet. */
  hubKeyId: string | null
  /** For the name of what is kept, such as `2026-11-28T08-00-00`. */
  stamp: string
}

export type Restored = {
  id: string
  takenAt: number
  rows: number
  /** Where the store as it was is; '' where there was none. */
  kept: string
  /** Files beside the store that were written. */
  files: string[]
  tookMs: number
}

/**
 * Puts a backup in the place of the hub's store, which must be stopped. Everything is built and compared beside it first;
 * then one rename, or one transaction, exchanges them, and the store as it was is kept. Throws before anything is changed.
 */
export async function restore(parts: RestoreParts): Promise<Restored> {
  const beganAt = performance.now()
  const archive = await openArchive(openObjectStore(parts.place), parts.id, parts.keys)
  const masterKey = await masterKeyFor(archive, parts)
  await besideOf(parts.address, parts.besideName).assertUnused()
  const note = openNote(parts)
  note.write('building')
  const staged = await stage(parts).catch((error: unknown) => {
    note.remove()
    throw error
  })
  const files: string[] = []
  try {
    await staged.beside.assertUnused()
    if (masterKey !== null) {
      const path = join(parts.dataDir, masterKeyFile)
      if (!createPrivateFile(path, masterKey))
        throw fail('conflict', `${path} appeared meanwhile; nothing was changed.`)
      files.push(path)
    }
    note.write('swapping')
    const kept = await staged.beside.swapIn(parts.stamp)
    files.push(...(await writeFiles(staged.archive, parts)))
    note.remove()
    const { header } = staged.archive
    const tookMs = Math.round(performance.now() - beganAt)
    return { id: parts.id, takenAt: header.takenAt, rows: staged.loaded.rows, kept, files, tookMs }
  } catch (error) {
    // Once nothing is beside, `swapping` would say that it is in its place.
    if (await staged.beside.isThere().catch(() => true)) note.write('building')
    await staged.beside.remove().catch(() => {})
    note.remove()
    throw error
  }
}

/** Without its master key a restored store holds hashes that nobody matches and secrets that nobody opens. */
async function masterKeyFor(archive: Archive, { hubKeyId, id }: RestoreParts): Promise<string | null> {
  const { keyId } = archive.header
  if (hubKeyId === keyId) return null
  const kept = await readFile(archive, masterKeyFile)
  if (hubKeyId !== null) {
    throw unusable(
      'wrong key',
      `The secrets in the backup ${id} are sealed with the master key ${keyId}; this hub has ${hubKeyId}. Set GATEHOUSE_SECRET_KEY to ${keyId}${kept === null ? '' : ', or move secret.key out of the data folder: the backup holds the one it needs'}.`,
    )
  }
  if (kept !== null) return kept.toString('utf8')
  throw unusable(
    'wrong key',
    `The backup ${id} needs the master key ${keyId} and does not hold it. Set GATEHOUSE_SECRET_KEY, or put its secret.key into the data folder.`,
  )
}

/** The configuration is written beside, never over what is there; files of the audit log where they are missing. */
async function writeFiles(archive: Archive, { dataDir, id }: RestoreParts): Promise<string[]> {
  const written: string[] = []
  for (const { name } of archive.manifest.files) {
    if (name === masterKeyFile || !/^[\w.-]+(\/[\w.-]+)?$/.test(name) || name.includes('..')) continue
    const path = join(dataDir, name.startsWith(auditPrefix) ? name : join(`restored-${id}`, name))
    const bytes = await readFile(archive, name)
    if (bytes !== null && createPrivateFile(path, bytes.toString('utf8'))) written.push(path)
  }
  return written
}
