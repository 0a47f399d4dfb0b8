import { z } from 'zod'
import { HubError } from '../kernel/errors.ts'
import { deliverySettings } from './delivery/config.ts'
import { pipelineSettings } from './pipeline/config.ts'
import { compileRouting, readRouting, routingOf } from './pipeline/routing.ts'
import { rulesSettings } from './rules/config.ts'

/** `[alerts]`: what becomes an alert, who is told, and how. */
export const alertsConfig = z
  .strictObject({ ...rulesSettings, ...pipelineSettings, ...deliverySettings })
  .superRefine((config, { addIssue }) => {
    try {
      compileRouting(readRouting(routingOf(config)))
    } catch (error) {
      if (!(error instanceof HubError)) throw error
      const place = error.param?.split(/[.[]/, 1)[0] ?? 'route'
      addIssue({ code: 'custom', path: [place], message: error.message, params: { zh: error.message } })
    }
  })
  .describe('Alerts: rules, what hides them, who is told, and how.')
  .meta({ zh: '告警：规则、抑制与静默、通知路由与通道。' })

export type AlertsConfig = z.infer<typeof alertsConfig>
