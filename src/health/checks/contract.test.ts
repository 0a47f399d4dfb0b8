import { describe, expect, test } from 'vitest'
import { fail } from '../../kernel/errors.ts'
import type { Check, CheckParts } from '../check.ts'
import { checkStates } from '../schema.ts'
import { aiServiceCheck } from './ai-service.ts'
import { databaseCheck } from './database.ts'
import { diskCheck } from './disk.ts'
import { eventLoopCheck } from './event-loop.ts'
import { checks } from './index.ts'
import { ledgerCheck } from './ledger.ts'
import { redisCheck } from './redis.ts'

const mebibyte = 1024 ** 2
const refused = () =>
  Promise.reject(
    fail('unavailable', 'No answer', { cause: new Error('connect ECONNREFUSED postgres://hub:hunter22@db') }),
  )

function partsWith(changes: Partial<CheckParts> = {}): CheckParts {
  return {
    database: { engine: 'postgres', ping: async () => {} },
    pingRedis: async () => {},
    providers: () => ({ enabled: 2, failing: 0 }),
    ledger: { isWritable: () => true },
    diskSpace: () => ({ freeBytes: 10_000 * mebibyte, totalBytes: 20_000 * mebibyte }),
    loopLag: () => ({ p50Ms: 0, p99Ms: 1, maxMs: 2 }),
    ...changes,
  }
}

/** What each check calls broken. */
const broken: Record<string, Partial<CheckParts>> = {
  database: { database: { engine: 'postgres', ping: refused } },
  redis: { pingRedis: refused },
  ai_service: { providers: () => ({ enabled: 2, failing: 2 }) },
  ledger: { ledger: { isWritable: () => false } },
  disk: { diskSpace: () => ({ freeBytes: 0, totalBytes: 100 }) },
  event_loop: { loopLag: () => ({ p50Ms: 900, p99Ms: 1500, maxMs: 3000 }) },
}

describe.each(checks.map((check) => [check.name, check] as const))('the check %s', (name, check) => {
  test('has a name fit for metrics and paths, and says what it looks at', () => {
    expect(name).toMatch(/^[a-z]+(_[a-z]+)*$/)
    expect(check.describe).toMatch(/\.$/)
  })

  test('finds what is in order in order, with nothing to do', async () => {
    expect(await check.run(partsWith())).toMatchObject({ state: 'ok', remedy: '' })
  })

  test('finds what is broken, and says what is so and what to do, without a secret', async () => {
    const result = await check.run(partsWith(broken[name]))
    expect(result.state).toBe('failed')
    expect(result.message).not.toBe('')
    expect(result.remedy).toMatch(/\.$/)
    expect(JSON.stringify(result)).not.toContain('hunter22')
    expect(checkStates).toContain(result.state)
  })
})

test('names are given once', () => {
  expect(new Set(checks.map(({ name }) => name)).size).toBe(checks.length)
})

test('the reason of a refused connection is told', async () => {
  expect((await databaseCheck.run(partsWith(broken.database))).message).toContain('connect ECONNREFUSED')
  expect((await redisCheck.run(partsWith(broken.redis))).message).toContain('connect ECONNREFUSED')
})

describe('between fine and failed', () => {
  const stateOf = async (check: Check, changes: Partial<CheckParts>) => (await check.run(partsWith(changes))).state

  test('a hub without Redis or without providers misses nothing', async () => {
    expect(await stateOf(redisCheck, { pingRedis: null })).toBe('disabled')
    expect(await stateOf(aiServiceCheck, { providers: () => ({ enabled: 0, failing: 0 }) })).toBe('disabled')
  })

  test('one working provider is enough, and the others are told of', async () => {
    const result = await aiServiceCheck.run(partsWith({ providers: () => ({ enabled: 3, failing: 2 }) }))
    expect(result).toMatchObject({ state: 'ok', observed: { enabled: 3, failing: 2 } })
  })

  test('little space is told before there is none', async () => {
    const free = (mebibytes: number) => ({ diskSpace: () => ({ freeBytes: mebibytes * mebibyte, totalBytes: 1e12 }) })
    expect(await stateOf(diskCheck, free(512))).toBe('ok')
    expect(await stateOf(diskCheck, free(511))).toBe('degraded')
    expect(await stateOf(diskCheck, free(63))).toBe('failed')
  })

  test('one long pause is no trouble, being late all the time is', async () => {
    const late = (p99Ms: number) => ({ loopLag: () => ({ p50Ms: 0, p99Ms, maxMs: 5000 }) })
    expect(await stateOf(eventLoopCheck, late(100))).toBe('ok')
    expect(await stateOf(eventLoopCheck, late(101))).toBe('degraded')
    expect(await stateOf(eventLoopCheck, late(1001))).toBe('failed')
  })

  test('a journal that takes entries is all the ledger needs', async () => {
    expect(await stateOf(ledgerCheck, { database: { engine: 'postgres', ping: refused } })).toBe('ok')
  })
})
