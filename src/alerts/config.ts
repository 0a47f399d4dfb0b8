import { z } from 'zod'
import { HubError } from '../kernel/errors.ts'
import { pipelineSettings } from './pipeline/config.ts'
import { compileRouting, readRouting, routingOf } from './pipeline/routing.ts'

/** `[alerts]`: what becomes an alert, who is told, and how. */
export const alertsConfig = z
  .strictObject({ ...pipelineSettings })
  .superRefine((config, { addIssue }) => {
    try {
      compileRouting(readRouting(routingOf(config)))
    } catch (error) {
      if (!(error instanceof HubError)) throw error
      const place = error.param?.split(/[.[]/, 1)[0] ?? 'route'
      addIssue({ code: 'custom', path: [place], message: error.message, params: { zh: error.message } })
    }
  })
  .describe('Alerts: what hides them, and who is told.')
  .meta({ zh: '告警：抑制、静默与通知路由。' })

export type AlertsConfig = z.infer<typeof alertsConfig>
