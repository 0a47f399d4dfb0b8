/**
 * Risk: who uses what is not theirs, or far more than they ever did. Rules look at the calls of our own ledger and at those
 * of foreign sources; what they find is stored with its evidence, told, and answered in steps that end by themselves. Not
 * here: limits and budgets, which hold for everybody all the time (usage), and how people are alerted.
 */
import type { Kysely } from 'kysely'
import type { Route } from '../http/route.ts'
import type { Clock } from '../kernel/clock.ts'
import type { Heartbeats } from '../kernel/heartbeats.ts'
import type { Bus } from '../platform/bus/bus.ts'
import type { Leases } from '../platform/lease/lease.ts'
import type { Log } from '../platform/log.ts'
import type { Metrics } from '../platform/metrics.ts'
import { createSchedule } from '../platform/schedule.ts'
import { createSnapshot } from '../platform/snapshot.ts'
import type { UsageTables } from '../usage/index.ts'
import { createActions, type Levers } from './actions.ts'
import type { RiskConfig } from './config.ts'
import { createInForce, type InForce } from './in-force.ts'
import { riskRoutes } from './routes.ts'
import type { RiskRow, WatchedBudget } from './schema.ts'
import { type RiskSettings, readSettings, type SettingsChange } from './settings.ts'
import { createRiskStore, type RiskTables } from './store.ts'
import { createWatch, told } from './watch.ts'

export type { RiskRow, WatchedBudget } from './schema.ts'
export type { RiskTables } from './store.ts'

export type Risk = Omit<InForce, 'refresh'> & {
  routes: Route[]
  /** Calls of foreign sources, each once; resolves when they are judged. */
  observe(rows: readonly RiskRow[]): Promise<void>
  /** Every finding that is open, as the announcement that would say so; null where there are too many to list. */
  standings(): Promise<ReturnType<typeof told>[] | null>
}

export type RiskParts = {
  db: Kysely<RiskTables & UsageTables>
  levers: Levers
  /** Budgets of keys, people and tenants, with what the ledger says they have spent. */
  budgets(): Promise<readonly WatchedBudget[]>
  namesOf(ids: readonly string[]): Promise<ReadonlyMap<string, string>>
  bus: Bus
  clock: Clock
  leases: Leases
  heartbeats?: Heartbeats
  log: Log
  metrics: Metrics
}

const mostStandings = 5000

export function createRisk(parts: RiskParts, config: RiskConfig): Risk {
  const { bus, clock, leases, metrics } = parts
  const log = parts.log.child({ room: 'risk' })
  const store = createRiskStore(parts.db)
  const inForce = createInForce(parts)
  const snapshot = createSnapshot<RiskSettings>({
    name: 'risk settings',
    load: async () => readSettings(JSON.parse(await store.readSettings()) as SettingsChange),
    ...{ revision: store.revision, clock, log },
  })
  const actions = createActions({ store, levers: parts.levers, changed: inForce.refresh, bus, clock, log })
  const settings = () => snapshot.get()
  const { budgets } = parts
  const watch = createWatch({ store, settings, budgets, mostEntities: config.max_entities, bus, clock, log, metrics })
  const schedule = createSchedule({ clock, leases, log, heartbeats: parts.heartbeats })

  async function proposeSteps(): Promise<void> {
    const { rules } = settings()
    for (const finding of await store.openFindings(2000)) {
      const due = rules[finding.rule]?.steps ?? []
      for (const [index, step] of due.entries()) {
        if (clock.now() - finding.opened_at >= step.after_seconds * 1000) await actions.propose(finding, index, step)
      }
    }
  }

  async function turn(): Promise<void> {
    if (config.enabled) await watch.look()
    await proposeSteps()
    await actions.settle()
    await watch.closeQuiet()
  }

  return {
    routes: riskRoutes({
      store,
      actions,
      settings,
      changed: () => snapshot.refresh(),
      budgets,
      namesOf: parts.namesOf,
      bus,
      clock,
    }),
    observe: watch.observe,
    ...{ throttleOf: inForce.throttleOf, modelFor: inForce.modelFor },
    async standings() {
      const open = await store.openFindings(mostStandings)
      return open.length < mostStandings ? open.map(told) : null
    },
    async start() {
      await Promise.all([snapshot.ready(), inForce.start()])
      schedule.every('risk-watch', config.interval_seconds * 1000, turn, { onOneNode: true, firstDelayMs: 1000 })
      const forget = async () => {
        await watch.forget()
        while ((await store.deleteOld(clock.now() - config.retention_days * 86_400_000, 500)) === 500);
      }
      schedule.every('risk-retention', 3_600_000, forget, { onOneNode: true, firstDelayMs: 60_000 })
    },
    async stop() {
      await schedule.stop()
      await watch.stop()
      snapshot.stop()
      await inForce.stop()
    },
  }
}
