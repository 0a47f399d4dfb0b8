import { type Kysely, sql, type Transaction } from 'kysely'
import { type Clock, systemClock } from '../../kernel/clock.ts'
import { fail, HubError } from '../../kernel/errors.ts'
import type { Log } from '../log.ts'
import type { Database, Engine } from './database.ts'
import type { AnyDatabase, AnyTransaction, Migration } from './migration.ts'
import { withMigrationLock } from './migration-lock.ts'
import { liftStatementLimit } from './postgres-guard.ts'

export type MigrateOptions = {
  log: Log
  clock?: Clock
  /** Written beside each applied name, for whoever has to find the program that made a store. */
  version?: string
  /** How long to wait for another process that migrates the same store. Default one minute. */
  lockWaitMs?: number
  /** Called under the lock before a store that holds something is changed, with what is to be applied. */
  beforeFirst?: (names: readonly string[]) => Promise<void>
}

export type MigrationState = {
  name: string
  /** Epoch ms; null when it is still to be applied. */
  appliedAt: number | null
  /** Program that applied it. */
  version: string
  /** False when the store knows it and this program does not. */
  isKnown: boolean
}

type Bookkeeping = { schema_migrations: { name: string; applied_at: number; program_version: string } }

// biome-ignore lint/suspicious/noExplicitAny: any store can be migrated
type AnyStore = Database<any>

/**
 * Brings the store up to `migrations` and returns the names applied now. However many processes start at once, each
 * step is applied by exactly one of them. A step that fails leaves nothing of itself behind and ends the run; the
 * steps before it stay. Rejects with `invalid_request` when the store is newer than this program.
 */
export async function migrate(
  database: AnyStore,
  migrations: readonly Migration[],
  options: MigrateOptions,
): Promise<string[]> {
  const clock = options.clock ?? systemClock
  const upgrade = withMigrationLock(database, { ...options, clock }, async ({ db, transaction }) => {
    await transaction(async (trx) => createBookkeeping(trx))
    const before = await readApplied(db)
    assertNotNewer(migrations, before)

    const pending = migrations.filter(({ name }) => !before.some((row) => row.name === name))
    if (before.length > 0 && pending.length > 0) await options.beforeFirst?.(pending.map(({ name }) => name))
    const applied: string[] = []
    let previous = ''
    for (const migration of migrations) {
      const isDone = before.some((row) => row.name === migration.name)
      const isNew =
        !isDone &&
        (await transaction(async (trx) => {
          // Asked again inside: on SQLite another process may have been here since.
          if ((await readApplied(trx)).some((row) => row.name === migration.name)) return false
          options.log.info(`Running upgrade ${previous} -> ${migration.name}`, { migration: migration.name })
          await run(trx, database.engine, migration, 'up')
          await (trx as unknown as Transaction<Bookkeeping>)
            .insertInto('schema_migrations')
            .values({ name: migration.name, applied_at: clock.now(), program_version: options.version ?? '' })
            .execute()
          return true
        }))
      if (isNew) applied.push(migration.name)
      previous = migration.name
    }
    return applied
  })
  return upgrade.catch(async (error) => {
    throw await explainRefusal(database, error)
  })
}

/** From PostgreSQL 15 on a role may make nothing in the schema public before it was let: https://www.postgresql.org/docs/15/release-15.html */
async function explainRefusal(database: AnyStore, error: unknown): Promise<unknown> {
  if ((error as { code?: unknown } | null)?.code !== '42501') return error
  const { rows } = await sql<{ role: string }>`select current_user as role`.execute(database.kysely)
  return fail(
    'invalid_request',
    `PostgreSQL: ${(error as Error).message} (42501). Let the role make tables, as the owner of the database: GRANT ALL ON SCHEMA public TO "${rows[0]?.role}". Or name another role in database.url (DATABASE_URL).`,
    { param: 'database.url', cause: error },
  )
}

/** Takes back the last `steps` applied migrations, newest first, and returns their names. */
export async function migrateDown(
  database: AnyStore,
  migrations: readonly Migration[],
  options: MigrateOptions & { steps: number },
): Promise<string[]> {
  const clock = options.clock ?? systemClock
  return withMigrationLock(database, { ...options, clock }, async ({ db, transaction }) => {
    await transaction(async (trx) => createBookkeeping(trx))
    const before = await readApplied(db)
    assertNotNewer(migrations, before)

    const names = new Set(before.map((row) => row.name))
    const applied = migrations.filter((migration) => names.has(migration.name))
    const undone: string[] = []
    for (const migration of applied.slice(Math.max(0, applied.length - options.steps)).reverse()) {
      const previous = applied[applied.indexOf(migration) - 1]?.name ?? ''
      options.log.info(`Running downgrade ${migration.name} -> ${previous}`, { migration: migration.name })
      await transaction(async (trx) => {
        await run(trx, database.engine, migration, 'down')
        await (trx as unknown as Transaction<Bookkeeping>)
          .deleteFrom('schema_migrations')
          .where('name', '=', migration.name)
          .execute()
      })
      undone.push(migration.name)
    }
    return undone
  })
}

/** Every migration this program or the store knows, in order, without changing anything. */
export async function migrationStatus(database: AnyStore, migrations: readonly Migration[]): Promise<MigrationState[]> {
  const rows = (await hasBookkeeping(database)) ? await readApplied(database.kysely) : []
  const applied = new Map(rows.map((row) => [row.name, row]))
  const known = new Set(migrations.map((migration) => migration.name))
  const state = (name: string): MigrationState => {
    const row = applied.get(name)
    return {
      name,
      appliedAt: row?.applied_at ?? null,
      version: row?.program_version ?? '',
      isKnown: known.has(name),
    }
  }
  const foreign = rows.filter((row) => !known.has(row.name))
  return [...migrations, ...foreign].map(({ name }) => state(name))
}

async function run(trx: AnyTransaction, engine: Engine, migration: Migration, direction: 'up' | 'down'): Promise<void> {
  if (engine === 'postgres') await sql.raw(liftStatementLimit).execute(trx)
  try {
    await migration[direction](trx, engine)
  } catch (error) {
    if (error instanceof HubError && error.code === 'unavailable') throw error
    throw fail(
      'internal',
      `Migration ${migration.name} (${direction}) failed: ${error instanceof Error ? error.message : String(error)}. Nothing of it was kept; the store is as it was before this step.`,
      { cause: error },
    )
  }
}

/** `revisions` stands here and not in a migration because every room counts on it from its own first step on. */
async function createBookkeeping(trx: AnyTransaction): Promise<void> {
  await trx.schema
    .createTable('schema_migrations')
    .ifNotExists()
    .addColumn('name', 'text', (column) => column.primaryKey().notNull())
    .addColumn('applied_at', 'bigint', (column) => column.notNull())
    .addColumn('program_version', 'text', (column) => column.notNull())
    .execute()
  await trx.schema
    .createTable('revisions')
    .ifNotExists()
    .addColumn('name', 'text', (column) => column.primaryKey().notNull())
    .addColumn('value', 'bigint', (column) => column.notNull())
    .execute()
}

async function hasBookkeeping({ engine, kysely }: AnyStore): Promise<boolean> {
  const { rows } =
    engine === 'sqlite'
      ? await sql`select name from sqlite_master where type = 'table' and name = 'schema_migrations'`.execute(kysely)
      : await sql`select 1 where to_regclass('schema_migrations') is not null`.execute(kysely)
  return rows.length > 0
}

function readApplied(db: AnyDatabase): Promise<Bookkeeping['schema_migrations'][]> {
  return (db as unknown as Kysely<Bookkeeping>)
    .selectFrom('schema_migrations')
    .select(['name', 'applied_at', 'program_version'])
    .orderBy('name')
    .execute()
}

function assertNotNewer(migrations: readonly Migration[], applied: readonly Bookkeeping['schema_migrations'][]) {
  const known = new Set(migrations.map((migration) => migration.name))
  const foreign = applied.filter((row) => !known.has(row.name))
  if (foreign.length === 0) return
  const versions = [...new Set(foreign.map((row) => row.program_version).filter((version) => version !== ''))]
  const writer = versions.length === 0 ? 'the version that made it' : `version ${versions.join(' or ')} or later`
  throw fail(
    'invalid_request',
    `The database is newer than this program: it holds ${foreign.map((row) => row.name).join(', ')}, which this program does not know. Start ${writer}, or restore a backup from before the upgrade.`,
  )
}
