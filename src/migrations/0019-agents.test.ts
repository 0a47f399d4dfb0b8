import { sql } from 'kysely'
import { describe, expect, test } from 'vitest'
import { migrate, migrateDown } from '../platform/database/index.ts'
import { engines } from '../platform/database/testing.ts'
import { silentLog } from '../platform/database/testing-log.ts'
import { cubeKeys, measures } from './0018-analytics.ts'
import { agentsMigration } from './0019-agents.ts'
import { migrations } from './index.ts'

const upTo = migrations.slice(0, migrations.indexOf(agentsMigration) + 1)
const before = upTo.slice(0, -1)

describe.each(engines())('sums by plugin service on $name', ({ open }) => {
  test('sums of before are kept, as of no plugin service, and those of several become one again when it is taken back', async () => {
    const database = await open(before)
    const db = database.kysely
    const insert = async (table: string, keys: Record<string, string | number>, amount: number) => {
      const row = { ...keys, ...Object.fromEntries(measures.map((name) => [name, amount])) }
      await sql`insert into ${sql.table(table)} (${sql.join(Object.keys(row).map((name) => sql.ref(name)))})
        values (${sql.join(Object.values(row))})`.execute(db)
    }
    const read = async (table: string, columns: readonly string[]) => {
      const names = sql.join(columns.map((name) => sql.ref(name)))
      const { rows } = await sql<
        Record<string, unknown>
      >`select ${names} from ${sql.table(table)} order by ${names}`.execute(db)
      return rows.map((row) => Object.fromEntries(Object.entries(row).map(([name, value]) => [name, String(value)])))
    }
    const cube = { slot: 900_000, source: '', ...Object.fromEntries(cubeKeys.map((name) => [name, name])) }
    for (const table of ['usage_cube_quarter', 'usage_cube_day']) await insert(table, cube, 7)
    await insert('usage_facets_hour', { facet: '', slot: 0, source: '', value: '', tenant_id: 'ten_a' }, 7)
    await insert('usage_facets_hour', { facet: 'user', slot: 0, source: '', value: 'u', tenant_id: 'ten_a' }, 7)

    await migrate(database, upTo, { log: silentLog })
    for (const table of ['usage_cube_quarter', 'usage_cube_day']) {
      expect(await read(table, ['service', 'agent', 'requests', 'generation_tokens'])).toEqual([
        { service: '', agent: 'agent', requests: '7', generation_tokens: '7' },
      ])
    }
    expect(await read('usage_facets_hour', ['facet', 'value', 'tenant_id', 'requests'])).toEqual([
      { facet: '', value: '', tenant_id: 'ten_a', requests: '7' },
      { facet: 'service', value: '', tenant_id: 'ten_a', requests: '7' },
      { facet: 'user', value: 'u', tenant_id: 'ten_a', requests: '7' },
    ])

    await insert('usage_cube_day', { ...cube, service: 'crawler' }, 3)
    await migrateDown(database, upTo, { log: silentLog, steps: 1 })
    expect(await read('usage_cube_day', ['agent', 'requests'])).toEqual([{ agent: 'agent', requests: '10' }])
    expect(await read('usage_facets_hour', ['facet'])).toEqual([{ facet: '' }, { facet: 'user' }])
    await migrate(database, upTo, { log: silentLog })
    expect(await read('usage_cube_day', ['service', 'requests'])).toEqual([{ service: '', requests: '10' }])
  })
})
