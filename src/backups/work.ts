import { basename, dirname } from 'node:path'
import { openDump, openFill, type StoreAddress } from '../platform/database/copying/index.ts'
import { createFolderStore, type ObjectPlace, openObjectStore } from '../platform/object-store/index.ts'
import { createDataKey, formatVersion, type Header, unusable } from './archive/format.ts'
import { type OwnKey, sealFor } from './archive/keys.ts'
import { compareStore, loadArchive } from './archive/load.ts'
import { type Contents, contentsOf, type Manifest } from './archive/manifest.ts'
import { type Archive, type Keys, openArchive, suffix } from './archive/read.ts'
import { verifyArchive } from './archive/verify.ts'
import { type FileSource, writeArchive } from './archive/write.ts'

/** Where a run has got to, and whether it shall end: shared with the thread that does it. */
export type Gauge = Float64Array
/** What stands where in a gauge. */
export const gaugePlaces = { rows: 0, bytes: 1, writtenBytes: 2, stop: 3, step: 4 } as const
/** What is being done, by the number in the gauge. */
export const gaugeSteps = ['begin', 'write', 'read back', 'fill', 'compare', 'ask'] as const

/** Says what is done from here on; what is counted begins anew. */
export function beginStep(gauge: Gauge, step: (typeof gaugeSteps)[number]): void {
  for (const place of ['rows', 'bytes', 'writtenBytes'] as const) gauge[gaugePlaces[place]] = 0
  gauge[gaugePlaces.step] = gaugeSteps.indexOf(step)
}

export function createGauge(): Gauge {
  return new Float64Array(new SharedArrayBuffer(5 * 8))
}

export type TakeWish = {
  id: string
  kind: Header['kind']
  /** The backup to add to; '' for a full one. */
  baseId: string
  address: StoreAddress
  place: ObjectPlace
  own: OwnKey
  recoveryKey: string
  version: string
  files: readonly FileWish[]
  sentinel: string
  gauge: Gauge
}
export type FileWish = { name: string; path: string } | { name: string; text: string }

export type Taken = Contents & { fileBytes: number; takenAt: number; schema: string; chain: string[] }

export type VerifyWish = { id: string; place: ObjectPlace; keys: Keys; gauge: Gauge }
export type Verified = Contents & { takenAt: number; fileBytes: number }

export type LoadWish = VerifyWish & { address: StoreAddress }
/** `findings` is empty when what was loaded is what was written, row for row. */
export type LoadResult = { findings: string[]; rows: number; loadMs: number; compareMs: number }

/**
 * Takes a backup and reads it back. It is there when this resolves, and verified; after a failure nothing of it is left.
 * Blocks its thread while it reads SQLite.
 */
export async function take(wish: TakeWish): Promise<Taken> {
  const { id, place, own, gauge } = wish
  const store = openObjectStore(place)
  const keys: Keys = { own, recoverySecret: null }
  const base = wish.baseId === '' ? null : await openArchive(store, wish.baseId, keys)
  const takenAt = Date.now()
  const dump = await openDump(wish.address)
  try {
    const migrations: string[] = []
    const bookkeeping = dump.tables.find(({ table }) => table === 'schema_migrations')
    if (bookkeeping !== undefined) {
      const at = bookkeeping.columns.indexOf('name')
      for await (const rows of dump.rows(bookkeeping)) migrations.push(...rows.map((row) => String(row[at])))
    }
    const dataKey = createDataKey()
    const header: Header = {
      format: formatVersion,
      id,
      kind: wish.kind,
      takenAt,
      version: wish.version,
      schema: migrations.sort().at(-1) ?? '',
      chain: base?.manifest.archives ?? [],
      keyId: own.keyId,
      slots: sealFor(dataKey, own, wish.recoveryKey),
    }
    const sink = await store.write(id + suffix)
    try {
      const watch = watchOf(gauge)
      beginStep(gauge, 'write')
      await writeArchive({
        ...{ sink, header, dataKey, dump, migrations, sentinel: wish.sentinel, now: Date.now },
        files: await Promise.all(wish.files.map(openFileSource)),
        base: base?.manifest ?? null,
        ...watch,
        onProgress: (told) => {
          gauge[gaugePlaces.rows] = told.rows
          gauge[gaugePlaces.bytes] = told.bytes
          gauge[gaugePlaces.writtenBytes] = told.writtenBytes
          watch.check()
        },
      })
      await sink.finish()
    } catch (error) {
      await sink.abort()
      throw error
    }
  } finally {
    await dump.close()
  }
  try {
    const { contents, archive } = await readBack({ id, place, keys, gauge })
    const { schema, chain } = archive.header
    return { ...contents, fileBytes: archive.bytes, takenAt, schema, chain }
  } catch (error) {
    // What cannot be read back is no backup, and must not stand there as if it were one.
    await store.remove(id + suffix).catch(() => {})
    throw error
  }
}

/** Reads all of a backup and its chain. Throws `backup_unusable`, or what its place says when it cannot be read. */
export async function verify(wish: VerifyWish): Promise<Verified> {
  const { archive, contents } = await readBack(wish)
  return { ...contents, takenAt: archive.header.takenAt, fileBytes: archive.bytes }
}

async function readBack({ id, place, keys, gauge }: VerifyWish): Promise<{ archive: Archive; contents: Contents }> {
  const archive = await openArchive(openObjectStore(place), id, keys)
  beginStep(gauge, 'read back')
  await verifyArchive(archive, watchOf(gauge))
  return { archive, contents: contentsOf(archive.manifest) }
}

/** Fills a store of the backup's shape, and compares each row of it with what was written. */
export async function load({ id, place, keys, address, gauge }: LoadWish): Promise<LoadResult> {
  const archive = await openArchive(openObjectStore(place), id, keys)
  const watch = watchOf(gauge)
  const beganAt = performance.now()
  beginStep(gauge, 'fill')
  const fill = await openFill(address)
  const findings: string[] = []
  try {
    findings.push(...(await loadArchive(archive, fill, watch)))
  } finally {
    await fill.close()
  }
  const loadedAt = performance.now()
  beginStep(gauge, 'compare')
  findings.push(...(await compareStore(address, archive.manifest, watch)))
  return {
    findings,
    rows: contentsOf(archive.manifest).rows,
    loadMs: Math.round(loadedAt - beganAt),
    compareMs: Math.round(performance.now() - loadedAt),
  }
}

/** A file that a backup holds beside the store, such as the configuration; null when it is not in it. */
export async function readFile(archive: Archive, name: string): Promise<Buffer | null> {
  const entry = archive.manifest.files.find((file) => file.name === name)
  if (entry === undefined) return null
  const pieces: Buffer[] = []
  for (const piece of entry.pieces) pieces.push(await archive.read('file', piece))
  const bytes = Buffer.concat(pieces)
  if (bytes.length === entry.bytes) return bytes
  throw unusable(
    'mismatch',
    `The file ${name} in the backup ${archive.header.id} has ${bytes.length} bytes, not ${entry.bytes}.`,
  )
}

export type { Manifest }

function watchOf(gauge: Gauge) {
  const aborting = new AbortController()
  const check = () => {
    if (gauge[gaugePlaces.stop] !== 0) aborting.abort()
  }
  return {
    signal: aborting.signal,
    check,
    onProgress(rows: number, bytes: number) {
      gauge[gaugePlaces.rows]! += rows
      gauge[gaugePlaces.bytes]! += bytes
      check()
    },
  }
}

async function openFileSource(wish: FileWish): Promise<FileSource> {
  if ('text' in wish) {
    const bytes = Buffer.from(wish.text)
    return { name: wish.name, bytes: bytes.length, read: async (at, length) => bytes.subarray(at, at + length) }
  }
  const folder = createFolderStore(dirname(wish.path))
  const file = basename(wish.path)
  return {
    name: wish.name,
    bytes: (await folder.size(file)) ?? 0,
    read: (at, length) => folder.read(file, at, length),
  }
}
