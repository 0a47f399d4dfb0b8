/**
 * Alerts: what is wrong becomes known, the right people are told once, and a ledger says who was told what. Not here: what
 * people do about it (incidents), and how anything is measured (telemetry, health).
 */
import type { AlertsConfig } from './config.ts'
import { createDelivery, type DeliveryParts } from './delivery/index.ts'

export type { DeliveryTables as AlertTables } from './delivery/index.ts'

export type AlertsParts = DeliveryParts

export function createAlerts(parts: AlertsParts, config: AlertsConfig) {
  const delivery = createDelivery(parts, config)
  return {
    routes: delivery.routes,
    tell: delivery.tell,
    start: delivery.start,
    stop: delivery.stop,
  }
}
