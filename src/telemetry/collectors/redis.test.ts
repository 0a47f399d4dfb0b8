import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Service, startRedis } from '../../../test/harness/services.ts'
import { redisUrl } from '../../platform/testing.ts'
import { redis } from './redis.ts'
import { checkWithPromtool, runCollectors } from './testing.ts'

describe.skipIf(redisUrl === '')('a real Redis', () => {
  let server: Service
  let client: Redis
  const run = () => runCollectors([redis], { config: { redis: [`cache=${server.url}`] } })

  beforeAll(async () => {
    const memory = ['--maxmemory', '4mb', '--maxmemory-policy', 'allkeys-lru']
    server = await startRedis([...memory, '--maxclients', '40'])
    client = new Redis(server.url)
    client.on('error', () => {})
  })
  afterAll(async () => {
    client.disconnect()
    await server.destroy()
  })

  test('the numbers are those of INFO', async () => {
    await client.set('a', '1')
    for (let i = 0; i < 7; i++) await client.get('a')
    for (let i = 0; i < 3; i++) await client.get('nothing')
    await client.set('gone', '1', 'PX', 1)
    const watched = run()
    const found = await watched.read()
    const info = await client.info()
    const told = (member: string) => Number(new RegExp(`^${member}:(\\d+)`, 'm').exec(info)?.[1])
    const own = (name: string, rest = '') => found[`gatehouse_redis_${name}{target="cache"${rest}}`]
    expect(own('keyspace_lookups_total', ',result="hit"')).toBe(told('keyspace_hits'))
    expect(told('keyspace_hits')).toBe(7)
    expect(own('keyspace_lookups_total', ',result="miss"')).toBe(told('keyspace_misses'))
    expect(own('memory_bytes', ',kind="limit"')).toBe(4 * 1024 * 1024)
    expect(own('clients', ',kind="connected"')).toBe(told('connected_clients'))
    expect(own('clients', ',kind="limit"')).toBe(40)
    expect(own('master')).toBe(1)
    expect(own('ping_seconds')).toBeGreaterThan(0)
    expect(own('ping_seconds')).toBeLessThan(5)
    expect(Math.abs(own('clock_ahead_seconds')!)).toBeLessThan(2)
    await checkWithPromtool(await watched.render())
    await watched.stop()
  })

  test('keys that had to go are counted', async () => {
    const big = 'x'.repeat(100_000)
    for (let i = 0; i < 60; i++) await client.set(`big-${i}`, big)
    const watched = run()
    const found = await watched.read()
    const evicted = Number(/^evicted_keys:(\d+)/m.exec(await client.info())?.[1])
    expect(evicted).toBeGreaterThan(0)
    expect(found['gatehouse_redis_removed_keys_total{target="cache",reason="evicted"}']).toBe(evicted)
    await watched.stop()
  })

  test('while it is away there is no number of it', async () => {
    const watched = run()
    await watched.read()
    await server.stop()
    const found = await watched.read()
    expect(Object.keys(found).filter((name) => name.startsWith('gatehouse_redis_'))).toEqual([])
    expect(found['gatehouse_collector_up{collector="redis",target="cache"}']).toBe(0)
    await server.start()
    expect(await watched.read()).toHaveProperty(['gatehouse_redis_ping_seconds{target="cache"}'])
    await watched.stop()
  })
})
