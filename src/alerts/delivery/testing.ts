import { randomBytes } from 'node:crypto'
import type { KyselyPlugin } from 'kysely'
import { onTestFinished } from 'vitest'
import { createManualClock } from '../../kernel/clock.ts'
import type { Announcements } from '../../kernel/events.ts'
import { everything } from '../../kernel/scope.ts'
import { createMemoryBus } from '../../platform/bus/memory.ts'
import type { TestEngine } from '../../platform/database/testing.ts'
import { createUpstreams, type Upstreams } from '../../platform/fetch.ts'
import { createMemoryLeases } from '../../platform/lease/memory.ts'
import type { Mailer } from '../../platform/mail.ts'
import { createMetrics } from '../../platform/metrics.ts'
import { createSecrets } from '../../platform/secrets.ts'
import { silentLog } from '../../platform/testing.ts'
import { parametersFor, startVendors } from '../channels/testing-vendors.ts'
import { createDelivery, type DeliveryConfig, type DeliveryParts } from './index.ts'
import { channelCreate, receiverCreate } from './schema.ts'
import { createDeliveryStore } from './store.ts'

export type TestStore = Awaited<ReturnType<TestEngine['open']>>

const secrets = createSecrets(randomBytes(32))
export const testStart = Date.UTC(2026, 0, 5, 10)

const config: DeliveryConfig = {
  ...{
    attempt_timeout_seconds: 2,
    channel_max_waiting: 200,
    max_in_doubt: 1,
    broken_after: 3,
    proof_hour: 3,
    max_channels: 500,
    delivery_days: 90,
  },
}

export const noMailer: Pick<Mailer, 'isConfigured' | 'send'> = {
  isConfigured: false,
  send: () => Promise.reject(new Error('no mail server')),
}

/** A store without channels and deliveries, made once for a file: its migrations are most of a test's time. */
export function shareStore(open: () => Promise<TestStore>): () => Promise<TestStore> {
  let made: Promise<TestStore> | undefined
  return async () => {
    made ??= open()
    const store = await made
    for (const table of tables) await store.kysely.deleteFrom(table).execute()
    return store
  }
}

const tables = [
  ...(['channels', 'channel_standings', 'channel_threads', 'receivers'] as const),
  ...(['deliveries', 'delivery_alerts', 'delivery_attempts'] as const),
]

/** Vendors that outlive what is told to them. */
export async function openVendors() {
  const vendors = await startVendors()
  onTestFinished(() => vendors.close())
  return vendors
}

/** A node that delivers, on a clock the test moves; a second one on the same store is the same hub after a crash. */
export async function openNode(
  database: TestStore,
  options: {
    clock?: ReturnType<typeof createManualClock>
    config?: Partial<DeliveryConfig>
    mailer?: DeliveryParts['mailer']
    wrapStore?(db: DeliveryParts['db']): DeliveryParts['db']
    wrapWay?(way: Upstreams): Upstreams
    /** It hangs in the middle of its work for ever, as a killed process does: nobody stops it. */
    isLeftDead?: boolean
  } = {},
) {
  const clock = options.clock ?? createManualClock(testStart)
  const bus = createMemoryBus({ log: silentLog })
  const metrics = createMetrics({ clock })
  const plainWay = createUpstreams({ allow: ['127.0.0.1/32'], connectTimeoutMs: 1000, log: silentLog })
  let asking = 0
  const counted: Upstreams = {
    ...plainWay,
    send(url, sendOptions) {
      asking++
      return plainWay.send(url, sendOptions).finally(() => asking--)
    },
  }
  const way = options.wrapWay?.(counted) ?? counted
  const told: Announcements['channel.changed'][] = []
  bus.on('channel.changed', (news) => void told.push(news))
  // Statements under way: the clock must not run ahead of a store that is slow today.
  const asked = new Set<object>()
  const watching: KyselyPlugin = {
    transformQuery({ node, queryId }) {
      asked.add(queryId)
      return node
    },
    async transformResult({ result, queryId }) {
      asked.delete(queryId)
      return result
    },
  }
  const watched = database.kysely.withPlugin(watching)
  const db = options.wrapStore?.(watched) ?? watched
  const delivery = createDelivery(
    {
      ...{ db, secrets, bus, clock, log: silentLog, metrics, ways: { hub: way, tenant: way }, random: () => 1 },
      ...{ mailer: options.mailer ?? noMailer, publicUrl: 'https://hub.example.com', tenantIdOf: async () => null },
      leases: createMemoryLeases({ clock }),
    },
    { ...config, ...options.config },
  )
  await delivery.start()
  const stop = async () => {
    // Whoever sleeps on this clock wakes by the stop itself.
    await delivery.stop()
    await plainWay.close(0)
  }
  onTestFinished(options.isLeftDead ? () => plainWay.close(0) : stop)
  const store = createDeliveryStore(database.kysely)
  const { configure } = delivery

  const settle = () => new Promise((resolve) => setTimeout(resolve, 2))
  async function quiet(): Promise<void> {
    while (asking > 0) await settle()
    await settle()
    for (let i = 0; asked.size > 0 && i < 500; i++) await settle()
    // What failed has no result.
    asked.clear()
  }
  async function pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 500) {
      await quiet()
      await clock.advance(Math.min(500, left))
    }
    await settle()
  }

  /** Lets time go by until it is decided, or `mostMs` of it are over. */
  async function drive<T>(work: Promise<T>, mostMs = 3_600_000): Promise<T> {
    let isDone = false
    const ending = work.finally(() => {
      isDone = true
    })
    ending.catch(() => {})
    for (let spent = 0; !isDone && spent < mostMs; spent += 500) {
      await quiet()
      if (!isDone) await clock.advance(500)
    }
    if (!isDone) throw new Error(`not decided after ${mostMs} ms`)
    return ending
  }

  const channel = async (type: string, url: string, wish: object = {}) => {
    const whole = channelCreate.parse({
      name: `${type} ${randomBytes(3).toString('hex')}`,
      type,
      parameters: parametersFor(type, url),
      ...wish,
    })
    return (await configure.createChannel('', whole)).channel
  }
  const receiver = (name: string, ...targets: (string | object)[]) =>
    configure.createReceiver(
      '',
      receiverCreate.parse({
        name,
        targets: targets.map((each) => (typeof each === 'string' ? { channel_id: each } : each)),
      }),
    )
  const { signal } = new AbortController()
  const deliver = (notification: Parameters<typeof delivery.deliver>[0]) => delivery.deliver(notification, { signal })
  const ledger = async (alert?: string) => {
    const rows = await store.listDeliveries(everything, alert === undefined ? {} : { alert }, 500)
    const attempts = await store.attemptsOf(rows.map(({ id }) => id))
    return rows.reverse().map((row) => ({ ...row, attempts: attempts.filter((each) => each.delivery_id === row.id) }))
  }
  return {
    clock,
    bus,
    metrics,
    delivery,
    store,
    configure,
    told,
    pass,
    drive,
    channel,
    receiver,
    deliver,
    ledger,
    stop,
  }
}
