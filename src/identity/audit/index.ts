/**
 * Who changed what. Rows are appended and never changed, each bound to the one before it by a keyed hash, the end signed;
 * old rows leave for files through signed checkpoints. Not here: calls to models, which the ledger (usage) has.
 */
import { join } from 'node:path'
import type { Kysely } from 'kysely'
import type { Clock } from '../../kernel/clock.ts'
import { createPrivateFile } from '../../platform/files.ts'
import type { Log } from '../../platform/log.ts'
import type { Secrets } from '../../platform/secrets.ts'
import { type Archived, type AuditFileVerdict, archiveRows, verifyArchive } from './archive.ts'
import { type AuditLog, createAuditLog } from './audit-log.ts'
import { createChain } from './chain.ts'
import type { auditRoutes } from './routes.ts'
import { type AuditTables, createAuditStore } from './store.ts'
import { type AuditRange, type AuditVerdict, verifyChain } from './verify.ts'

export type { AuditRange, AuditVerdict } from './verify.ts'

/** Something that was changed: `providers.update`, of what, by whom. */
export type AuditedChange = { at: number; action: string; target: string; by: string }

export type Audit = AuditLog & {
  /** What the routes for people are made of. */
  control: Parameters<typeof auditRoutes>[0]
  /** Names the first row that is not as it was written. Reads a page at a time. */
  verify(range?: AuditRange): Promise<AuditVerdict>
  /** What was done between two moments (epoch ms), latest first, at most `limit`; what failed is left out. */
  changes(from: number, to: number, limit: number): Promise<AuditedChange[]>
  /** Moves rows older than the retention into files. */
  archive(): Promise<Archived>
}

export function createAudit(own: {
  db: Kysely<AuditTables>
  secrets: Pick<Secrets, 'derive'>
  nameOf(userId: string): Promise<string>
  /** The id of a tenant that is written as id or name. */
  tenantIdOf(written: string): Promise<string>
  /** 0 keeps everything in the store. */
  retentionDays(): number
  /** Where archived rows go. */
  folder: string
  clock: Clock
  log: Log
}): Audit {
  const { db, secrets, nameOf, tenantIdOf, retentionDays, folder, clock, log } = own
  const auditStore = createAuditStore(db)
  const chain = createChain(secrets)
  const verify = (range?: AuditRange) => verifyChain(auditStore, chain, range)
  return {
    ...createAuditLog({ auditStore, chain, nameOf, clock, log }),
    control: { auditStore, tenantIdOf, verify },
    verify,
    async changes(from, to, limit) {
      const rows = await auditStore.list({ from, to: to + 1 }, limit)
      return rows
        .filter(({ phase, status }) => phase === 'result' && status < 400)
        .map(({ at, action, target, actor_name: name, actor_id: id }) => ({ at, action, target, by: name || id }))
    },
    async archive() {
      const days = retentionDays()
      if (days === 0) return { rows: 0, files: [] }
      const keepFile = (name: string, text: string) => void createPrivateFile(join(folder, name), text)
      const told = await archiveRows({ auditStore, chain, keepFile, clock, log }, clock.now() - days * 86_400_000)
      if (told.rows > 0) log.info(`Old rows of the audit log went to files in ${folder}`, { count: told.rows })
      return told
    },
  }
}

/** Verifies a file of archived rows, whose first row is believed to follow what was before it. */
export function verifyAuditFile(text: string, { secrets }: { secrets: Pick<Secrets, 'derive'> }): AuditFileVerdict {
  return verifyArchive(text, createChain(secrets))
}

/** Verifies the audit log of a store that no hub has to be running on. */
export function verifyAudit(
  { db, secrets }: { db: Kysely<AuditTables>; secrets: Pick<Secrets, 'derive'> },
  range: AuditRange = {},
): Promise<AuditVerdict> {
  return verifyChain(createAuditStore(db), createChain(secrets), range)
}
