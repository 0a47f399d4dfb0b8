import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import Sqlite from 'better-sqlite3'
import { sql } from 'kysely'
import { describe, expect, test } from 'vitest'
import { migrations } from '../migrations/index.ts'
import { besideOf } from '../platform/database/copying/index.ts'
import { engines } from '../platform/database/testing.ts'
import { silentLog } from '../platform/testing.ts'
import { type CopyParts, copyStore } from './store-copy.ts'
import { contentsOfStore, createBench, putRows } from './testing.ts'

const bench = createBench()
const all = engines()
const pairs = all.flatMap((from) => all.map((to) => ({ from, to, name: `${from.name} to ${to.name}` })))
const fixture = new URL('./kill.fixture.ts', import.meta.url).pathname

const store = (url: string) => ({ url, dataDir: bench.folder })
const partsFor = (from: string, to: string, more: Partial<CopyParts> = {}): CopyParts => ({
  ...{ from: store(from), to: store(to), migrations, version: '1.2.3', log: silentLog, replaces: false },
  ...{ stamp: '2026-11-28', signal: new AbortController().signal, now: Date.now, onProgress() {}, ...more },
})
const copy = (from: string, to: string, more: Partial<CopyParts> = {}) => copyStore(partsFor(from, to, more))

/** Texts whose order PostgreSQL, SQLite and JavaScript each see in another way. */
const awkward = ['a', 'B', 'b', 'Ä', 'z', '', ' ', '~', '_', '行', '\ufffd', '\u{1f600}', 'a_b', 'aB', 'A-b']

describe.each(pairs)('a copy of a store from $name', { timeout: 120_000 }, ({ from, to }) => {
  test('holds every row while the hub goes on writing, and takes its place when that has stopped', async () => {
    const [source, target] = [await from.address(), await to.address()]
    const database = await bench.openStore(source)
    await putRows(database.kysely, 3000)
    for (const [index, name] of awkward.entries())
      await database.kysely
        .insertInto('revisions')
        .values({ name: `${name}:x`, value: index })
        .execute()
    let written = 0
    let isDone = false
    const writing = (async () => {
      while (!isDone && written < 400) await putRows(database.kysely, 3, `w${written++}`)
    })()
    const first = await copy(source, target)
    isDone = true
    await writing
    expect(written).toBeGreaterThan(0)
    expect(first).toMatchObject({ isInPlace: false, inUse: expect.stringMatching(/in use/), kept: '' })
    expect(await besideOf(store(target), 'x').isOccupied()).toBe(false)

    await database.kysely.updateTable('backup_runs').set({ message: 'other' }).where('id', '=', 'a-000007').execute()
    await database.kysely.deleteFrom('backup_runs').where('id', '=', 'a-000008').execute()
    await database.kysely.insertInto('revisions').values({ name: 'Zz:x', value: 1 }).execute()
    await database.close()
    const second = await copy(source, target)
    expect(second).toMatchObject({ isInPlace: true, inUse: '' })
    // What was there before the first began is not moved again.
    expect(second.rounds[0]!.moved).toBeLessThan(second.rows - 3000)
    // Nobody writes any more: one round is all it takes.
    expect(second.rounds).toHaveLength(1)
    expect(await contentsOfStore(store(target))).toEqual(await contentsOfStore(store(source)))
    // And the program works on it: keys, guards and all.
    const again = await bench.openStore(target)
    await expect(putRows(again.kysely, 1)).rejects.toThrow(/unique|duplicate/i)
    const orphan = sql`insert into budget_spending (budget_id, starts_at, spent_nano_usd) values ('bud_gone', 1, 1)`
    await expect(orphan.execute(again.kysely)).rejects.toThrow(/foreign key/i)
    await again.close()
  })
})

/** Both directions, where there are two engines. */
const crossing = pairs.filter(({ from, to }) => from !== to || all.length === 1)
describe.each(crossing)('a copy of a store from $name', { timeout: 120_000 }, ({ from, to }) => {
  test('goes on where it was after a value that must be unique has moved from one row to another', async () => {
    const [source, target] = [await from.address(), await to.address()]
    const database = await bench.openStore(source)
    const rename = (id: string, name: string) =>
      database.kysely.updateTable('tenants').set({ name }).where('id', '=', id).execute()
    const rest = { display_name: '', enabled: 1, config: '{}', enabled_services: '', created_at: 1, updated_at: 1 }
    for (const id of ['ten_a', 'ten_b'])
      await database.kysely
        .insertInto('tenants')
        .values({ id, name: `name of ${id}`, ...rest })
        .execute()
    expect(await copy(source, target)).toMatchObject({ isInPlace: false })
    await rename('ten_a', 'between')
    await rename('ten_b', 'name of ten_a')
    await rename('ten_a', 'name of ten_b')
    await database.close()
    expect(await copy(source, target)).toMatchObject({ isInPlace: true })
    expect(await contentsOfStore(store(target))).toEqual(await contentsOfStore(store(source)))
  })

  test('that is killed leaves nothing that could be taken for a store, and the next run goes on', async () => {
    const [source, target] = [await from.address(), await to.address()]
    const database = await bench.openStore(source)
    await putRows(database.kysely, 6000)
    await database.close()
    for (const afterRows of [1, 3000]) {
      const args = [fixture, 'copy', source, bench.folder, target, String(afterRows)]
      const child: ChildProcess = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
      // It stands still in the middle of a table until it is killed.
      await once(child.stdout!, 'data')
      child.kill('SIGKILL')
      await once(child, 'close')
      expect(await besideOf(store(target), 'x').isOccupied()).toBe(false)
    }
    const done = await copy(source, target)
    expect(done).toMatchObject({ isInPlace: true })
    expect(done.rounds[0]!.moved).toBeLessThan(6000)
    expect(await contentsOfStore(store(target))).toEqual(await contentsOfStore(store(source)))
  })
})

test('a store that is in the place is left alone, unless it is to be replaced: then it is kept', async () => {
  const [source, target] = [await all[0]!.address(), await all.at(-1)!.address()]
  for (const [url, mark] of [
    [source, 'mine'],
    [target, 'theirs'],
  ] as const) {
    const database = await bench.openStore(url)
    await putRows(database.kysely, 3, mark)
    await database.close()
  }
  const before = await contentsOfStore(store(target))
  await expect(copy(source, target)).rejects.toMatchObject({ code: 'conflict', message: /--replace/ })
  expect(await contentsOfStore(store(target))).toEqual(before)
  const { kept } = await copy(source, target, { replaces: true })
  expect(kept).toMatch(/before/)
  expect(await contentsOfStore(store(target))).toEqual(await contentsOfStore(store(source)))
})

test('what cannot be copied is said before anything is made', async () => {
  const [source, target] = [await all[0]!.address(), await all[0]!.address()]
  await expect(copy(source, source)).rejects.toMatchObject({ code: 'invalid_request', message: /same store/ })
  const database = await bench.openStore(source, migrations.slice(0, -1))
  await database.close()
  await expect(copy(source, target)).rejects.toMatchObject({ message: /lacks 1 migrations/ })
  await expect(copy(source, target, { migrations: migrations.slice(0, -2) })).rejects.toMatchObject({
    message: /newer than this program/,
  })
  expect(await besideOf(store(target), 'copying').isThere()).toBe(false)
})

test('rows that differ after all are named by table, and the copy does not take its place', async () => {
  const [source, target] = [await all[0]!.address(), await all[0]!.address()]
  const database = await bench.openStore(source)
  await putRows(database.kysely, 10)
  await database.close()
  const target0 = target.slice('sqlite:'.length)
  const harmed = copy(source, target, {
    // Behind its back, after the last round has been through the table.
    onProgress({ round, table }) {
      if (round !== 1 || table !== 'schema_migrations') return
      const beside = new Sqlite(`${target0}.copying`)
      beside.exec("update backup_runs set message = 'other' where id = 'a-000003'")
      beside.close()
    },
  })
  await expect(harmed).rejects.toThrow(/not what the source is.*backup_runs has other rows/)
  expect(existsSync(target0)).toBe(false)
  expect(await copy(source, target)).toMatchObject({ isInPlace: true, rounds: [{ moved: 1 }] })
})
