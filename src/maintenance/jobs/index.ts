import type { Job } from '../job.ts'
import { backupIntegrity } from './backup-integrity.ts'
import { backupVerification } from './backup-verification.ts'
import { capacityPlan } from './capacity-plan.ts'
import { databaseCleanup } from './database-cleanup.ts'
import { errorDigest } from './error-digest.ts'
import { indexRebuild } from './index-rebuild.ts'
import { logCleanup } from './log-cleanup.ts'
import { performanceAnalysis } from './performance-analysis.ts'
import { recoveryDrill } from './recovery-drill.ts'
import { resourceUsage } from './resource-usage.ts'
import { securityScan } from './security-scan.ts'
import { serviceStatus } from './service-status.ts'

/** Seed 003's lists, in its order: four a day, four a week, four a month. */
export const jobs: readonly Job[] = [
  ...[serviceStatus, errorDigest, resourceUsage, backupIntegrity],
  ...[logCleanup, databaseCleanup, indexRebuild, performanceAnalysis],
  ...[securityScan, capacityPlan, backupVerification, recoveryDrill],
]
