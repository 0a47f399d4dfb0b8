import Database from 'better-sqlite3'
import { makePrivate } from '../files.ts'

/**
 * Makes this process the only owner of whatever `file` stands for, until `release` or its end. Throws SQLITE_BUSY when
 * another has it. The file stays empty: SQLite is here for its locks, which the kernel gives back when a process ends
 * in any manner, and which hold between containers, where a process id says nothing.
 */
export function takeOwnership(file: string): { release(): void } {
  makePrivate(file)
  const db = new Database(file, { timeout: 0 })
  try {
    db.exec('begin exclusive')
  } catch (error) {
    db.close()
    throw error
  }
  return { release: () => void db.close() }
}
