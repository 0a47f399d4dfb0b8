import { afterEach, describe, expect, test } from 'vitest'
import { migrations } from '../../migrations/index.ts'
import { engines } from '../../platform/database/testing.ts'
import { readForeignAddress } from '../../platform/foreign/address.ts'
import type { ForeignDatabase } from '../../platform/foreign/foreign.ts'
import { openForeign } from '../../platform/foreign/open.ts'
import { foreignEngines } from '../../platform/foreign/testing.ts'
import { openWorld, testNow, truthOf } from '../testing.ts'
import { logColumns } from './columns.ts'
import { createNewApiStore } from './store.ts'
import { createTables, type Generation, makeGateway, writeRows } from './testing.ts'

const stores = engines()
const foreign = foreignEngines()
const to = testNow / 1000
const from = to - 4 * 86_400
const closers: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closers.splice(0)) await close()
})

async function open(store = stores[0]!) {
  const world = await openWorld(await store.open(migrations))
  closers.push(world.close)
  return world
}

const cases = foreign.flatMap(({ engine, create }) =>
  (['2025-05', '2026-08'] as const).map((generation: Generation) => ({ engine, create, generation })),
)

describe.each(cases)('a gateway of $generation on $engine', ({ create, generation, engine }) => {
  test('every figure is the truth, and reading again, late rows and rows twice read change nothing', async () => {
    // Both of our own stores have their turn.
    const world = await open(stores[(engine === 'sqlite' ? 1 : 0) % stores.length])
    const gateway = makeGateway({ seed: 7, events: 2600, from, to, generation })
    const database = await create()
    await createTables(database, generation)
    await writeRows(database, gateway, gateway.rows)
    await world.add({ dsn: database.dsn })
    const node = world.open()
    await node.round()
    const status = await world.desk.status('prod')
    expect(status).toMatchObject({ backfill: { state: 'done', progress: 1 }, lag_seconds: 0 })
    expect(status.state).toBe(generation === '2026-08' ? 'reading' : 'degraded')
    const truth = truthOf(gateway.calls)
    expect(await world.kept()).toEqual(truth)

    await world.clock.advance(60_000)
    await node.round()
    await world.desk.backfill('prod', { from: null, to: null })
    await node.round()
    expect((await world.desk.status('prod')).backfill.rows).toBeGreaterThan(2000)
    expect(await world.kept()).toEqual(truth)

    await writeRows(database, gateway, gateway.late)
    await world.desk.backfill('prod', { from: null, to: null })
    await node.round()
    expect(await world.kept()).toEqual(truthOf([...gateway.calls, ...gateway.lateCalls]))
    // Everything there is, three times over.
  }, 120_000)
})

test('no question to an SQLite file walks its whole table of logs: every slice would cost as much as all of them', async () => {
  const file = await foreign[0]!.create()
  await createTables(file, '2026-08')
  const opened = openForeign(readForeignAddress(file.dsn, 'dsn'))
  closers.push(opened.close)
  const asked: [string, readonly (string | number)[]][] = []
  const heard: ForeignDatabase = {
    ...opened,
    query: (sql, parameters = []) => {
      asked.push([sql, parameters])
      return opened.query(sql, parameters)
    },
  }
  const store = createNewApiStore({ main: heard, logs: heard })
  const names = logColumns.map(({ name }) => name)
  await store.rows(names, { from, to, after: { seconds: from, id: -1 }, limit: 5000 })
  await store.survey(from * 1000, to * 1000)
  await store.failedRequests(from, to)
  await store.attempts(['r1', 'r2'])
  expect(asked).toHaveLength(4)
  for (const [sql, parameters] of asked) {
    const plan = (await opened.query(`explain query plan ${sql}`, parameters)).map((row) => String(row.at(-1)))
    expect(plan).toContainEqual(expect.stringMatching(/^SEARCH logs USING (COVERING )?INDEX/))
    expect(plan).not.toContainEqual(expect.stringMatching(/SCAN logs|PRIMARY KEY/))
  }
})

test('rows of one second that do not fit into one answer are all counted, each once', async () => {
  const world = await open()
  const gateway = makeGateway({ seed: 3, events: 6500, from: from + 60, to: from + 61, generation: '2026-08', late: 0 })
  const file = await foreign[0]!.create()
  await createTables(file, '2026-08')
  await writeRows(file, gateway, gateway.rows)
  await world.add({ dsn: file.dsn })
  await world.open().round()
  expect(await world.kept()).toEqual(truthOf(gateway.calls))
})
