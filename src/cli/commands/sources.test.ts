import { expect, test } from 'vitest'
import { createSqliteFile } from '../../platform/foreign/owner.ts'
import { createTables, makeGateway, writeRows } from '../../sources/new-api/testing.ts'
import { createCommandLine } from '../testing.ts'

const { run } = createCommandLine()

test('a gateway is added by its own variable, tried, and its history asked for', async () => {
  const gateway = await createSqliteFile()
  const [from, to] = [Date.UTC(2026, 10, 1) / 1000, Date.UTC(2026, 10, 2) / 1000]
  const made = makeGateway({ seed: 1, events: 50, from, to, generation: '2025-05' })
  await createTables(gateway, '2025-05')
  await writeRows(gateway, made, made.rows)
  await run(['migrate', 'up'])
  expect(await run(['sources', 'status'])).toMatchObject({ exitCode: 0 })
  expect(await run(['sources', 'add', 'prod'], { SQL_DSN: gateway.dsn })).toMatchObject({
    exitCode: 0,
    out: expect.stringMatching(/^src_\S+ {2}prod {2}SQLite file /),
  })
  // An old gateway has no addresses and no ids of requests.
  const tried = await run(['sources', 'test', 'prod'])
  expect(tried).toMatchObject({ exitCode: 2, out: expect.stringContaining('logs.request_id (missing)') })
  expect(tried.out).toContain('2026-11-01T')
  expect(await run(['sources', 'backfill', 'prod', '--from', '2026-11-01'])).toMatchObject({ exitCode: 0 })
  const status = JSON.parse((await run(['sources', 'status', 'prod', '--json'])).out)
  expect(status).toMatchObject({ state: 'waiting', backfill: { state: 'running', from: '2026-11-01T00:00:00.000Z' } })
  await gateway.close()
})

test('what cannot be read is said, and what is written wrongly is refused', async () => {
  await run(['migrate', 'up'])
  expect(await run(['sources', 'add', 'Prod 1', '--dsn', 'sqlite:/a.db'])).toMatchObject({ exitCode: 64 })
  expect(await run(['sources', 'add', 'prod', '--dsn', 'clickhouse://x/y'])).toMatchObject({
    ...{ exitCode: 78, err: expect.stringContaining('ClickHouse') },
  })
  await run(['sources', 'add', 'gone', '--dsn', 'sqlite:/nowhere/one-api.db'])
  expect(await run(['sources', 'test', 'gone'])).toMatchObject({
    exitCode: 1,
    out: expect.stringContaining('✗ SQLite'),
  })
  expect(await run(['sources', 'test', 'other'])).toMatchObject({ exitCode: 1, err: expect.stringContaining('other') })
})
