import {
  chmodSync,
  closeSync,
  createWriteStream,
  fsyncSync,
  globSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'

/** The text of `path`, or null when there is no such file. */
export function readTextIfPresent(path: string): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw thrown
  }
}

/** Files that a pattern such as `rules/*.yml` names, sorted; a name without wildcards is a pattern too. */
export function listFiles(pattern: string, folder = '.'): string[] {
  const under = pattern.startsWith('/') ? '' : folder
  return globSync(pattern, { cwd: folder })
    .map((path) => (under === '' || under === '.' ? path : join(under, path)))
    .sort()
}

/**
 * Creates `path` with `text`, readable by its owner only, unless it is there already (`false`). It appears whole or not
 * at all: of several processes starting at once one wins, and none reads a half-written file.
 */
export function createPrivateFile(path: string, text: string): boolean {
  mkdirSync(dirname(path), { recursive: true })
  const draft = `${path}.${process.pid}.draft`
  rmSync(draft, { force: true })
  writeFileSync(draft, text, { mode: 0o600, flag: 'wx', flush: true })
  try {
    linkSync(draft, path)
    return true
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw thrown
  } finally {
    rmSync(draft, { force: true })
  }
}

/**
 * Writes `content` to `path`, readable by its owner only, in the place of what is there. It appears whole or not at all;
 * rejects with what went wrong. Returns how many bytes it has.
 */
export async function writeWhole(path: string, content: Readable): Promise<number> {
  const draft = `${path}.${process.pid}.draft`
  try {
    const file = createWriteStream(draft, { mode: 0o600, flags: 'w', flush: true })
    await pipeline(content, file)
    renameSync(draft, path)
    return file.bytesWritten
  } finally {
    rmSync(draft, { force: true })
  }
}

/** Makes an empty `path` for its owner alone, whatever the folder allows, unless it is there already. */
export function makePrivate(path: string): void {
  closeSync(openSync(path, 'a', 0o600))
}

/** Removes a file, whether it is there or not. */
export function removeFile(path: string): void {
  rmSync(path, { force: true })
}

/** Bytes this process may still write where `path` lives, and the size of that file system. */
export function readDiskSpace(path: string): { freeBytes: number; totalBytes: number } {
  const { bavail, blocks, bsize } = statfsSync(path)
  return { freeBytes: bavail * bsize, totalBytes: blocks * bsize }
}

/** Bytes of the file at `path`; null when there is none. */
export function readFileSize(path: string): number | null {
  return statSync(path, { throwIfNoEntry: false })?.size ?? null
}

/** Brings a file, or the names in a folder, to the disk; returns when they are there. Throws when the disk refuses. */
export function syncFile(path: string): void {
  const handle = openSync(path, 'r')
  try {
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
}

/** The end of a text file, from the beginning of a line; null when there is none. */
export function readTail(path: string, mostBytes: number): string | null {
  const size = readFileSize(path)
  if (size === null) return null
  const bytes = Buffer.alloc(Math.min(size, mostBytes))
  const handle = openSync(path, 'r')
  try {
    readSync(handle, bytes, 0, bytes.length, size - bytes.length)
  } finally {
    closeSync(handle)
  }
  const text = bytes.toString('utf8')
  return size > mostBytes ? text.slice(text.indexOf('\n') + 1) : text
}

/** Writes a file for its owner alone, in the place of what is there. */
export function writePrivateFile(path: string, content: string | Buffer): void {
  writeFileSync(path, content, { mode: 0o600 })
  chmodSync(path, 0o600)
}

export function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
}
