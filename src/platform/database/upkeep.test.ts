import { tmpdir } from 'node:os'
import Sqlite from 'better-sqlite3'
import { sql } from 'kysely'
import { describe, expect, test } from 'vitest'
import { silentLog } from '../testing.ts'
import { openDatabase } from './connect.ts'
import { engines } from './testing.ts'
import { createUpkeep, type Step } from './upkeep.ts'

const plenty = () => 1e12
const walk: Step = async () => {}

describe.each(engines())('upkeep of $name', ({ name, address }) => {
  /** A table of many rows, most of which are deleted again. */
  async function openFull(rows: number) {
    const url = await address()
    // biome-ignore lint/suspicious/noExplicitAny: a table of this test
    const database = await openDatabase<any>({ url, dataDir: tmpdir(), poolSize: 2, log: silentLog })
    const { kysely } = database
    await kysely.schema
      .createTable('things')
      .addColumn('id', 'bigint', (c) => c.primaryKey())
      .addColumn('text', 'text', (c) => c.notNull())
      .execute()
    await kysely.schema.createIndex('things_by_text').on('things').column('text').execute()
    const text = 'x'.repeat(120)
    await (name === 'sqlite'
      ? sql`insert into things with recursive n(i) as (select 1 union all select i + 1 from n where i < ${sql.lit(rows)}) select i, ${text} || i from n`
      : sql`insert into things select i, ${text} || i from generate_series(1, ${sql.lit(rows)}) i`
    ).execute(kysely)
    const upkeep = createUpkeep({ database, url, dataDir: tmpdir(), log: silentLog, freeDiskBytes: plenty })
    return { database, kysely, upkeep, url, close: () => database.close() }
  }

  test('tables are told with their rows, and what was deleted is given back', async () => {
    const { kysely, upkeep, close } = await openFull(60_000)
    await kysely.deleteFrom('things').where('id', '>', 100).execute()
    if (name === 'postgres') await eventually(async () => (await upkeep.room()).freeBytes > 0)
    const before = await upkeep.room()
    expect(before.freeBytes).toBeGreaterThan(before.bytes / 4)
    const steps: string[] = []
    const done = await upkeep.clean(async (_, __, what) => void steps.push(what))
    expect(steps.length).toBeGreaterThan(0)
    expect(done.reduce((sum, { freedBytes }) => sum + freedBytes, 0)).toBeGreaterThan(before.bytes / 4)
    expect((await upkeep.room()).bytes).toBeLessThan(before.bytes)
    expect((await upkeep.sizes()).find(({ table }) => table === 'things')?.rows).toBe(100)
    expect(await upkeep.check()).toEqual([])
    await close()
  })

  test('what a step refuses is not done', async () => {
    const { kysely, upkeep, close } = await openFull(60_000)
    await kysely.deleteFrom('things').where('id', '>', 100).execute()
    if (name === 'postgres') await eventually(async () => (await upkeep.room()).freeBytes > 0)
    const before = await upkeep.room()
    await expect(upkeep.clean(() => Promise.reject(new Error('lost')))).rejects.toThrow('lost')
    expect(await upkeep.room()).toEqual(before)
    await close()
  })

  test('an index that is not as its table says is found, and made anew', async () => {
    const full = await openFull(2000)
    if (name === 'sqlite') {
      await full.close()
      changeBehind(full.url.replace('sqlite:', ''), 'things_by_text', 'delete from things where id <= 5')
      // biome-ignore lint/suspicious/noExplicitAny: a table of this test
      const database = await openDatabase<any>({ url: full.url, dataDir: tmpdir(), poolSize: 2, log: silentLog })
      const upkeep = createUpkeep({ database, url: full.url, dataDir: tmpdir(), log: silentLog, freeDiskBytes: plenty })
      expect((await upkeep.check()).join()).toMatch(/index things_by_text/)
      expect(await upkeep.reindex(walk)).toEqual([{ step: 'reindex', freedBytes: 0 }])
      expect(await upkeep.check()).toEqual([])
      await database.close()
    } else {
      const { kysely, upkeep, close } = full
      await sql`update pg_index set indisvalid = false where indexrelid = 'things_by_text'::regclass`.execute(kysely)
      expect(await upkeep.check()).toEqual([expect.stringContaining('things_by_text is not valid')])
      expect((await upkeep.reindex(walk)).map(({ step }) => step)).toEqual(['reindex things_by_text'])
      expect(await upkeep.check()).toEqual([])
      await close()
    }
  })

  const onPostgres: (title: string, promise: () => Promise<void>) => void = name === 'postgres' ? test : () => {}
  onPostgres('a bloated index is made anew, and what an interrupted one left is dropped', async () => {
    const { kysely, upkeep, close } = await openFull(60_000)
    await kysely.deleteFrom('things').where('id', '>', 1000).execute()
    await sql`vacuum (analyze) things`.execute(kysely)
    await sql`create index things_by_text_ccnew on things (text)`.execute(kysely)
    await sql`update pg_index set indisvalid = false where indexrelid = 'things_by_text_ccnew'::regclass`.execute(
      kysely,
    )
    const done = await upkeep.reindex(walk)
    expect(done.map(({ step }) => step).sort()).toEqual(['drop index things_by_text_ccnew', 'reindex things_by_text'])
    expect(done.find(({ step }) => step.startsWith('reindex'))!.freedBytes).toBeGreaterThan(1024 ** 2)
    expect(await upkeep.reindex(walk)).toEqual([])
    await close()
  })
})

/** Changes a table of a file while its index is out of sight, so that the index does not hear of it. */
function changeBehind(file: string, index: string, change: string): void {
  const row = withFile(file, (db) => {
    const found = db.prepare('select * from sqlite_master where name = ?').get(index)
    db.prepare('delete from sqlite_master where name = ?').run(index)
    return found as Record<string, unknown>
  })
  withFile(file, (db) => db.exec(change))
  withFile(file, (db) =>
    db.prepare('insert into sqlite_master values (@type, @name, @tbl_name, @rootpage, @sql)').run(row),
  )
}

function withFile<T>(file: string, use: (db: Sqlite.Database) => T): T {
  const db = new Sqlite(file)
  db.unsafeMode(true)
  db.pragma('writable_schema = on')
  try {
    return use(db)
  } finally {
    db.close()
  }
}

/** Statistics of PostgreSQL come a moment after what they count. */
async function eventually(isSo: () => Promise<boolean>): Promise<void> {
  for (let count = 0; count < 400; count++) {
    if (await isSo()) return
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
  throw new Error('it did not become so')
}
