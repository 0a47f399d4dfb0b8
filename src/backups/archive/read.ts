import { createHash, hash } from 'node:crypto'
import { zstdDecompressSync } from 'node:zlib'
import type { ObjectStore } from '../../platform/object-store/object-store.ts'
import {
  createOpener,
  type FrameKind,
  type FrameOpener,
  formatVersion,
  type Header,
  longestFrame,
  magic,
  readTrailer,
  trailerBytes,
  unusable,
} from './format.ts'
import { type OwnKey, openFor } from './keys.ts'
import type { Manifest, Piece } from './manifest.ts'

export const suffix = '.ghb'
const readAhead = 4 * 1024 * 1024
const longestHeader = 1024 * 1024

export type Keys = { own: OwnKey | null; recoverySecret: string | null }

/** A backup whose key has been opened and whose manifest is what was written. */
export type Archive = {
  header: Header
  manifest: Manifest
  /** Bytes of its own file. */
  bytes: number
  /** The plain bytes of a piece, wherever in the chain it lies; throws `backup_unusable` when they are not what was written. */
  read(kind: 'rows' | 'file', piece: Piece): Promise<Buffer>
  /** Throws when its own file holds a byte that belongs to no piece. */
  assertNothingElse(): void
}

export async function readHeader(
  store: ObjectStore,
  id: string,
): Promise<{ header: Header; digest: Buffer; length: number; bytes: number }> {
  const name = id + suffix
  const bytes = await store.size(name)
  if (bytes === null) throw unusable('missing', `There is no backup ${id} in ${store.where}.`)
  if (bytes === 0) throw unusable('empty', `The backup ${id} is empty: a file of 0 bytes.`)
  const start = await store.read(name, 0, Math.min(bytes, 64 * 1024))
  if (!start.subarray(0, magic.length).equals(magic.subarray(0, Math.min(magic.length, start.length)))) {
    throw unusable('foreign', `${id} is no backup of a Gatehouse hub, or its first bytes are damaged.`)
  }
  if (start.length < magic.length + 4) throw cutOff(id, bytes)
  const length = magic.length + 4 + start.readUInt32BE(magic.length)
  if (length > longestHeader) throw unusable('damaged', `The header of the backup ${id} is damaged.`)
  if (length > bytes) throw cutOff(id, bytes)
  const whole = length <= start.length ? start.subarray(0, length) : await store.read(name, 0, length)
  let header: Header
  try {
    header = JSON.parse(whole.subarray(magic.length + 4).toString('utf8')) as Header
  } catch (cause) {
    throw unusable('damaged', `The header of the backup ${id} is damaged.`, cause)
  }
  if (header.format !== formatVersion) {
    throw unusable(
      'format',
      `The backup ${id} has the format ${String(header.format)}, and this program reads ${formatVersion}: use version ${String(header.version)} or later.`,
    )
  }
  if (!Array.isArray(header.slots) || !Array.isArray(header.chain) || header.id !== id) {
    throw unusable(
      'damaged',
      `The header of the backup ${id} is damaged, or the file was renamed (it says ${header.id}).`,
    )
  }
  return { header, digest: createHash('sha256').update(whole).digest(), length, bytes }
}

function cutOff(id: string, bytes: number) {
  return unusable('truncated', `The backup ${id} is cut off: it ends after ${bytes} bytes, before its end was written.`)
}

/** Opens a backup and those of its chain; throws `backup_unusable` with what is wrong. */
export async function openArchive(store: ObjectStore, id: string, keys: Keys): Promise<Archive> {
  const opened = new Map<string, Promise<{ opener: FrameOpener; bytes: number }>>()
  const own = await openOne(store, id, keys)
  opened.set(id, Promise.resolve(own))
  const { header, bytes } = own
  const trailer = readTrailer(await store.read(id + suffix, Math.max(0, bytes - trailerBytes), trailerBytes))
  if (trailer === null) throw cutOff(id, bytes)
  const end = bytes - trailerBytes
  if (trailer.offset < own.length || trailer.offset + 4 > end) {
    throw unusable('damaged', `The end of the backup ${id} is damaged.`)
  }
  const frame = await store.read(id + suffix, trailer.offset, end - trailer.offset)
  if (frame.readUInt32BE() !== frame.length - 4) throw unusable('damaged', `The end of the backup ${id} is damaged.`)
  const manifest = parseManifest(id, openFrame(own.opener, id, 'manifest', trailer.index, frame.subarray(4)))
  const ahead = createReadAhead(store)

  return {
    header,
    manifest,
    bytes,
    async read(kind, piece) {
      const place = manifest.archives[piece.archive]!
      let file = opened.get(place)
      if (file === undefined) {
        file = openOne(store, place, keys)
        opened.set(place, file)
      }
      const { opener, bytes } = await file
      const length = (await ahead.read(place + suffix, piece.offset, 4, bytes)).readUInt32BE()
      if (length > longestFrame || piece.offset + 4 + length > bytes) throw damaged(place, piece)
      const sealed = await ahead.read(place + suffix, piece.offset + 4, length, bytes)
      const plain = openFrame(opener, place, kind, piece.index, sealed)
      if (plain.length !== piece.bytes || hash('sha256', plain, 'base64url') !== piece.hash) throw damaged(place, piece)
      return plain
    },
    assertNothingElse() {
      const self = manifest.archives.length - 1
      const mine = new Set<number>()
      for (const { pieces } of [...manifest.tables, ...manifest.files]) {
        for (const { archive, index } of pieces) if (archive === self) mine.add(index)
      }
      if (mine.size !== trailer.index) {
        throw unusable('mismatch', `The backup ${id} holds ${trailer.index} pieces, and its list names ${mine.size}.`)
      }
    },
  }
}

async function openOne(store: ObjectStore, id: string, keys: Keys) {
  const head = await readHeader(store, id)
  const dataKey = openFor(head.header.slots, keys.own, keys.recoverySecret)
  return { ...head, opener: createOpener(dataKey, head.digest) }
}

function openFrame(opener: FrameOpener, id: string, kind: FrameKind, index: number, sealed: Buffer): Buffer {
  let compressed: Buffer
  try {
    compressed = opener.open(kind, index, sealed)
  } catch (cause) {
    throw unusable(
      'damaged',
      `The backup ${id} is damaged: the ${kind === 'manifest' ? 'list of its contents' : `piece ${index}`} is not what was written.`,
      cause,
    )
  }
  return zstdDecompressSync(compressed, { maxOutputLength: longestFrame })
}

function damaged(id: string, { index }: Piece) {
  return unusable('damaged', `The backup ${id} is damaged: the piece ${index} is not what was written.`)
}

function parseManifest(id: string, plain: Buffer): Manifest {
  const manifest = JSON.parse(plain.toString('utf8')) as Manifest
  if (manifest.archives.at(-1) === id) return manifest
  throw unusable('mismatch', `The list of contents in the backup ${id} is another backup's.`)
}

/** Pieces mostly lie one behind the other: one reading of a few megabytes serves many. */
function createReadAhead(store: ObjectStore) {
  let held: { name: string; from: number; bytes: Buffer } = { name: '', from: 0, bytes: Buffer.alloc(0) }
  return {
    async read(name: string, offset: number, length: number, size: number): Promise<Buffer> {
      const isHeld = held.name === name && offset >= held.from && offset + length <= held.from + held.bytes.length
      if (!isHeld) {
        const wanted = Math.min(Math.max(length, readAhead), size - offset)
        held = { name, from: offset, bytes: await store.read(name, offset, wanted) }
      }
      const bytes = held.bytes.subarray(offset - held.from, offset - held.from + length)
      if (bytes.length < length) throw unusable('truncated', `${name} ends earlier than when it was opened.`)
      return bytes
    },
  }
}
