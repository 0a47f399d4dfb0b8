import type { Kysely } from 'kysely'
import { createManualClock } from '../../kernel/clock.ts'
import type { Announcements } from '../../kernel/events.ts'
import { createMemoryBus } from '../../platform/bus/memory.ts'
import { createMetrics } from '../../platform/metrics.ts'
import { silentLog } from '../../platform/testing.ts'
import type { Notification } from '../alert.ts'
import { alertsConfig } from '../config.ts'
import type { PipelineConfig } from './config.ts'
import { createPipeline, type Pipeline, type PipelineTables, type Suppressed } from './index.ts'

export type Rig = ReturnType<typeof openRig>

const tables = [
  ...(['alert_pipeline', 'alert_inbox', 'alerts_active', 'alert_endings', 'alert_groups', 'alert_notices'] as const),
  ...(['alert_digests', 'alert_silences', 'alert_routing', 'alert_hooks'] as const),
]

export async function emptyTables(db: Kysely<PipelineTables>): Promise<void> {
  for (const table of tables) await db.deleteFrom(table).execute()
}

/** A pipeline on a clock that moves when told; receivers answer what `answers` says, and what they were told is kept. */
export function openRig(
  db: Kysely<PipelineTables>,
  settings: Record<string, unknown> = {},
  kept: {
    clock?: ReturnType<typeof createManualClock>
    told?: Notification[]
    ledger?: Suppressed[]
    dependenciesOf?: (labels: Readonly<Record<string, string>>) => readonly string[]
  } = {},
) {
  const clock = kept.clock ?? createManualClock()
  const told = kept.told ?? []
  const ledger = kept.ledger ?? []
  const heard: { name: string; news: Announcements['alert.fired'] }[] = []
  const answers: { next(notification: Notification): Promise<'delivered' | 'failed'> | 'delivered' | 'failed' } = {
    next: () => 'delivered',
  }
  const quiet = new Set<string>()
  const bus = createMemoryBus({ log: silentLog })
  for (const name of ['alert.fired', 'alert.resolved'] as const) {
    bus.on(name, (news) => void heard.push({ name, news }))
  }
  const pipeline: Pipeline = createPipeline(
    {
      ...{ db, bus, clock, log: silentLog, version: '0' },
      metrics: createMetrics({ clock }),
      secrets: { hashKey: (token) => `hash of ${token}` },
      async deliver(notification) {
        const answer = await answers.next(notification)
        if (answer === 'delivered') told.push(notification)
        return answer
      },
      dependenciesOf: kept.dependenciesOf ?? (() => []),
      suppressed: async (row) => void ledger.push(row),
      receivers: async () => ['a', 'b', 'c', 'default'].map((name) => ({ name, sendsResolved: !quiet.has(name) })),
    },
    alertsConfig.parse({ storm_max_notifications: 0, ...settings }) as PipelineConfig,
  )
  const startMs = clock.now()

  async function turn(): Promise<void> {
    await pipeline.tick()
    await pipeline.idle()
  }

  return {
    ...{ pipeline, clock, told, ledger, heard, answers, quiet, turn, startMs },
    /** Seconds since the start. */
    now: () => (clock.now() - startMs) / 1000,
    async fire(
      labels: Record<string, string>,
      more: { expiresInMs?: number; annotations?: Record<string, string> } = {},
    ) {
      const expiresAt = more.expiresInMs === undefined ? null : clock.now() + more.expiresInMs
      const alert = {
        labels,
        annotations: more.annotations ?? {},
        startsAt: clock.now(),
        endsAt: null,
        generatorUrl: '',
      }
      await pipeline.post([{ ...alert, expiresAt, tenantId: '' }])
      await turn()
    },
    async end(labels: Record<string, string>) {
      const at = clock.now()
      const alert = { labels, annotations: {}, startsAt: at, endsAt: at, generatorUrl: '', expiresAt: null }
      await pipeline.post([{ ...alert, tenantId: '' }])
      await turn()
    },
    /** Lets time go on in steps of a second, a turn after each. */
    async run(seconds: number, stepSeconds = 1) {
      for (let i = 0; i < seconds; i += stepSeconds) {
        await clock.leap(stepSeconds * 1000)
        await turn()
      }
    },
    /** What was told, in short: `4s a first firing X,Y!` where `!` marks what is over. */
    lines: () =>
      told.map(({ at, receiver, reason, status, alerts }) => {
        const names = alerts.map(({ labels, endsAt }) => `${labels.alertname}${endsAt === null ? '' : '!'}`).sort()
        return `${(at - startMs) / 1000}s ${receiver} ${reason} ${status} ${names.join(',')}`
      }),
  }
}

/** Short intervals, as Alertmanager's own acceptance tests have them. */
export const shortRoute = {
  ...{ receiver: 'a', group_by: ['job'], group_wait: '1s', group_interval: '2s', repeat_interval: '1h' },
}
