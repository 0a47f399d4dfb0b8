import { randomUUID } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { createManualClock } from '../../kernel/clock.ts'
import { openRedis } from '../redis.ts'
import { connectTestRedis, describeWithRedis, silentLog } from '../testing.ts'
import { type Cache, mostBytes } from './cache.ts'
import { createMemoryCache } from './memory.ts'
import { createRedisCache } from './redis.ts'

const connectRedis = connectTestRedis()
const minute = 60_000

describe('a cache in memory', () => {
  keepsThePromises(async () => createMemoryCache({ clock: createManualClock(), maxBytes: 16 * mostBytes }))

  test('an entry is gone when its time is over', async () => {
    const clock = createManualClock()
    const cache = createMemoryCache({ clock, maxBytes: 1000 })
    await cache.set('a', Buffer.from('1'), 1000)
    await clock.advance(999)
    expect(cache.get('a')).toEqual(Buffer.from('1'))
    await clock.advance(2)
    expect(cache.get('a')).toBeNull()
  })

  test('what was used longest ago makes room, keys counted', async () => {
    const cache = createMemoryCache({ clock: createManualClock(), maxBytes: 30 })
    for (const key of ['a', 'b', 'c']) await cache.set(key, Buffer.alloc(9), minute)
    expect(cache.get('a')).not.toBeNull()
    await cache.set('d', Buffer.alloc(9), minute)
    expect(cache.get('b')).toBeNull()
    expect(cache.get('a')).not.toBeNull()
  })
})

describeWithRedis('a cache in Redis', () => {
  keepsThePromises(async () => createRedisCache({ redis: await connectRedis() }))

  test('every entry leaves by itself', async () => {
    const redis = await connectRedis()
    const key = randomUUID()
    await createRedisCache({ redis }).set(key, Buffer.from('1'), 5000)
    const lifeMs = await redis.pttl(`gatehouse:cache:${key}`)
    expect(lifeMs).toBeGreaterThan(0)
    expect(lifeMs).toBeLessThanOrEqual(5000)
  })

  test('a Redis that is away has nothing and fails nobody', async () => {
    const redis = openRedis('redis://127.0.0.1:1', silentLog)
    const cache = createRedisCache({ redis })
    await cache.set('a', Buffer.from('1'), 1000)
    expect(await cache.get('a')).toBeNull()
    redis.disconnect()
  })
})

function keepsThePromises(open: () => Promise<Cache>) {
  test('gives back the very bytes, the latest ones', async () => {
    const cache = await open()
    const key = randomUUID()
    expect(await cache.get(key)).toBeNull()
    const bytes = Buffer.from([0, 255, 10, 13, 128])
    await cache.set(key, Buffer.from('old'), minute)
    await cache.set(key, bytes, minute)
    expect(await cache.get(key)).toEqual(bytes)
  })

  test('keeps nothing too large, and nothing for no time', async () => {
    const cache = await open()
    const key = randomUUID()
    await cache.set(key, Buffer.alloc(mostBytes + 1), minute)
    expect(await cache.get(key)).toBeNull()
    await cache.set(key, Buffer.alloc(mostBytes), minute)
    expect((await cache.get(key))?.length).toBe(mostBytes)
    await cache.set(`${key}-2`, Buffer.from('1'), 0)
    expect(await cache.get(`${key}-2`)).toBeNull()
  })

  test('forgets everything when told to, and says how much that was', async () => {
    const cache = await open()
    await cache.clear()
    for (const key of ['a', 'b', 'c']) await cache.set(key, Buffer.from(key), minute)
    expect(await cache.clear()).toBeGreaterThanOrEqual(3)
    expect(await cache.get('a')).toBeNull()
  })
}
