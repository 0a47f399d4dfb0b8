import type { Finding } from '../finding.ts'
import { maintenanceLate, webhookSigning } from './alerts.ts'
import { backupOld, backupUnusable, drillOld, restoreUnfinished } from './backups.ts'
import { configurationUnreadable, secretWeak, settingDoubtful, settingRefused } from './configuration.ts'
import { dataFolderMissing, dataFolderOpen, dataFolderUnusable, leftovers, secretKeyOpen } from './data-folder.ts'
import { connecting, grantMissing, lockWaits, migrationsPending, migrationsUnknown, storeDamaged } from './database.ts'
import { certificateEnding, corsMismatch, proxyBuffers, publicAddressWrong } from './edge.ts'
import { hubStalled, listenRefused, portTaken } from './hub.ts'
import { auditBroken, ledgerDrift, ledgerRejects, priceMissing } from './ledger.ts'
import { diskFull, memoryLow, openFiles } from './machine.ts'
import { clockSkew, localhostAddresses, proxyVariables, publicNameUnresolved } from './network.ts'
import { dependencyMissing, entryPoints, runtimeOld } from './program.ts'
import { aliasLoop, modelGone, providerFaults } from './providers.ts'
import { redisConnecting, redisFull } from './redis.ts'
import { masterKey } from './secrets.ts'
import { serviceEmpty, serviceUnreachable } from './services.ts'

/** Everything the doctor looks for, in the order in which it is told. */
export const findings: readonly Finding[] = [
  ...[configurationUnreadable, settingRefused, settingDoubtful],
  ...[runtimeOld, dependencyMissing, entryPoints],
  ...[dataFolderUnusable, dataFolderMissing, dataFolderOpen, leftovers, diskFull, openFiles, memoryLow, clockSkew],
  ...[proxyVariables, localhostAddresses, publicNameUnresolved],
  ...[portTaken, listenRefused, hubStalled, maintenanceLate],
  ...[...connecting, storeDamaged, grantMissing, lockWaits, migrationsPending, migrationsUnknown],
  ...[...redisConnecting, redisFull],
  ...[secretWeak, secretKeyOpen, masterKey],
  ...[auditBroken, ledgerRejects, ledgerDrift, priceMissing],
  ...[...providerFaults, modelGone, aliasLoop],
  ...[serviceEmpty, serviceUnreachable, webhookSigning],
  ...[backupOld, backupUnusable, drillOld, restoreUnfinished],
  ...[certificateEnding, publicAddressWrong, proxyBuffers, corsMismatch],
]
