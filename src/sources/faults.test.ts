import { afterEach, describe, expect, test } from 'vitest'
import { startMariadb, startPostgres } from '../../test/harness/services.ts'
import { migrations } from '../migrations/index.ts'
import { engines } from '../platform/database/testing.ts'
import {
  createMysqlDatabase,
  createPostgresDatabase,
  createSqliteFile,
  type TestForeign,
} from '../platform/foreign/owner.ts'
import { foreignEngines } from '../platform/foreign/testing.ts'
import { createLogs, createTables, makeGateway, type TrueCall, writeRows } from './new-api/testing.ts'
import type { SourceRow } from './reader.ts'
import { openWorld, testNow, truthOf } from './testing.ts'

const stores = engines()
const servers = foreignEngines().filter(({ engine }) => engine !== 'sqlite')
const to = testNow / 1000
const from = to - 3 * 86_400
const closers: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

async function open() {
  const world = await openWorld(await stores[0]!.open(migrations))
  closers.push(world.close)
  return world
}

async function createFile(): Promise<TestForeign> {
  const file = await createSqliteFile()
  closers.push(file.close)
  return file
}

const gatewayOf = (events: number, late = 0) =>
  makeGateway({ seed: 11, events, from, to, generation: '2026-08', users: 6, late })

async function fill(database: TestForeign, events = 400) {
  const gateway = gatewayOf(events)
  await createTables(database, '2026-08')
  await writeRows(database, gateway, gateway.rows)
  return gateway
}

describe.each(servers)('an account on $engine', ({ create, engine }) => {
  test('is told the very GRANTs it lacks, column by column, and never one for a secret', async () => {
    const world = await open()
    const database = await create()
    const gateway = await fill(database)
    const account = await database.account()
    await world.add({ dsn: account.dsn })
    const node = world.open()
    await node.round()
    const refused = await world.desk.status('prod')
    expect(refused).toMatchObject({ state: 'unreadable', schema: { ok: false } })
    expect(refused.message).toContain('logs.id')
    expect(await world.kept()).toEqual([])

    // What it prints is all that is ever run: it must be enough, and no more than needed.
    const { grants } = refused.schema!
    expect(grants.join('\n')).not.toMatch(/password|access_token|\bkey\b|content|\*/)
    for (const grant of grants) await database.run(grant)
    const withoutIp = grants.filter((grant) => /\bip\b/.test(grant))
    expect(withoutIp.length).toBe(1)
    await node.round()
    expect(await world.desk.status('prod')).toMatchObject({ state: 'reading', message: '' })
    expect(await world.kept()).toEqual(truthOf(gateway.calls))
    expect((await world.desk.test('prod')).warnings).toEqual([])

    const quoted = engine === 'mysql' ? '`ip`' : '"ip"'
    await database.run(`revoke select (${quoted}) on logs from ${account.grantee}`)
    const tested = await world.desk.test('prod')
    expect(tested).toMatchObject({ ok: true, degraded: [{ column: 'logs.ip' }] })
    expect(tested.grants).toEqual([expect.stringMatching(/^GRANT SELECT \(.ip.\) ON .*logs. TO /)])
    await world.clock.advance(3_700_000)
    await node.round()
    expect(await world.desk.status('prod')).toMatchObject({ state: 'degraded' })
    expect(await world.kept()).toEqual(truthOf(gateway.calls))
  })

  test('that could read secrets or write is warned of', async () => {
    const world = await open()
    const database = await create()
    await fill(database, 20)
    await world.add({ dsn: database.dsn })
    const { warnings } = await world.desk.test('prod')
    expect(warnings.join('\n')).toContain('users.password, users.access_token, tokens.key, channels.key, options.value')
    expect(warnings.join('\n')).toMatch(/may write \(.*(ALL PRIVILEGES|INSERT|SUPERUSER)/)
  })

  test('with a wrong password is refused in words that do not hold it, and read once it is right', async () => {
    const world = await open()
    const database = await create()
    const gateway = await fill(database)
    const right = new URL(database.dsn)
    const wrong = new URL(database.dsn)
    wrong.password = 'wrong-0123'
    await world.add({ dsn: wrong.href })
    const node = world.open()
    await node.round()
    const told = await world.desk.status('prod')
    expect(told).toMatchObject({ state: 'refused', read_up_to: null })
    expect(JSON.stringify([told, await world.desk.test('prod')])).not.toContain('wrong-0123')
    await world.desk.patch('prod', { dsn: right.href })
    await node.round()
    expect(await world.kept()).toEqual(truthOf(gateway.calls))
  })
})

const outages = [
  { engine: 'mysql', variable: 'GATEHOUSE_TEST_MARIADB_URL', start: () => startMariadb(), create: createMysqlDatabase },
  {
    engine: 'postgres',
    variable: 'GATEHOUSE_TEST_POSTGRES_URL',
    start: () => startPostgres(),
    create: createPostgresDatabase,
  },
].filter(({ variable }) => process.env[variable])

test.each(outages)(
  'a $engine database that goes away in the middle is told, loses nothing, and is read on',
  async ({ start, create }) => {
    const server = await start()
    closers.push(server.destroy)
    const database = await create(server.url)
    closers.push(database.close)
    const gateway = await fill(database, 900)
    const world = await open()
    await world.add({ dsn: database.dsn })
    let ingested = 0
    const node = world.open({
      async ingest(facts, into) {
        const left = await world.usage.analytics.ingest(facts, into)
        if (++ingested === 2) await server.stop()
        return left
      },
    })
    await node.round()
    const away = await world.desk.status('prod')
    expect(away).toMatchObject({ state: 'unreachable' })
    expect((await world.kept()).length).toBeGreaterThan(0)
    await world.clock.advance(60_000)
    await node.round()
    expect(await world.desk.status('prod')).toMatchObject({ state: 'unreachable' })
    await server.start()
    await world.clock.advance(60_000)
    await node.round()
    expect(await world.desk.status('prod')).toMatchObject({ state: 'reading', backfill: { state: 'done' } })
    expect(await world.kept()).toEqual(truthOf(gateway.calls))
  },
)

test('a node that dies at any step is followed by another, and every figure is the truth', {
  timeout: 120_000,
}, async () => {
  const file = await createFile()
  const gateway = await fill(file, 300)
  const world = await open()
  await world.add({ dsn: file.dsn })
  let deaths = 0
  for (let step = 0; step < 10; step++) {
    let left = 1 + (step % 3)
    const node = world.open({
      // Before the sums are stored, or after, when nothing is noted of it yet.
      async ingest(facts, into) {
        const isDying = --left <= 0
        const kept = !isDying || step % 2 === 0 ? await world.usage.analytics.ingest(facts, into) : []
        if (!isDying) return kept
        deaths++
        throw new Error('killed')
      },
    })
    await node.round()
    await node.stop()
    await world.clock.advance(60_000)
  }
  expect(deaths).toBeGreaterThan(3)
  await world.open().round()
  expect(await world.desk.status('prod')).toMatchObject({ backfill: { state: 'done' } })
  expect(await world.kept()).toEqual(truthOf(gateway.calls))
})

test('the history of a source that is off is paused, and is being read when it is on again', async () => {
  const world = await open()
  await world.add({ dsn: 'sqlite:/nowhere/one-api.db' })
  const stateOf = async () => (await world.desk.status('prod')).backfill.state
  expect(await stateOf()).toBe('running')
  await world.desk.patch('prod', { enabled: false })
  expect(await stateOf()).toBe('paused')
  await world.desk.patch('prod', { enabled: true })
  expect(await stateOf()).toBe('running')
})

test('rows that come late are found, the later ones by comparing hours', async () => {
  const file = await createFile()
  const gateway = gatewayOf(500, 0.1)
  await createTables(file, '2026-08')
  await writeRows(file, gateway, gateway.rows)
  const world = await open()
  await world.add({ dsn: file.dsn })
  const node = world.open({ config: { recheck_hours: 100 } })
  await node.round()
  await writeRows(file, gateway, gateway.late)
  await world.clock.advance(700_000)
  await node.round()
  expect(await world.kept()).toEqual(truthOf([...gateway.calls, ...gateway.lateCalls]))
})

test('logs that the gateway cleaned up and a channel that it deleted keep figures and names', async () => {
  const file = await createFile()
  const gateway = await fill(file)
  const world = await open()
  await world.add({ dsn: file.dsn })
  const node = world.open()
  await node.round()
  expect((await node.namesOf('provider', ['prod:3', 'prod:99'])).get('prod:3')).toBe('channel 3 渠道')
  expect(await node.namesOf('user', ['prod:1', 'prod:2'])).toEqual(
    new Map([
      ['prod:1', 'the first 用户'],
      ['prod:2', 'user 2 用户'],
    ]),
  )
  await file.run(`delete from logs where created_at < ${from + 2 * 86_400 + 1234}`)
  await file.run('delete from channels where id = 3')
  await world.clock.advance(3_700_000)
  await node.round()
  await world.desk.backfill('prod', { from: null, to: null })
  await node.round()
  expect(await world.kept()).toEqual(truthOf(gateway.calls))
  expect((await node.namesOf('provider', ['prod:3'])).get('prod:3')).toBe('channel 3 渠道')
})

test('rows that come late to a day without quarters have the whole day read, unless others of it are gone', async () => {
  const file = await createFile()
  const gateway = gatewayOf(500, 0.1)
  await createTables(file, '2026-08')
  await writeRows(file, gateway, gateway.rows)
  const world = await open()
  await world.add({ dsn: file.dsn })
  const node = world.open()
  const readAll = async () => {
    await world.desk.backfill('prod', { from: null, to: null })
    await node.round()
    await world.clock.advance(60_000)
  }
  await readAll()
  await world.forgetQuarters()
  expect(await world.kept()).toEqual([])
  await readAll()
  expect(await world.perDay()).toEqual(requestsPerDay(gateway.calls))
  await writeRows(file, gateway, gateway.late)
  await readAll()
  const all = requestsPerDay([...gateway.calls, ...gateway.lateCalls])
  expect(all).not.toEqual(requestsPerDay(gateway.calls))
  expect(await world.perDay()).toEqual(all)
  await world.forgetQuarters()
  // One row more, in days whose mornings were cleaned up.
  const noon = from - (from % 86_400) + 86_400 + 12 * 3600
  await file.run(`delete from logs where created_at < ${noon}`)
  const sample = gateway.rows.find(({ type, other }) => type === 2 && !String(other).includes('task'))!
  await writeRows(file, gateway, [{ ...sample, id: 900_001, created_at: noon + 7200, request_id: 'late' }])
  await readAll()
  expect(await world.perDay()).toEqual(all)
})

const requestsPerDay = (calls: readonly TrueCall[]) => {
  const days = new Map<number, number>()
  for (const { seconds, requests } of calls) {
    const day = (seconds - (seconds % 86_400)) * 1000
    days.set(day, (days.get(day) ?? 0) + requests)
  }
  return [...days].sort(([a], [b]) => a - b)
}

test('a column that vanishes is done without and said, one that is needed is waited for', async () => {
  const file = await createFile()
  const gateway = await fill(file)
  const world = await open()
  await world.add({ dsn: file.dsn })
  const node = world.open()
  await node.round()
  await file.run('alter table logs drop column ip')
  const seconds = to + 60
  const row = { ...gateway.rows.find(({ type }) => type === 2)!, id: 900_001, created_at: seconds, request_id: 'new' }
  await writeRows(file, { ...gateway, columns: gateway.columns.filter((name) => name !== 'ip') }, [row])
  await world.clock.advance(120_000)
  await node.round()
  const degraded = await world.desk.status('prod')
  expect(degraded).toMatchObject({ state: 'degraded', last_row_at: new Date(seconds * 1000).toISOString() })
  expect(degraded.schema?.degraded).toEqual([{ column: 'logs.ip', why: 'missing', effect: expect.any(String) }])
  const before = await world.kept()
  await file.run('alter table logs rename column quota to cost')
  await writeRows(file, { ...gateway, columns: ['id', 'created_at', 'type'] }, [
    { id: 900_002, created_at: seconds + 1, type: 2 },
  ])
  await world.clock.advance(120_000)
  await node.round()
  expect(await world.desk.status('prod')).toMatchObject({
    ...{ state: 'unreadable', message: 'logs.quota cannot be read (missing)' },
  })
  expect(await world.kept()).toEqual(before)
  await file.run('alter table logs rename column cost to quota')
  await world.clock.advance(120_000)
  await node.round()
  expect(await world.desk.status('prod')).toMatchObject({ state: 'degraded', last_row_id: 900_002 })
})

test('logs in a database of their own are read with the names of the other', async () => {
  const [main, logs] = [await createFile(), await createFile()]
  await createTables(main, '2026-08')
  await createLogs(logs, '2026-08')
  const gateway = gatewayOf(200)
  await writeRows(logs, gateway, gateway.rows)
  const world = await open()
  await world.add({ dsn: main.dsn, log_dsn: logs.dsn })
  const node = world.open()
  await node.round()
  expect(await world.kept()).toEqual(truthOf(gateway.calls))
  expect((await node.namesOf('provider', ['prod:1'])).get('prod:1')).toBe('channel 1 渠道')
})

test('single rows are told once each, after they were counted, and again when the listener failed', async () => {
  const file = await createFile()
  const gateway = await fill(file, 50)
  const world = await open()
  await world.add({ dsn: file.dsn })
  const heard: SourceRow[] = []
  let isFailing = false
  const onRows = (rows: readonly SourceRow[], { source }: { source: string }) => {
    if (isFailing) throw new Error('not now')
    expect(source).toBe('prod')
    heard.push(...rows)
  }
  const node = world.open({ onRows })
  await node.round()
  heard.length = 0
  const sample = gateway.rows.find(({ type, other }) => type === 2 && !String(other).includes('task'))!
  const add = async (id: number, seconds: number) =>
    writeRows(file, gateway, [{ ...sample, id, created_at: seconds, request_id: `x${id}` }])
  await add(900_001, to + 10)
  await world.clock.advance(20_000)
  await node.round()
  await world.clock.advance(20_000)
  await node.round()
  expect(heard.map(({ id }) => id)).toEqual([900_001])
  expect(heard[0]).toMatchObject({ at: (to + 10) * 1000, userId: `prod:${sample.user_id}`, ip: sample.ip, status: 200 })
  isFailing = true
  await add(900_002, to + 50)
  await world.clock.advance(20_000)
  await node.round()
  isFailing = false
  // It came late: after one that was told already.
  await add(900_003, to + 5)
  await world.clock.advance(20_000)
  await node.round()
  expect(heard.map(({ id }) => id)).toEqual([900_001, 900_003, 900_002])
  // Another node goes on where this one was.
  await node.stop()
  await add(900_004, to + 90)
  await world.clock.advance(60_000)
  await world.open({ onRows }).round()
  expect(heard.map(({ id }) => id)).toEqual([900_001, 900_003, 900_002, 900_004])
})

test('a source that is removed takes its figures along, and leaves those of others', async () => {
  const file = await createFile()
  const gateway = await fill(file, 100)
  const world = await open()
  await world.add({ dsn: file.dsn })
  await world.add({ name: 'second', dsn: file.dsn })
  const node = world.open()
  await node.round()
  const route = node.routes.find(({ method, path }) => method === 'DELETE' && path === '/api/sources/:id')!
  await route.handle({ params: { id: 'prod' } } as never)
  expect(await world.kept('prod')).toEqual([])
  expect(await world.kept('second')).toEqual(truthOf(gateway.calls, 'second'))
  await expect(world.desk.status('prod')).rejects.toMatchObject({ code: 'not_found' })
})
