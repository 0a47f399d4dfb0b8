import { z } from 'zod'
import { deliverySettings } from './delivery/config.ts'
import { rulesSettings } from './rules/config.ts'

/** `[alerts]`: what is wrong, who is told, and how. */
export const alertsConfig = z
  .strictObject({ ...rulesSettings, ...deliverySettings })
  .describe('Alerts: rules, and how people are told.')
  .meta({ zh: '告警：规则与通知。' })

export type AlertsConfig = z.infer<typeof alertsConfig>
