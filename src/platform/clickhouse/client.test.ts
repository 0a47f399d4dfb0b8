import { sql } from 'kysely'
import { describe, expect, onTestFinished, test } from 'vitest'
import { type ClickHouseOptions, openClickHouse } from './client.ts'
import { analyticsConfig, readAddress } from './config.ts'
import { createClickHouseReader, literal } from './dialect.ts'
import { compactOf, type Heard, type Said, startRecordingServer } from './testing.ts'

async function start(say: (heard: Heard) => Said, options: Partial<ClickHouseOptions> = {}) {
  const server = await startRecordingServer(say)
  const clickhouse = openClickHouse({ url: server.url, statementTimeoutMs: 1000, graceMs: 0, ...options })
  onTestFinished(() => clickhouse.close())
  return { ...server, clickhouse }
}

describe('the address', () => {
  test('is read as ClickHouse’s own clients read it', () => {
    expect(readAddress('clickhouse://hub:p%40ss@db.example.com/reports?secure=true')).toEqual({
      ...{ origin: 'https://db.example.com:8443', user: 'hub', password: 'p@ss', database: 'reports' },
    })
    expect(readAddress('clickhouse://db')).toEqual({
      ...{ origin: 'http://db:8123', user: 'default', password: '', database: 'default' },
    })
    expect(readAddress('clickhouse://[::1]:9/x')?.origin).toBe('http://[::1]:9')
  })

  test.each([
    ...['http://db:8123', 'clickhouse://', 'clickhouse:db', 'clickhouse://db/a/b', 'clickhouse://db?sucure=true'],
    ...['clickhouse://db?secure=maybe', 'clickhouse://a:%zz@db', 'no address'],
  ])('%s is refused, and not repeated', (url) => {
    const parsed = analyticsConfig.safeParse({ url })
    expect(parsed.success).toBe(false)
    expect(parsed.error?.issues[0]?.message).toBe(
      'This is not an address such as clickhouse://user:password@host:8123/gatehouse',
    )
  })
})

describe('a statement', () => {
  test('goes with who asks in headers, never in the address; one that reads may change nothing', async () => {
    const { clickhouse, heard } = await start(() => [{ n: 1, text: 'ü' }])
    expect(await clickhouse.ask('select 1 as n')).toEqual([{ n: 1, text: 'ü' }])
    await clickhouse.run('create table t')
    const [read, changed] = heard
    expect(read!.headers).toMatchObject({
      ...{ 'x-clickhouse-user': 'hub', 'x-clickhouse-key': "p'ss%w\\rd", 'x-clickhouse-database': 'reports' },
    })
    expect(read!.query.get('readonly')).toBe('2')
    expect(read!.query.get('max_execution_time')).toBe('1')
    expect(changed!.query.get('readonly')).toBeNull()
    expect([...read!.query].join()).not.toContain("p'ss")
  })

  test('that inserts sends every row as a line of its own and tells how many there were', async () => {
    const { clickhouse, heard } = await start(() => (response) => response.end())
    const rows = (async function* () {
      for (let i = 0; i < 3; i++) yield JSON.stringify([i, 'a\nb'])
    })()
    expect(await clickhouse.insert('t', ['n', 'text'], rows)).toBe(3)
    expect(heard[0]!.statement.split('\n')).toEqual([
      ...['insert into "t" ("n", "text") format JSONCompactEachRow', '[0,"a\\nb"]', '[1,"a\\nb"]', '[2,"a\\nb"]', ''],
    ])
  })

  test('of Kysely holds its values as texts that nothing can break out of', async () => {
    const { clickhouse, heard } = await start(() => [])
    const evil = ["'", '\\', "\\' or 1=1 --", "''", 'a\0b\n', '模型', '"; drop table t']
    await sql`select ${evil[2]} where x in (${sql.join(evil)}) and y = ${sql.lit("a'b\\")} and z is ${null}`.execute(
      createClickHouseReader(clickhouse),
    )
    const [{ statement }] = heard as [Heard]
    expect(statement).toBe(
      `select '\\\\\\' or 1=1 --' where x in (${evil.map(literal).join(', ')}) and y = 'a\\'b\\\\' and z is NULL`,
    )
    expect(literal("it's a \\")).toBe("'it\\'s a \\\\'")
    expect(() => literal({})).toThrow('No literal')
    expect(() => literal(Number.NaN)).toThrow('No literal')
  })

  test('that would change something never gets out of a Kysely for reading', async () => {
    const { clickhouse, heard } = await start(() => [])
    const db = createClickHouseReader<{ t: { a: number } }>(clickhouse)
    await expect(db.transaction().execute(async () => {})).rejects.toThrow('only read')
    await db.insertInto('t').values({ a: 1 }).execute()
    expect(heard.map(({ query }) => query.get('readonly'))).toEqual(['2'])
  })
})

describe('what goes wrong is told as it is, and never the password', () => {
  const half = compactOf([{ a: 1 }, { a: 2 }])
  const faults: Record<string, [Said, RegExp]> = {
    'a refused password': [
      (response) => {
        response.writeHead(403, { 'x-clickhouse-exception-code': '516' })
        response.end("Code: 516. DB::Exception: hub: Authentication failed: password is incorrect, p'ss%w\\rd")
      },
      /refuses the user.*analytics\.url/,
    ],
    'a statement it does not know': [
      (response) => {
        response.writeHead(400, { 'x-clickhouse-exception-code': '62' })
        response.end('Code: 62. DB::Exception: Syntax error')
      },
      /refused a statement/,
    ],
    'an exception beneath a good status': [
      (response) => {
        response.writeHead(200, { 'x-clickhouse-exception-code': '241' })
        response.end('Code: 241. Memory limit')
      },
      /refused a statement/,
    ],
    'half an answer, its length told': [
      (response) => {
        response.writeHead(200, { 'content-length': String(half.length) })
        response.write(half.slice(0, 30), () => response.destroy())
      },
      /cannot answer now/,
    ],
    'half an answer that ends like a whole one': [(response) => response.end(half.slice(0, 30)), /broke off/],
    'fewer rows than it says': [
      (response) => response.end(half.replace('"rows":2', '"rows":3')),
      /answer that is none/,
    ],
    'something else than ClickHouse': [(response) => response.end('{"hello":"world"}'), /answer that is none/],
    silence: [() => {}, /cannot answer now/],
    'more than is read': [(response) => response.end('x'.repeat(5000)), /too large/],
  }

  test.each(Object.entries(faults))('%s', async (_, [said, message]) => {
    const { clickhouse, heard } = await start(() => said, { statementTimeoutMs: 100, maxAnswerBytes: 4000 })
    const error = await clickhouse.ask('select 1').then(
      () => null,
      (thrown: unknown) => thrown as { code: string; message: string; detail?: string },
    )
    expect(error).toMatchObject({ code: 'unavailable', message: expect.stringMatching(message) })
    // A statement that was cut off may have been done: it is not sent again.
    expect(heard.length).toBe(1)
    expect(JSON.stringify([error!.message, clickhouse.where])).not.toContain("p'ss")
  })

  test('nobody there', async () => {
    const { clickhouse, stop } = await start(() => [])
    await stop()
    await expect(clickhouse.ask('select 1')).rejects.toMatchObject({ code: 'unavailable' })
    await expect(clickhouse.version()).rejects.toMatchObject({ code: 'unavailable' })
  })
})
