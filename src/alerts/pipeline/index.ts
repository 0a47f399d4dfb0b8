/**
 * From what was said to who is told: posted alerts become active ones, are routed, grouped, inhibited and silenced, and
 * become notifications. Alertmanager's semantics, with state that survives. Not here: what decides that something is
 * wrong (rules), and how a notification reaches anybody (delivery). Suppression decides who is told, never what is kept.
 */
import type { Kysely } from 'kysely'
import type { Route } from '../../http/route.ts'
import type { Clock } from '../../kernel/clock.ts'
import { lookUp } from '../../kernel/derive.ts'
import { everything } from '../../kernel/scope.ts'
import type { Bus } from '../../platform/bus/bus.ts'
import type { Log } from '../../platform/log.ts'
import type { Metrics } from '../../platform/metrics.ts'
import type { Secrets } from '../../platform/secrets.ts'
import type { Alert, PostedAlert } from '../alert.ts'
import type { PipelineConfig } from './config.ts'
import { createEngine, type EngineParts } from './engine.ts'
import { hookRoutes } from './hook-routes.ts'
import { createHooks } from './hooks.ts'
import { compileInhibitions, createInhibitor, toInhibitable } from './inhibition.ts'
import { toAlert } from './merge.ts'
import { createPipelineMetrics } from './metrics.ts'
import { createPosts } from './posts.ts'
import { pipelineRoutes } from './routes.ts'
import type { Routing } from './routing.ts'
import { createRoutingSettings } from './routing-settings.ts'
import { createSilences } from './silence-book.ts'
import { compileSilence } from './silences.ts'
import { createPipelineStore, type PipelineTables, toActive } from './store.ts'
import { v2Routes } from './v2-routes.ts'

export type { Suppressed } from './engine.ts'
export type { PipelineTables } from './store.ts'

export type PipelineParts = {
  db: Kysely<PipelineTables>
  secrets: Pick<Secrets, 'hashKey'>
  deliver: EngineParts['deliver']
  suppressed: EngineParts['suppressed']
  dependenciesOf: EngineParts['dependenciesOf']
  /** Who there is to be told; null where that is not known, and any name passes. */
  receivers(): Promise<readonly { name: string; sendsResolved: boolean }[] | null>
  version: string
  bus: Bus
  clock: Clock
  log: Log
  metrics: Metrics
}

export type Pipeline = {
  routes: Route[]
  /** Durable when it resolves; throws `invalid_request` for alerts that are none, `unavailable` when too many wait. */
  post(alerts: readonly PostedAlert[]): Promise<void>
  /** What fires, whoever was told. */
  active(): Promise<readonly (Alert & { inhibitedBy: string })[]>
  /** What was seen to end since `sinceMs`, oldest first, at most ten thousand. */
  endedSince(sinceMs: number): Promise<readonly Alert[]>
  /** Who is told of what no route names. */
  defaultReceiver(): Promise<string>
  /** Who is to be told of these labels by the routing as it was last read: for when the store is away. */
  receiversOf(labels: Readonly<Record<string, string>>): string[]
  /** Which of these hides which, by the routing as it was last read: the fingerprint of its hider by that of each hidden. */
  hidersOf(alerts: readonly Alert[]): ReadonlyMap<string, string>
  /** One turn of the node that holds the lease. */
  tick(): Promise<void>
  /** Resolves when no delivery is under way. */
  idle(): Promise<void>
  /** Deletes what is older than is asked for. */
  tidy(): Promise<void>
  stop(): Promise<void>
}

const mostActive = 100_000
const mostEnded = 10_000
const silenceHistoryMs = 120 * 3_600_000
const noticeHistoryMs = 86_400_000
const tidyRows = 2000

export function createPipeline(parts: PipelineParts, config: PipelineConfig): Pipeline {
  const { clock, bus, log } = parts
  const store = createPipelineStore(parts.db)
  const metrics = createPipelineMetrics(parts.metrics)
  const startedAt = clock.now()
  let mutedEnds = new Set<string>()
  let lastRouting: Routing | null = null
  let tickedAt = Number.NEGATIVE_INFINITY

  const routing = createRoutingSettings({ store, receivers: parts.receivers, clock, log }, config)
  const silences = createSilences({ store, clock })
  const engine = createEngine(
    {
      ...{ store, clock, log, metrics },
      ...{ deliver: parts.deliver, suppressed: parts.suppressed, dependenciesOf: parts.dependenciesOf },
      sendsResolved: (receiver) => !mutedEnds.has(receiver),
      announce: (name, news) => bus.announce(name, news),
      async readSettings() {
        const [compiled, rows, receivers] = await Promise.all([
          routing.compiled(),
          store.silences(clock.now()),
          parts.receivers(),
        ])
        lastRouting = compiled
        mutedEnds = new Set((receivers ?? []).flatMap(({ name, sendsResolved }) => (sendsResolved ? [] : [name])))
        return { routing: compiled, silences: rows.map(compileSilence) }
      },
    },
    lookUp({
      resolveTimeoutMs: () => config.resolve_timeout_seconds * 1000,
      maxAlertsPerNotification: () => config.notification_max_alerts,
      stormMax: () => config.storm_max_notifications,
      stormWindowMs: () => config.storm_window_seconds * 1000,
    }),
  )
  const takePosts = createPosts({
    ...{ store, clock, metrics },
    limits: lookUp({ maxActive: () => config.max_active, maxWaiting: () => config.max_waiting }),
  })

  /** On the node that works, what was posted is looked at now and not at the next turn. */
  function nudge(): void {
    if (clock.monotonic() - tickedAt > 5000) return
    engine
      .tick()
      .catch((error: unknown) => log.warn('A turn of the alert pipeline failed; the next one comes', { error }))
  }
  async function take(alerts: readonly PostedAlert[], options: { source: string; isGuess?: boolean }): Promise<void> {
    await takePosts(alerts, options).finally(nudge)
  }
  const resolveTimeoutMs = config.resolve_timeout_seconds * 1000
  const view = { ...{ store, routing, silences, clock, take, resolveTimeoutMs, startedAt, version: parts.version } }
  const hooks = createHooks({ store, secrets: parts.secrets, clock })

  return {
    routes: [...pipelineRoutes(view), ...v2Routes({ ...view, hooks }), ...hookRoutes({ ...view, hooks })],
    post: (alerts) => take(alerts, { source: 'hub' }),
    async active() {
      const all = await store.listActive(everything, { state: 'firing' }, mostActive)
      const now = clock.now()
      return all.map((active) => ({ ...toAlert(active, now), endsAt: null, inhibitedBy: active.inhibitedBy }))
    },
    async endedSince(sinceMs) {
      return (await store.endedSince(sinceMs, mostEnded)).map((row) => toAlert(toActive(row), row.seen_at))
    },
    receiversOf: (labels) => [...new Set((lastRouting?.find(labels) ?? []).map(({ node }) => node.receiver))],
    hidersOf(alerts) {
      const all = alerts.map((alert) => toInhibitable(alert, true, parts.dependenciesOf(alert.labels)))
      const hiderOf = createInhibitor(lastRouting?.inhibitions ?? compileInhibitions([]), all)
      const found = new Map<string, string>()
      for (const each of all) {
        const hider = hiderOf(each)
        if (hider !== null) found.set(each.fingerprint, hider.by)
      }
      return found
    },
    defaultReceiver: async () => (await routing.compiled()).root.receiver,
    async tick() {
      tickedAt = clock.monotonic()
      await engine.tick()
    },
    idle: engine.idle,
    async tidy() {
      const now = clock.now()
      const endings = now - config.ended_retention_days * 86_400_000
      await store.tidy({ notices: now - noticeHistoryMs, endings, silences: now - silenceHistoryMs }, tidyRows)
    },
    stop: engine.stop,
  }
}
