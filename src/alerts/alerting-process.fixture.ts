/**
 * A process of its own that takes alerts and tells them: argv is the store's address and the master key in hex. It says
 * `ready`, and `posted` after each list of alerts its parent sends; the parent kills it whenever it likes.
 */
import { systemClock } from '../kernel/clock.ts'
import { createMemoryBus } from '../platform/bus/memory.ts'
import { openDatabase } from '../platform/database/index.ts'
import { createUpstreams } from '../platform/fetch.ts'
import { createMemoryLeases } from '../platform/lease/memory.ts'
import { createMetrics } from '../platform/metrics.ts'
import { createSecrets } from '../platform/secrets.ts'
import { silentLog } from '../platform/testing.ts'
import type { PostedAlert } from './alert.ts'
import { alertsConfig } from './config.ts'
import { createDelivery, type DeliveryTables } from './delivery/index.ts'
import { createPipeline, type PipelineTables } from './pipeline/index.ts'

const [url = '', key = ''] = process.argv.slice(2)
const { kysely: db } = await openDatabase<DeliveryTables & PipelineTables>({
  ...{ url, dataDir: '', poolSize: 4, log: silentLog },
})
const clock = systemClock
const parts = {
  ...{ db, clock, log: silentLog, bus: createMemoryBus({ log: silentLog }), metrics: createMetrics(), version: '0' },
  ...{ secrets: createSecrets(Buffer.from(key, 'hex')), leases: createMemoryLeases({ clock }) },
}
const way = createUpstreams({ allow: ['127.0.0.1/32'], connectTimeoutMs: 2000, log: silentLog })
const config = alertsConfig.parse({
  route: { receiver: 'ops', group_by: ['...'], group_wait: '0s', group_interval: '1s', repeat_interval: '4h' },
  storm_max_notifications: 0,
})
const delivery = createDelivery(
  {
    ...{ ...parts, ways: { hub: way, tenant: way }, publicUrl: '', tenantIdOf: async () => null },
    mailer: { isConfigured: false, send: () => Promise.reject(new Error('no mail server')) },
  },
  config,
)
await delivery.start()
const pipeline = createPipeline(
  {
    ...{ ...parts, deliver: delivery.deliver, suppressed: delivery.suppressed, dependenciesOf: () => [] },
    receivers: async () => (await delivery.receivers()).map(({ name }) => ({ name, sendsResolved: true })),
  },
  config,
)
process.on('message', (alerts: PostedAlert[]) => void pipeline.post(alerts).then(() => process.send?.('posted')))
process.send?.('ready')
for (;;) {
  await pipeline.tick()
  await clock.sleep(20)
}
