import { describe, expect, test } from 'vitest'
import { readForeignAddress, secretOf } from './address.ts'
import { openForeign } from './open.ts'
import { foreignEngines } from './testing.ts'

const engines = foreignEngines()

describe.each(engines)('a foreign database on $engine', ({ create }) => {
  test('is read, and the engine itself refuses to write', async () => {
    const foreign = await create()
    await foreign.run('create table things (id bigint, name varchar(100))')
    await foreign.insert(
      'things',
      ['id', 'name'],
      [
        [1, '一'],
        [2, null],
        [3_000_000_000, 'three'],
      ],
    )
    const db = openForeign(readForeignAddress(foreign.dsn, 'dsn'))
    const rows = await db.query('select id, name from things where id >= ? and id < ? order by id', [1, 4e9])
    expect(rows).toEqual([
      [1, '一'],
      [2, null],
      [3_000_000_000, 'three'],
    ])
    for (const writing of [
      'insert into things (id) values (4)',
      'delete from things',
      'create table more (id bigint)',
    ]) {
      await expect(db.query(writing)).rejects.toMatchObject({ name: 'ForeignError' })
    }
    expect(Number((await db.query('select count(*) from things'))[0]![0])).toBe(3)
    await db.close()
  })

  test('tells a column and a table that are not there from everything else', async () => {
    const foreign = await create()
    await foreign.run('create table things (id bigint)')
    const db = openForeign(readForeignAddress(foreign.dsn, 'dsn'))
    await expect(db.query('select colour from things')).rejects.toMatchObject({ type: 'missing' })
    await expect(db.query('select id from nowhere')).rejects.toMatchObject({ type: 'missing' })
    await expect(db.query('select from where')).rejects.toMatchObject({ type: 'broken' })
    expect(await db.query('select id from things')).toEqual([])
    await db.close()
  })
})

describe.each(engines.filter(({ engine }) => engine !== 'sqlite'))('an account on $engine', ({ create }) => {
  test('that lacks a right is told so, and one with a wrong password cannot wait for better', async () => {
    const foreign = await create()
    await foreign.run('create table things (id bigint, hidden bigint)')
    const { dsn, grantee } = await foreign.account()
    const db = openForeign(readForeignAddress(dsn, 'dsn'))
    await expect(db.query('select id from things')).rejects.toMatchObject({ type: 'denied' })
    await foreign.run(`grant select (id) on things to ${grantee}`)
    expect(await db.query('select id from things')).toEqual([])
    await expect(db.query('select hidden from things')).rejects.toMatchObject({ type: 'denied' })
    await db.close()
    const url = new URL(dsn)
    url.password = 'wrong-0123'
    const wrong = openForeign(readForeignAddress(url.href, 'dsn'))
    const error = await wrong.query('select 1').catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ type: 'settings' })
    expect(String(error)).not.toContain('wrong-0123')
    await wrong.close()
  })
})

test('addresses are read as people have them, and never shown with their password', () => {
  const go = readForeignAddress('root:p@ss:w/rd@tcp(db.internal:3307)/new-api?charset=utf8mb4&tls=skip-verify', 'dsn')
  expect(go).toMatchObject({ host: 'db.internal', port: 3307, user: 'root', password: 'p@ss:w/rd', tls: 'unverified' })
  expect(go.where).toBe('MySQL at db.internal:3307, account "root", database "new-api"')
  const socket = readForeignAddress('root:x@unix(/run/mysqld/mysqld.sock)/new-api', 'dsn')
  expect(socket).toMatchObject({ socket: '/run/mysqld/mysqld.sock', database: 'new-api' })
  const url = readForeignAddress('postgres://ro:s%40crt@db:5432/new-api', 'dsn')
  expect(url.where).toBe('PostgreSQL at db:5432, role "ro", database "new-api"')
  expect([secretOf(go), secretOf(url)]).toEqual(['p@ss:w/rd', 's@crt'])
  expect(readForeignAddress('sqlite:/data/one-api.db?_busy_timeout=5000', 'dsn')).toMatchObject({
    file: '/data/one-api.db',
  })
})

test.each([
  ['clickhouse://db:9000/logs', 'ClickHouse'],
  ['postgres://ro:x@db:5432', 'names no database'],
  ['sqlite:one-api.db', 'whole path'],
  ['mysql://ro:x@169.254.169.254/x', 'no database is there'],
  ['nonsense', 'cannot be read'],
])('%s is refused, and it says why', (written, why) => {
  expect(() => readForeignAddress(written, 'dsn')).toThrow(why)
})

test('a server that is not there is away', async () => {
  const db = openForeign(readForeignAddress('mysql://ro:x@127.0.0.1:1/x', 'dsn'))
  await expect(db.query('select 1')).rejects.toMatchObject({ type: 'away' })
  const file = openForeign(readForeignAddress('sqlite:/nowhere/at/all.db', 'dsn'))
  await expect(file.query('select 1')).rejects.toMatchObject({ type: 'away' })
})
