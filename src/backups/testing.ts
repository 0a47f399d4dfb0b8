import { randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Kysely } from 'kysely'
import { afterAll } from 'vitest'
import { createId } from '../kernel/ids.ts'
import { migrations } from '../migrations/index.ts'
import { openDump, type StoreAddress, writeRow } from '../platform/database/copying/index.ts'
import { insertMany, migrate, openDatabase } from '../platform/database/index.ts'
import { silentLog } from '../platform/testing.ts'
import { type Restored, restore } from './restore.ts'
import { createGauge, load, type Taken, type TakeWish, take, verify } from './work.ts'

// biome-ignore lint/suspicious/noExplicitAny: tests write into any table
export type AnyKysely = Kysely<any>

export const ownKey = { keyId: 'feedbeef', wrap: randomBytes(32) }
export const keys = { own: ownKey, recoverySecret: null }

/** A folder for this test file's backups, and the verbs on a store at `address`. */
export function createBench() {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-backups-'))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))
  let lastStamp = 0

  return {
    folder,
    path: (name: string) => join(folder, name),
    place: { kind: 'folder', path: join(folder, 'backups') } as const,

    async openStore(url: string, known = migrations) {
      const database = await openDatabase<Record<string, Record<string, unknown>>>({
        ...{ url, dataDir: folder, poolSize: 4, log: silentLog },
      })
      await migrate(database, known, { log: silentLog })
      return database
    },

    async take(url: string, wish: Partial<TakeWish> = {}): Promise<Taken & { id: string }> {
      const id = wish.id ?? createId('backup')
      const taken = await take({
        ...{ id, kind: 'full', baseId: '', address: { url, dataDir: folder }, place: this.place, own: ownKey },
        ...{ recoveryKey: '', version: '1.2.3', files: [], sentinel: '', gauge: createGauge() },
        ...wish,
      })
      return { ...taken, id }
    },

    verify: (id: string, place = join(folder, 'backups')) =>
      verify({ id, place: { kind: 'folder', path: place }, keys, gauge: createGauge() }),

    restore(url: string, id: string, more: Partial<Parameters<typeof restore>[0]> = {}): Promise<Restored> {
      return restore({
        ...{ address: { url, dataDir: folder }, place: this.place, id, keys, migrations, log: silentLog },
        ...{ version: '1.2.3', allowOlder: false, besideName: 'restoring', gauge: createGauge(), load },
        ...{ dataDir: join(folder, 'data'), hubKeyId: ownKey.keyId, stamp: `2026-11-28-${++lastStamp}` },
        ...more,
      })
    },

    file: (id: string) => join(folder, 'backups', `${id}.ghb`),
    damage(id: string, change: (bytes: Buffer) => Buffer): void {
      const path = join(folder, 'backups', `${id}.ghb`)
      writeFileSync(path, change(readFileSync(path)))
    },
  }
}

/** Every row of a store, by table, in an order that both engines share. */
export async function contentsOfStore(address: StoreAddress): Promise<Record<string, string[]>> {
  const dump = await openDump(address)
  const found: Record<string, string[]> = {}
  for (const shape of dump.tables) {
    const rows: string[] = []
    for await (const batch of dump.rows(shape)) rows.push(...batch.map(writeRow))
    found[shape.table] = rows.sort()
  }
  await dump.close()
  return found
}

/** Rows of which each differs, as many as are wanted. */
export async function putRows(db: AnyKysely, count: number, mark = 'a'): Promise<void> {
  const columns = ['id', 'kind', 'outcome', 'archive_id', 'started_at', 'finished_at', 'bytes', 'rows_count', 'message']
  const rows = Array.from({ length: count }, (_, index) => [
    ...[`${mark}-${String(index).padStart(6, '0')}`, 'verify', 'ok', `row ${index}`, index, 1, index * 7, 0],
    ...[`行 ${index} "${mark}" ${crypto.randomUUID()}`, '{}'],
  ])
  for (let at = 0; at < rows.length; at += 2000) {
    const added = await insertMany(db, 'backup_runs', [...columns, 'details'], rows.slice(at, at + 2000), {
      ...{ ignoreConflictOn: 'id', returning: 'id' },
    })
    if (added.length < Math.min(2000, rows.length - at)) throw new Error('unique: a row was there')
  }
}
