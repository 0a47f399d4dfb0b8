/**
 * Usage: what every request was, what it consumed and what that cost. The ledger takes one entry per request, keeps it
 * on this machine before the answer ends, and moves it to the store with its hourly sums; prices, limits and budgets, the
 * list of requests and the deletion of old rows are here too. Which models anybody may call is not known here.
 */
import type { Route } from '../http/route.ts'
import { openReportCopy } from './analytics/clickhouse/index.ts'
import { fillIn, ingest, type Replaced } from './analytics/rebuild.ts'
import { followReplica } from './analytics/replica-store.ts'
import { analyticsRoutes } from './analytics/routes.ts'
import type { UsageFact } from './analytics/schema.ts'
import { createAnalyticsStore } from './analytics/store.ts'
import type { LimitsConfig, UsageConfig } from './config.ts'
import { type CallUsage, createCallUsage, type UsageParts } from './counting.ts'
import { mirrorRoutes } from './mirrors/routes.ts'
import { quotaRoutes } from './quota/routes.ts'
import { type BudgetStanding, standingBudgets } from './quota/standing.ts'
import { createUsageRetention, deleteOldLogs } from './retention.ts'
import { usageRoutes } from './routes.ts'

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
export type { UsageParts } from './counting.ts'
export { type Impact, readImpact } from './impact-store.ts'
export { readTime } from './logs.ts'
export type { MirrorDifference, MirrorEntry, MirrorSide } from './mirrors/schema.ts'
export type { MirrorTables } from './mirrors/store.ts'
export type { Cost } from './price-list.ts'
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

const hourMs = 3_600_000
const minuteMs = 60_000

export type Usage = CallUsage & {
  routes: Route[]
  /** What foreign gateways counted, beside our own traffic. */
  analytics: { ingest(facts: readonly UsageFact[], into: Replaced): Promise<number[]> }
  /** Budgets of keys, people and tenants, and what the ledger says they have spent in the period of now. */
  budgets(): Promise<BudgetStanding[]>
}

/** Opens the journal at once: throws `ledger_unavailable` when another process has it or the disk refuses. */
export function createUsage(parts: UsageParts, config: UsageConfig, limitsOfAll: LimitsConfig): Usage {
  const { db, clock, metrics } = parts
  const { usage, quota, store, quotaStore, mirrors, ledger, schedule, log } = createCallUsage(
    parts,
    config,
    limitsOfAll,
  )
  const { prices } = usage
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
    ...usage,
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
    async start() {
      await usage.start()
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
  }
}
