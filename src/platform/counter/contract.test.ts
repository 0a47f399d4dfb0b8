import { randomUUID } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { createManualClock } from '../../kernel/clock.ts'
import { openRedis } from '../redis.ts'
import { connectTestRedis, describeWithRedis, silentLog } from '../testing.ts'
import type { Counter } from './counter.ts'
import { createMemoryCounter } from './memory.ts'
import { createRedisCounter } from './redis.ts'

const minute = 60_000
const connectRedis = connectTestRedis()

describe('a counter in memory', () => keepsThePromises(async (clock) => createMemoryCounter({ clock })))

describeWithRedis('a counter in Redis', () => {
  keepsThePromises(async (clock) => createRedisCounter({ redis: await connectRedis(), clock }))

  test('two nodes on one Redis count together, and the key leaves with its window', async () => {
    const clock = createManualClock()
    const shared = await connectRedis()
    const key = randomUUID()
    await createRedisCounter({ redis: shared, clock }).take(key, 2, minute)
    expect(await createRedisCounter({ redis: shared, clock }).take(key, 2, minute)).toMatchObject({ remaining: 0 })
    const lifeMs = await shared.pttl(`gatehouse:counter:${minute}:${clock.now()}:${key}`)
    expect(lifeMs).toBeGreaterThan(0)
    expect(lifeMs).toBeLessThanOrEqual(minute)
  })

  test('a Redis that has forgotten the script is taught it again', async () => {
    const shared = await connectRedis()
    const counter = createRedisCounter({ redis: shared, clock: createManualClock() })
    const key = randomUUID()
    await counter.take(key, 2, minute)
    await shared.script('FLUSH')
    expect(await counter.take(key, 2, minute)).toMatchObject({ allowed: true, remaining: 0 })
  })
})

function keepsThePromises(open: (clock: ReturnType<typeof createManualClock>) => Promise<Counter>) {
  async function start(offsetMs = 0) {
    const clock = createManualClock(Date.UTC(2026, 0, 1) + offsetMs)
    return { clock, counter: await open(clock), key: randomUUID() }
  }

  test('allows up to the limit and then refuses without counting', async () => {
    const { counter, key } = await start()
    expect(await counter.take(key, 2, minute)).toEqual({ allowed: true, limit: 2, remaining: 1, resetMs: minute })
    expect(await counter.take(key, 2, minute)).toMatchObject({ allowed: true, remaining: 0 })
    expect(await counter.take(key, 2, minute)).toMatchObject({ allowed: false, remaining: 0 })
    expect(await counter.take(key, 3, minute)).toMatchObject({ allowed: true, remaining: 0 })
  })

  test('a cost that does not fit is refused whole, and a smaller one still fits', async () => {
    const { counter, key } = await start()
    expect(await counter.take(key, 10, minute, 7)).toMatchObject({ allowed: true, remaining: 3 })
    expect(await counter.take(key, 10, minute, 4)).toMatchObject({ allowed: false, remaining: 3 })
    expect(await counter.take(key, 10, minute, 3)).toMatchObject({ allowed: true, remaining: 0 })
  })

  test('a cost of nothing only looks', async () => {
    const { counter, key } = await start()
    await counter.take(key, 5, minute, 2)
    expect(await counter.take(key, 5, minute, 0)).toMatchObject({ allowed: true, remaining: 3 })
    expect(await counter.take(key, 5, minute, 0)).toMatchObject({ allowed: true, remaining: 3 })
  })

  test('a limit of nothing refuses everything', async () => {
    const { counter, key } = await start()
    expect(await counter.take(key, 0, minute)).toMatchObject({ allowed: false, remaining: 0 })
  })

  test('windows are aligned to the epoch and start empty', async () => {
    const { counter, key, clock } = await start(45_000)
    expect(await counter.take(key, 1, minute)).toMatchObject({ allowed: true, resetMs: 15_000 })
    await clock.advance(14_999)
    expect(await counter.take(key, 1, minute)).toMatchObject({ allowed: false, resetMs: 1 })
    await clock.advance(1)
    expect(await counter.take(key, 1, minute)).toMatchObject({ allowed: true, resetMs: minute })
  })

  test('keys do not share a window, nor do windows of different length under one key', async () => {
    const { counter, key } = await start()
    await counter.take(key, 1, minute)
    expect(await counter.take(`${key}b`, 1, minute)).toMatchObject({ allowed: true })
    expect(await counter.take(key, 1, 2 * minute)).toMatchObject({ allowed: true })
  })

  test('of many takers at once exactly as many as the limit are allowed', async () => {
    const { counter, key } = await start()
    const taken = await Promise.all(Array.from({ length: 50 }, () => counter.take(key, 20, minute)))
    expect(taken.filter((each) => each.allowed)).toHaveLength(20)
  })
}

test('without Redis a take is rejected as unavailable at once, with nothing of the address in it', async () => {
  const down = openRedis('redis://:hidden-password@127.0.0.1:1/0', silentLog)
  const counter = createRedisCounter({ redis: down, clock: createManualClock() })
  const error = await Promise.resolve(counter.take('key', 1, minute)).catch((thrown) => thrown)
  expect(error).toMatchObject({ code: 'unavailable', retryAfterMs: 1000 })
  expect(error.message).not.toContain('hidden-password')
  down.disconnect()
})

test('a flood of keys never holds more windows than the bound, and keeps the newest', async () => {
  const clock = createManualClock()
  const counter = createMemoryCounter({ clock, maxWindows: 50 })
  for (let i = 0; i < 500; i++) await counter.take(`flood ${i}`, 1, minute)
  expect(await counter.take('flood 499', 1, minute)).toMatchObject({ allowed: false })
  expect(await counter.take('flood 0', 1, minute)).toMatchObject({ allowed: true })
})

test('ended windows make room before running ones do', async () => {
  const clock = createManualClock()
  const counter = createMemoryCounter({ clock, maxWindows: 50 })
  await counter.take('long', 1, 60 * minute)
  for (let i = 0; i < 49; i++) await counter.take(`short ${i}`, 1, 1000)
  await clock.advance(1000)
  await counter.take('new', 1, 1000)
  expect(await counter.take('long', 1, 60 * minute)).toMatchObject({ allowed: false })
})
