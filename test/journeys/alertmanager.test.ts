import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, expect, test } from 'vitest'
import { alertsConfig } from '../../src/alerts/config.ts'
import { createPipeline } from '../../src/alerts/pipeline/index.ts'
import { systemClock } from '../../src/kernel/clock.ts'
import { alertPipelineMigration } from '../../src/migrations/0028-alert-pipeline.ts'
import { createMemoryBus } from '../../src/platform/bus/memory.ts'
import { engines } from '../../src/platform/database/testing.ts'
import { createMetrics } from '../../src/platform/metrics.ts'
import { silentLog } from '../../src/platform/testing.ts'
import { provideAlertmanager, startAlertmanager } from '../harness/services.ts'

const provided = await provideAlertmanager()
if ('missing' in provided && process.env.CI === 'true') throw new Error(provided.missing)
const [sqlite] = engines()
const closers: (() => unknown)[] = []
afterAll(async () => {
  for (const close of closers.reverse()) await close()
})

const route = {
  ...{ receiver: 'a', group_by: ['job'], group_wait: '1s', group_interval: '2s', repeat_interval: '6s' },
  routes: [{ receiver: 'b', matchers: ['team="b"'], continue: true }, { matchers: ['job=~".+"'] }],
}
const inhibit_rules = [
  { source_matchers: ['severity="critical"'], target_matchers: ['severity="warning"'], equal: ['job'] },
]

/** What was told, without times: the group, and what fired or was over. */
type Line = string
const line = (receiver: string, job: string, alerts: readonly { name: string; isOver: boolean }[]): Line =>
  `${receiver} ${job}: ${alerts.map(({ name, isOver }) => name + (isOver ? '!' : '')).sort()}`

test.skipIf('missing' in provided)(
  'the same timeline beside a real Alertmanager: the same notifications',
  async () => {
    const theirs: Line[] = []
    const recorder = createServer((request, response) => {
      const chunks: Buffer[] = []
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.on('end', () => {
        const body = JSON.parse(Buffer.concat(chunks).toString())
        const alerts = body.alerts.map((each: { status: string; labels: Record<string, string> }) => ({
          ...{ name: each.labels.alertname!, isOver: each.status === 'resolved' },
        }))
        theirs.push(line(body.receiver, body.groupLabels.job, alerts))
        response.end()
      })
    })
    await new Promise<void>((resolve) => recorder.listen(0, '127.0.0.1', resolve))
    closers.push(() => recorder.close())
    const address = `http://127.0.0.1:${(recorder.address() as AddressInfo).port}`
    const receivers = ['a', 'b'].map((name) => ({ name, webhook_configs: [{ url: address }] }))
    // JSON is YAML.
    const real = await startAlertmanager(
      (provided as { service: string }).service,
      JSON.stringify({ route, inhibit_rules, receivers }),
    )
    closers.push(() => real.destroy())

    const ours: Line[] = []
    const { kysely: db } = await sqlite!.open([alertPipelineMigration])
    const clock = systemClock
    const pipeline = createPipeline(
      {
        ...{ db, clock, log: silentLog, version: '0', bus: createMemoryBus({ log: silentLog }) },
        ...{ metrics: createMetrics({ clock }), secrets: { hashKey: (token: string) => token } },
        deliver: async ({ receiver, groupLabels, alerts }) => {
          const shown = alerts.map(({ labels, endsAt }) => ({ name: labels.alertname!, isOver: endsAt !== null }))
          ours.push(line(receiver, groupLabels.job!, shown))
          return 'delivered'
        },
        suppressed: async () => {},
        dependenciesOf: () => [],
        receivers: async () => null,
      },
      alertsConfig.parse({ route, inhibit_rules, storm_max_notifications: 0 }),
    )
    closers.push(() => pipeline.stop())

    const json = { 'content-type': 'application/json' }
    async function say(labels: Record<string, string>, isOver = false) {
      const at = new Date()
      const ends = isOver ? { endsAt: at.toISOString() } : {}
      const [answer] = await Promise.all([
        fetch(`${real.url}/api/v2/alerts`, {
          method: 'POST',
          headers: json,
          body: JSON.stringify([{ labels, ...ends }]),
        }),
        pipeline.post([
          {
            ...{
              labels,
              annotations: {},
              startsAt: at.getTime(),
              endsAt: isOver ? at.getTime() : null,
              expiresAt: null,
            },
            ...{ generatorUrl: '', tenantId: '' },
          },
        ]),
      ])
      expect(answer.status).toBe(200)
    }
    const beginning = Date.now()
    async function until(seconds: number) {
      while (Date.now() - beginning < seconds * 1000) {
        await pipeline.tick()
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
    }

    const x = { alertname: 'X', job: 'merge' }
    const y = { alertname: 'Y', job: 'merge' }
    await say(x)
    await say({ alertname: 'Critical', severity: 'critical', job: 'inhibit', team: 'b' })
    await say({ alertname: 'Warning', severity: 'warning', job: 'inhibit' })
    await say({ alertname: 'Brief', job: 'brief' })
    await until(0.4)
    await say(y)
    await say({ alertname: 'Brief', job: 'brief' }, true)
    await until(2)
    await say(y, true)
    await until(4)
    await say(x, true)
    await until(6.2)
    await say({ alertname: 'Critical', severity: 'critical', job: 'inhibit', team: 'b' }, true)
    await until(8.4)
    await pipeline.idle()
    expect(ours.toSorted()).toEqual(theirs.toSorted())
    expect(theirs).toContain('a merge: X,Y')
    expect(theirs).toContain('b inhibit: Critical')
    expect(theirs.join('\n')).not.toContain('brief')
  },
  40_000,
)
