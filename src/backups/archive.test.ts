import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import fc from 'fast-check'
import { sql, type TableMetadata } from 'kysely'
import { beforeAll, describe, expect, test } from 'vitest'
import { HubError } from '../kernel/errors.ts'
import { migrations } from '../migrations/index.ts'
import { openFill, type StoreAddress, type Value } from '../platform/database/copying/index.ts'
import { engines } from '../platform/database/testing.ts'
import { createRecoveryKey } from './archive/keys.ts'
import { contentsOfStore, createBench, putRows } from './testing.ts'

const bench = createBench()

async function faultOf(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => null,
    (thrown: unknown) => thrown,
  )
  if (!(error instanceof HubError)) throw error ?? new Error('it was taken')
  return error.code === 'backup_unusable' ? `${error.param}: ${error.message}` : `${error.code}: ${error.message}`
}

describe.each(engines())('backups of a store on $name', ({ name, address }) => {
  let url = ''
  beforeAll(async () => {
    url = await address()
    const database = await bench.openStore(url)
    await putRows(database.kysely, 3000)
    await database.close()
  })
  const store = (of = url) => ({ url: of, dataDir: bench.folder })

  test('a restored backup holds every row as it was, and the store as it was is kept', async () => {
    const before = await contentsOfStore(store())
    const { id, rows } = await bench.take(url)
    expect(rows).toBe(Object.values(before).flat().length)
    const database = await bench.openStore(url)
    await database.kysely.deleteFrom('backup_runs').execute()
    await database.close()

    const restored = await bench.restore(url, id)
    expect(await contentsOfStore(store())).toEqual(before)
    expect(restored.kept).toMatch(name === 'sqlite' ? /gatehouse\.db\.before-/ : /^schema gatehouse_before_/)
    if (name === 'sqlite') expect((await contentsOfStore(store(`sqlite:${restored.kept}`))).backup_runs).toEqual([])
    // And the program works on it: keys, indexes and all.
    const again = await bench.openStore(url)
    await expect(putRows(again.kysely, 1)).rejects.toThrow(/unique|duplicate/i)
    await again.close()
  })

  test('a backup is restored into a store that is not there yet', async () => {
    const { id } = await bench.take(url)
    const fresh = await address()
    const restored = await bench.restore(fresh, id)
    expect(restored.kept).toBe('')
    expect(await contentsOfStore(store(fresh))).toEqual(await contentsOfStore(store()))
  })

  test('restore(backup(x)) is x, whatever stands in it', async () => {
    const value = fc.record({
      message: fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('', "'; drop table", '\\x00', '{"b":"AA=="}')),
      bytes: fc.oneof(fc.maxSafeInteger(), fc.constantFrom(0, -1, Number.MAX_SAFE_INTEGER)),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(value, { maxLength: 30 }), async (values) => {
        const from = await address()
        const to = await address()
        const database = await bench.openStore(from)
        const rows = values.map(({ message, bytes }, index) => ({
          ...{ id: `r${index}`, kind: 'verify', outcome: 'ok', archive_id: '', started_at: 0, finished_at: 0, bytes },
          ...{ rows_count: 0, message: message.replaceAll('\0', '').toWellFormed(), details: '{}' },
        }))
        if (rows.length > 0) await database.kysely.insertInto('backup_runs').values(rows).execute()
        await database.close()
        const { id } = await bench.take(from)
        await bench.restore(to, id)
        expect(await contentsOfStore(store(to))).toEqual(await contentsOfStore(store(from)))
      }),
      { numRuns: 2 },
    )
  })

  test('restore(backup(x)) is x in every table, for whatever its columns can hold', { timeout: 90_000 }, async () => {
    const wished = fc.record({
      texts: fc.array(fc.string({ unit: 'binary', maxLength: 40 }), { minLength: 8, maxLength: 8 }),
      numbers: fc.array(
        fc.oneof(
          fc.maxSafeInteger(),
          fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
          fc.constantFrom(0, -1, Number.MIN_SAFE_INTEGER, 2n ** 53n + 1n),
        ),
        { minLength: 8, maxLength: 8 },
      ),
      isNull: fc.array(fc.boolean(), { minLength: 8, maxLength: 8 }),
    })
    await fc.assert(
      fc.asyncProperty(wished, async (wish) => {
        const [from, to] = [await address(), await address()]
        const database = await bench.openStore(from)
        const tables = await database.kysely.introspection.getTables()
        await database.close()
        const filled = await fillEveryTable(store(from), tables, wish)
        expect(filled).toBeGreaterThan(80)
        const { id } = await bench.take(from)
        await bench.restore(to, id)
        expect(await contentsOfStore(store(to))).toEqual(await contentsOfStore(store(from)))
      }),
      { numRuns: 2 },
    )
  })

  test('a backup shows one moment, while others write', async () => {
    const from = await address()
    const database = await bench.openStore(from)
    await database.kysely.insertInto('revisions').values({ name: 'pairs', value: 0 }).execute()
    let written = 0
    let isDone = false
    const writing = (async () => {
      while (!isDone) {
        await database.kysely.transaction().execute(async (trx) => {
          // All or nothing: a backup that saw the rows and not their number saw no moment.
          await putRows(trx, 2, `w${written}`)
          await trx.updateTable('revisions').set({ value: ++written }).where('name', '=', 'pairs').execute()
        })
      }
    })()
    for (let round = 0; round < 2; round++) {
      const { id } = await bench.take(from)
      const to = await address()
      await bench.restore(to, id)
      const copy = await bench.openStore(to)
      const rows = await sql<{ n: number }>`select count(*) as n from backup_runs`.execute(copy.kysely)
      const pairs = await copy.kysely.selectFrom('revisions').selectAll().where('name', '=', 'pairs').execute()
      await copy.close()
      expect(Number(rows.rows[0]!.n)).toBe(2 * Number(pairs[0]!.value))
    }
    isDone = true
    await writing
    await database.close()
    expect(written).toBeGreaterThan(0)
  })

  test('an increment holds what has changed since, and hour by hour each of a chain restores the moment it shows', {
    timeout: 90_000,
  }, async () => {
    const from = await address()
    const database = await bench.openStore(from)
    await putRows(database.kysely, 12_000)
    const full = await bench.take(from)
    const moments = [{ id: full.id, contents: await contentsOfStore(store(from)) }]
    for (let hour = 1; hour <= (name === 'sqlite' ? 6 : 3); hour++) {
      await putRows(database.kysely, 50, `z${hour}`)
      await database.kysely
        .updateTable('backup_runs')
        .set({ message: `changed ${hour}` })
        .where('id', '=', `a-${String(hour * 700).padStart(6, '0')}`)
        .execute()
      await database.kysely
        .deleteFrom('backup_runs')
        .where('id', '=', `a-${String(hour * 700 + 350).padStart(6, '0')}`)
        .execute()
      const taken = await bench.take(from, { kind: 'increment', baseId: moments.at(-1)!.id })
      expect(taken.chain).toEqual(moments.map(({ id }) => id))
      expect(taken.fileBytes).toBeLessThan(full.fileBytes / 3)
      moments.push({ id: taken.id, contents: await contentsOfStore(store(from)) })
    }
    const same = await bench.take(from, { kind: 'increment', baseId: moments.at(-1)!.id })
    expect(same.ownPieces).toBe(0)
    await database.close()
    for (const { id, contents } of moments) {
      const to = await address()
      await bench.restore(to, id)
      expect(await contentsOfStore(store(to))).toEqual(contents)
    }
  })

  test('a restore waits for nobody: a store that is in use is left alone', async () => {
    const { id } = await bench.take(url)
    const database = await bench.openStore(url)
    const before = await contentsOfStore(store())
    expect(await faultOf(bench.restore(url, id))).toMatch(/^conflict: .* is in use by .*nothing was changed/)
    await database.ping()
    await database.close()
    expect(await contentsOfStore(store())).toEqual(before)
  })

  describe('what cannot be used is refused with its cause, and nothing is overwritten', () => {
    const cases: [string, RegExp, (id: string) => Promise<unknown> | unknown][] = [
      [
        'cut off',
        /^truncated: .* is cut off/,
        (id) => bench.damage(id, (bytes) => bytes.subarray(0, bytes.length / 2)),
      ],
      ['cut off in its last byte', /^truncated: /, (id) => bench.damage(id, (bytes) => bytes.subarray(0, -1))],
      ['cut off in its header', /^truncated: /, (id) => bench.damage(id, (bytes) => bytes.subarray(0, 60))],
      ['empty', /^empty: .* 0 bytes/, (id) => bench.damage(id, () => Buffer.alloc(0))],
      ['gone', /^missing: There is no backup/, (id) => rmSync(bench.file(id))],
      [
        'something else',
        /^foreign: /,
        (id) => writeFileSync(bench.file(id), '-- PostgreSQL database dump\n'.repeat(50)),
      ],
      [
        'longer than it was',
        /^truncated: /,
        (id) => bench.damage(id, (bytes) => Buffer.concat([bytes, Buffer.from('x')])),
      ],
      ['changed in a row', /^damaged: .* piece \d+ is not what was written/, (id) => flip(id, 0.5)],
      [
        'changed in its list',
        /^damaged: .* list of its contents/,
        (id) => bench.damage(id, (bytes) => flipAt(bytes, bytes.length - 40)),
      ],
      [
        'changed in its header',
        /^damaged: /,
        (id) => bench.damage(id, (bytes) => Buffer.from(bytes.toString('latin1').replace('1.2.3', '1.2.4'), 'latin1')),
      ],
      [
        'of another format',
        /^format: .* has the format 9, and this program reads 1/,
        (id) =>
          bench.damage(id, (bytes) =>
            Buffer.from(bytes.toString('latin1').replace('"format":1', '"format":9'), 'latin1'),
          ),
      ],
      ['put together from two', /^damaged: /, swapFrames],
    ]
    // They are refused before the store is asked anything; on PostgreSQL a few show it.
    test.each(name === 'sqlite' ? cases : cases.slice(0, 3))('a backup that is %s', async (_, told, harm) => {
      const { id } = await bench.take(url)
      const before = await contentsOfStore(store())
      await harm(id)
      expect(await faultOf(bench.verify(id))).toMatch(told)
      expect(await faultOf(bench.restore(url, id))).toMatch(told)
      expect(await contentsOfStore(store())).toEqual(before)
    })

    test('a backup sealed with another key', async () => {
      const own = { keyId: '0badc0de', wrap: Buffer.alloc(32, 7) }
      const { id } = await bench.take(url, { own })
      expect(await faultOf(bench.restore(url, id))).toMatch(
        /^wrong key: .* opens with the master key 0badc0de, and this hub has feedbeef. Set GATEHOUSE_SECRET_KEY/,
      )
    })

    test('an increment without what it builds on', async () => {
      const full = await bench.take(url)
      const { id } = await bench.take(url, { kind: 'increment', baseId: full.id })
      rmSync(bench.file(full.id))
      expect(await faultOf(bench.restore(url, id))).toMatch(new RegExp(`^missing: There is no backup ${full.id}`))
    })

    test('a backup of a later version', async () => {
      const { id } = await bench.take(url)
      const earlier = migrations.slice(0, -2)
      expect(await faultOf(bench.restore(url, id, { migrations: earlier }))).toMatch(
        /^newer schema: .* is newer than this program: it has 0\d+-[a-z-]+, 0\d+-/,
      )
    })

    test('a backup of an earlier version, unless it is to be brought forward', async () => {
      const old = await address()
      const database = await bench.openStore(old, migrations.slice(0, -2))
      await database.kysely.insertInto('revisions').values({ name: 'old one', value: 42 }).execute()
      await database.close()
      const { id } = await bench.take(old)
      const fresh = await address()
      expect(await faultOf(bench.restore(fresh, id))).toMatch(/^older schema: .* lacks 2 later ones. Add --migrate/)
      await bench.restore(fresh, id, { allowOlder: true })
      const forward = await bench.openStore(fresh)
      const rows = await forward.kysely.selectFrom('revisions').selectAll().where('name', '=', 'old one').execute()
      expect(rows).toEqual([{ name: 'old one', value: 42 }])
      await putRows(forward.kysely, 1)
      await forward.close()
    })

    test('a backup without the row that was written just before', async () => {
      const { id } = await bench.take(url, { sentinel: 'bak_nowhere' })
      expect(await faultOf(bench.restore(url, id))).toMatch(/^mismatch: .* lacks the row bak_nowhere/)
    })

    test('a backup of which the store beside cannot hold a row to its foreign key', async () => {
      const broken = await address()
      const database = await bench.openStore(broken)
      if (name === 'sqlite') await sql`pragma foreign_keys = off`.execute(database.kysely)
      else await sql`alter table services drop constraint if exists nothing`.execute(database.kysely)
      const orphan = sql`insert into budget_spending (budget_id, starts_at, spent_nano_usd) values ('bud_gone', 1, 1)`
      if (name === 'postgres') {
        const { rows } = await sql<{ name: string }>`
          select conname as name from pg_constraint where contype = 'f' and conrelid = 'budget_spending'::regclass`.execute(
          database.kysely,
        )
        await sql`alter table budget_spending drop constraint ${sql.ref(rows[0]!.name)}`.execute(database.kysely)
      }
      await orphan.execute(database.kysely)
      await database.close()
      const { id } = await bench.take(broken)
      expect(await faultOf(bench.restore(await address(), id))).toMatch(/^mismatch: .*(budgets|foreign key)/)
    })
  })

  async function swapFrames(id: string) {
    const other = await bench.take(url)
    const [mine, theirs] = [readFileSync(bench.file(id)), readFileSync(bench.file(other.id))]
    // Its own header and end, and the pieces of a backup of the very same rows.
    const start = (bytes: Buffer) => 17 + 4 + bytes.readUInt32BE(17)
    const pieces = theirs.subarray(start(theirs), start(theirs) + 2000)
    pieces.copy(mine, start(mine))
    writeFileSync(bench.file(id), mine)
  }

  function flip(id: string, where: number) {
    bench.damage(id, (bytes) => flipAt(bytes, Math.floor(bytes.length * where)))
  }
})

function flipAt(bytes: Buffer, at: number): Buffer {
  bytes[at]! ^= 1
  return bytes
}

/** Tables whose rows must name rows of others, or the row there is. */
const bound =
  /^(schema_migrations|user_identities|second_factors|recovery_codes|password_resets|budget_spending|model_providers|provider_keys|response_items|service_instances|service_tokens|service_openapi)$/

/** Eight rows into each table, made of what is wished; how many tables took them. */
async function fillEveryTable(
  address: StoreAddress,
  tables: readonly TableMetadata[],
  { texts, numbers, isNull }: { texts: string[]; numbers: (number | bigint)[]; isNull: boolean[] },
): Promise<number> {
  const fill = await openFill(address, { goesOn: true })
  let filled = 0
  try {
    for (const shape of fill.tables.filter(({ table }) => !bound.test(table))) {
      const columns = new Map(tables.find(({ name }) => name === shape.table)!.columns.map((each) => [each.name, each]))
      const valueFor = (name: string, at: number, index: number): Value => {
        const { dataType, isNullable } = columns.get(name)!
        const isKey = at < shape.keys
        if (isNullable && !isKey && isNull[(index + at) % 8]) return null
        // What tells rows apart must differ, in every column: which of them do is not asked.
        if (/text|char/i.test(dataType))
          return `${texts[(index + at) % 8]!.toWellFormed().replaceAll('\0', '')}~${index}`
        if (/real|float|double/i.test(dataType)) return [0.1, -1e300, 5e-324, 3, -0.5, 1 / 3, 2 ** 60, 7][index]!
        const isSmall = /^(integer|int4|int2)$/i.test(dataType)
        if (isKey || isSmall) return 1000 + index
        return numbers[(index + at) % 8]!
      }
      const rows = Array.from({ length: 8 }, (_, index) => shape.columns.map((name, at) => valueFor(name, at, index)))
      await fill.remove(shape, rows)
      await fill.add(shape, rows)
      filled++
    }
    expect(await fill.finish()).toEqual([])
  } finally {
    await fill.close()
  }
  return filled
}

test('with the recovery key alone everything comes back on a new machine, the master key with it', async () => {
  const { publicKey, secretKey } = createRecoveryKey()
  const from = `sqlite:${bench.path('lost.db')}`
  const database = await bench.openStore(from)
  await putRows(database.kysely, 10)
  await database.close()
  const files = [
    { name: 'secret.key', text: 'the key itself' },
    { name: 'gatehouse.toml', text: '[server]\nport = 8000\n' },
  ]
  const { id } = await bench.take(from, { recoveryKey: publicKey, files })
  expect(readFileSync(bench.file(id)).includes('the key itself')).toBe(false)
  const to = `sqlite:${bench.path('new-machine.db')}`
  const other = createRecoveryKey()
  const alone = (recoverySecret: string) => ({ keys: { own: null, recoverySecret }, hubKeyId: null })
  expect(await faultOf(bench.restore(to, id, alone(other.secretKey)))).toMatch(
    /^wrong key: .* opens with the recovery key/,
  )
  expect(await faultOf(bench.restore(to, id, { keys: { own: null, recoverySecret: null }, hubKeyId: null }))).toMatch(
    /^wrong key: .*there is none here.*--recovery-key-file/,
  )
  const restored = await bench.restore(to, id, alone(`${secretKey}\n`))
  expect(restored.files.map((path) => path.replace(bench.folder, '…').replace(id, '<id>'))).toEqual([
    '…/data/secret.key',
    '…/data/restored-<id>/gatehouse.toml',
  ])
  expect(readFileSync(restored.files[0]!, 'utf8')).toBe('the key itself')
})
