/**
 * Alerts: what is wrong, and who is told. Rules watch the samples; what they find is passed on to whoever routes it. What
 * an incident is and how people work on it is not here (incidents), nor what is measured (telemetry).
 */
import type { Route } from '../http/route.ts'
import { fail } from '../kernel/errors.ts'
import type { AlertsConfig } from './config.ts'
import { createRules, type RulesParts } from './rules/index.ts'

export { backtestRuleFile, checkRuleFiles, exportStoredRules, testRuleFiles } from './rules/offline.ts'
export type { AlertRuleTables } from './rules/store.ts'

export type AlertsParts = Omit<RulesParts, 'post'>

export type Alerts = {
  routes: Route[]
  start(): Promise<void>
  stop(): Promise<void>
}

export function createAlerts(parts: AlertsParts, config: AlertsConfig): Alerts {
  const rules = createRules(
    {
      ...parts,
      async post(alerts) {
        throw fail('unavailable', `${alerts.length} alerts have nowhere to go: nothing takes alerts of rules here`)
      },
    },
    config,
  )
  return { routes: rules.routes, start: rules.start, stop: rules.stop }
}
