import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { until } from '../../../test/harness/control.ts'
import { type Service, startPostgres } from '../../../test/harness/services.ts'
import { createRecordingLog } from '../../platform/database/testing-log.ts'
import { postgres } from './postgres.ts'
import { checkWithPromtool, runCollectors } from './testing.ts'

const known = process.env.GATEHOUSE_TEST_POSTGRES_URL ?? ''

/** In the order of being made; each ends with the file. */
const ends: (() => unknown)[] = []
afterAll(async () => {
  for (const end of ends.reverse()) await end()
})

async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => {})
  await client.connect()
  ends.push(() => client.end().catch(() => {}))
  return client
}

function watch(url: string, config: Record<string, unknown> = {}, log = createRecordingLog()) {
  const parts = { own: { postgres: url, redis: '' }, log: { ...log, child: () => log } }
  const run = runCollectors([postgres], { parts, config })
  ends.push(() => run.stop())
  return { ...run, log }
}

const own = (name: string, rest = '') => `gatehouse_postgres_${name}{target="own"${rest}}`

describe.skipIf(known === '')('a real PostgreSQL', () => {
  let server: Service
  beforeAll(async () => {
    server = await startPostgres(['shared_preload_libraries=pg_stat_statements', 'max_connections=50'])
    ends.push(() => server.destroy())
  }, 60_000)

  test('the numbers are those of pg_stat_activity, pg_settings and the sizes it tells', async () => {
    const client = await connect(server.url)
    await client.query('create table orders (id int primary key, note text)')
    await client.query("insert into orders select n, 'x' from generate_series(1, 500) n")
    await client.query('analyze orders')
    const open = await Promise.all(Array.from({ length: 5 }, () => connect(server.url)))
    await open[0]!.query('begin')
    const run = watch(server.url)
    const found = await run.read()
    const { rows } = await client.query(
      "select state, count(*)::int as n from pg_stat_activity where backend_type = 'client backend' group by 1",
    )
    const states = Object.fromEntries(rows.map(({ state, n }) => [state, n]))
    // Both see whoever asks as active: the hub's own connection is idle when the test asks.
    expect(found[own('connections', ',state="idle"')]).toBe(states.idle)
    expect(found[own('connections', ',state="active"')]).toBe(1)
    expect(found[own('connections', ',state="idle in transaction"')]).toBe(1)
    expect(found[own('max_connections')]).toBe(50)
    // The same machine: the same clock.
    expect(Math.abs(found[own('clock_ahead_seconds')]!)).toBeLessThan(2)
    const size = await client.query("select pg_total_relation_size('orders')::int as bytes")
    expect(found[own('table_bytes', ',table="public.orders"')]).toBe(size.rows[0].bytes)
    await until('the server has counted the rows', async () => {
      return (await run.read())[own('table_rows', ',table="public.orders",kind="live"')] === 500
    })
    const inserted = 'gatehouse_postgres_rows_total{target="own",operation="inserted"}'
    await until('the rows are counted', async () => (await run.read())[inserted]! >= 500)
    const again = await run.read()
    expect(again['gatehouse_postgres_blocks_total{target="own",from="hit"}']).toBeGreaterThan(0)
    await open[0]!.query('rollback')
  })

  test('whoever waits for a lock is seen, and for how long the transaction in the way is open', async () => {
    const [holder, waiter] = [await connect(server.url), await connect(server.url)]
    await holder.query('create table locked (id int)')
    await holder.query('begin')
    await holder.query('lock table locked')
    const waiting = waiter.query('select * from locked').catch(() => {})
    const run = watch(server.url)
    await until('the waiter is seen', async () => (await run.read())[own('lock_waiting_sessions')] === 1)
    const found = await run.read()
    expect(found[own('waited_locks')]).toBe(1)
    // The size of a locked table cannot be had without waiting too.
    expect(found).not.toHaveProperty([own('table_bytes', ',table="public.locked"')])
    expect(found[own('longest_transaction_seconds')]).toBeGreaterThan(0)
    await holder.query('commit')
    await waiting
    expect(await run.read()).toHaveProperty([own('table_bytes', ',table="public.locked"')])
    expect(await run.read()).toMatchObject({ [own('lock_waiting_sessions')]: 0, [own('waited_locks')]: 0 })
  })

  test('without pg_stat_statements it says so once, and gives no number of slow statements', async () => {
    const run = watch(server.url)
    for (let round = 0; round < 2; round++) {
      const found = await run.read()
      expect(found[own('statement_statistics')]).toBe(0)
      expect(Object.keys(found).filter((name) => /slow_queries|postgres_statement_(calls|seconds)/.test(name))).toEqual(
        [],
      )
    }
    expect(run.log.lines).toMatchObject([
      { level: 'info', fields: { cause: expect.stringContaining('pg_stat_statements'), remedy: expect.any(String) } },
    ])
  })

  test('slow statements are counted as often as they ran, and the top ones told without their constants', async () => {
    const client = await connect(server.url)
    await client.query('create extension pg_stat_statements')
    const run = watch(server.url, { slow_query_seconds: 0.05 })
    const slow = async () => (await run.read())['gatehouse_postgres_slow_queries_total{target="own"}']
    expect(await slow()).toBe(0)
    for (let i = 0; i < 3; i++) await client.query("select 'very secret', pg_sleep(0.06)")
    await client.query("select 'quick'")
    expect(await slow()).toBe(3)
    expect(await slow()).toBe(3)
    await client.query("select 'very secret', pg_sleep(0.06)")
    expect(await slow()).toBe(4)
    await client.query("alter role gatehouse password 'gatehouse'")
    const text = await run.render()
    expect(text).toMatch(
      /statement_calls_total\{target="own",query="-?\d+",statement="select \$1, pg_sleep\(\$2\)"\} 4/,
    )
    expect(text).not.toMatch(/very secret|password '/)
    const { rows } = await client.query(
      "select total_exec_time / 1000 as seconds from pg_stat_statements where query = 'select $1, pg_sleep($2)'",
    )
    const seconds = /statement_seconds_total\{[^}]*pg_sleep[^}]*\} (\S+)/.exec(text)?.[1]
    expect(Number(seconds)).toBeCloseTo(rows[0].seconds, 6)
    expect(Object.keys(await run.read()).filter((name) => name.includes('statement_calls'))).toHaveLength(10)
    await checkWithPromtool(text)
  })

  test('while the server is away there is no number of it, and afterwards there are again', {
    timeout: 60_000,
  }, async () => {
    const run = watch(server.url)
    expect(await run.read()).toHaveProperty([own('database_bytes')])
    await server.stop()
    const found = await run.read()
    expect(Object.keys(found).filter((name) => name.startsWith('gatehouse_postgres_'))).toEqual([])
    expect(found['gatehouse_collector_up{collector="postgres",target="own"}']).toBe(0)
    await server.start()
    expect(await run.read()).toHaveProperty([own('database_bytes')])
    expect(run.log.lines.filter(({ level }) => level === 'warn')).toHaveLength(1)
  })
})

test('an address that stands elsewhere is read there, and one that is nowhere refuses the start', () => {
  process.env.TEST_BILLING_URL = 'postgres://u:hush-hush-hush@127.0.0.1:9/x'
  const guarded: string[] = []
  const open = (address: string) =>
    runCollectors([postgres], {
      config: { postgres: [`billing=${address}`] },
      parts: { guardSecret: (secret) => guarded.push(secret) },
    })
  open('env:TEST_BILLING_URL')
  delete process.env.TEST_BILLING_URL
  expect(guarded).toContain('hush-hush-hush')
  expect(() => open('env:TEST_BILLING_URL')).toThrow(/TEST_BILLING_URL is not set.*collectors\.postgres/)
  expect(() => open('file:/nowhere/at/all')).toThrow(/nowhere.*collectors\.postgres/)
})
