/**
 * Usage: what every request was, what it consumed and what that cost. The ledger takes one entry per request, keeps it
 * on this machine before the answer ends, and moves it to the store with its hourly sums; prices, limits and budgets, the
 * list of requests and the deletion of old rows are here too. Which models anybody may call is not known here.
 */
import { join } from 'node:path'
import type { Kysely } from 'kysely'
import type { Route } from '../http/route.ts'
import type { Clock } from '../kernel/clock.ts'
import type { Heartbeats } from '../kernel/heartbeats.ts'
import { everything } from '../kernel/scope.ts'
import type { Bus } from '../platform/bus/bus.ts'
import type { Counter } from '../platform/counter/counter.ts'
import { openJournal } from '../platform/journal/journal.ts'
import type { Leases } from '../platform/lease/lease.ts'
import type { LineWriter, Log } from '../platform/log.ts'
import type { Metrics } from '../platform/metrics.ts'
import { createSchedule } from '../platform/schedule.ts'
import { createAgentNames } from './agents.ts'
import { type CopyOptions, openReportCopy } from './analytics/clickhouse/index.ts'
import { fillIn, ingest, type Replaced } from './analytics/rebuild.ts'
import { followReplica } from './analytics/replica-store.ts'
import type { NamesOf } from './analytics/reports.ts'
import { analyticsRoutes } from './analytics/routes.ts'
import type { UsageFact } from './analytics/schema.ts'
import { createAnalyticsStore } from './analytics/store.ts'
import { createCallLog } from './call-log.ts'
import type { LimitsConfig, UsageConfig } from './config.ts'
import { createLedger } from './ledger.ts'
import { createLeftJournals } from './left-journals.ts'
import { keepMirror } from './mirrors/mirrors.ts'
import { mirrorRoutes } from './mirrors/routes.ts'
import type { MirrorEntry } from './mirrors/schema.ts'
import { createMirrorStore, type MirrorTables } from './mirrors/store.ts'
import { createPrices, type Prices } from './prices.ts'
import { createQuota, type Quota } from './quota/quota.ts'
import { quotaRoutes, type TenantOf } from './quota/routes.ts'
import { type BudgetStanding, standingBudgets } from './quota/standing.ts'
import { createQuotaStore, type QuotaTables } from './quota/store.ts'
import { createUsageRetention, deleteOldLogs } from './retention.ts'
import { usageRoutes } from './routes.ts'
import type { UsageTables } from './rows.ts'
import type { Ledger } from './schema.ts'
import { type Alongside, createUsageStore } from './store.ts'

export { exportFormats } from './analytics/export.ts'
export { openReports, topKeys } from './analytics/open.ts'
export type { Replaced } from './analytics/rebuild.ts'
export { type NamesOf, topMetrics } from './analytics/reports.ts'
export type { UsageFact } from './analytics/schema.ts'
export { exportedReports } from './analytics/tables.ts'
export {
  type CounterTotal,
  openUsageAudit,
  type Reconciled,
  type Rerated,
  type SpendCounters,
  type UsageAudit,
} from './audit/index.ts'
export { type LimitsConfig, limitsConfig, type UsageConfig, usageConfig } from './config.ts'
export { estimateTokens, estimateTokensOfBytes } from './estimate.ts'
export { type Impact, readImpact } from './impact-store.ts'
export { readTime } from './logs.ts'
export type { MirrorDifference, MirrorEntry, MirrorSide } from './mirrors/schema.ts'
export type { MirrorTables } from './mirrors/store.ts'
export { type Cost, demoType } from './price-list.ts'
export type { NewPrice, Prices } from './prices.ts'
export type { CallSize, QuotaCall } from './quota/demands.ts'
export type { Admitted, Quota } from './quota/quota.ts'
export type { TenantOf } from './quota/routes.ts'
export type { Subject } from './quota/rules.ts'
export { readSpendCounters } from './quota/spend-counters.ts'
export type { BudgetStanding } from './quota/standing.ts'
export type { QuotaTables } from './quota/store.ts'
export type { SettledRow, UsageTables } from './rows.ts'
export type {
  AbortPolicy,
  AttemptRecord,
  Ledger,
  Outcome,
  ServiceTier,
  UsageDetails,
  UsageEntry,
  WastedUsage,
} from './schema.ts'
export { openSyntheticUsage, type SyntheticUsage } from './synthetic.ts'

const million = 1_000_000
const minuteMs = 60_000
const hourMs = 60 * minuteMs

export type UsageParts = {
  db: Kysely<UsageTables & QuotaTables & MirrorTables>
  /** A read replica, for reports; null or absent: they ask the store itself. */
  reportsDb?: Kysely<UsageTables & QuotaTables & MirrorTables> | null
  /** ClickHouse, for reports: what they need is copied there, and asked there while it answers. */
  reportsCopy?: CopyOptions
  bus: Bus
  counter: Counter
  leases: Leases
  /** Of the processes that admit calls: they are the ones whose budgets must follow the ledger. */
  quotaLeases: Leases
  clock: Clock
  log: Log
  metrics: Metrics
  /** Folder of this node alone: its journal lives here. */
  dataDir: string
  /** No call takes longer. */
  longestCallMs(): number
  /** Data folders of processes that have ended, in whose journals rows may have been left. */
  leftJournals?(): readonly string[]
  /** Nano-USD a day that the hub may spend of its own accord, by what for. */
  ownDaily?: Readonly<Record<string, number>>
  tenantOf: TenantOf
  heartbeats?: Heartbeats
  /** Requests a minute that are left to a key for a while; null for no such thing. */
  throttleOf?(keyId: string): number | null
  /** What people, keys and providers are called; those that are gone are left out. */
  namesOf?: NamesOf
  /** Where each call gets a line; absent: nowhere. */
  callLines?: LineWriter | undefined
  /** Other rooms' sums of rows that are new. */
  alongside?: Alongside
}

export type Usage = Ledger & {
  routes: Route[]
  prices: Prices
  quota: Quota
  /** What foreign gateways counted, beside our own traffic. */
  analytics: { ingest(facts: readonly UsageFact[], into: Replaced): Promise<number[]> }
  /** Budgets of keys, people and tenants, and what the ledger says they have spent in the period of now. */
  budgets(): Promise<BudgetStanding[]>
  /** Nano-USD that the hub spent of its own accord on `purpose` since midnight UTC, as the ledger has it. */
  spentOfOwn(purpose: string): Promise<number>
  /** Nano-USD for a million tokens in and a million out now; null when no price is known. */
  priceOfMillions(providerType: string, model: string): number | null
  /** How a call was routed, as the gateway wrote it down; '' where nobody was asked, null when there is no such row. */
  routeOf(requestId: string): Promise<string | null>
  /** Keeps a comparison of two models' answers; rejects while the store is away. */
  keepMirror(entry: MirrorEntry): Promise<void>
  /** Loads prices and begins to settle. Entries recorded before have no cost; call it before serving. */
  start(): Promise<void>
  /** Moves what it can to the store within `usage.flush_seconds`, then closes the journal. Record nothing after. */
  stop(): Promise<void>
}

/** Opens the journal at once: throws `ledger_unavailable` when another process has it or the disk refuses. */
export function createUsage(parts: UsageParts, config: UsageConfig, limitsOfAll: LimitsConfig): Usage {
  const { db, bus, counter, leases, clock, metrics, longestCallMs } = parts
  const log = parts.log.child({ room: 'usage' })
  const journal = openJournal({
    folder: join(parts.dataDir, 'journal'),
    clock,
    log,
    metrics,
    durability: config.durability,
    maxBytes: config.journal_max_mb * 1024 * 1024,
  })
  const store = createUsageStore(db, parts.alongside)
  const prices = createPrices({ store, bus, clock, log })
  const { heartbeats } = parts
  const schedule = createSchedule({ clock, leases, log, heartbeats })
  const quotaSchedule = createSchedule({ clock, leases: parts.quotaLeases, log, heartbeats })
  const quotaStore = createQuotaStore(db)
  const quota = createQuota({
    ...{ store: quotaStore, counter, bus, schedule: quotaSchedule, clock, log, metrics, longestCallMs },
    config: limitsOfAll,
    ownDaily: parts.ownDaily ?? {},
    ...(parts.throttleOf && { throttleOf: parts.throttleOf }),
  })
  const tellCall = parts.callLines && createCallLog(parts.callLines)
  const ledger = createLedger({
    ...{ journal, store, prices, clock, log, metrics, stored: quota.noteStored, heartbeats },
  })
  const left = createLeftJournals({
    ...{ clock, log, store, prices, config, stored: quota.noteStored, list: parts.leftJournals ?? (() => []) },
  })
  const agents = createAgentNames({ metrics, most: config.max_agents })
  const mirrors = createMirrorStore(db)
  const analytics = createAnalyticsStore(db)
  const { reportsDb = null } = parts
  const replica = reportsDb === null ? null : followReplica(db, reportsDb, { clock, log })
  const ofStore = reportsDb === null ? analytics : createAnalyticsStore(reportsDb)
  const copy = parts.reportsCopy && openReportCopy(parts.reportsCopy, { db, clock, log, metrics })
  const reports = copy === undefined ? ofStore : { ...ofStore, copy: copy.reports }
  const retention = createUsageRetention({ store, sums: analytics, clock, log, metrics }, () => ({
    ...{ rows: config.retention_days, maxRows: config.max_rows, quarter: config.quarter_retention_days },
    ...{ hour: config.hour_retention_days, latency: config.latency_retention_days, day: config.day_retention_days },
    maxBytes: config.max_mb * 1024 * 1024,
  }))
  const ofMirrors = () => ({ retentionDays: config.mirror_retention_days, maxRows: config.max_rows })

  return {
    record(entry) {
      const cost = prices.cost(entry)
      quota.end(entry, cost)
      tellCall?.(entry, cost)
      const agent = agents.nameOf(entry)
      return ledger.record(agent === entry.agent ? entry : { ...entry, agent })
    },
    isWritable: ledger.isWritable,
    routes: [
      ...usageRoutes({ store, prices, ledger, now: clock.now }),
      ...quotaRoutes({ store: quotaStore, quota, tenantOf: parts.tenantOf, clock }),
      ...mirrorRoutes(mirrors),
      ...analyticsRoutes({
        ...{ store: reports, clock, timeZone: config.time_zone },
        ledger: {
          pending: ledger.pending,
          dataAsOf: () => Math.min(ledger.dataAsOf(), replica?.asOf() ?? Number.POSITIVE_INFINITY),
        },
        namesOf: parts.namesOf ?? (async () => new Map()),
      }),
    ],
    analytics: { ingest: (facts, into) => ingest(analytics, facts, into) },
    budgets: () => standingBudgets(quota, clock),
    async spentOfOwn(purpose) {
      const now = clock.now()
      return (await quotaStore.sumSpending('hub', [purpose], now - (now % (24 * hourMs)))).get(purpose) ?? 0
    },
    keepMirror: (entry) => keepMirror(mirrors, entry),
    priceOfMillions: (providerType, model) =>
      prices.cost({
        ...{ startedAt: clock.now(), providerType, modelAsked: model, modelServed: model, outcome: 'success' },
        ...{ tokensIn: million, tokensOut: million, tokensCachedRead: 0, tokensCachedWrite: 0 },
        usageSource: 'estimated',
      }).nanoUsd,
    async routeOf(requestId) {
      const row = await store.findLog(everything, requestId)
      return row === undefined ? null : row.route_log
    },
    prices,
    quota,
    async start() {
      await prices.start()
      await quota.start()
      ledger.start()
      schedule.every('usage-left-journals', minuteMs, left.settle, { onOneNode: false, firstDelayMs: 0 })
      const deleteOld = async (signal: AbortSignal) => {
        await retention.run(signal)
        await deleteOldLogs({ store: mirrors, clock, log, what: 'comparisons were deleted' }, ofMirrors(), signal)
      }
      const fillInSums = async () => {
        const told = await fillIn(analytics)
        if (told !== null) log.info('Requests of former versions were added up for reports', { count: told.requests })
      }
      if (replica !== null) schedule.every('usage-replica', 1000, replica.look, { onOneNode: false, firstDelayMs: 0 })
      copy?.start(schedule)
      schedule.every('usage-sums', hourMs, fillInSums, { onOneNode: true, firstDelayMs: 1000 })
      schedule.every('usage-retention', hourMs, deleteOld, { onOneNode: true, firstDelayMs: minuteMs })
    },
    async stop() {
      await Promise.all([schedule.stop(), quotaSchedule.stop()])
      prices.stop()
      await ledger.flush(config.flush_seconds * 1000)
      await quota.stop()
      journal.close()
    },
  }
}
