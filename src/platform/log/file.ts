import { appendFileSync, mkdirSync } from 'node:fs'
import { type FileHandle, mkdir, open, rename, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { dayOf, nextArchive } from './archive.ts'

export type LogFileOptions = {
  path: string
  /** A file that would grow beyond is put aside before. */
  maxBytes: number
  /** Epoch ms. */
  now(): number
  /** A file was put aside. */
  onRotated(): void
  /** The disk refuses: told once, until it takes lines again. */
  onTrouble(error: unknown): void
  onRecovered(dropped: number): void
}

/** One file of lines that is appended to in the background. */
export type LogFile = {
  /** Never waits, never throws. What the disk does not take for too long is dropped and counted. */
  write(line: string): void
  /** Resolves when what was written before is in the file, or the disk has refused it. */
  flush(): Promise<void>
  /** The same at once, for a process that ends. */
  flushSync(): void
  /** Opens the path anew: for whoever has renamed the file. */
  reopen(): void
  close(): Promise<void>
  stats(): LogFileStats
}

export type LogFileStats = { bytes: number; errors: number; dropped: number }

/** A kill loses what came within this time, and never more than `batchBytes` and what is on its way to the disk. */
const gatherMs = 100
const batchBytes = 128 * 1024
/** Of lines that the disk does not take. */
const mostWaitingBytes = 4 * 1024 * 1024
const retryMs = 1000
/** How often it is looked whether the path still leads to our file. */
const lookEveryMs = 1000
const afterFailedRotationMs = 60_000

/**
 * Opens `path` for appending, when the first line comes. It is put aside by day (UTC) and size, as `path.DAY.NUMBER`; one that
 * somebody else has renamed, removed or truncated is taken up again within a second. A disk that refuses is asked again
 * every second.
 */
export function createLogFile({ path, maxBytes, now, ...told }: LogFileOptions): LogFile {
  let file: FileHandle | null = null
  let inode = 0
  let size = 0
  let day = ''
  let lookedAt = 0
  let rotateAfter = 0
  let mustReopen = false

  let waiting = ''
  let waitingLines = 0
  /** Taken from `waiting`, not in the file yet; the disk refused a part of it. */
  let stuck: { bytes: Buffer; lines: number } | null = null
  let timer: NodeJS.Timeout | undefined
  let running: Promise<void> | null = null
  let isClosed = false
  let isTroubled = false
  let errors = 0
  let dropped = 0
  /** Of these, since it was last told how many there are. */
  let untold = 0

  function arm(ms: number): void {
    if (timer !== undefined || isClosed) return
    timer = setTimeout(() => {
      timer = undefined
      void pump()
    }, ms)
    timer.unref()
  }

  /** One batch at a time; whoever asks meanwhile waits for the one that runs. */
  function pump(): Promise<void> {
    running ??= writeBatch().finally(() => {
      running = null
      if (stuck !== null) arm(retryMs)
      else if (waiting !== '') arm(waiting.length >= batchBytes ? 0 : gatherMs)
    })
    return running
  }

  async function writeBatch(): Promise<void> {
    try {
      if (stuck === null) {
        if (waiting === '' && !mustReopen) return
        stuck = { bytes: Buffer.from(waiting), lines: waitingLines }
        waiting = ''
        waitingLines = 0
      }
      await prepare(stuck.bytes.length)
      for (let left = stuck.bytes; left.length > 0; ) {
        const { bytesWritten } = await file!.write(left, 0, left.length, null)
        size += bytesWritten
        left = left.subarray(bytesWritten)
        stuck.bytes = left
      }
      stuck = null
      recover()
    } catch (error) {
      errors++
      if (!isTroubled) told.onTrouble(error)
      isTroubled = true
    }
  }

  function recover(): void {
    if (!isTroubled && untold === 0) return
    isTroubled = false
    told.onRecovered(untold)
    untold = 0
  }

  async function prepare(bytes: number): Promise<void> {
    if (mustReopen) await shut()
    mustReopen = false
    if (file !== null) await look()
    if (file === null) await openFile()
    const time = now()
    if (size === 0) day = dayOf(time)
    else if ((size + bytes > maxBytes || dayOf(time) !== day) && time >= rotateAfter) await rotate(time)
  }

  async function openFile(): Promise<void> {
    await mkdir(dirname(path), { recursive: true, mode: 0o750 })
    file = await open(path, 'a', 0o640)
    const found = await file.stat()
    inode = found.ino
    size = found.size
    day = dayOf(size === 0 ? now() : found.mtimeMs)
    lookedAt = now()
  }

  async function shut(): Promise<void> {
    const open = file
    file = null
    await open?.close()
  }

  /** logrotate renames the file, or copies and truncates it; somebody else may have removed it. */
  async function look(): Promise<void> {
    const time = now()
    if (Math.abs(time - lookedAt) < lookEveryMs) return
    lookedAt = time
    const found = await stat(path).catch(() => null)
    if (found === null || found.ino !== inode) await shut()
    else size = found.size
  }

  async function rotate(time: number): Promise<void> {
    await shut()
    try {
      await rename(path, await nextArchive(path, day))
      told.onRotated()
    } catch (error) {
      // Lines are worth more than the limit.
      rotateAfter = time + afterFailedRotationMs
      errors++
      told.onTrouble(error)
    }
    await openFile()
  }

  return {
    write(line) {
      if (isClosed || waiting.length + (stuck?.bytes.length ?? 0) + line.length > mostWaitingBytes) {
        dropped++
        untold++
        return
      }
      waiting += line
      waitingLines++
      if (running !== null || stuck !== null) return
      if (waiting.length >= batchBytes) void pump()
      else arm(gatherMs)
    },
    async flush() {
      // What runs may have begun before the last line came.
      if (running !== null) await running
      if (running !== null || (waiting !== '' && !isTroubled)) await pump()
    },
    flushSync() {
      // What is on its way is written by the time the process has ended: node waits for its pool.
      if (waiting === '' || isTroubled) return
      try {
        if (file === null) mkdirSync(dirname(path), { recursive: true, mode: 0o750 })
        appendFileSync(file?.fd ?? path, waiting, { mode: 0o640 })
        size += waiting.length
        waiting = ''
        waitingLines = 0
      } catch {
        errors++
      }
    },
    reopen() {
      mustReopen = true
      void pump()
    },
    async close() {
      isClosed = true
      clearTimeout(timer)
      timer = undefined
      if (running !== null) await running
      // What the disk did not take before first, then what has come since.
      if (stuck !== null) await pump()
      if (stuck === null && waiting !== '') await pump()
      if (stuck !== null) dropped += stuck.lines
      dropped += waitingLines
      await shut().catch(() => {})
    },
    stats: () => ({ bytes: size, errors, dropped }),
  }
}
