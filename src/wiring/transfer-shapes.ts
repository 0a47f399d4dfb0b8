import { routingShape } from '../alerts/index.ts'
import { conversationShape } from '../conversations/index.ts'
import { gatewayShapes } from '../gateway/index.ts'
import { onCallShapes } from '../incidents/index.ts'
import { jobShape } from '../maintenance/index.ts'
import { sourceShape } from '../sources/index.ts'

/** What rooms say of members of their things that are read in from a document; by kind and column. */
export const transferShapes = {
  ...gatewayShapes,
  ...{ alert_routing: { settings: routingShape }, conversation_settings: conversationShape, sources: sourceShape },
  ...{ on_call_schedules: onCallShapes.schedule, on_call_policies: onCallShapes.policy, maintenance_jobs: jobShape },
}
