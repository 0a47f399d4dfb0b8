/**
 * Alerts: what is wrong becomes known, the right people are told once, and a ledger says who was told what. Not here: what
 * people do about it (incidents), and how anything is measured (telemetry, health).
 */
import type { Route } from '../http/route.ts'
import { fail } from '../kernel/errors.ts'
import type { AlertsConfig } from './config.ts'
import { createDelivery, type Delivery, type DeliveryParts, type DeliveryTables } from './delivery/index.ts'
import { createRules, type RulesParts } from './rules/index.ts'
import type { AlertRuleTables } from './rules/store.ts'

export { backtestRuleFile, checkRuleFiles, exportStoredRules, testRuleFiles } from './rules/offline.ts'
export type { AlertRuleTables } from './rules/store.ts'
export type AlertTables = DeliveryTables & AlertRuleTables

export type AlertsParts = DeliveryParts & Omit<RulesParts, 'post'>

export type Alerts = {
  routes: Route[]
  tell: Delivery['tell']
  start(): Promise<void>
  stop(): Promise<void>
}

export function createAlerts(parts: AlertsParts, config: AlertsConfig): Alerts {
  const delivery = createDelivery(parts, config)
  const rules = createRules(
    {
      ...parts,
      async post(alerts) {
        throw fail('unavailable', `${alerts.length} alerts have nowhere to go: nothing takes alerts of rules here`)
      },
    },
    config,
  )
  return {
    routes: [...rules.routes, ...delivery.routes],
    tell: delivery.tell,
    async start() {
      await delivery.start()
      await rules.start()
    },
    async stop() {
      await rules.stop()
      await delivery.stop()
    },
  }
}
