import { randomUUID } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createManualClock } from '../../kernel/clock.ts'
import type { Link } from '../processes/link.ts'
import { createSwitchboard } from '../processes/switchboard.ts'
import { joinSwitchboard } from '../processes/testing.ts'
import { openRedis } from '../redis.ts'
import { connectTestRedis, describeWithRedis, silentLog } from '../testing.ts'
import { type Demand, settledMs, type Tallies } from './counter.ts'
import { createLinkedCounter } from './linked.ts'
import { createMemoryTallies } from './memory-tallies.ts'
import { createRedisTallies } from './redis-tallies.ts'

type ManualClock = ReturnType<typeof createManualClock>

const windowMs = 60_000
const partMs = 2000
const leaseMs = 20_000
const lifeMs = 3_600_000
const connectRedis = connectTestRedis()
const random = fc.sample(fc.integer({ min: 0, max: 0x7fffffff }), 1)[0]!

describe('tallies in memory', () => keepsThePromises(async (clock) => createMemoryTallies({ clock })))

describe('tallies in the supervisor of several processes', () => {
  keepsThePromises(async (clock) => createLinkedCounter({ link: joinSwitchboard(createSwitchboard({ clock })).link }))

  test('one limit is held over all processes', async () => {
    const switchboard = createSwitchboard({ clock: createManualClock() })
    const [one, two] = [1, 2].map(() => createLinkedCounter({ link: joinSwitchboard(switchboard).link }))
    const demand: Demand = { kind: 'window', key: randomUUID(), limit: 3, cost: 1, windowMs }
    const asked = await Promise.all(
      [one!, two!, one!, two!].map((tallies) => tallies.admit(randomUUID(), [demand], leaseMs)),
    )
    expect(asked.map(({ result }) => result).sort()).toEqual(['admitted', 'admitted', 'admitted', 'refused'])
  })

  test('a call without a limit asks nobody', () => {
    const link = new Proxy({} as Link, { get: () => expect.fail('the supervisor was asked') })
    expect(createLinkedCounter({ link }).admit('a', [], leaseMs)).toMatchObject({ result: 'admitted' })
  })
})

describeWithRedis('tallies in Redis', () => {
  keepsThePromises(async (clock) => createRedisTallies({ redis: await connectRedis(), clock }))

  test("the server's own time is used, so nodes whose clocks differ hold one limit", async () => {
    const redis = await connectRedis()
    const [one, two] = [createRedisTallies({ redis }), createRedisTallies({ redis })]
    const key = randomUUID()
    const admitted = await one.admit('a', [{ kind: 'window', key, limit: 1, cost: 1, windowMs }], leaseMs)
    expect(Math.abs(admitted.at - Date.now())).toBeLessThan(5000)
    expect(await two.admit('b', [{ kind: 'window', key, limit: 1, cost: 1, windowMs }], leaseMs)).toMatchObject({
      result: 'refused',
    })
  })

  test('a Redis that has forgotten the scripts is taught them again', async () => {
    const redis = await connectRedis()
    const tallies = createRedisTallies({ redis })
    const demand: Demand = { kind: 'window', key: randomUUID(), limit: 2, cost: 1, windowMs }
    await tallies.admit('first', [demand], leaseMs)
    await redis.script('FLUSH')
    expect(await tallies.admit('second', [demand], leaseMs)).toMatchObject({ result: 'admitted' })
    expect(await tallies.admit('third', [demand], leaseMs)).not.toMatchObject({ result: 'admitted' })
  })

  test('4.7.31 every key has a time to live', async () => {
    const redis = await connectRedis()
    const tallies = createRedisTallies({ redis })
    const key = randomUUID()
    await tallies.raise({ key: `b-${key}`, limit: 100, lifeMs }, 0)
    const demands: Demand[] = [
      { kind: 'window', key: `w-${key}`, limit: 5, cost: 1, windowMs },
      { kind: 'slot', key: `s-${key}`, limit: 5 },
      { kind: 'budget', key: `b-${key}`, limit: 100, cost: 10, lifeMs },
    ]
    await tallies.admit('holder', demands, leaseMs)
    await tallies.settle('other', [{ kind: 'budget', key: `b-${key}`, cost: 1, limit: 100, lifeMs }])
    const keys = await redis.keys(`gatehouse:tally:*${key}*`)
    expect(keys).toHaveLength(4)
    for (const each of keys) expect(await redis.pttl(each), each).toBeGreaterThan(0)
  })

  test('without Redis every verb is rejected as unavailable', async () => {
    const down = openRedis('redis://:hidden-password@127.0.0.1:1/0', silentLog)
    const tallies = createRedisTallies({ redis: down })
    const verbs = [
      () => tallies.admit('a', [{ kind: 'slot', key: 'k', limit: 1 }], leaseMs),
      () => tallies.settle('a', [{ kind: 'slot', key: 'k' }]),
      () => tallies.renew([{ kind: 'slot', key: 'k', holder: 'a' }], leaseMs),
      () => tallies.raise({ key: 'k', limit: 1, lifeMs }, 0),
      () => tallies.read(['k']),
    ]
    for (const verb of verbs) {
      const error = await Promise.resolve(verb()).catch((thrown: unknown) => thrown)
      expect(error).toMatchObject({ code: 'unavailable', retryAfterMs: 1000 })
    }
    down.disconnect()
  })
})

function keepsThePromises(open: (clock: ManualClock) => Promise<Tallies>) {
  async function start(offsetMs = 0) {
    const clock = createManualClock(Date.UTC(2026, 0, 1) + offsetMs)
    const tallies = await open(clock)
    const key = randomUUID()
    const admit = (holder: string, ...demands: Demand[]) =>
      Promise.resolve(tallies.admit(holder, demands, leaseMs)).then((admission) => admission)
    const windowOf = (limit: number, cost = 1): Demand => ({ kind: 'window', key: `w-${key}`, limit, cost, windowMs })
    const slotOf = (limit: number): Demand => ({ kind: 'slot', key: `s-${key}`, limit })
    const budget = (limit: number) => ({ key: `b-${key}`, limit, lifeMs })
    const budgetOf = (limit: number, cost: number): Demand => ({ kind: 'budget', cost, ...budget(limit) })
    const balance = async () => (await tallies.read([`b-${key}`]))[0]
    return { clock, tallies, admit, windowOf, slotOf, budget, budgetOf, balance, key }
  }

  test('a window admits up to its limit and tells when there is room again', async () => {
    const { admit, windowOf, clock } = await start(500)
    expect(await admit('a', windowOf(2))).toMatchObject({ result: 'admitted', standings: [{ remaining: 1 }] })
    await clock.advance(10_000)
    expect(await admit('b', windowOf(2))).toMatchObject({ result: 'admitted', standings: [{ remaining: 0 }] })
    const refused = await admit('c', windowOf(2))
    expect(refused).toMatchObject({ result: 'refused', standings: [{ isMet: false, remaining: 0 }] })
    const { resetMs } = refused.standings[0]!
    expect(resetMs).toBe(windowMs + partMs - 10_500)
    await clock.advance(resetMs - 1)
    expect(await admit('c', windowOf(2))).toMatchObject({ result: 'refused' })
    await clock.advance(1)
    expect(await admit('c', windowOf(2))).toMatchObject({ result: 'admitted', standings: [{ remaining: 0 }] })
  })

  test('whenever calls come, no sixty seconds hold more than the limit', async () => {
    const { admit, windowOf, clock } = await start(777)
    const limit = 20
    const admittedAt: number[] = []
    let seed = random
    for (let i = 0; i < 150; i++) {
      seed = (seed * 48271) % 0x7fffffff
      await clock.advance(seed % 4 === 0 ? seed % 9000 : seed % 40)
      if ((await admit(`h${i}`, windowOf(limit))).result === 'admitted') admittedAt.push(clock.now())
    }
    for (const from of admittedAt) {
      const within = admittedAt.filter((at) => at >= from && at < from + windowMs).length
      expect(within, `seed ${random}`).toBeLessThanOrEqual(limit)
    }
    expect(admittedAt.length).toBeGreaterThan(limit)
  })

  test('a call is admitted by all its limits or counts in none', async () => {
    const { admit, windowOf, slotOf, budgetOf, budget, tallies, balance } = await start()
    await tallies.raise(budget(100), 0)
    await admit('first', slotOf(1))
    expect(await admit('second', windowOf(5), budgetOf(100, 30), slotOf(1))).toMatchObject({
      result: 'refused',
      standings: [
        { isMet: true, remaining: 5 },
        { isMet: true, remaining: 100 },
        { isMet: false, remaining: 0 },
      ],
    })
    expect(await balance()).toEqual({ spent: 0, held: 0 })
    expect(await admit('third', windowOf(5, 0))).toMatchObject({ standings: [{ remaining: 5 }] })
  })

  test('of many callers at once exactly as many as the limit are admitted', async () => {
    const { admit, windowOf, slotOf } = await start()
    const all = await Promise.all(Array.from({ length: 50 }, (_, i) => admit(`h${i}`, windowOf(20), slotOf(30))))
    expect(all.filter(({ result }) => result === 'admitted')).toHaveLength(20)
  })

  test('tokens reserved too many return, and those used beyond count from then on', async () => {
    const { admit, windowOf, tallies, key, clock } = await start()
    const { at } = await admit('a', windowOf(100, 80))
    const charge = { kind: 'window' as const, key: `w-${key}`, windowMs, at, reserved: 80 }
    await tallies.settle('a', [{ ...charge, used: 30 }])
    expect(await admit('b', windowOf(100, 70))).toMatchObject({ result: 'admitted', standings: [{ remaining: 0 }] })
    await clock.advance(30_000)
    await tallies.settle('b', [{ ...charge, reserved: 70, used: 90 }])
    await clock.advance(windowMs + partMs - 30_000)
    expect(await admit('c', windowOf(100, 0))).toMatchObject({ standings: [{ remaining: 80 }] })
    await tallies.settle('a', [{ ...charge, used: 0 }])
    expect(await admit('c', windowOf(100, 0))).toMatchObject({ standings: [{ remaining: 80 }] })
  })

  test('a demand larger than its limit is refused for a whole window', async () => {
    const { admit, windowOf } = await start()
    expect(await admit('a', windowOf(10, 11))).toMatchObject({ result: 'refused', standings: [{ resetMs: windowMs }] })
  })

  test('a slot is held while it is renewed, released once, and free again when its holder is lost', async () => {
    const { admit, slotOf, tallies, key, clock } = await start()
    const slot = { kind: 'slot' as const, key: `s-${key}` }
    for (const holder of ['a', 'b']) expect(await admit(holder, slotOf(2))).toMatchObject({ result: 'admitted' })
    expect(await admit('c', slotOf(2))).toMatchObject({ result: 'refused' })
    await clock.advance(leaseMs - 1)
    await tallies.renew([{ ...slot, holder: 'a' }], leaseMs)
    await clock.advance(1)
    expect(await admit('c', slotOf(2))).toMatchObject({ result: 'admitted' })
    await tallies.settle('c', [slot])
    await tallies.settle('c', [slot])
    expect(await admit('d', slotOf(2))).toMatchObject({ result: 'admitted', standings: [{ remaining: 0 }] })
    expect(await admit('e', slotOf(2))).toMatchObject({ result: 'refused' })
  })

  test('a budget that does not know what was spent counts nothing until it is told', async () => {
    const { admit, budgetOf, budget, windowOf, tallies } = await start()
    expect(await admit('a', budgetOf(100, 10), windowOf(5))).toMatchObject({
      result: 'unknown',
      standings: [{ isKnown: false }, { remaining: 5 }],
    })
    await tallies.raise(budget(100), 95)
    expect(await admit('a', budgetOf(100, 10), windowOf(5))).toMatchObject({ result: 'refused' })
    expect(await admit('a', budgetOf(100, 5), windowOf(5))).toMatchObject({ result: 'admitted' })
  })

  test('what was spent is never lowered', async () => {
    const { tallies, budget, balance } = await start()
    await tallies.raise(budget(100), 40)
    await tallies.raise(budget(100), 30)
    expect(await balance()).toEqual({ spent: 40, held: 0 })
  })

  test('an exhausted budget admits not even what costs nothing', async () => {
    const { admit, tallies, budget, budgetOf } = await start()
    await tallies.raise(budget(100), 100)
    expect(await admit('a', budgetOf(100, 0))).toMatchObject({ result: 'refused' })
  })

  test('settling twice spends once, also when the reservation had ended', async () => {
    const { admit, tallies, budget, budgetOf, balance, clock } = await start()
    await tallies.raise(budget(1000), 0)
    await admit('a', budgetOf(1000, 100))
    await admit('b', budgetOf(1000, 100))
    expect(await balance()).toEqual({ spent: 0, held: 200 })
    const charge = (cost: number) => [{ kind: 'budget' as const, cost, ...budget(1000) }]
    await tallies.settle('a', charge(70))
    await tallies.settle('a', charge(70))
    expect(await balance()).toEqual({ spent: 70, held: 100 })
    await clock.advance(leaseMs)
    expect(await balance()).toEqual({ spent: 70, held: 0 })
    await tallies.settle('b', charge(50))
    await tallies.settle('b', charge(50))
    await tallies.renew([{ kind: 'budget', ...budget(1000), holder: 'b', cost: 100 }], leaseMs)
    expect(await balance()).toEqual({ spent: 120, held: 0 })
  })

  test('a reservation that was given back may be taken again', async () => {
    const { admit, tallies, budget, budgetOf, balance, key } = await start()
    await tallies.raise(budget(1000), 0)
    await admit('a', budgetOf(1000, 100))
    await tallies.settle('a', [{ kind: 'unreserve', key: `b-${key}` }])
    expect(await balance()).toEqual({ spent: 0, held: 0 })
    await admit('a', budgetOf(1000, 60))
    expect(await balance()).toEqual({ spent: 0, held: 60 })
  })

  test('percents are passed once for each limit', async () => {
    const { tallies, budget } = await start()
    const settle = async (holder: string, cost: number, limit = 100) =>
      (await tallies.settle(holder, [{ kind: 'budget', cost, ...budget(limit) }]))[0]
    expect(await settle('a', 49)).toEqual({ spent: 49, fromPercent: 0, toPercent: 49 })
    expect(await settle('b', 32)).toEqual({ spent: 81, fromPercent: 49, toPercent: 81 })
    expect(await settle('c', 0)).toEqual({ spent: 81, fromPercent: 81, toPercent: 81 })
    expect(await settle('d', 100)).toEqual({ spent: 181, fromPercent: 81, toPercent: 100 })
    expect(await settle('e', 1)).toEqual({ spent: 182, fromPercent: 100, toPercent: 100 })
    expect(await settle('f', 0, 364)).toEqual({ spent: 182, fromPercent: 0, toPercent: 50 })
  })

  test('sums far beyond 32 bits are exact', async () => {
    const { tallies, budget, balance, admit, budgetOf } = await start()
    const limit = 9_000_000_000_000_001
    await tallies.raise(budget(limit), 8_999_999_999_999_000)
    await tallies.settle('a', [{ kind: 'budget', cost: 1, ...budget(limit) }])
    expect(await admit('b', budgetOf(limit, 1000))).toMatchObject({ result: 'admitted' })
    expect(await balance()).toEqual({ spent: 8_999_999_999_999_001, held: 1000 })
    expect(await admit('c', budgetOf(limit, 1))).toMatchObject({ result: 'refused' })
  })

  test('in any order of reserving, settling, renewing and losing, the sums are those of a plain list', async () => {
    const holder = fc.constantFrom('a', 'b', 'c', 'd')
    const amount = fc.integer({ min: 0, max: 60 })
    const step = fc.oneof(
      fc.record({ verb: fc.constant('reserve' as const), holder, amount }),
      fc.record({ verb: fc.constant('settle' as const), holder, amount }),
      fc.record({ verb: fc.constant('renew' as const), holder, amount }),
      fc.record({ verb: fc.constant('return' as const), holder, amount }),
      fc.record({
        verb: fc.constant('wait' as const),
        holder,
        amount: fc.constantFrom(1000, 9000, leaseMs, settledMs),
      }),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
        const { tallies, clock, admit, budget, budgetOf, balance, key } = await start()
        const limit = 150
        await tallies.raise(budget(limit), 0)
        let reserved: { holder: string; amount: number; endsAt: number }[] = []
        let settled: { holder: string; endsAt: number }[] = []
        let spent = 0
        for (const { verb, holder, amount } of steps) {
          if (verb === 'wait') await clock.advance(amount)
          const now = clock.now()
          reserved = reserved.filter(({ endsAt }) => endsAt > now)
          settled = settled.filter(({ endsAt }) => endsAt > now)
          const held = () => reserved.reduce((sum, each) => sum + each.amount, 0)
          const isSettled = settled.some((each) => each.holder === holder)
          const others = () => reserved.filter((each) => each.holder !== holder)
          const hold = () => {
            reserved = [...others(), { holder, amount, endsAt: now + leaseMs }]
          }
          if (verb === 'reserve') {
            const { result } = await admit(holder, budgetOf(limit, amount))
            const left = limit - spent - held()
            expect(result).toBe(left > 0 && amount <= left ? 'admitted' : 'refused')
            if (result === 'admitted') hold()
          } else if (verb === 'settle') {
            await tallies.settle(holder, [{ kind: 'budget', cost: amount, ...budget(limit) }])
            if (!isSettled) {
              spent += amount
              reserved = others()
              settled.push({ holder, endsAt: now + settledMs })
            }
          } else if (verb === 'renew') {
            await tallies.renew([{ kind: 'budget', ...budget(limit), holder, cost: amount }], leaseMs)
            if (!isSettled) hold()
          } else if (verb === 'return') {
            await tallies.settle(holder, [{ kind: 'unreserve', key: `b-${key}` }])
            reserved = others()
          }
          expect(await balance()).toEqual({ spent, held: held() })
        }
      }),
      { numRuns: 100 },
    )
  })
}

test('a flood of addresses never holds more windows than the bound, and keeps the newest', async () => {
  const tallies = createMemoryTallies({ clock: createManualClock(), maxWindows: 50 })
  const admit = (key: string) => tallies.admit('h', [{ kind: 'window', key, limit: 1, cost: 1, windowMs }], leaseMs)
  for (let i = 0; i < 500; i++) await admit(`flood ${i}`)
  expect(await admit('flood 499')).toMatchObject({ result: 'refused' })
  expect(await admit('flood 0')).toMatchObject({ result: 'admitted' })
})
