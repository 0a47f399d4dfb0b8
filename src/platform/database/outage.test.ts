import { mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Kysely, PostgresDialect, sql } from 'kysely'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startPostgres } from '../../../test/harness/services.ts'
import { openDatabase } from './connect.ts'
import type { Database } from './database.ts'
import { guardPool, liftStatementLimit } from './postgres-guard.ts'
import { startSqliteThread } from './sqlite-thread.ts'
import { createRecordingLog } from './testing-log.ts'

type Tables = { numbers: { value: number } }
const unavailable = { code: 'unavailable', retryAfterMs: 1000, cause: expect.any(Error) }

describe.skipIf(!process.env.GATEHOUSE_TEST_POSTGRES_URL)('PostgreSQL that goes away', () => {
  let server: Awaited<ReturnType<typeof startPostgres>>
  let database: Database<Tables>
  const log = createRecordingLog()

  beforeAll(async () => {
    server = await startPostgres()
    database = await openDatabase<Tables>({ url: server.url, dataDir: '', statementTimeoutMs: 1000, log })
    await sql`create table numbers as select generate_series(1, 5000)::bigint as value`.execute(database.kysely)
  })
  afterAll(async () => {
    await database.close()
    await server.destroy()
  })

  test('makes queries reject at once as unavailable, and answers again when it is back', async () => {
    await Promise.all([database.ping(), database.ping(), database.ping()])
    await server.stop()
    await expect(database.ping()).rejects.toMatchObject(unavailable)
    await expect(database.ping()).rejects.toMatchObject({
      ...unavailable,
      message: 'The database cannot answer now',
      detail: expect.stringMatching(/PostgreSQL at 127\.0\.0\.1:\d+, role "gatehouse".*ECONNREFUSED/),
    })
    await server.start()
    await database.ping()
    expect(log.lines).toContainEqual(
      expect.objectContaining({ level: 'warn', message: expect.stringContaining('broke') }),
    )
  })

  test('in the middle of a transaction makes it reject, not the process end', async () => {
    const transaction = database.kysely.transaction().execute(async (trx) => {
      await trx.insertInto('numbers').values({ value: -1 }).execute()
      await server.stop()
      await trx.insertInto('numbers').values({ value: -2 }).execute()
    })
    await expect(transaction).rejects.toMatchObject(unavailable)
    await server.start()
    const left = await database.kysely.selectFrom('numbers').selectAll().where('value', '<', 0).execute()
    expect(left).toEqual([])
  })

  test('in the middle of a stream ends the stream with an error', async () => {
    const seen: number[] = []
    const read = async () => {
      for await (const row of database.kysely.selectFrom('numbers').selectAll().stream(10)) {
        if (seen.length === 0) await server.stop()
        seen.push(row.value)
      }
    }
    await expect(read()).rejects.toMatchObject(unavailable)
    expect(seen.length).toBeLessThan(5000)
    await server.start()
    await database.ping()
  })

  test('has a statement that runs too long cut off, unless the limit was lifted', async () => {
    await expect(sql`select pg_sleep(20)`.execute(database.kysely)).rejects.toMatchObject(unavailable)
    await database.kysely.transaction().execute(async (trx) => {
      await sql.raw(liftStatementLimit).execute(trx)
      const { rows } = await sql<{ limit: string }>`select current_setting('statement_timeout') as limit`.execute(trx)
      expect(rows[0]?.limit).toBe('0')
    })
  })
})

describe.skipIf(!process.env.GATEHOUSE_TEST_POSTGRES_URL)('a network that swallows everything', () => {
  test('does not hold a query longer than the limit, and its connection is not used again', async () => {
    const target = new URL(process.env.GATEHOUSE_TEST_POSTGRES_URL ?? '')
    const proxy = await createProxy(Number(target.port), target.hostname)
    const own = Object.assign(new URL(target), { hostname: '127.0.0.1', port: String(proxy.port) })
    const pool = new pg.Pool({ connectionString: own.href, max: 1 })
    pool.on('error', () => {})
    const db = new Kysely({ dialect: new PostgresDialect(guardPool(pool, { where: 'proxy', limitMs: 100 })) })
    await sql`select 1`.execute(db)
    proxy.freeze()
    await expect(sql`select 2`.execute(db)).rejects.toMatchObject(unavailable)
    proxy.thaw()
    const { rows } = await sql`select 3 as three`.execute(db)
    expect(rows).toEqual([{ three: 3 }])
    await db.destroy()
    proxy.close()
  })
})

describe('a SQLite thread that ends', () => {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-thread-'))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  test('makes what waits and what comes later reject as unavailable, and is told', async () => {
    const told: unknown[] = []
    const file = join(folder, 'crash.db')
    const thread = startSqliteThread(
      { file, isReadOnly: false, busyTimeoutMs: 50, survivesPowerLoss: false },
      (error) => told.push(error),
    )
    await thread.call({ kind: 'open' })
    const crashing = thread.call({ kind: 'defect' } as never)
    const waiting = thread.call({ kind: 'begin' })
    await expect(crashing).rejects.toMatchObject({ code: 'unavailable', detail: expect.stringContaining('restart') })
    await expect(waiting).rejects.toMatchObject({ code: 'unavailable' })
    await expect(thread.call({ kind: 'begin' })).rejects.toMatchObject({ code: 'unavailable' })
    expect(told).toHaveLength(1)
    await thread.close()
  })
})

/** Passes bytes on until it is told to keep them. */
async function createProxy(port: number, host: string) {
  const sockets: Socket[] = []
  let isFrozen = false
  const server = createServer((inbound) => {
    const outbound = connect(port, host)
    sockets.push(inbound, outbound)
    for (const [from, to] of [
      [inbound, outbound],
      [outbound, inbound],
    ] as const) {
      from.on('data', (chunk) => void (isFrozen || to.write(chunk)))
      from.on('error', () => {})
      from.on('close', () => to.destroy())
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as { port: number }).port,
    freeze: () => {
      isFrozen = true
    },
    thaw: () => {
      isFrozen = false
    },
    close: () => {
      for (const socket of sockets) socket.destroy()
      server.close()
    },
  }
}
