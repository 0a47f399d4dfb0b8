import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sql } from 'kysely'
import { expect, onTestFinished, test } from 'vitest'
import { systemClock } from '../kernel/clock.ts'
import { analyticsConfig } from './clickhouse/config.ts'
import { databaseConfig, dataConfig, logConfig, mailConfig, networkConfig, redisConfig } from './config.ts'
import { openPlatform, type PlatformConfig } from './open.ts'
import { openLog } from './open-log.ts'
import { describeWithRedis, redisUrl } from './testing.ts'
import { tracingConfig } from './tracing/config.ts'

function configure(changes: Partial<Record<keyof PlatformConfig, object>> = {}): PlatformConfig {
  const dir = mkdtempSync(join(tmpdir(), 'gatehouse-platform-'))
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
  return {
    data: dataConfig.parse({ dir, ...changes.data }),
    database: databaseConfig.parse({ wait_tries: 1, ...changes.database }),
    analytics: analyticsConfig.parse({ ...changes.analytics }),
    redis: redisConfig.parse({ ...changes.redis }),
    log: logConfig.parse({ format: 'json', ...changes.log }),
    network: networkConfig.parse({ ...changes.network }),
    mail: mailConfig.parse({ ...changes.mail }),
    tracing: tracingConfig.parse({ ...changes.tracing }),
    usage: { durability: 'crash', ...changes.usage },
  }
}

async function open(config: PlatformConfig) {
  const lines: string[] = []
  const log = openLog(config.log, { write: (line: string) => lines.push(line) })
  const platform = await openPlatform(config, { clock: systemClock, log, version: '1.2.3', secretKey: '' })
  onTestFinished(() => platform.close())
  return { platform, lines }
}

test('one node needs nothing but a folder', async () => {
  const { platform, lines } = await open(configure())
  expect(platform.database.engine).toBe('sqlite')
  expect(platform.pingRedis).toBe(null)
  expect(await platform.counter.admit('call', [oneOf('key')], 1000)).toMatchObject({ result: 'admitted' })
  expect(await platform.leases.acquire('job', 1000)).toBe(true)
  expect((await platform.metrics.render()).text).toContain('gatehouse_build_info{version="1.2.3"')
  expect(lines.map((line) => JSON.parse(line).msg)).toEqual(['Waiting for database', 'Database is ready'])
})

test('what was sealed before a restart opens after it', async () => {
  const config = configure()
  const first = await open(config)
  const envelope = first.platform.secrets.encrypt('sk-provider', 'provider:prv_1')
  await first.platform.close()
  const second = await open(config)
  expect(second.platform.secrets.decrypt(envelope, 'provider:prv_1')).toBe('sk-provider')
})

test('a start that fails says why, leaves nothing open, and writes no password', async () => {
  const config = configure({ database: { url: 'postgres://hub:hunter22@127.0.0.1:1/hub', wait_tries: 1 } })
  const lines: string[] = []
  const log = openLog(config.log, { write: (line: string) => lines.push(line) })
  const opening = openPlatform(config, { clock: systemClock, log, version: '1.2.3', secretKey: '' })
  await expect(opening).rejects.toMatchObject({ code: 'unavailable' })
  log.info('the address was postgres://x and hunter22')
  expect(lines.join()).not.toContain('hunter22')
})

test('a master key that is none stops the start before the wait for the database', async () => {
  const config = configure()
  const lines: string[] = []
  const log = openLog(config.log, { write: (line: string) => lines.push(line) })
  const opening = openPlatform(config, { clock: systemClock, log, version: '1.2.3', secretKey: 'too-short' })
  await expect(opening).rejects.toMatchObject({ code: 'invalid_request', param: 'GATEHOUSE_SECRET_KEY' })
  expect(lines).toEqual([])
})

const oneOf = (key: string) => ({ kind: 'window' as const, key, limit: 1, cost: 1, windowMs: 3_600_000 })

test('a Redis that is away does not keep the hub from starting', async () => {
  const { platform } = await open(configure({ redis: { url: 'redis://127.0.0.1:1/0' } }))
  await expect(platform.pingRedis!()).rejects.toMatchObject({ code: 'unavailable' })
  await expect(platform.counter.admit('call', [oneOf('key')], 1000)).rejects.toMatchObject({ code: 'unavailable' })
})

describeWithRedis('with Redis', () => {
  test('what nodes share is shared as soon as they are open', async () => {
    const config = configure({ redis: { url: redisUrl } })
    const [one, two] = [await open(config), await open(configure({ redis: { url: redisUrl } }))]
    const key = `open test ${process.pid} ${Date.now()}`
    expect(await one.platform.counter.admit('first', [oneOf(key)], 1000)).toMatchObject({ result: 'admitted' })
    expect(await two.platform.counter.admit('second', [oneOf(key)], 1000)).not.toMatchObject({ result: 'admitted' })
    expect(await one.platform.leases.acquire(key, 10_000)).toBe(true)
    expect(await two.platform.leases.acquire(key, 10_000)).toBe(false)
    await one.platform.pingRedis!()
  })
})

test('a ledger that survives the loss of power has a store that does', async () => {
  const syncOf = async (durability: 'crash' | 'power-loss') => {
    const { platform } = await open(configure({ usage: { durability } }))
    // The writer's own setting: a transaction runs on its connection.
    const { rows } = await platform.database.kysely.transaction().execute((trx) => sql`pragma synchronous`.execute(trx))
    return rows
  }
  expect(await syncOf('crash')).toEqual([{ synchronous: 1 }])
  expect(await syncOf('power-loss')).toEqual([{ synchronous: 2 }])
})
