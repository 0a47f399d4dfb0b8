import type { Migration } from '../platform/database/index.ts'
import { identityMigration } from './0001-identity.ts'
import { gatewayMigration } from './0002-gateway.ts'
import { usageMigration } from './0003-usage.ts'
import { providerOptionsMigration } from './0004-provider-options.ts'
import { pinnedObjectsMigration } from './0005-pinned-objects.ts'
import { ledgerMigration } from './0006-ledger.ts'
import { limitsMigration } from './0007-limits.ts'
import { responsesMigration } from './0008-responses.ts'
import { routingMigration } from './0009-routing.ts'
import { abortPolicyMigration } from './0010-abort-policy.ts'
import { transformsMigration } from './0011-transforms.ts'
import { mirrorsMigration } from './0012-mirrors.ts'
import { peopleMigration } from './0013-people.ts'
import { singleSignOnMigration } from './0014-single-sign-on.ts'
import { programsMigration } from './0015-programs.ts'
import { auditMigration } from './0016-audit.ts'
import { servicesMigration } from './0017-services.ts'
import { analyticsMigration } from './0018-analytics.ts'
import { agentsMigration } from './0019-agents.ts'
import { durationsMigration } from './0020-durations.ts'
import { sourcesMigration } from './0021-sources.ts'
import { checksMigration } from './0022-checks.ts'
import { conversationsMigration } from './0023-conversations.ts'
import { riskMigration } from './0024-risk.ts'
import { alertChannelsMigration } from './0025-alert-channels.ts'
import { incidentsMigration } from './0026-incidents.ts'
import { alertRulesMigration } from './0027-alert-rules.ts'
import { alertPipelineMigration } from './0028-alert-pipeline.ts'
import { backupsMigration } from './0029-backups.ts'
import { configRevisionsMigration } from './0030-config-revisions.ts'
import { incidentActionsMigration } from './0031-incident-actions.ts'
import { maintenanceMigration } from './0032-maintenance.ts'
import { ledgerIndexesMigration } from './0033-ledger-indexes.ts'

export type { Migration }

/** The store's history, oldest first. Entries are only ever appended, and a released one is never changed. */
export const migrations: readonly Migration[] = [
  identityMigration,
  gatewayMigration,
  usageMigration,
  providerOptionsMigration,
  pinnedObjectsMigration,
  ledgerMigration,
  limitsMigration,
  responsesMigration,
  routingMigration,
  abortPolicyMigration,
  transformsMigration,
  mirrorsMigration,
  peopleMigration,
  singleSignOnMigration,
  programsMigration,
  auditMigration,
  servicesMigration,
  analyticsMigration,
  agentsMigration,
  durationsMigration,
  sourcesMigration,
  checksMigration,
  conversationsMigration,
  riskMigration,
  alertChannelsMigration,
  incidentsMigration,
  alertRulesMigration,
  alertPipelineMigration,
  backupsMigration,
  configRevisionsMigration,
  incidentActionsMigration,
  maintenanceMigration,
  ledgerIndexesMigration,
]
