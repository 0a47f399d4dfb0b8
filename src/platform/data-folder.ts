import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { readTextIfPresent } from './files.ts'

/** What keeps a folder from being used, with what an operator needs to mend it. */
export type FolderTrouble = {
  path: string
  reason: string
  /** The nearest thing on the path that exists: whose it is and who may use it. */
  blocker: { path: string; owner: string; mode: string; kind: 'folder' | 'file' }
  /** The user this process runs as. */
  runningAs: string
}

/**
 * Proves that files can be written and read in a folder; returns what is wrong, or null. A missing one is created when
 * `make` is set (mode 0700: it will hold the secret key), else it is enough that it could be.
 */
export function checkFolderUse(path: string, make: boolean): FolderTrouble | null {
  const folder = resolve(path)
  try {
    if (make) mkdirSync(folder, { recursive: true, mode: 0o700 })
    if (existsSync(folder)) tryFile(folder)
    else tryFile(nearestExisting(folder).path)
    return null
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    return { path: folder, reason, blocker: nearestExisting(folder), runningAs: runningAs() }
  }
}

// Only a write tells of a read-only mount or a full disk.
function tryFile(folder: string): void {
  const probe = join(folder, `.probe-${process.pid}`)
  try {
    readdirSync(folder)
    writeFileSync(probe, 'x')
    readFileSync(probe)
  } finally {
    if (existsSync(probe)) rmSync(probe)
  }
}

function nearestExisting(path: string): FolderTrouble['blocker'] {
  for (let candidate = path; ; candidate = resolve(candidate, '..')) {
    try {
      const stat = statSync(candidate)
      return {
        path: candidate,
        owner: `${userName(stat.uid)}:${stat.gid}`,
        mode: (stat.mode & 0o7777).toString(8).padStart(4, '0'),
        kind: stat.isDirectory() ? 'folder' : 'file',
      }
    } catch (error) {
      if (candidate === resolve(candidate, '..')) throw error
    }
  }
}

function runningAs(): string {
  return process.geteuid === undefined ? 'this user' : userName(process.geteuid())
}

function userName(uid: number): string {
  const users = readTextIfPresent('/etc/passwd') ?? ''
  const line = users.split('\n').find((row) => row.split(':')[2] === String(uid))
  return line === undefined ? String(uid) : `${line.split(':')[0]} (${uid})`
}

/** Removes the file or folder `name` from `folder`; it need not be there. */
export function removeInside(folder: string, name: string): void {
  rmSync(join(folder, name), { recursive: true, force: true })
}
