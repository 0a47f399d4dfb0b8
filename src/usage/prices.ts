import { createHash } from 'node:crypto'
import type { Clock } from '../kernel/clock.ts'
import { fail } from '../kernel/errors.ts'
import type { Bus } from '../platform/bus/bus.ts'
import type { Log } from '../platform/log.ts'
import { createSnapshot } from '../platform/snapshot.ts'
import { priceBook } from './price-book/index.ts'
import { type Consumed, type Cost, createPriceList, type PriceList } from './price-list.ts'
import { noOtherRates, type PriceRow } from './rows.ts'
import type { UsageStore } from './store.ts'

export type PricesParts = {
  store: Pick<UsageStore, 'addPrices' | 'listPrices' | 'priceRevision'>
  bus: Bus
  clock: Clock
  log: Log
}

/** Members that newer versions of the hub added may be left out: no such price. */
export type NewPrice = Omit<PriceRow, 'id' | 'origin' | 'created_at' | keyof typeof noOtherRates> &
  Partial<typeof noOtherRates>

export type Prices = PriceList & {
  /** Enters the built-in book where it is missing and loads all prices. Nothing is priced before. */
  start(): Promise<void>
  stop(): void
  list(): Promise<PriceRow[]>
  /** Adds a version of a price; it holds for requests from `effective_from` on, on every node within seconds. */
  add(price: NewPrice): Promise<PriceRow>
}

/** The price book in memory. Costs are computed without the store and follow changes of any node. */
export function createPrices({ store, bus, clock, log }: PricesParts): Prices {
  const snapshot = createSnapshot({
    name: 'prices',
    load: async () => createPriceList(await store.listPrices()),
    revision: () => store.priceRevision(),
    intervalMs: 5000,
    clock,
    log,
  })
  let stopListening = () => {}
  let isReady = false

  return {
    async start() {
      await store.addPrices(priceBook(clock.now()))
      await snapshot.ready()
      isReady = true
      stopListening = bus.on('config.changed', ({ kind }) => {
        if (kind === 'prices') void snapshot.refresh()
      })
    },
    stop() {
      stopListening()
      snapshot.stop()
    },
    cost: (entry: Consumed): Cost => (isReady ? snapshot.get().cost(entry) : { nanoUsd: null, priceId: '' }),
    wasted: (entry) => (isReady ? snapshot.get().wasted(entry) : null),
    list: () => store.listPrices(),
    async add(price) {
      const row: PriceRow = { ...noOtherRates, ...price, id: idOf(price), origin: 'operator', created_at: clock.now() }
      if ((await store.addPrices([row])) === 0) {
        throw fail(
          'conflict',
          'This price was entered before; a new version needs another effective_from or other rates',
        )
      }
      bus.announce('config.changed', { kind: 'prices' })
      await snapshot.refresh()
      return row
    },
  }
}

/** The same price entered twice, by a double click or a repeated script, is one price. */
function idOf(price: NewPrice): string {
  const facts = [price.provider_type, price.model, price.above_tokens_in, price.effective_from]
  const rates = [price.input, price.output, price.cached_read, price.cached_write]
  const others = { ...noOtherRates, ...price }
  const added = (Object.keys(noOtherRates) as (keyof typeof noOtherRates)[]).flatMap((name) =>
    others[name] === noOtherRates[name] ? [] : [[name, others[name]]],
  )
  return `prc_${createHash('sha256')
    .update(JSON.stringify(added.length === 0 ? [facts, rates] : [facts, rates, added]))
    .digest('base64url')
    .slice(0, 26)}`
}
