import { crc32 } from 'node:zlib'

/**
 * The bytes of a file of rows: a line that says what it is, then frame after frame, each holding what one turn of the
 * event loop appended. A frame is written with one call and is good or bad as a whole.
 *
 * Head of a frame, 28 bytes, little-endian: marker, bytes of the payload, number of the first row (a double), count of
 * rows, CRC32 of the payload, CRC32 of the 24 bytes before. Payload: for each row its length in bytes and its UTF-8.
 * The head has a sum of its own so that a frame which was never finished is told from one that was damaged later.
 */
export const fileHead = Buffer.from('gatehouse journal 1\n')

export type Frame = { at: number; end: number; firstSeq: number; count: number }

const marker = Buffer.from('\u00abGH\u00bb', 'latin1')
const markerNumber = marker.readUInt32LE()
const headBytes = 28
/** A writer keeps its buffer from turn to turn, but not one that a single huge turn needed. */
const keptBytes = 1024 * 1024

/** Returns a function that makes a frame in a buffer which its next call uses again. */
export function createFrameWriter(): (bodies: readonly string[], firstSeq: number) => Buffer {
  let kept = Buffer.allocUnsafeSlow(64 * 1024)
  return (bodies, firstSeq) => {
    let most = headBytes
    for (const body of bodies) most += 4 + body.length * 3
    let buffer = kept
    if (most > buffer.length) {
      buffer = Buffer.allocUnsafeSlow(most)
      if (most <= keptBytes) kept = buffer
    }
    let end = headBytes
    for (const body of bodies) {
      const length = buffer.write(body, end + 4)
      buffer.writeUInt32LE(length, end)
      end += 4 + length
    }
    buffer.writeUInt32LE(markerNumber, 0)
    buffer.writeUInt32LE(end - headBytes, 4)
    buffer.writeDoubleLE(firstSeq, 8)
    buffer.writeUInt32LE(bodies.length, 16)
    buffer.writeUInt32LE(crc32(buffer.subarray(headBytes, end)), 20)
    buffer.writeUInt32LE(crc32(buffer.subarray(0, 24)), 24)
    return buffer.subarray(0, end)
  }
}

/** The frame that begins at `at`; 'short' when the bytes end before it does, 'damaged' when its sums are wrong. */
export function readFrame(bytes: Buffer, at: number): Frame | 'short' | 'damaged' {
  if (bytes.length - at < headBytes) return 'short'
  if (crc32(bytes.subarray(at, at + 24)) !== bytes.readUInt32LE(at + 24)) return 'damaged'
  if (bytes.readUInt32LE(at) !== markerNumber) return 'damaged'
  const end = at + headBytes + bytes.readUInt32LE(at + 4)
  if (end > bytes.length) return 'short'
  if (crc32(bytes.subarray(at + headBytes, end)) !== bytes.readUInt32LE(at + 20)) return 'damaged'
  return { at, end, firstSeq: bytes.readDoubleLE(at + 8), count: bytes.readUInt32LE(at + 16) }
}

/** The rows of a frame that `readFrame` found in the same bytes. */
export function bodiesOf(bytes: Buffer, frame: Frame): string[] {
  const bodies: string[] = []
  for (let at = frame.at + headBytes; bodies.length < frame.count; ) {
    const from = at + 4
    at = from + bytes.readUInt32LE(at)
    bodies.push(bytes.toString('utf8', from, at))
  }
  return bodies
}

/**
 * Every sound frame of a whole file, also those behind a damaged one. `end` is where the last of them ends: what
 * follows, in a file that is not damaged, is a frame that was never finished and so never answered for.
 */
export function inspect(bytes: Buffer): { frames: Frame[]; end: number; isDamaged: boolean } {
  const frames: Frame[] = []
  const hasWholeHead = bytes.length >= fileHead.length
  let isDamaged = !fileHead.subarray(0, bytes.length).equals(bytes.subarray(0, fileHead.length))
  let end = hasWholeHead ? fileHead.length : 0
  for (let at = fileHead.length; at < bytes.length; ) {
    const frame = readFrame(bytes, at)
    if (frame === 'short') break
    if (frame === 'damaged') {
      isDamaged = true
      at = bytes.indexOf(marker, at + 1)
      if (at === -1) break
      continue
    }
    frames.push(frame)
    at = end = frame.end
  }
  return { frames, end, isDamaged }
}
