import { describe, expect, test } from 'vitest'
import { migrateDown } from '../platform/database/index.ts'
import { migrate } from '../platform/database/migrate.ts'
import { engines } from '../platform/database/testing.ts'
import { silentLog } from '../platform/database/testing-log.ts'
import { identityMigration } from './0001-identity.ts'
import { limitsMigration } from './0007-limits.ts'
import { peopleMigration } from './0013-people.ts'

describe.each(engines())('labels become tenants on $name', ({ open }) => {
  const before = [identityMigration, limitsMigration]
  const all = [...before, peopleMigration]

  test('each keeps its label as its id and gets a name of its own, and the step can be taken back', async () => {
    const database = await open(before)
    const db = database.kysely
    const person = (id: string, tenant_id: string) => ({
      ...{ id, email: `${id}@example.com`, name: '', password_hash: 'x', role: 'user', tenant_id },
      ...{ enabled: 1, created_at: 1, updated_at: 1, last_login_at: null },
    })
    const labels = ['', 'research', 'Research', 'R & D', '研究院', 'hub']
    await db
      .insertInto('users')
      .values(labels.map((label, i) => person(`usr_${i}`, label)))
      .execute()

    await migrate(database, all, { log: silentLog })
    const rows = await db.selectFrom('tenants').select(['id', 'name', 'enabled']).execute()
    expect(rows.map((row) => row.id).sort()).toEqual([...labels].sort())
    const names = Object.fromEntries(rows.map((row) => [row.id, row.name]))
    expect(names).toMatchObject({ '': 'hub', hub: 'hub-2', 'R & D': 'r-d', 研究院: 'tenant' })
    expect([names.research, names.Research].sort()).toEqual(['research', 'research-2'])
    expect(await db.selectFrom('users').select(['username', 'unlocked_at']).executeTakeFirst()).toEqual({
      ...{ username: null, unlocked_at: 0 },
    })

    await migrateDown(database, all, { log: silentLog, steps: 1 })
    expect(await db.selectFrom('users').selectAll().execute()).toHaveLength(labels.length)
    await migrate(database, all, { log: silentLog })
    expect(await db.selectFrom('tenants').select('id').execute()).toHaveLength(labels.length)
  })
})
