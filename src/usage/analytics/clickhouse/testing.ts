import { randomBytes } from 'node:crypto'
import type { Kysely } from 'kysely'
import { afterAll } from 'vitest'
import { systemClock } from '../../../kernel/clock.ts'
import { type ClickHouse, openClickHouse } from '../../../platform/clickhouse/client.ts'
import { createClickHouseReader } from '../../../platform/clickhouse/dialect.ts'
import { engines, type TestEngine } from '../../../platform/database/testing.ts'
import type { UsageTables } from '../../rows.ts'
import { quietLog } from '../../testing.ts'
import { type AnalyticsStore, createAnalyticsStore } from '../store.ts'
import { createCopier } from './copy.ts'
import { createCopySource, createCopyTarget } from './copy-store.ts'

export type ReportEngine = Pick<TestEngine, 'open'> & {
  name: string
  /** What answers reports over the store that `db` is. */
  storeOf(db: Kysely<UsageTables>): AnalyticsStore
}

/**
 * The engines that reports are asked of: both stores, and ClickHouse where `GATEHOUSE_TEST_CLICKHOUSE_URL` names one
 * (`npm run test:clickhouse`). There everything that a question needs is copied before it is asked.
 */
export function reportEngines(): ReportEngine[] {
  const stores = engines().map((engine) => ({ ...engine, storeOf: createAnalyticsStore }))
  const url = process.env.GATEHOUSE_TEST_CLICKHOUSE_URL ?? ''
  if (url === '') return stores
  const opened: ClickHouse[] = []
  afterAll(async () => {
    for (const each of opened) {
      await each.run(`drop database "${each.database}" sync`)
      await each.close()
    }
  })
  return [
    ...stores,
    { name: 'clickhouse', open: stores[0]!.open, storeOf: (db) => storeOverCopy(db, createDatabase(url, opened)) },
  ]
}

async function createDatabase(url: string, opened: ClickHouse[]): Promise<ClickHouse> {
  const database = `test_${randomBytes(6).toString('hex')}`
  const server = openClickHouse({ url, statementTimeoutMs: 30_000 })
  await server.run(`create database "${database}"`)
  await server.close()
  const own = new URL(url)
  own.pathname = `/${database}`
  const clickhouse = openClickHouse({ url: own.href, statementTimeoutMs: 30_000 })
  opened.push(clickhouse)
  return clickhouse
}

/** Reads from the copy and writes to the store: what was written is copied before the first read of a question. */
function storeOverCopy(db: Kysely<UsageTables>, opening: Promise<ClickHouse>): AnalyticsStore {
  const main = createAnalyticsStore(db)
  const ready = opening.then((clickhouse) => {
    const copier = createCopier({
      ...{ source: createCopySource(db), target: createCopyTarget(clickhouse), clickhouse, log: quietLog },
      // Of no length: there is no rest between two copies.
      clock: { now: systemClock.now, monotonic: () => 0 },
    })
    return { copier, store: createAnalyticsStore(createClickHouseReader<UsageTables>(clickhouse)) }
  })
  ready.catch(() => {})
  const never = new AbortController().signal
  const source = createCopySource(db)
  let copied = ''
  const fresh = async () => {
    const { copier, store } = await ready
    const now = JSON.stringify([[...((await source.dayVersions()) ?? [])], [...(await source.state())]])
    if (now !== copied) await copier.run(never)
    copied = now
    return store
  }
  const settled = async () => (await ready).store
  return {
    ...main,
    deletedBefore: async () => (await fresh()).deletedBefore(),
    firstDay: async () => (await fresh()).firstDay(),
    requests: async (...asked) => (await fresh()).requests(...asked),
    sums: async (...asked) => (await settled()).sums(...asked),
    distinct: async (...asked) => (await settled()).distinct(...asked),
    seenByDay: async (...asked) => (await settled()).seenByDay(...asked),
    durations: async (...asked) => (await settled()).durations(...asked),
  }
}
