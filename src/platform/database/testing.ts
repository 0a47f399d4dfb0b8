import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, describe, test } from 'vitest'

import { openDatabase } from './connect.ts'
import type { Database, Engine } from './database.ts'
import { migrate } from './migrate.ts'
import type { Migration } from './migration.ts'
import { silentLog } from './testing-log.ts'

// biome-ignore lint/suspicious/noExplicitAny: a store test names its own tables
type AnyStore = Database<any>

export type TestEngine = {
  name: Engine
  /** A fresh, empty store with `migrations` applied. It is closed and removed after the test file. */
  open(migrations?: readonly Migration[]): Promise<AnyStore>
  /** The address of a fresh store, for tests that open it themselves, more than once or in other processes. */
  address(): Promise<string>
}

/**
 * The engines to run a store's tests over: `describe.each(engines())('… on $name', ({ open }) => …)`. Call it at the
 * top of the test file. Without a PostgreSQL server its half is listed as skipped; with `CI=true` that is an error.
 */
export function engines(): TestEngine[] {
  const cleanups: (() => Promise<unknown>)[] = []
  afterAll(async () => {
    for (const cleanup of cleanups.reverse()) await cleanup()
  })
  const made = [createEngine('sqlite', () => createSqliteFolder(cleanups), cleanups)]

  const server = process.env.GATEHOUSE_TEST_POSTGRES_URL
  if (server) return [...made, createEngine('postgres', () => createPostgresDatabase(server, cleanups), cleanups)]
  if (process.env.CI === 'true') throw new Error('No PostgreSQL for the tests: GATEHOUSE_TEST_POSTGRES_URL is not set')
  describe.skip('on postgres', () => {
    test('needs a PostgreSQL server: set GATEHOUSE_TEST_POSTGRES_URL or install postgresql', () => {})
  })
  return made
}

function createEngine(name: Engine, address: () => Promise<string>, cleanups: (() => Promise<unknown>)[]): TestEngine {
  return {
    name,
    address,
    async open(migrations = []) {
      const database: AnyStore = await openDatabase({
        url: await address(),
        dataDir: tmpdir(),
        poolSize: 4,
        log: silentLog,
      })
      cleanups.push(() => database.close())
      await migrate(database, migrations, { log: silentLog })
      return database
    },
  }
}

async function createSqliteFolder(cleanups: (() => Promise<unknown>)[]): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-test-'))
  cleanups.push(async () => rmSync(folder, { recursive: true, force: true }))
  return `sqlite:${join(folder, 'gatehouse.db')}`
}

async function createPostgresDatabase(server: string, cleanups: (() => Promise<unknown>)[]): Promise<string> {
  const name = `test_${randomBytes(6).toString('hex')}`
  const command = async (text: string) => {
    const client = new pg.Client({ connectionString: server })
    await client.connect()
    await client.query(text).finally(() => client.end())
  }
  await command(`create database ${name}`)
  // Sessions that a test left open go with it.
  cleanups.push(() => command(`drop database if exists ${name} with (force)`))
  const url = new URL(server)
  url.pathname = `/${name}`
  return url.href
}
