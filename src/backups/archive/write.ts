import { hash } from 'node:crypto'
import { crc32, zstdCompressSync } from 'node:zlib'
import { type Dump, type Shape, writeRow } from '../../platform/database/copying/index.ts'
import type { ObjectSink } from '../../platform/object-store/object-store.ts'
import { createSealer, type FrameKind, type Header, writeHeader, writeTrailer } from './format.ts'
import type { FileEntry, Manifest, Piece, TableEntry } from './manifest.ts'
import { createRowSum } from './sum.ts'

/** A piece ends with one row of so many, chosen by its key: a change elsewhere in the table does not move its ends. */
const rowsOfPiece = 1024
const longestPieceBytes = 4 * 1024 * 1024
const filePieceBytes = 1024 * 1024

export type WriteParts = {
  sink: ObjectSink
  header: Header
  dataKey: Buffer
  dump: Dump
  files: readonly FileSource[]
  /** The backup before in the chain; null for a full one. */
  base: Manifest | null
  migrations: readonly string[]
  sentinel: string
  now: () => number
  signal: AbortSignal
  onProgress(told: Progress): void
}

/** A file as it was when its size was asked for: what has been added since is left for the next backup. */
export type FileSource = { name: string; bytes: number; read(offset: number, length: number): Promise<Buffer> }

export type Progress = { table: string; rows: number; bytes: number; writtenBytes: number }

/**
 * Writes a backup piece by piece; of the store never more than one piece is in memory. Pieces that the chain has already
 * are named and not written. Whoever called finishes or aborts the sink.
 */
export async function writeArchive(parts: WriteParts): Promise<{ manifest: Manifest; bytes: number }> {
  const { sink, header, dataKey, dump, base, signal } = parts
  const head = writeHeader(header)
  const sealer = createSealer(dataKey, head.digest)
  const archives = [...(base?.archives ?? []), header.id]
  const known = new Map<string, Piece>()
  for (const { pieces } of base?.tables ?? []) for (const piece of pieces) known.set(`rows${piece.hash}`, piece)
  for (const { pieces } of base?.files ?? []) for (const piece of pieces) known.set(`file${piece.hash}`, piece)
  let offset = 0
  let index = 0
  const progress: Progress = { table: '', rows: 0, bytes: 0, writtenBytes: 0 }

  async function put(bytes: Buffer) {
    signal.throwIfAborted()
    await sink.write(bytes)
    offset += bytes.length
    progress.writtenBytes = offset
  }

  async function keep(kind: FrameKind, plain: Buffer, rows: number): Promise<Piece> {
    const name = hash('sha256', plain, 'base64url')
    progress.rows += rows
    progress.bytes += plain.length
    const there = known.get(kind + name)
    if (there !== undefined) return { ...there, rows }
    const piece = { archive: archives.length - 1, offset, index, hash: name, rows, bytes: plain.length }
    known.set(kind + name, piece)
    await put(sealer.seal(kind, index++, zstdCompressSync(plain)))
    return piece
  }

  async function writeTable(shape: Shape): Promise<TableEntry> {
    const sum = createRowSum()
    const pieces: Piece[] = []
    let lines: string[] = []
    let bytes = 0
    let rows = 0
    const endPiece = async () => {
      pieces.push(await keep('rows', Buffer.from(lines.join('\n')), lines.length))
      lines = []
      bytes = 0
      parts.onProgress(progress)
    }
    progress.table = shape.table
    for await (const batch of dump.rows(shape)) {
      for (const row of batch) {
        const line = writeRow(row)
        sum.add(line)
        lines.push(line)
        bytes += line.length
        rows++
        const key = shape.keys > 0 ? writeRow(row.slice(0, shape.keys)) : line
        if (crc32(key) % rowsOfPiece === 0 || bytes >= longestPieceBytes) await endPiece()
      }
      signal.throwIfAborted()
    }
    if (lines.length > 0) await endPiece()
    return { table: shape.table, columns: [...shape.columns], keys: shape.keys, rows, checksum: sum.text(), pieces }
  }

  async function writeFile({ name, bytes, read }: FileSource): Promise<FileEntry> {
    const pieces: Piece[] = []
    let written = 0
    while (written < bytes) {
      const plain = await read(written, Math.min(filePieceBytes, bytes - written))
      if (plain.length === 0) break
      pieces.push(await keep('file', plain, 0))
      written += plain.length
    }
    return { name, bytes: written, pieces }
  }

  await put(head.bytes)
  const tables: TableEntry[] = []
  for (const shape of dump.tables) tables.push(await writeTable(shape))
  const files: FileEntry[] = []
  for (const file of parts.files) files.push(await writeFile(file))
  const manifest: Manifest = {
    archives,
    engine: dump.engine,
    migrations: [...parts.migrations],
    sentinel: parts.sentinel,
    finishedAt: parts.now(),
    tables,
    files,
  }
  const trailer = writeTrailer(offset, index)
  await put(sealer.seal('manifest', index, zstdCompressSync(Buffer.from(JSON.stringify(manifest)))))
  await put(trailer)
  return { manifest, bytes: offset }
}
