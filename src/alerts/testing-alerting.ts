import { systemClock } from '../kernel/clock.ts'
import { migrations } from '../migrations/index.ts'
import { createMemoryBus } from '../platform/bus/memory.ts'
import { migrate, openDatabase } from '../platform/database/index.ts'
import { createUpstreams } from '../platform/fetch.ts'
import { createMemoryLeases } from '../platform/lease/memory.ts'
import { createMetrics } from '../platform/metrics.ts'
import { createSecrets } from '../platform/secrets.ts'
import { silentLog } from '../platform/testing.ts'
import { alertsConfig } from './config.ts'
import { createDelivery, type DeliveryTables } from './delivery/index.ts'
import { channelCreate, receiverCreate } from './delivery/schema.ts'
import { createPipeline, type PipelineTables } from './pipeline/index.ts'

/**
 * Pipeline and delivery on the real clock over a real store, with a webhook for each receiver: what a hub does from a posted
 * alert to a message, and nothing else. Alerts go to the receiver of their label `to`; each is a message of its own.
 */
export async function openAlerting(own: {
  url: string
  isMigrated: boolean
  /** By receiver, the parameters of its webhooks; none of them when another process has made them. */
  receivers: Readonly<Record<string, readonly object[]>>
  settings?: object
  key?: Buffer
}) {
  const database = await openDatabase<DeliveryTables & PipelineTables>({
    ...{ url: own.url, dataDir: '', poolSize: 4, log: silentLog },
  })
  if (!own.isMigrated) await migrate(database, migrations, { log: silentLog })
  const clock = systemClock
  const parts = {
    ...{ db: database.kysely, clock, log: silentLog, bus: createMemoryBus({ log: silentLog }), version: '0' },
    ...{ metrics: createMetrics(), secrets: createSecrets(own.key ?? Buffer.alloc(32, 7)) },
    leases: createMemoryLeases({ clock }),
  }
  const way = createUpstreams({ allow: ['127.0.0.1/32'], connectTimeoutMs: 2000, log: silentLog })
  const names = Object.keys(own.receivers)
  const config = alertsConfig.parse({
    route: {
      ...{ receiver: names[0] ?? 'default', group_by: ['...'], group_wait: '0s', group_interval: '1s' },
      repeat_interval: '4h',
      routes: names.map((name) => ({ receiver: name, matchers: [`to="${name}"`] })),
    },
    ...own.settings,
  })
  const delivery = createDelivery(
    {
      ...{ ...parts, ways: { hub: way, tenant: way }, publicUrl: '', tenantIdOf: async () => null },
      mailer: { isConfigured: false, send: () => Promise.reject(new Error('no mail server')) },
    },
    config,
  )
  await delivery.start()
  for (const [name, webhooks] of Object.entries(own.receivers)) {
    const targets = []
    for (const [index, parameters] of webhooks.entries()) {
      const wish = channelCreate.parse({ name: `${name} ${index}`, type: 'webhook', parameters })
      targets.push({ channel_id: (await delivery.configure.createChannel('', wish)).channel.id })
    }
    if (targets.length > 0) await delivery.configure.createReceiver('', receiverCreate.parse({ name, targets }))
  }
  const pipeline = createPipeline(
    {
      ...{ ...parts, deliver: delivery.deliver, suppressed: delivery.suppressed, dependenciesOf: () => [] },
      receivers: async () => (await delivery.receivers()).map(({ name }) => ({ name, sendsResolved: true })),
    },
    config,
  )
  return {
    ...{ delivery, pipeline, metrics: parts.metrics },
    async close(): Promise<void> {
      await pipeline.stop()
      await delivery.stop()
      await way.close(0)
      await database.close()
    },
  }
}
