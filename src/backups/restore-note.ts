import { hostname } from 'node:os'
import { join } from 'node:path'
import { besideOf, type StoreAddress } from '../platform/database/copying/index.ts'
import { isAlive } from '../platform/diagnose/machine.ts'
import { readTextIfPresent, removeFile, replaceFile } from '../platform/files.ts'

/** Where a restore builds. */
export const restoringName = 'restoring'
const file = 'restore.json'

type Note = { id: string; step: 'building' | 'swapping'; beside: string; pid: number; host: string; at: number }

/**
 * What a restore writes down in the data folder before it changes anything, and takes away when it is done: one that was
 * killed can be told from one that never was.
 */
export function openNote({ dataDir, id, besideName }: { dataDir: string; id: string; besideName: string }) {
  const path = join(dataDir, file)
  return {
    write(step: Note['step']): void {
      const note: Note = { id, step, beside: besideName, pid: process.pid, host: hostname(), at: Date.now() }
      replaceFile(path, `${JSON.stringify(note)}\n`)
    },
    remove: () => removeFile(path),
  }
}

export type UnfinishedRestore = {
  id: string
  /** Epoch ms of its last word. */
  at: number
  /** Which store is there, whole: the one that was restored, or the one before it. */
  store: 'restored' | 'before'
  /** In a sentence. */
  told: { en: string; zh: string }
  /** Takes away what it has left: what it was building, and the note. */
  clear(): Promise<void>
}

/**
 * A restore that was killed, and which store it has left in the place; null where there was none, and while one is under
 * way. The step that exchanges stores also takes away what was beside: whether that is there says whether it was done.
 */
export async function findUnfinishedRestore(address: StoreAddress): Promise<UnfinishedRestore | null> {
  const path = join(address.dataDir, file)
  const note = readNote(path)
  if (note === null || (note.host === hostname() && note.pid !== process.pid && isAlive(note.pid))) return null
  const { id, at } = note
  const beside = besideOf(address, note.beside)
  const isRestored = note.step === 'swapping' && !(await beside.isThere())
  return {
    ...{ id, at, store: isRestored ? 'restored' : 'before' },
    told: isRestored
      ? {
          en: `A restore of the backup ${id} was cut off after the store was exchanged: the store is the one of the backup, whole; of the files that come with it some may be missing.`,
          zh: `恢复备份 ${id} 的过程在替换数据库之后中断：当前数据库为备份内容且完整，但随附文件可能缺失。`,
        }
      : {
          en: `A restore of the backup ${id} was cut off before the store was exchanged: the store is the one from before, whole.`,
          zh: `恢复备份 ${id} 的过程在替换数据库之前中断：当前数据库为恢复前的内容且完整。`,
        },
    async clear() {
      await beside.remove()
      removeFile(path)
    },
  }
}

/** What nobody can read says no more than that there was one. */
function readNote(path: string): Note | null {
  const text = readTextIfPresent(path)
  if (text === null) return null
  try {
    const { id, step, beside, pid, host, at } = JSON.parse(text) as Note
    if (/^[a-z0-9_]{1,40}$/.test(beside) && (step === 'building' || step === 'swapping'))
      return { id: String(id), step, beside, pid: Number(pid), host: String(host), at: Number(at) }
  } catch {
    // It was written whole or not at all: somebody else's.
  }
  return { id: '?', step: 'building', beside: restoringName, pid: 0, host: '', at: 0 }
}
