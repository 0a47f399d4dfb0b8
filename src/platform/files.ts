import {
  chmodSync,
  chownSync,
  closeSync,
  createWriteStream,
  existsSync,
  fsyncSync,
  globSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  realpathSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
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

/** The bytes of `path`, or null when there is no such file. */
export function readBytes(path: string): Buffer | null {
  try {
    return readFileSync(path)
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

/** A folder of its own among temporary files, for its owner alone; `remove` takes all that is in it along. */
export function createTemporaryFolder(prefix: string): { path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), prefix))
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) }
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

/**
 * Puts `text` in the place of what `path` holds, whole or not at all: a draft beside it, brought to the disk, takes its
 * name. Mode and, where it may, owner stay; of a link the file it points to is replaced. A new file is its owner's alone.
 */
export function replaceFile(path: string, text: string | Buffer): void {
  const target = existsSync(path) ? realpathSync(path) : path
  const before = statSync(target, { throwIfNoEntry: false })
  const draft = `${target}.${process.pid}.draft`
  mkdirSync(dirname(target), { recursive: true })
  try {
    rmSync(draft, { force: true })
    writeFileSync(draft, text, { mode: before === undefined ? 0o600 : before.mode & 0o777, flag: 'wx', flush: true })
    if (before !== undefined && before.uid !== process.getuid?.()) keepOwner(draft, before)
    renameSync(draft, target)
    syncFile(dirname(target))
  } finally {
    rmSync(draft, { force: true })
  }
}

// Only root can; whoever else replaces a file of somebody else's may do so by the folder's mode.
function keepOwner(path: string, { uid, gid }: { uid: number; gid: number }): void {
  try {
    chownSync(path, uid, gid)
  } catch {
    // It becomes ours.
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
