import { type Kysely, sql } from 'kysely'
import { beforeAll, describe, expect, test } from 'vitest'
import { openDatabase } from './connect.ts'
import type { Database } from './database.ts'
import { isUniqueViolation } from './faults.ts'
import { addMany, insertMany } from './insert-many.ts'
import { bumpRevision, readRevision } from './revisions.ts'
import { engines } from './testing.ts'
import { silentLog } from './testing-log.ts'

type Tables = {
  items: { id: string; label: string; amount: number; ratio: number | null; bytes: Buffer | null }
  wide: Record<string, string | number | null>
  sums: { who: string; at: number; n: number; ms_sum: number }
}

const hour = 3_600_000
const now = Date.UTC(2026, 10, 23, 9, 41)

describe.each(engines())('a store on $name', ({ name, open, address }) => {
  let database: Database<Tables>
  let db: Kysely<Tables>

  beforeAll(async () => {
    database = await open([
      {
        name: '0001-items',
        async up(trx, engine) {
          await trx.schema
            .createTable('items')
            .addColumn('id', 'text', (column) => column.primaryKey())
            .addColumn('label', 'text', (column) => column.notNull())
            .addColumn('amount', 'bigint', (column) => column.notNull())
            .addColumn('ratio', 'double precision')
            .addColumn('bytes', engine === 'sqlite' ? 'blob' : 'bytea')
            .execute()
        },
        down: (trx) => trx.schema.dropTable('items').execute(),
      },
    ])
    db = database.kysely
  })

  const item = (id: string, amount = 1) => ({ id, label: `item ${id}`, amount, ratio: null, bytes: null })
  const amountOf = async (on: Kysely<Tables>, id: string) =>
    (await on.selectFrom('items').select('amount').where('id', '=', id).executeTakeFirst())?.amount

  test('big integers, counts, sums and averages come back as numbers', async () => {
    await db
      .insertInto('items')
      .values([{ ...item('n1', now), ratio: 0.25 }, item('n2', now + 1)])
      .execute()
    const row = await db
      .selectFrom('items')
      .select(({ fn }) => [
        fn.countAll<number>().as('rows'),
        fn.sum<number>('amount').as('sum'),
        fn.max('amount').as('max'),
        fn.avg<number>('ratio').as('mean'),
      ])
      .where('id', 'in', ['n1', 'n2'])
      .executeTakeFirstOrThrow()
    expect(row).toEqual({ rows: 2, sum: 2 * now + 1, max: now + 1, mean: 0.25 })
  })

  test('integer arithmetic on a parameter stays whole, as time buckets need it', async () => {
    const { rows } = await sql<{ bucket: number }>`
      select (cast(${now} as bigint) / ${hour}) * ${hour} as bucket`.execute(db)
    expect(rows[0]?.bucket).toBe(Math.floor(now / hour) * hour)
    const grouped = await db
      .insertInto('items')
      .values(item('bucket', now))
      .execute()
      .then(() => sql<{ bucket: number }>`select amount / ${hour} as bucket from items where id = 'bucket'`.execute(db))
    expect(grouped.rows[0]?.bucket).toBe(Math.floor(now / hour))
  })

  test('text of any script and bytes come back as they were', async () => {
    const bytes = Buffer.from([0, 255, 10, 128])
    await db
      .insertInto('items')
      .values({ ...item('bytes'), label: '你好 🌍 \'"\\', bytes })
      .execute()
    const row = await db.selectFrom('items').selectAll().where('id', '=', 'bytes').executeTakeFirstOrThrow()
    expect(row.label).toBe('你好 🌍 \'"\\')
    expect(Buffer.isBuffer(row.bytes)).toBe(true)
    expect(row.bytes).toEqual(bytes)
  })

  test('writes tell how many rows they touched, with and without returning', async () => {
    await db
      .insertInto('items')
      .values([item('t1'), item('t2')])
      .execute()
    const updated = await db.updateTable('items').set({ amount: 5 }).where('id', 'in', ['t1', 't2']).executeTakeFirst()
    expect(updated.numUpdatedRows).toBe(2n)
    const deleted = await db.deleteFrom('items').where('id', 'in', ['t1', 't2', 't3']).returning('id').execute()
    expect(deleted.map((row) => row.id).sort()).toEqual(['t1', 't2'])
  })

  test('what one statement committed, the next read sees', async () => {
    for (let round = 0; round < 20; round++) {
      await db
        .insertInto('items')
        .values(item(`seen-${round}`, round))
        .execute()
      expect(await amountOf(db, `seen-${round}`)).toBe(round)
    }
  })

  test('a transaction that throws leaves nothing behind, and its error is the one told', async () => {
    const failing = db.transaction().execute(async (trx) => {
      await trx.insertInto('items').values(item('gone')).execute()
      expect(await amountOf(trx, 'gone')).toBe(1)
      throw new Error('changed my mind')
    })
    await expect(failing).rejects.toThrow('changed my mind')
    expect(await amountOf(db, 'gone')).toBeUndefined()
    await db.insertInto('items').values(item('after-rollback')).execute()
  })

  test('others do not see a transaction before it commits, and are not held up by it', async () => {
    await db.transaction().execute(async (trx) => {
      await trx.insertInto('items').values(item('private')).execute()
      expect(await amountOf(db, 'private')).toBeUndefined()
    })
    expect(await amountOf(db, 'private')).toBe(1)
  })

  test('transactions at the same time do not interleave: no count is lost', async () => {
    await db.insertInto('items').values(item('counter', 0)).execute()
    const addOne = () =>
      db.transaction().execute(async (trx) => {
        const row = await trx
          .selectFrom('items')
          .select('amount')
          .where('id', '=', 'counter')
          .$if(name === 'postgres', (query) => query.forUpdate())
          .executeTakeFirstOrThrow()
        await trx
          .updateTable('items')
          .set({ amount: row.amount + 1 })
          .where('id', '=', 'counter')
          .execute()
      })
    await Promise.all(Array.from({ length: 12 }, addOne))
    expect(await amountOf(db, 'counter')).toBe(12)
  })

  test('a write outside waits for no transaction to be torn: both are kept whole', async () => {
    const inside = db.transaction().execute(async (trx) => {
      await trx.insertInto('items').values(item('inside-1')).execute()
      await amountOf(db, 'inside-1')
      await trx.insertInto('items').values(item('inside-2')).execute()
      throw new Error('rolled back')
    })
    const outside = db.insertInto('items').values(item('outside')).execute()
    await expect(inside).rejects.toThrow('rolled back')
    await outside
    expect(await amountOf(db, 'outside')).toBe(1)
    expect(await amountOf(db, 'inside-1')).toBeUndefined()
    expect(await amountOf(db, 'inside-2')).toBeUndefined()
  })

  test('a long read holds up neither writes nor the reads of what they wrote', async () => {
    const finished: string[] = []
    const long = sql<{ count: number }>`
      with recursive numbers (n) as (select 1 union all select n + 1 from numbers where n < 400000)
      select count(*) as count from numbers`
      .execute(db)
      .then((result) => finished.push(`long read of ${result.rows[0]?.count}`))
    await db.insertInto('items').values(item('meanwhile')).execute()
    finished.push('write')
    await long
    expect(finished).toEqual(['write', 'long read of 400000'])
  })

  test('a savepoint takes back its part only', async () => {
    const trx = await db.startTransaction().execute()
    await trx.insertInto('items').values(item('kept')).execute()
    const inner = await trx.savepoint('inner').execute()
    await inner.insertInto('items').values(item('dropped')).execute()
    await inner.rollbackToSavepoint('inner').execute()
    await trx.commit().execute()
    expect([await amountOf(db, 'kept'), await amountOf(db, 'dropped')]).toEqual([1, undefined])
  })

  test('a taken key is recognised as such, a missing value is not', async () => {
    await db.insertInto('items').values(item('once')).execute()
    const again = await db
      .insertInto('items')
      .values(item('once'))
      .execute()
      .catch((error: unknown) => error)
    expect(isUniqueViolation(again)).toBe(true)
    const empty = await db
      .insertInto('items')
      .values({ ...item('empty'), label: null as unknown as string })
      .execute()
      .catch((error: unknown) => error)
    expect(empty).toBeInstanceOf(Error)
    expect(isUniqueViolation(empty)).toBe(false)
  })

  test('an upsert by onConflict adds to what is there', async () => {
    const add = (amount: number) =>
      db
        .insertInto('items')
        .values(item('sum', amount))
        .onConflict((conflict) =>
          conflict
            .column('id')
            .doUpdateSet({ amount: ({ ref }) => sql`${ref('items.amount')} + ${ref('excluded.amount')}` }),
        )
        .execute()
    await add(2)
    await add(40)
    expect(await amountOf(db, 'sum')).toBe(42)
  })

  describe('streams', () => {
    beforeAll(async () => {
      const rows = Array.from({ length: 250 }, (_, index) => [`s${String(index).padStart(3, '0')}`, 'stream', index])
      await insertMany(db, 'items', ['id', 'label', 'amount'], rows, { ignoreConflictOn: 'id', returning: 'id' })
    })
    const streamed = (on: Kysely<Tables>) =>
      on.selectFrom('items').select(['id', 'amount']).where('label', '=', 'stream').orderBy('id')

    test('bring every row once and in order, in chunks', async () => {
      const amounts: number[] = []
      for await (const row of streamed(db).stream(100)) amounts.push(row.amount)
      expect(amounts).toEqual(Array.from({ length: 250 }, (_, index) => index))
    })

    test('may be left early, and do not hide from others what was committed since', async () => {
      for await (const row of streamed(db).stream(10)) {
        expect(row.amount).toBe(0)
        await db.insertInto('items').values(item('during-stream')).execute()
        expect(await amountOf(db, 'during-stream')).toBe(1)
        break
      }
      await db.deleteFrom('items').where('id', '=', 'during-stream').execute()
    })

    test('inside a transaction see its rows and let it write', async () => {
      await db.transaction().execute(async (trx) => {
        await trx.updateTable('items').set({ amount: 7 }).where('id', '=', 's000').execute()
        const first: number[] = []
        for await (const row of streamed(trx).stream(100)) first.push(row.amount)
        expect(first[0]).toBe(7)
        await trx.updateTable('items').set({ amount: 0 }).where('id', '=', 's000').execute()
      })
    })

    test('of a statement that fails reject with its error, and the store goes on', async () => {
      const stream = db
        .selectFrom('nowhere' as 'items')
        .selectAll()
        .stream(10)
      await expect(stream.next()).rejects.toThrow(/nowhere/)
      await database.ping()
    })
  })

  describe('insertMany', () => {
    const columns = Array.from(
      { length: 35 },
      (_, index) => `c_${String.fromCharCode(97 + (index % 26))}${'x'.repeat(Math.floor(index / 26))}`,
    )
    const row = (id: string) =>
      columns.map((_, at) => (at === 0 ? id : at % 3 === 0 ? null : at % 3 === 1 ? now + at : `值 "${at}"`))
    const insert = (rows: ReturnType<typeof row>[]) =>
      insertMany(db, 'wide', columns, rows, { ignoreConflictOn: columns[0]!, returning: columns[0]! })

    beforeAll(async () => {
      let table = db.schema.createTable('wide').addColumn(columns[0]!, 'text', (column) => column.primaryKey())
      for (const [at, column] of columns.entries()) {
        if (at > 0) table = table.addColumn(column, at % 3 === 1 ? 'bigint' : 'text')
      }
      await table.execute()
    })

    test('stores a batch of 500 rows of 35 columns as they were', async () => {
      const ids = Array.from({ length: 500 }, (_, index) => `w${index}`)
      expect((await insert(ids.map(row))).sort()).toEqual([...ids].sort())
      const stored = await db.selectFrom('wide').selectAll().where(columns[0]!, '=', 'w499').executeTakeFirstOrThrow()
      expect(columns.map((column) => stored[column])).toEqual(row('w499'))
    })

    test('counts a row once however often it is sent, also twice in one batch', async () => {
      await insert([row('again')])
      expect(await insert([row('again'), row('fresh'), row('fresh')])).toEqual(['fresh'])
    })

    test('is rolled back with its transaction', async () => {
      const failing = db.transaction().execute(async (trx) => {
        await insertMany(trx, 'wide', columns, [row('undone')], {
          ignoreConflictOn: columns[0]!,
          returning: columns[0]!,
        })
        throw new Error('no')
      })
      await expect(failing).rejects.toThrow('no')
      expect(await insert([row('undone')])).toEqual(['undone'])
    })

    test('text that PostgreSQL cannot hold does not lose the batch', async () => {
      const values = row('odd')
      values[2] = 'nul \u0000 and half a pair \ud83d.'
      expect(await insert([values, row('even')])).toEqual(['odd', 'even'])
      const stored = await db.selectFrom('wide').selectAll().where(columns[0]!, '=', 'odd').executeTakeFirstOrThrow()
      expect(stored[columns[2]!]).toBe('nul \uFFFD and half a pair \uFFFD.')
    })

    test('what is the same in every row of a batch is stored as it was', async () => {
      const same = ["it's; drop table items; --", -42, null, '', 0, Number.MAX_SAFE_INTEGER, '数 "x" \\']
      for (const [round, value] of same.entries()) {
        const column = columns[typeof value === 'number' ? 1 : 2]!
        const ids = Array.from({ length: 60 }, (_, index) => `same-${round}-${index}`)
        const inserted = await insert(ids.map((id) => row(id).map((was, at) => (columns[at] === column ? value : was))))
        expect(inserted.sort()).toEqual(ids.sort())
        const stored = await db.selectFrom('wide').select(column).where(columns[0]!, '=', ids[7]!).execute()
        expect(stored).toEqual([{ [column]: value }])
      }
    })

    test('texts of rows are taken for rows', async () => {
      const texts = ['t1', 't2'].map((id) => JSON.stringify(row(id)))
      const inserted = await insertMany(db, 'wide', columns, texts, {
        ignoreConflictOn: columns[0]!,
        returning: columns[0]!,
      })
      expect(inserted).toEqual(['t1', 't2'])
      const stored = await db.selectFrom('wide').selectAll().where(columns[0]!, '=', 't2').executeTakeFirstOrThrow()
      expect(columns.map((column) => stored[column])).toEqual(row('t2'))
    })

    test('nothing to insert is no statement, and a name that is not ours is refused', async () => {
      expect(await insert([])).toEqual([])
      await expect(
        insertMany(db, 'wide; drop table items', columns, [row('x')], { ignoreConflictOn: 'id', returning: 'id' }),
      ).rejects.toThrow('Not a name of ours')
    })
  })

  describe('addMany', () => {
    const sum = (who: string, at: number, n: number, ms: number) => ({ who, at, n, ms_sum: ms })
    const add = (rows: ReturnType<typeof sum>[]) =>
      addMany(db, 'sums', ['who', 'at'] as const, ['n', 'ms_sum'] as const, rows)
    const stored = () => db.selectFrom('sums').selectAll().orderBy('who').execute()

    beforeAll(async () => {
      await db.schema
        .createTable('sums')
        .addColumn('who', 'text', (column) => column.notNull())
        .addColumn('at', 'bigint', (column) => column.notNull())
        .addColumn('n', 'bigint', (column) => column.notNull())
        .addColumn('ms_sum', 'bigint', (column) => column.notNull())
        .addPrimaryKeyConstraint('sums_key', ['who', 'at'])
        .execute()
    })

    test('inserts what is not there and adds to what is', async () => {
      await add([sum('a', now, 1, 5), sum('b', now, 2, 0)])
      await add([sum('a', now, 3, 7), sum('b', now, -2, 1), sum('c', now, 1, 2 ** 50)])
      expect(await stored()).toEqual([sum('a', now, 4, 12), sum('b', now, 0, 1), sum('c', now, 1, 2 ** 50)])
    })

    test('adds a batch to itself, however many of its rows share a value', async () => {
      const many = Array.from({ length: 60 }, (_, index) => sum(`many-${index}`, now, 1, 3))
      await add(many)
      await add(many)
      const rows = (await stored()).filter(({ who }) => who.startsWith('many-'))
      expect(rows).toHaveLength(60)
      expect(new Set(rows.map(({ n, ms_sum }) => `${n} ${ms_sum}`))).toEqual(new Set(['2 6']))
    })
  })

  test('a revision moves with the commit of its change and not before', async () => {
    expect(await readRevision(db, 'routes')).toBe(0)
    await db.transaction().execute(async (trx) => {
      await bumpRevision(trx, 'routes')
      expect(await readRevision(db, 'routes')).toBe(0)
    })
    await db.transaction().execute((trx) => bumpRevision(trx, 'routes'))
    expect(await readRevision(db, 'routes')).toBe(2)
    expect(await readRevision(db, 'keys')).toBe(0)
  })

  test('a table changed later is read as it is now by statements prepared before', async () => {
    await db.schema.createTable('growing').addColumn('id', 'text').execute()
    const all = () => sql<Record<string, unknown>>`select * from growing`.execute(db)
    await sql`insert into growing (id) values ('a')`.execute(db)
    expect((await all()).rows).toEqual([{ id: 'a' }])
    await db.schema.alterTable('growing').addColumn('size', 'bigint').execute()
    expect((await all()).rows).toEqual([{ id: 'a', size: null }])
    await db.schema.alterTable('growing').renameColumn('id', 'name').execute()
    expect((await all()).rows).toEqual([{ name: 'a', size: null }])
  })

  test('a closed store refuses at once, and closing twice is closing once', async () => {
    const own = await openDatabase<Tables>({ url: await address(), dataDir: '', log: silentLog })
    await own.ping()
    await Promise.all([own.close(), own.close()])
    await expect(own.ping()).rejects.toMatchObject({ code: 'unavailable' })
  })
})
