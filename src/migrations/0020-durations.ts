import { type CreateTableBuilder, SqliteAdapter, sql } from 'kysely'
import type { AnyDatabase, Migration } from '../platform/database/index.ts'

const grains = ['hour', 'day'] as const
const facets = { '': sql.lit(''), tenant: sql.ref('tenant_id') }

/**
 * Durations of everything and of each tenant: their percentiles read a few thousand counts instead of those of every model
 * and provider. And a number for each day that moves with its sums, for whoever keeps what it read.
 */
export const durationsMigration: Migration = {
  name: '0020-durations',

  async up(db) {
    for (const grain of grains) {
      const name = `usage_durations_${grain}`
      const table = db.schema
        .createTable(name)
        .addColumn('facet', 'text', (c) => c.notNull())
        .addColumn('slot', 'bigint', (c) => c.notNull())
        .addColumn('source', 'text', (c) => c.notNull())
        .addColumn('kind', 'text', (c) => c.notNull())
        .addColumn('value', 'text', (c) => c.notNull())
        .addColumn('bucket', 'integer', (c) => c.notNull())
        .addColumn('amount', 'bigint', (c) => c.notNull())
        .addPrimaryKeyConstraint(`${name}_key`, ['facet', 'kind', 'slot', 'source', 'value', 'bucket'] as never)
      await keyed(db, table).execute()
      for (const [facet, value] of Object.entries(facets)) {
        await sql`
          insert into ${sql.table(name)} (facet, slot, source, kind, value, bucket, amount)
          select ${sql.lit(facet)}, slot, source, kind, ${value}, bucket, sum(amount)
          from ${sql.table(`usage_latency_${grain}`)} group by 2, 3, 4, 5, 6
        `.execute(db)
      }
    }
    await db.schema
      .createTable('usage_day_versions')
      .addColumn('day', 'bigint', (c) => c.primaryKey())
      .addColumn('version', 'bigint', (c) => c.notNull())
      .execute()
  },

  async down(db) {
    await db.schema.dropTable('usage_day_versions').execute()
    for (const grain of grains) await db.schema.dropTable(`usage_durations_${grain}`).execute()
  },
}

/** In SQLite rows live in the order of their key, once: an index beside them would double what every batch writes. */
function keyed<Table extends string, Column extends string>(db: AnyDatabase, table: CreateTableBuilder<Table, Column>) {
  return db.getExecutor().adapter instanceof SqliteAdapter ? table.modifyEnd(sql`without rowid`) : table
}
