import { existsSync, renameSync, rmSync } from 'node:fs'
import Database from 'better-sqlite3'
import type { JournalEntry, JournalReject } from './entry.ts'

/** Hands over what is in the SQLite file that was the journal up to version 0.1. Each is called for rows in order. */
export type Heir = {
  takeEntries(bodies: readonly string[]): void
  takeReject(reject: Omit<JournalReject, 'seq'>): void
  /** What was taken is to survive whatever comes, for the file is deleted next. */
  keep(): void
  onDamage(aside: string, error: unknown): void
  stamp(): string
}

const suffixes = ['', '-wal', '-shm']
const rowsAtOnce = 1000

/** Throws SQLITE_BUSY when a hub of an earlier version is running on it. A damaged file is moved aside. */
export function carryOver(file: string, heir: Heir): void {
  if (!existsSync(file)) return
  try {
    readAll(file, heir)
  } catch (error) {
    if (!isDamage(error)) throw error
    const aside = `${file}.damaged-${heir.stamp()}`
    for (const suffix of suffixes) {
      if (existsSync(file + suffix)) renameSync(file + suffix, aside + suffix)
    }
    heir.onDamage(aside, error)
    return
  }
  heir.keep()
  for (const suffix of suffixes) rmSync(file + suffix, { force: true })
}

function readAll(file: string, heir: Heir): void {
  const db = new Database(file, { timeout: 0 })
  try {
    db.pragma('locking_mode = EXCLUSIVE')
    db.exec('begin exclusive')
    const verdict = db.pragma('quick_check(1)', { simple: true })
    if (verdict !== 'ok') throw new Database.SqliteError(String(verdict), 'SQLITE_CORRUPT')
    const has = db.prepare<[string], 1>(`select 1 from sqlite_master where type = 'table' and name = ?`).pluck()
    if (has.get('entries') === 1) {
      let bodies: string[] = []
      for (const { body } of db.prepare<[], JournalEntry>('select seq, body from entries order by seq').iterate()) {
        bodies.push(body)
        if (bodies.length < rowsAtOnce) continue
        heir.takeEntries(bodies)
        bodies = []
      }
      if (bodies.length > 0) heir.takeEntries(bodies)
    }
    if (has.get('ledger_rejects') === 1) {
      const rejects = db.prepare<[], JournalReject>('select body, reason, at from ledger_rejects order by at, seq')
      for (const reject of rejects.iterate()) heir.takeReject(reject)
    }
  } finally {
    db.close()
  }
}

function isDamage(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  return code.startsWith('SQLITE_CORRUPT') || code === 'SQLITE_NOTADB'
}
