import { sql } from 'kysely'
import type { AnyDatabase, Migration } from '../platform/database/index.ts'
import { cubeKeys, keyed, measures } from './0018-analytics.ts'

const cubes = ['usage_cube_quarter', 'usage_cube_day'] as const
const facetTables = ['usage_facets_quarter', 'usage_facets_hour', 'usage_facets_day'] as const
const sums = measures.map((name) => sql`sum(${sql.ref(name)})`)
const measureNames = measures.map((name) => sql.ref(name))

/** The agent and the plugin service of every request, and sums by plugin service. What is there already is of none. */
export const agentsMigration: Migration = {
  name: '0019-agents',

  async up(db) {
    for (const column of ['agent', 'service']) {
      await db.schema
        .alterTable('request_logs')
        .addColumn(column, 'text', (c) => c.notNull().defaultTo(''))
        .execute()
    }
    for (const name of cubes) await remake(db, name, [...cubeKeys, 'service'], `${name}_services_key`)
    for (const name of facetTables) {
      await sql`
        insert into ${sql.table(name)} (facet, slot, source, value, tenant_id, ${sql.join(measureNames)})
        select 'service', slot, source, '', tenant_id, ${sql.join(measureNames)} from ${sql.table(name)} where facet = ''
      `.execute(db)
    }
  },

  async down(db) {
    for (const name of facetTables) await sql`delete from ${sql.table(name)} where facet = 'service'`.execute(db)
    for (const name of cubes) await remake(db, name, cubeKeys, `${name}_key`)
    for (const column of ['service', 'agent']) await db.schema.alterTable('request_logs').dropColumn(column).execute()
  },
}

/** The same sums by other keys: SQLite cannot change the key of a table that is there. */
async function remake(db: AnyDatabase, name: string, keys: readonly string[], key: string): Promise<void> {
  const made = `${name}_remade`
  let table = db.schema.createTable(made).addColumn('slot', 'bigint', (c) => c.notNull())
  for (const column of ['source', ...keys]) table = table.addColumn(column, 'text', (c) => c.notNull())
  for (const measure of measures) table = table.addColumn(measure, 'bigint', (c) => c.notNull())
  await keyed(db, table.addPrimaryKeyConstraint(key, ['slot', 'source', ...keys] as never)).execute()
  const common = ['slot', 'source', ...cubeKeys].map((column) => sql.ref(column))
  const isMore = keys.length > cubeKeys.length
  await sql`
    insert into ${sql.table(made)} (${sql.join(common)}${isMore ? sql`, service` : sql``}, ${sql.join(measureNames)})
    select ${sql.join(common)}${isMore ? sql`, ''` : sql``}, ${sql.join(sums)} from ${sql.table(name)}
    group by ${sql.join(common)}
  `.execute(db)
  await db.schema.dropTable(name).execute()
  await db.schema.alterTable(made).renameTo(name).execute()
}
