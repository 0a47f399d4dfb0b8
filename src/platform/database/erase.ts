import { sql } from 'kysely'
import type { Database } from './database.ts'
import { type MigrateOptions, migrateDown } from './migrate.ts'
import type { Migration } from './migration.ts'

// biome-ignore lint/suspicious/noExplicitAny: any store can be counted and erased
type AnyStore = Database<any>

/** The store's tables and how many rows each holds, by name. Changes nothing. */
export async function countRows(database: AnyStore): Promise<{ table: string; rows: number }[]> {
  const tables = await database.kysely.introspection.getTables()
  const counts: { table: string; rows: number }[] = []
  for (const { name } of tables.filter((table) => !table.isView).sort((a, b) => a.name.localeCompare(b.name))) {
    const row = await database.kysely
      .selectFrom(name)
      .select((eb) => eb.fn.countAll<number>().as('rows'))
      .executeTakeFirstOrThrow()
    counts.push({ table: name, rows: Number(row.rows) })
  }
  return counts
}

/**
 * Takes back every migration, and with them every row; the next start begins anew. Tables that are not ours stay.
 * SQLite's file is rewritten, so that nothing deleted can be read from it.
 */
export async function eraseStore(
  database: AnyStore,
  migrations: readonly Migration[],
  options: MigrateOptions,
): Promise<void> {
  await migrateDown(database, migrations, { ...options, steps: migrations.length })
  if (database.engine === 'sqlite') await sql`VACUUM`.execute(database.kysely)
}
