import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { openDatabase } from './connect.ts'
import { countRows, eraseStore } from './erase.ts'
import { migrate } from './migrate.ts'
import type { Migration } from './migration.ts'
import { engines } from './testing.ts'
import { silentLog as log } from './testing-log.ts'

const steps: readonly Migration[] = ['apples', 'pears'].map((table, i) => ({
  name: `000${i + 1}-${table}`,
  async up(db) {
    await db.schema
      .createTable(table)
      .addColumn('name', 'text', (column) => column.notNull())
      .execute()
  },
  async down(db) {
    await db.schema.dropTable(table).execute()
  },
}))

describe.each(engines())('on $name', ({ open }) => {
  test('rows are counted by table, and erasing leaves what a first start needs', async () => {
    const database = await open(steps)
    await database.kysely
      .insertInto('pears')
      .values([{ name: 'a' }, { name: 'b' }])
      .execute()
    const counts = new Map((await countRows(database)).map(({ table, rows }) => [table, rows]))
    expect([counts.get('apples'), counts.get('pears')]).toEqual([0, 2])

    await eraseStore(database, steps, { log })
    const left = (await countRows(database)).map(({ table }) => table)
    expect(left).not.toContain('pears')
    expect(await migrate(database, steps, { log })).toEqual(steps.map((step) => step.name))
    expect(await database.kysely.selectFrom('pears').selectAll().execute()).toEqual([])
  })
})

test('nothing deleted can be read from the file afterwards', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-erase-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const file = join(folder, 'store.db')
  const database = await openDatabase<{ pears: { name: string } }>({ url: `sqlite:${file}`, dataDir: folder, log })
  await migrate(database, steps, { log })
  await database.kysely.insertInto('pears').values({ name: 'canary-in-the-file' }).execute()
  await eraseStore(database, steps, { log })
  await database.close()
  expect(readFileSync(file).includes('canary-in-the-file')).toBe(false)
})
