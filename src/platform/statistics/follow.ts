import { type FileHandle, open, stat } from 'node:fs/promises'

/**
 * Follows a text file that others append to and rotate, from its end on, and gives every whole line once. It outlives both
 * ways of rotation: renamed and made anew (the rest of the old file is read before the new one begins) and copied and
 * truncated (what was written between the copy and the truncation is lost by that way itself).
 */
export type Follower = {
  /** Lines since the last call, at most `maxBytes` of them; `behind` says that there are more. */
  read(onLine: (line: string) => void): Promise<{ behind: boolean; rotations: number; isThere: boolean }>
  close(): Promise<void>
}

const chunkBytes = 256 * 1024
/** Writers notice a rotation one after the other: for so long the old file is read on beside the new one. */
const leaveAfterMs = 10_000
/**
 * By these last bytes a file is known to be the one that was read: one that was emptied and grew again is not. Enough for
 * some whole lines with their times, since the ends of lines may all be alike.
 */
const markBytes = 1024
/** A longer line is no line of a log; it is left out and counted as one that cannot be read. */
const longestLine = 64 * 1024

type Followed = {
  handle: FileHandle
  inode: number
  position: number
  /** The last line so far, without its end. */
  rest: Buffer<ArrayBufferLike>
  mark: Buffer
  /** When it was replaced by another under its name. */
  leftAt: number
}

/** `fromStart` reads what is in the file already. The file need not be there yet. */
export function followFile(
  path: string,
  { fromStart = false, maxBytes = 32 * 1024 * 1024 }: { fromStart?: boolean; maxBytes?: number } = {},
): Follower {
  /** The one that has the name now is the last. */
  let files: Followed[] = []
  let isFirst = true
  const chunk = Buffer.allocUnsafe(chunkBytes)

  /** Opens what has the name now, if that is another file than before. */
  async function look(): Promise<boolean> {
    const current = files.at(-1)
    const named = await orAbsent(stat(path))
    if (named === null || named.ino === current?.inode) return false
    const handle = await orAbsent(open(path, 'r'))
    if (handle === null) return false
    const { ino, size } = await handle.stat()
    if (current !== undefined) current.leftAt = performance.now()
    // What was there before us was somebody else's to count; what is made while we watch is ours from its first byte.
    const position = isFirst && !fromStart ? size : 0
    const file: Followed = {
      handle,
      inode: ino,
      position,
      rest: Buffer.alloc(0),
      mark: Buffer.alloc(0),
      leftAt: Infinity,
    }
    if (position > 0) file.mark = await readMark(file)
    files.push(file)
    return current !== undefined
  }

  /** Whether what was read is still there, and what follows is new. */
  async function isSame(file: Followed): Promise<boolean> {
    if ((await file.handle.stat()).size < file.position) return false
    return file.mark.equals(await readMark(file))
  }

  /** Reads on to the end, or until `most` bytes; says how many. */
  async function drain(file: Followed, most: number, onLine: (line: string) => void): Promise<number> {
    let total = 0
    while (total < most) {
      const { bytesRead } = await file.handle.read(chunk, 0, chunkBytes, file.position)
      if (bytesRead === 0) break
      file.position += bytesRead
      total += bytesRead
      let start = 0
      for (let end = chunk.indexOf(10); end >= 0 && end < bytesRead; end = chunk.indexOf(10, start)) {
        const line = Buffer.concat([file.rest, chunk.subarray(start, end)])
        file.rest = Buffer.alloc(0)
        onLine(line.length > longestLine ? '' : line.toString('utf8'))
        start = end + 1
      }
      if (start < bytesRead) {
        file.rest = Buffer.concat([file.rest, chunk.subarray(start, bytesRead)]).subarray(0, longestLine + 1)
      }
    }
    if (total > 0) file.mark = await readMark(file)
    return total
  }

  return {
    async read(onLine) {
      let rotations = (await look()) ? 1 : 0
      isFirst = false
      let left = maxBytes
      for (const file of [...files]) {
        if (!(await isSame(file))) {
          Object.assign(file, { position: 0, rest: Buffer.alloc(0), mark: Buffer.alloc(0) })
          rotations++
        }
        const found = await drain(file, left, onLine)
        left -= found
        if (left <= 0) return { behind: true, rotations, isThere: true }
        if (found > 0 || performance.now() - file.leftAt < leaveAfterMs) continue
        files = files.filter((each) => each !== file)
        await file.handle.close()
      }
      return { behind: false, rotations, isThere: files.length > 0 }
    },
    async close() {
      for (const { handle } of files.splice(0)) await handle.close()
    },
  }
}

async function readMark({ handle, position }: Followed): Promise<Buffer> {
  const length = Math.min(markBytes, position)
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, position - length)
  return buffer.subarray(0, bytesRead)
}

async function orAbsent<T>(found: Promise<T>): Promise<T | null> {
  try {
    return await found
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}
