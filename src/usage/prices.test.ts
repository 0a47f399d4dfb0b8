import type { Kysely } from 'kysely'
import { describe, expect, test } from 'vitest'
import { createManualClock } from '../kernel/clock.ts'
import { createMemoryBus } from '../platform/bus/memory.ts'
import { engines } from '../platform/database/testing.ts'
import { priceBook } from './price-book/index.ts'
import { createPrices, type NewPrice } from './prices.ts'
import type { UsageTables } from './rows.ts'
import { createUsageStore } from './store.ts'
import { quietLog, sampleEntry, testTime, usageMigrations } from './testing.ts'

const ours: NewPrice = {
  provider_type: '',
  model: 'our-model',
  above_tokens_in: 0,
  input: 1_000_000_000,
  output: 2_000_000_000,
  cached_read: null,
  cached_write: null,
  effective_from: testTime,
  source: 'contract 7',
}

describe.each(engines())('prices on $name', ({ open }) => {
  async function start() {
    const database = await open(usageMigrations)
    const store = createUsageStore(database.kysely as Kysely<UsageTables>)
    const clock = createManualClock(testTime)
    const node = () => createPrices({ store, bus: createMemoryBus({ log: quietLog }), clock, log: quietLog })
    return { store, clock, node }
  }

  test('the book is entered once, however many nodes start however often', async () => {
    const { store, node } = await start()
    const nodes = [node(), node(), node()]
    await Promise.all(nodes.map((each) => each.start()))
    expect((await store.listPrices()).map((row) => row.id).sort()).toEqual(
      priceBook(0)
        .map((row) => row.id)
        .sort(),
    )
    expect(nodes[0]!.cost(sampleEntry()).nanoUsd).toBe(7_500_000)
    for (const each of nodes) each.stop()
  })

  test('a price that was added holds at once here and soon on every node, and overwrites nothing', async () => {
    const { store, clock, node } = await start()
    const [here, there] = [node(), node()]
    await here.start()
    await there.start()
    const entry = sampleEntry({ modelServed: 'our-model' })
    expect(here.cost(entry).nanoUsd).toBe(null)
    const added = await here.add(ours)
    expect(here.cost(entry)).toEqual({ nanoUsd: 2_000_000, priceId: added.id })
    await expect
      .poll(async () => {
        await clock.advance(5000)
        return there.cost(entry).nanoUsd
      })
      .toBe(2_000_000)

    await here.add({ ...ours, input: 9_000_000_000, effective_from: testTime + 1000 })
    expect(here.cost(entry).nanoUsd).toBe(2_000_000)
    expect(here.cost({ ...entry, startedAt: testTime + 1000 }).nanoUsd).toBe(10_000_000)
    expect((await store.listPrices()).filter((row) => row.model === 'our-model')).toHaveLength(2)
    here.stop()
    there.stop()
  })

  test('the same price entered twice is refused as known', async () => {
    const { node } = await start()
    const prices = node()
    await prices.start()
    await prices.add(ours)
    await expect(prices.add(ours)).rejects.toMatchObject({ code: 'conflict' })
    prices.stop()
  })

  test('before the prices are loaded every cost is unknown, not an error', async () => {
    const { node } = await start()
    expect(node().cost(sampleEntry())).toEqual({ nanoUsd: null, priceId: '' })
  })
})
