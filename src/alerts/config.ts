import { z } from 'zod'
import { rulesSettings } from './rules/config.ts'

/** `[alerts]`: what is wrong, and who is told. */
export const alertsConfig = z
  .strictObject({ ...rulesSettings })
  .describe('Alerts: rules, and who is told.')
  .meta({ zh: '告警：规则与通知。' })

export type AlertsConfig = z.infer<typeof alertsConfig>
