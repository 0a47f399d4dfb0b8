import { linkSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import Sqlite from 'better-sqlite3'
import { fail } from '../../../kernel/errors.ts'
import { readFileSize, syncFile } from '../../files.ts'
import { sqliteFileOf, withOption } from '../connect.ts'
import type { StoreAddress } from './contract.ts'
import { openSession } from './postgres-session.ts'
import { quoteName } from './shape.ts'

/**
 * A second store beside one that is in use: a file in the same folder, or a schema of the same database. It can be filled
 * and looked at, and then be thrown away or put in the place of the first.
 */
export type Beside = {
  address: StoreAddress
  /** Makes it empty; what a run that was killed has left under the same name goes. */
  prepare(): Promise<void>
  remove(): Promise<void>
  /** Whether one was made under this name. */
  isThere(): Promise<boolean>
  /** Whether there is a store in the place that it is beside of. */
  isOccupied(): Promise<boolean>
  /** Throws `conflict` when somebody has the store open. */
  assertUnused(): Promise<void>
  /** Puts it in the store's place. The store as it was is kept, under the name that is returned; '' where there was none. */
  swapIn(stamp: string): Promise<string>
}

/** `name` tells several of them apart: small letters, digits and underlines. */
export function besideOf(store: StoreAddress, name: string): Beside {
  const file = sqliteFileOf(store.url, store.dataDir)
  return file === null ? schemaBeside(store, `gatehouse_${name}`) : fileBeside(store, file, `${file}.${name}`)
}

const tails = ['', '-wal', '-shm', '-journal']

function fileBeside(store: StoreAddress, file: string, path: string): Beside {
  const remove = async () => {
    for (const tail of tails) rmSync(path + tail, { force: true })
    removeSecondNames(file)
  }
  return {
    address: { url: `sqlite:${path}`, dataDir: store.dataDir },
    prepare: remove,
    remove,
    isThere: async () => readFileSize(path) !== null,
    isOccupied: async () => (readFileSize(file) ?? 0) > 0,
    async assertUnused() {
      if (readFileSize(file) !== null) quiesce(file)
    },
    async swapIn(stamp) {
      // A log beside the new file would be taken for its own: https://www.sqlite.org/howtocorrupt.html#_mispairing_database_files_and_hot_journals
      for (const tail of tails.slice(1)) rmSync(path + tail, { force: true })
      const kept = readFileSize(file) === null ? '' : freeName(`${file}.before-${stamp}`)
      if (kept !== '') {
        quiesce(file)
        // A second name first, and then one rename: at no moment is there no store.
        for (const tail of tails) {
          if (readFileSize(file + tail) === null) continue
          linkSync(file + tail, kept + tail)
        }
        syncFile(dirname(file))
        for (const tail of tails.slice(1)) rmSync(file + tail, { force: true })
      }
      renameSync(path, file)
      syncFile(dirname(file))
      return kept
    },
  }
}

/** A swap that was cut off has left the store with two names: the one that it was to be kept under goes. */
function removeSecondNames(file: string): void {
  const folder = dirname(file)
  const own = statSync(file, { throwIfNoEntry: false })
  if (own === undefined || own.nlink < 2) return
  for (const name of readdirSync(folder)) {
    if (!name.startsWith(`${basename(file)}.before-`)) continue
    if (statSync(join(folder, name), { throwIfNoEntry: false })?.ino === own.ino) rmSync(join(folder, name))
  }
}

/** What was kept before is never written over. */
function freeName(path: string): string {
  for (let number = 1; ; number++) {
    const name = number === 1 ? path : `${path}-${number}`
    if (readFileSize(name) === null) return name
  }
}

/** Brings a log into its file, so that the file alone is the store. One that is damaged stays as it is. */
function quiesce(file: string): void {
  let db: Sqlite.Database | null = null
  try {
    db = new Sqlite(file, { timeout: 0 })
    // The file is to oneself alone, or the mode cannot be changed.
    if (db.pragma('journal_mode = DELETE', { simple: true }) === 'wal') throw inUse(file)
    db.exec('begin exclusive')
    db.exec('rollback')
  } catch (error) {
    if (/^SQLITE_(BUSY|LOCKED)/.test(String((error as { code?: string }).code))) throw inUse(file)
    if (!/^SQLITE_(CORRUPT|NOTADB|IOERR)/.test(String((error as { code?: string }).code))) throw error
  } finally {
    db?.close()
  }
}

function inUse(where: string, by = 'another process') {
  return fail('conflict', `The store ${where} is in use by ${by}. Stop the hub first; nothing was changed.`)
}

function schemaBeside(store: StoreAddress, schema: string): Beside {
  const name = quoteName(schema)
  const query = async <R>(work: (client: Awaited<ReturnType<typeof openSession>>) => Promise<R>): Promise<R> => {
    const client = await openSession(store.url)
    try {
      return await work(client)
    } finally {
      await client.end()
    }
  }
  return {
    address: { url: withOption(store.url, `search_path=${schema}`), dataDir: store.dataDir },
    prepare: () =>
      query(async (client) => {
        await client.query(`drop schema if exists ${name} cascade`)
        await client.query(`create schema ${name}`).catch((error: Error & { code?: string }) => {
          throw error.code === '42501' ? notLet(error) : error
        })
      }),
    remove: () => query((client) => client.query(`drop schema if exists ${name} cascade`)).then(() => {}),
    isThere: () =>
      query(
        async (client) =>
          (await client.query('select 1 from pg_namespace where nspname = $1', [schema])).rowCount === 1,
      ),
    isOccupied: () =>
      query(async (client) => {
        const { rows } = await client.query<{ there: boolean }>(
          "select to_regclass(quote_ident(current_schema()) || '.schema_migrations') is not null as there",
        )
        return rows[0]!.there
      }),
    assertUnused: () =>
      query(async (client) => {
        let count = 0
        // A connection that was closed a moment ago is still listed for a few milliseconds.
        for (let look = 0; look < 20; look++) {
          if (look > 0) await client.query('select pg_sleep(0.1)')
          const { rows } = await client.query<{ count: number }>(
            "select count(*)::int as count from pg_stat_activity where datname = current_database() and usename = current_user and pid <> pg_backend_pid() and backend_type = 'client backend'",
          )
          count = rows[0]!.count
          if (count === 0) return
        }
        if (count > 0) throw inUse('in PostgreSQL', `${count} other connection${count === 1 ? '' : 's'} of its role`)
      }),
    swapIn: (stamp) =>
      query(async (client) => {
        const kept = `gatehouse_before_${stamp.replaceAll(/[^0-9a-z]/gi, '').toLowerCase()}`
        const list = async (of: string) =>
          (
            await client.query<{ name: string }>(
              "select relname as name from pg_class where relkind = 'r' and relnamespace = $1::regnamespace order by 1",
              [of],
            )
          ).rows.map((row) => row.name)
        const { rows } = await client.query<{ schema: string }>('select current_schema() as schema')
        const here = rows[0]!.schema
        const fresh = await list(name)
        const old = (await list(quoteName(here))).filter((table) => fresh.includes(table))
        // Shapes of tables change in transactions, too: others see all of it or nothing.
        await client.query('begin')
        if (old.length > 0) await client.query(`create schema ${quoteName(kept)}`)
        const move = (table: string, from: string, to: string) =>
          client.query(`alter table ${from}.${quoteName(table)} set schema ${to}`)
        const moveFunctions = async (from: string, to: string, only: readonly string[] | null) => {
          const { rows } = await client.query<{ name: string; signature: string }>(
            'select proname as name, oid::regprocedure::text as signature from pg_proc where pronamespace = $1::regnamespace',
            [from],
          )
          for (const { name: called, signature } of rows) {
            if (only !== null && !only.includes(called)) continue
            await client.query(`alter function ${signature} set schema ${to}`)
          }
        }
        for (const table of old) await move(table, quoteName(here), quoteName(kept))
        const { rows: functions } = await client.query<{ name: string }>(
          'select proname as name from pg_proc where pronamespace = $1::regnamespace',
          [name],
        )
        if (old.length > 0)
          await moveFunctions(
            quoteName(here),
            quoteName(kept),
            functions.map((row) => row.name),
          )
        for (const table of fresh) await move(table, name, quoteName(here))
        await moveFunctions(name, quoteName(here), null)
        await client.query(`drop schema ${name}`)
        await client.query('commit')
        return old.length > 0 ? `schema ${kept}` : ''
      }),
  }
}

function notLet(cause: Error) {
  return fail(
    'invalid_request',
    `PostgreSQL: ${cause.message}. A restore and a drill work in a schema of their own: let the role make one, as the owner of the database: GRANT CREATE ON DATABASE … TO <role>.`,
    { param: 'database.url', cause },
  )
}
