import { z } from 'zod'
import { deliverySettings } from './delivery/config.ts'

/** `[alerts]`: what is wrong, who is told, and how. */
export const alertsConfig = z
  .strictObject({ ...deliverySettings })
  .describe('Alerts and how people are told.')
  .meta({ zh: '告警与通知。' })

export type AlertsConfig = z.infer<typeof alertsConfig>
