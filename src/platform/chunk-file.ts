import { existsSync, mkdirSync, renameSync } from 'node:fs'
import { dirname } from 'node:path'
import Sqlite from 'better-sqlite3'
import { makePrivate } from './files.ts'

/** A series as it is kept: `name` is what it is found by again, `kind` whatever its owner says of it. */
export type StoredName = { id: number; name: string; kind: string; lastAt: number }

/** Samples of one series in one window of time, at one grain, packed. */
export type Chunk = { series: number; grain: number; window: number; bytes: Uint8Array }

/** A batch that is not in any chunk yet. */
export type Batch = { seq: number; bytes: Uint8Array }

/** A file of packed samples, for a thread of its own: every call waits for the disk. Whatever was written survives a kill. */
export type ChunkFile = {
  names(): StoredName[]
  batches(): Batch[]
  /** Keeps a batch and the series that it is the first to name; returns its number. */
  add(bytes: Uint8Array, names: readonly StoredName[]): number
  /** Replaces chunks by fuller ones, and lets go of the batches up to `throughSeq` that are in them. All or nothing. */
  settle(chunks: readonly Chunk[], lastAt: readonly { id: number; at: number }[], throughSeq: number): void
  read(series: number, grain: number, fromWindow: number, toWindow: number): { window: number; bytes: Uint8Array }[]
  /** Removes at most `limit` chunks of windows before `window`; returns how many. */
  drop(grain: number, window: number, limit: number): number
  oldestWindow(grain: number): number | null
  forget(ids: readonly number[]): void
  /** Bytes in use; free pages inside the file are not. */
  usedBytes(): number
  close(): void
}

/**
 * Opens or creates the file, for its owner alone. One that is no database any more is moved aside, told by `onDamage`, and
 * a new one begun: samples are worth less than a hub that starts. Throws the engine's error when the disk refuses.
 */
export function openChunkFile(path: string, onDamage: (movedTo: string) => void = () => {}): ChunkFile {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  makePrivate(path)
  try {
    return open(path)
  } catch (error) {
    const { code } = error as { code?: string }
    if (code !== 'SQLITE_CORRUPT' && code !== 'SQLITE_NOTADB') throw error
    const aside = `${path}.damaged-${new Date().toISOString().replaceAll(/[:.]/g, '-')}`
    for (const suffix of ['', '-wal', '-shm']) {
      if (existsSync(path + suffix)) renameSync(path + suffix, aside + suffix)
    }
    onDamage(aside)
    makePrivate(path)
    return open(path)
  }
}

/** Copies the file as it is now to `to`, also while another process writes it; throws the engine's error. */
export function copyChunkFile(path: string, to: string): void {
  const db = new Sqlite(path, { readonly: true, fileMustExist: true })
  try {
    makePrivate(to)
    db.prepare('vacuum into ?').run(to)
  } finally {
    db.close()
  }
}

function open(path: string): ChunkFile {
  const db = new Sqlite(path)
  db.pragma('journal_mode = WAL')
  db.pragma('synchronous = NORMAL')
  db.pragma('cache_size = -8000')
  // The batches are written every few seconds: the file itself only once in a while.
  db.pragma('wal_autocheckpoint = 2000')
  db.exec(`
    create table if not exists names (id integer primary key, name text not null, kind text not null, last_at integer not null);
    create table if not exists batches (seq integer primary key autoincrement, bytes blob not null);
    create table if not exists chunks (
      series integer not null, grain integer not null, "window" integer not null, bytes blob not null,
      primary key (series, grain, "window")
    ) without rowid;
    create index if not exists chunks_by_age on chunks (grain, "window");
  `)
  const insertName = db.prepare('insert or replace into names (id, name, kind, last_at) values (?, ?, ?, ?)')
  const insertBatch = db.prepare('insert into batches (bytes) values (?)')
  const insertChunk = db.prepare('insert or replace into chunks (series, grain, "window", bytes) values (?, ?, ?, ?)')
  const dropBatches = db.prepare('delete from batches where seq <= ?')
  const touch = db.prepare('update names set last_at = ? where id = ?')
  const select = db.prepare<[number, number, number, number], { window: number; bytes: Buffer }>(
    'select "window", bytes from chunks where series = ? and grain = ? and "window" between ? and ? order by "window"',
  )
  const dropOld = db.prepare(
    'delete from chunks where (series, grain, "window") in (select series, grain, "window" from chunks where grain = ? and "window" < ? limit ?)',
  )
  const oldest = db.prepare<[number], { oldest: number | null }>(
    'select min("window") as oldest from chunks where grain = ?',
  )
  const forgetName = db.prepare('delete from names where id = ?')
  const forgetChunks = db.prepare('delete from chunks where series = ?')

  const add = db.transaction((bytes: Uint8Array, names: readonly StoredName[]) => {
    for (const { id, name, kind, lastAt } of names) insertName.run(id, name, kind, lastAt)
    return Number(insertBatch.run(bytes).lastInsertRowid)
  })
  const settle = db.transaction(
    (chunks: readonly Chunk[], lastAt: readonly { id: number; at: number }[], throughSeq: number) => {
      for (const { series, grain, window, bytes } of chunks) insertChunk.run(series, grain, window, bytes)
      for (const { id, at } of lastAt) touch.run(at, id)
      dropBatches.run(throughSeq)
    },
  )
  const forget = db.transaction((ids: readonly number[]) => {
    for (const id of ids) {
      forgetChunks.run(id)
      forgetName.run(id)
    }
  })

  return {
    names: () => db.prepare<[], StoredName>('select id, name, kind, last_at as lastAt from names').all(),
    batches: () => db.prepare<[], Batch>('select seq, bytes from batches order by seq').all(),
    add: (bytes, names) => add(bytes, names),
    settle: (chunks, lastAt, throughSeq) => settle(chunks, lastAt, throughSeq),
    read: (series, grain, fromWindow, toWindow) => select.all(series, grain, fromWindow, toWindow),
    drop: (grain, window, limit) => dropOld.run(grain, window, limit).changes,
    oldestWindow: (grain) => oldest.get(grain)?.oldest ?? null,
    forget: (ids) => forget(ids),
    usedBytes() {
      const pragma = (name: string) => db.pragma(name, { simple: true }) as number
      return (pragma('page_count') - pragma('freelist_count')) * pragma('page_size')
    },
    close() {
      db.close()
    },
  }
}
