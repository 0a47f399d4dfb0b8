import { randomUUID } from 'node:crypto'
import { describe, expect, test, vi } from 'vitest'
import { createManualClock } from '../../kernel/clock.ts'
import { createSwitchboard } from '../processes/switchboard.ts'
import { joinSwitchboard } from '../processes/testing.ts'
import { openRedis } from '../redis.ts'
import { connectTestRedis, describeWithRedis, silentLog } from '../testing.ts'
import type { Leases } from './lease.ts'
import { createLinkedLeases } from './linked.ts'
import { createMemoryLeases, type LeaseBook } from './memory.ts'
import { createRedisLeases } from './redis.ts'

/** Two nodes, and a way to let a lease of 30 s end. */
type Pair = { one: Leases; two: Leases; outlive(name: string): Promise<void> }

const connectRedis = connectTestRedis()

describe('leases in memory', () => {
  keepsThePromises(async () => {
    const clock = createManualClock()
    const book: LeaseBook = new Map()
    const [one, two] = [createMemoryLeases({ clock, book }), createMemoryLeases({ clock, book })]
    return { one, two, outlive: () => clock.advance(30_000) }
  })
})

describe('leases of the supervisor of several processes', () => {
  const open = () => {
    const clock = createManualClock()
    const switchboard = createSwitchboard({ clock })
    const [one, two] = [joinSwitchboard(switchboard), joinSwitchboard(switchboard)]
    return { clock, one, two }
  }
  keepsThePromises(async () => {
    const { clock, one, two } = open()
    return {
      one: createLinkedLeases(one),
      two: createLinkedLeases(two),
      outlive: () => clock.advance(30_000),
    }
  })

  test('what a process held is free as soon as it has ended', async () => {
    const { one, two } = open()
    expect(await createLinkedLeases(one).acquire('job', 30_000)).toBe(true)
    one.leave()
    expect(await createLinkedLeases(two).acquire('job', 30_000)).toBe(true)
  })
})

describeWithRedis('leases in Redis', () => {
  keepsThePromises(async () => {
    const redis = await connectRedis()
    const [one, two] = [createRedisLeases({ redis }), createRedisLeases({ redis })]
    const outlive = async (name: string) => {
      const key = `gatehouse:lease:${name}`
      expect(await redis.pttl(key)).toBeGreaterThan(0)
      await redis.pexpire(key, 1)
      await vi.waitFor(async () => expect(await redis.exists(key)).toBe(0))
    }
    return { one, two, outlive }
  })
})

function keepsThePromises(open: () => Promise<Pair>) {
  test('one node holds a lease; the other is told no until it is given back', async () => {
    const { one, two } = await open()
    const name = randomUUID()
    expect(await one.acquire(name, 30_000)).toBe(true)
    expect(await two.acquire(name, 30_000)).toBe(false)
    await one.release(name)
    expect(await two.acquire(name, 30_000)).toBe(true)
  })

  test('the holder renews', async () => {
    const { one, two } = await open()
    const name = randomUUID()
    await one.acquire(name, 30_000)
    expect(await one.acquire(name, 30_000)).toBe(true)
    expect(await two.acquire(name, 30_000)).toBe(false)
  })

  test('a lease ends by itself, and then nobody gives away what another has taken', async () => {
    const { one, two, outlive } = await open()
    const name = randomUUID()
    await one.acquire(name, 30_000)
    await outlive(name)
    expect(await two.acquire(name, 30_000)).toBe(true)
    await one.release(name)
    expect(await one.acquire(name, 30_000)).toBe(false)
  })

  test('closing gives back what is held and only that', async () => {
    const { one, two } = await open()
    const [mine, theirs] = [randomUUID(), randomUUID()]
    await one.acquire(mine, 30_000)
    await two.acquire(theirs, 30_000)
    await one.close()
    expect(await two.acquire(mine, 30_000)).toBe(true)
    expect(await one.acquire(theirs, 30_000)).toBe(false)
  })

  test('of many nodes at once one gets it', async () => {
    const { one, two } = await open()
    const name = randomUUID()
    const answers = await Promise.all([one.acquire(name, 30_000), two.acquire(name, 30_000)])
    expect(answers.filter(Boolean)).toHaveLength(1)
  })
}

test('without Redis a lease is neither granted nor denied but unavailable', async () => {
  const down = openRedis('redis://127.0.0.1:1/0', silentLog)
  await expect(createRedisLeases({ redis: down }).acquire('job', 1000)).rejects.toMatchObject({ code: 'unavailable' })
  down.disconnect()
})
