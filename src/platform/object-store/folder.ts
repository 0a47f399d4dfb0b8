import { mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { syncFile } from '../files.ts'
import { assertObjectName, type ObjectStore } from './object-store.ts'

const unfinished = '.partial'

/** A folder of files for their owner alone, made when something is written. Each is renamed into place once the disk has it. */
export function createFolderStore(path: string): ObjectStore {
  const folder = resolve(path)
  const pathOf = (name: string) => {
    assertObjectName(name)
    return join(folder, name)
  }

  async function withFile<R>(name: string, use: (file: FileHandle) => Promise<R>): Promise<R> {
    const file = await open(pathOf(name), 'r')
    try {
      return await use(file)
    } finally {
      await file.close()
    }
  }

  return {
    where: folder,
    async list() {
      return listNames(folder)
        .filter((name) => !name.startsWith('.') && !name.endsWith(unfinished))
        .map((name) => ({ name, stat: statSync(join(folder, name), { throwIfNoEntry: false }) }))
        .filter(({ stat }) => stat?.isFile())
        .map(({ name, stat }) => ({ name, bytes: stat!.size }))
        .sort((a, b) => (a.name < b.name ? -1 : 1))
    },
    async size(name) {
      return statSync(pathOf(name), { throwIfNoEntry: false })?.size ?? null
    },
    read: (name, offset, length) =>
      withFile(name, async (file) => {
        const bytes = Buffer.allocUnsafe(length)
        let filled = 0
        while (filled < length) {
          const { bytesRead } = await file.read(bytes, filled, length - filled, offset + filled)
          if (bytesRead === 0) break
          filled += bytesRead
        }
        return bytes.subarray(0, filled)
      }),
    async write(name) {
      const path = pathOf(name)
      mkdirSync(folder, { recursive: true, mode: 0o700 })
      const draft = path + unfinished
      rmSync(draft, { force: true })
      const file = await open(draft, 'wx', 0o600)
      return {
        async write(bytes) {
          let written = 0
          while (written < bytes.length) written += (await file.write(bytes, written)).bytesWritten
        },
        async finish() {
          // A sync that failed once has lost what it was for; it is not tried again: https://wiki.postgresql.org/wiki/Fsync_Errors
          await file.sync()
          await file.close()
          renameSync(draft, path)
          syncFile(folder)
        },
        async abort() {
          await file.close().catch(() => {})
          rmSync(draft, { force: true })
        },
      }
    },
    async remove(name) {
      rmSync(pathOf(name), { force: true })
      rmSync(pathOf(name) + unfinished, { force: true })
    },
    async clearUnfinished(before) {
      const left = listNames(folder)
        .filter((name) => name.endsWith(unfinished))
        .map((name) => join(folder, name))
        .filter((path) => (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? before) < before)
      for (const path of left) rmSync(path, { force: true })
      return left.length
    },
  }
}

/** [] where there is no such folder. */
function listNames(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}
