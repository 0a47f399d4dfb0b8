import { join } from 'node:path'
import type { Kysely } from 'kysely'
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
import type { CopyOptions } from './analytics/clickhouse/index.ts'
import type { NamesOf } from './analytics/reports.ts'
import { createCallLog } from './call-log.ts'
import type { LimitsConfig, UsageConfig } from './config.ts'
import { createLedger } from './ledger.ts'
import { createLeftJournals } from './left-journals.ts'
import { keepMirror } from './mirrors/mirrors.ts'
import type { MirrorEntry } from './mirrors/schema.ts'
import { createMirrorStore, type MirrorTables } from './mirrors/store.ts'
import { createPrices, type Prices } from './prices.ts'
import { createQuota, type Quota } from './quota/quota.ts'
import type { TenantOf } from './quota/routes.ts'
import { createQuotaStore, type QuotaTables } from './quota/store.ts'
import type { UsageTables } from './rows.ts'
import type { Ledger } from './schema.ts'
import { type Alongside, createUsageStore } from './store.ts'

const million = 1_000_000
const minuteMs = 60_000
const dayMs = 24 * 60 * minuteMs

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

/** The ledger, prices and limits of calls, without what people ask about them. */
export type CallUsage = Ledger & {
  prices: Prices
  quota: Quota
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
export function createCallUsage(parts: UsageParts, config: UsageConfig, limitsOfAll: LimitsConfig) {
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

  const usage: CallUsage = {
    record(entry) {
      const cost = prices.cost(entry)
      quota.end(entry, cost)
      tellCall?.(entry, cost)
      const agent = agents.nameOf(entry)
      return ledger.record(agent === entry.agent ? entry : { ...entry, agent })
    },
    isWritable: ledger.isWritable,
    async spentOfOwn(purpose) {
      const now = clock.now()
      return (await quotaStore.sumSpending('hub', [purpose], now - (now % dayMs))).get(purpose) ?? 0
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
    },
    async stop() {
      await Promise.all([schedule.stop(), quotaSchedule.stop()])
      prices.stop()
      await ledger.flush(config.flush_seconds * 1000)
      await quota.stop()
      journal.close()
    },
  }
  return { usage, quota, store, quotaStore, mirrors, ledger, schedule, log }
}
