import {
  closeSync,
  fdatasyncSync,
  fsyncSync,
  ftruncateSync,
  linkSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { bodiesOf, createFrameWriter, type Frame, fileHead, inspect, readFrame } from './frames.ts'

/** Files of rows in the order of their numbers. The last one grows; a file goes when no row of it is wanted any more. */
export type Segments = {
  /** Numbers of the rows found at the opening, oldest first, joined where they follow one another. */
  found: readonly Numbers[]
  /** All of `bodies` or, when it throws, none. */
  append(bodies: readonly string[], firstSeq: number): void
  /** Rows from `fromSeq` on that are wanted, oldest first. Throws Damage. */
  read(fromSeq: number, limit: number, isWanted: (seq: number) => boolean): { seq: number; body: string }[]
  /** No row up to `seq` is wanted any more. */
  dropThrough(seq: number): void
  /** Takes back what was appended since the opening, from row `seq` on. */
  dropFrom(seq: number): void
  /** Makes sure that nothing of a failed append is left. */
  mend(): void
  /** What is there survives the end of the machine once this returns. */
  sync(): void
  bytes(): number
  close(): void
}

export type SegmentOptions = {
  folder: string
  /** Syncs the disk with each append. */
  isSynced: boolean
  /** A file that has grown so large is the last one no more. */
  segmentBytes: number
  /** A damaged file was kept under the name `aside`; its sound rows go on in a file of the old name. */
  onDamage(aside: string): void
  stamp(): string
}

/** Bytes of a file of rows are not what was written. */
export class Damage extends Error {}

type Numbers = { firstSeq: number; count: number }
type Segment = { path: string; lastSeq: number; bytes: number }

const fileName = /^rows-\d{16}\.log$/
/** So much in the last file is given back to the disk when no row of it is wanted. */
const worthCutting = 512 * 1024
const windowBytes = 512 * 1024

export function openSegments(options: SegmentOptions): Segments {
  const { folder, isSynced, segmentBytes } = options
  const writeFrame = createFrameWriter()
  const found: Numbers[] = []
  let segments: Segment[] = []
  let fd: number | null = null
  /** Whether the last file may hold something behind its `bytes`. */
  let isTorn = false
  /** Where the first row that was wanted at the last reading is. */
  let cursor: { segment: Segment | undefined; at: number } = { segment: undefined, at: 0 }

  for (const file of readdirSync(folder).sort()) {
    if (!fileName.test(file)) continue
    const path = join(folder, file)
    const { frames, bytes } = openSegment(path, options)
    for (const frame of frames) joinNumbers(found, frame)
    const last = frames.at(-1)
    if (last === undefined) rmSync(path)
    else segments.push({ path, lastSeq: last.firstSeq + last.count - 1, bytes })
  }

  function begin(firstSeq: number): Segment {
    if (fd !== null) closeSync(fd)
    fd = null
    const path = join(folder, `rows-${String(firstSeq).padStart(16, '0')}.log`)
    // Not 'wx': what a failed beginning left has no rows.
    const begun = openSync(path, 'w', 0o600)
    try {
      writeAll(begun, fileHead, 0)
      if (isSynced) syncFile(folder)
    } catch (error) {
      closeSync(begun)
      throw error
    }
    fd = begun
    const segment = { path, lastSeq: firstSeq - 1, bytes: fileHead.length }
    segments.push(segment)
    return segment
  }

  function mend(): void {
    if (!isTorn || fd === null) return
    ftruncateSync(fd, segments.at(-1)!.bytes)
    isTorn = false
  }

  return {
    found,
    append(bodies, firstSeq) {
      mend()
      let last = segments.at(-1)
      if (fd === null || last === undefined || last.bytes >= segmentBytes) last = begin(firstSeq)
      const frame = writeFrame(bodies, firstSeq)
      isTorn = true
      try {
        writeAll(fd!, frame, last.bytes)
        if (isSynced) fdatasyncSync(fd!)
      } catch (error) {
        try {
          mend()
        } catch {
          // Then the next append does it, or fails as well.
        }
        throw error
      }
      isTorn = false
      last.bytes += frame.length
      last.lastSeq = firstSeq + bodies.length - 1
    },
    read(fromSeq, limit, isWanted) {
      const rows: { seq: number; body: string }[] = []
      for (const segment of segments) {
        if (segment.lastSeq < fromSeq) continue
        const from = cursor.segment === segment ? cursor.at : fileHead.length
        for (const { frame, bytes, end } of framesOf(segment, from)) {
          if (frame.firstSeq + frame.count <= fromSeq) {
            cursor = { segment, at: end }
            continue
          }
          for (const [i, body] of bodiesOf(bytes, frame).entries()) {
            const seq = frame.firstSeq + i
            if (rows.length >= limit) return rows
            if (seq >= fromSeq && isWanted(seq)) rows.push({ seq, body })
          }
        }
      }
      return rows
    },
    dropThrough(seq) {
      const last = segments.at(-1)
      for (const segment of segments) {
        const isGrowing = segment === last && fd !== null
        if (segment.lastSeq > seq || isGrowing) continue
        rmSync(segment.path, { force: true })
        segments = segments.filter((each) => each !== segment)
      }
      if (fd === null || last === undefined || last.lastSeq > seq) return
      if (last.bytes < Math.min(worthCutting, segmentBytes)) return
      isTorn = true
      last.bytes = fileHead.length
      cursor = { segment: undefined, at: 0 }
      mend()
    },
    dropFrom(seq) {
      for (const segment of segments) if (segment.lastSeq >= seq) rmSync(segment.path, { force: true })
      segments = segments.filter((segment) => segment.lastSeq < seq)
    },
    mend,
    sync() {
      for (const { path } of segments) syncFile(path)
      syncFile(folder)
    },
    bytes: () => segments.reduce((sum, segment) => sum + segment.bytes, 0),
    close() {
      if (fd !== null) closeSync(fd)
      fd = null
    },
  }
}

function joinNumbers(found: Numbers[], { firstSeq, count }: Numbers): void {
  const last = found.at(-1)
  if (last !== undefined && last.firstSeq + last.count === firstSeq) last.count += count
  else found.push({ firstSeq, count })
}

/** Reads a file of an earlier run, cuts off what was never finished, and puts damage aside. */
function openSegment(path: string, { onDamage, stamp }: SegmentOptions): { frames: Frame[]; bytes: number } {
  const bytes = readFileSync(path)
  const { frames, end, isDamaged } = inspect(bytes)
  if (!isDamaged) {
    if (end < bytes.length) truncateSync(path, end)
    return { frames, bytes: end }
  }
  // At every moment one of the names holds all that is sound: a crash here loses nothing.
  const sound = Buffer.concat([fileHead, ...frames.map((frame) => bytes.subarray(frame.at, frame.end))])
  const aside = `${path}.damaged-${stamp()}`
  linkSync(path, aside)
  const draft = `${path}.draft`
  writeFileSync(draft, sound, { mode: 0o600, flush: true })
  renameSync(draft, path)
  onDamage(aside)
  return { frames, bytes: sound.length }
}

/** The frames of a file from `from` on, each with the bytes it stands in and the place in the file where it ends. */
function* framesOf({ path, bytes: fileEnd }: Segment, from: number) {
  const fd = openSync(path, 'r')
  try {
    let size = windowBytes
    for (let base = from; base < fileEnd; ) {
      const bytes = Buffer.allocUnsafe(Math.min(size, fileEnd - base))
      const isWhole = readAll(fd, bytes, base)
      let at = 0
      while (at < bytes.length) {
        const frame = readFrame(bytes, at)
        if (frame === 'damaged' || !isWhole) throw new Damage(`${path} is damaged near byte ${base + at}`)
        if (frame === 'short') break
        yield { frame, bytes, end: base + frame.end }
        at = frame.end
      }
      if (at === 0 && base + bytes.length === fileEnd) throw new Damage(`${path} is damaged near byte ${base}`)
      if (at === 0) size *= 2
      base += at
    }
  } finally {
    closeSync(fd)
  }
}

/** False when the file ends first. */
function readAll(fd: number, bytes: Buffer, position: number): boolean {
  for (let done = 0; done < bytes.length; ) {
    const count = readSync(fd, bytes, done, bytes.length - done, position + done)
    if (count === 0) return false
    done += count
  }
  return true
}

// A disk that fills up takes a part and refuses the rest with the next call.
function writeAll(fd: number, bytes: Buffer, position: number): void {
  for (let done = 0; done < bytes.length; ) {
    done += writeSync(fd, bytes, done, bytes.length - done, position + done)
  }
}

/** Of a folder: the names in it. */
function syncFile(path: string): void {
  const fd = openSync(path, 'r')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}
