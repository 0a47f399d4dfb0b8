/**
 * Rules: Prometheus rule files, those that come with the hub and those people make, evaluated over the samples; what they
 * come to is stored, and passed on as alerts. Who is told of an alert, and how, is not decided here.
 */
import type { Kysely } from 'kysely'
import type { Route } from '../../http/route.ts'
import type { Clock } from '../../kernel/clock.ts'
import { lookUp } from '../../kernel/derive.ts'
import type { Heartbeats } from '../../kernel/heartbeats.ts'
import type { Leases } from '../../platform/lease/lease.ts'
import type { Log } from '../../platform/log.ts'
import type { Metrics } from '../../platform/metrics.ts'
import type { Telemetry } from '../../telemetry/index.ts'
import type { PostedAlert } from '../alert.ts'
import type { AlertsConfig } from '../config.ts'
import { askTelemetry } from './ask.ts'
import { createBacktests } from './backtests.ts'
import { createRuleBook } from './book.ts'
import type { Ask } from './evaluate.ts'
import { ruleRoutes } from './routes.ts'
import { createRunner } from './runner.ts'
import { type AlertRuleTables, createRuleStore } from './store.ts'

export type RulesParts = {
  db: Kysely<AlertRuleTables>
  telemetry: Pick<Telemetry, 'query' | 'queryRange' | 'append'> & Partial<Pick<Telemetry, 'ownInstance'>>
  /** Takes alerts of rules; durable when it resolves. */
  post(alerts: readonly PostedAlert[]): Promise<void>
  /** Whose address stands in links; '' for none. */
  publicUrl: string
  leases: Leases
  heartbeats: Heartbeats
  clock: Clock
  log: Log
  metrics: Metrics
}

export type Rules = {
  routes: Route[]
  /** Rejects with `invalid_request` for a rule file that is wrong, by file and line. */
  start(): Promise<void>
  stop(): Promise<void>
  /** Evaluates every group that is due, and resolves when what came of it is stored and passed on. */
  tick(now?: number): Promise<void>
}

export function createRules(parts: RulesParts, config: AlertsConfig): Rules {
  const { clock, metrics, telemetry } = parts
  const log = parts.log.child({ room: 'alerts' })
  const store = createRuleStore(parts.db)
  const source = () => ({ files: config.rule_files, isPack: config.default_pack, packOff: config.pack_off })
  const book = createRuleBook({ store, source, log })
  const intervalMs = config.evaluation_interval_seconds * 1000
  const ask: Ask = (expression, at) =>
    within(config.query_timeout_seconds * 1000, () => askTelemetry(telemetry, expression, at))
  const evaluation = {
    ...{ ask, noData: config.no_data, onError: config.on_error, externalUrl: parts.publicUrl, externalLabels: {} },
  }
  const runner = createRunner(
    {
      ...{
        book,
        store,
        ask,
        clock,
        log,
        metrics,
        leases: parts.leases,
        heartbeats: parts.heartbeats,
        post: parts.post,
      },
      keep: (samples, at) =>
        telemetry.append(
          samples.map(({ labels, value }) => ({ labels, value, kind: 'gauge' as const })),
          at,
          false,
        ),
    },
    lookUp({
      intervalMs: () => intervalMs,
      resendDelayMs: () => config.resend_delay_seconds * 1000,
      groupsAtOnce: () => config.groups_at_once,
      maxAlertsPerRule: () => config.max_alerts_per_rule,
      noData: () => config.no_data,
      onError: () => config.on_error,
      externalUrl: () => parts.publicUrl,
      ownInstance: () => telemetry.ownInstance,
    }),
  )
  const backtests = createBacktests({
    ...{ evaluation, intervalMs, clock, maxAlertsPerRule: config.max_alerts_per_rule },
    queryRange: telemetry.queryRange,
  })

  async function within<T>(ms: number, work: () => Promise<T>): Promise<T> {
    const done = new AbortController()
    const late = clock.sleep(ms, done.signal).then(() => {
      if (!done.signal.aborted) throw new Error(`query timed out after ${ms / 1000} s`)
      return undefined as never
    })
    try {
      return await Promise.race([work(), late])
    } finally {
      done.abort()
      late.catch(() => {})
    }
  }

  return {
    routes: ruleRoutes({ book, store, evaluation, backtests, clock, maxAlertsPerRule: config.max_alerts_per_rule }),
    async start() {
      await book.open()
      runner.start()
    },
    stop: () => runner.stop(),
    tick: runner.tick,
  }
}
