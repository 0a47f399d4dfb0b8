import type { Page } from '../page.ts'
import { about } from './about/index.ts'
import { alertRouting } from './alert-routing/index.ts'
import { alertRules } from './alert-rules/index.ts'
import { alerts } from './alerts/index.ts'
import { audit } from './audit/index.ts'
import { backups } from './backups/index.ts'
import { budgets } from './budgets/index.ts'
import { call } from './call/index.ts'
import { calls } from './calls/index.ts'
import { channels } from './channels/index.ts'
import { checks } from './checks/index.ts'
import { configuration } from './configuration/index.ts'
import { conversations } from './conversations/index.ts'
import { deliveries } from './deliveries/index.ts'
import { doctor } from './doctor/index.ts'
import { drills } from './drills/index.ts'
import { findings } from './findings/index.ts'
import { firstCall } from './first-call/index.ts'
import { health } from './health/index.ts'
import { heatMap } from './heat-map/index.ts'
import { incident } from './incident/index.ts'
import { incidents } from './incidents/index.ts'
import { keys } from './keys/index.ts'
import { limits } from './limits/index.ts'
import { logTail } from './log-tail/index.ts'
import { logs } from './logs/index.ts'
import { maintenance } from './maintenance/index.ts'
import { me } from './me/index.ts'
import { metrics } from './metrics/index.ts'
import { models } from './models/index.ts'
import { onCall } from './on-call/index.ts'
import { overview } from './overview/index.ts'
import { playground } from './playground/index.ts'
import { prices } from './prices/index.ts'
import { providers } from './providers/index.ts'
import { rankings } from './rankings/index.ts'
import { receivers } from './receivers/index.ts'
import { riskActions } from './risk-actions/index.ts'
import { riskRules } from './risk-rules/index.ts'
import { routes } from './routes/index.ts'
import { runbooks } from './runbooks/index.ts'
import { services } from './services/index.ts'
import { silences } from './silences/index.ts'
import { sla } from './sla/index.ts'
import { sources } from './sources/index.ts'
import { tenants } from './tenants/index.ts'
import { usage } from './usage/index.ts'
import { users } from './users/index.ts'

/** Every page, in the order of the menu. */
export const pages: readonly Page[] = [
  overview,
  calls,
  call,
  conversations,
  findings,
  riskRules,
  riskActions,
  health,
  checks,
  metrics,
  firstCall,
  providers,
  models,
  routes,
  services,
  playground,
  usage,
  rankings,
  heatMap,
  budgets,
  limits,
  prices,
  sources,
  me,
  keys,
  users,
  tenants,
  alerts,
  incidents,
  incident,
  sla,
  onCall,
  runbooks,
  alertRules,
  alertRouting,
  silences,
  receivers,
  channels,
  deliveries,
  doctor,
  backups,
  drills,
  maintenance,
  configuration,
  logs,
  logTail,
  audit,
  about,
]
