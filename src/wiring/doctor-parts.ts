import { findUnfinishedRestore, listBackups, placeOf } from '../backups/index.ts'
import type { Loaded } from '../config.ts'
import type { DoctorParts, DoctorTables } from '../doctor/index.ts'
import { type GatewayTables, openProviderQuestions } from '../gateway/index.ts'
import { type IdentityTables, verifyAudit } from '../identity/index.ts'
import type { Clock } from '../kernel/clock.ts'
import { migrations } from '../migrations/index.ts'
import { type Database, migrationStatus, openDatabase } from '../platform/database/index.ts'
import { createUpstreams, type Upstreams } from '../platform/fetch.ts'
import { createLog } from '../platform/log.ts'
import { createSecrets, findMasterKey } from '../platform/secrets.ts'
import { openUsageAudit, type UsageTables } from '../usage/index.ts'
import { packages, programFolder } from '../version.ts'

type Around = {
  loaded: Pick<Loaded, 'config'> & Partial<Pick<Loaded, 'origins' | 'warnings'>>
  env: DoctorParts['env']
  secretKey: string
  clock: Clock
  isHub: boolean
  openStore: DoctorParts['openStore']
  openUpstreams(): { upstreams: Upstreams; close(): Promise<void> }
}

/** What the doctor is given of a hub whose configuration can be read, from inside it or from the command line. */
export function doctorParts({
  loaded: { config, origins, warnings },
  env,
  secretKey,
  clock,
  isHub,
  openStore,
  openUpstreams,
}: Around): Omit<DoctorParts, 'isOffline'> {
  const secretsOf = () => {
    const masterKey = findMasterKey({ secretKey, dataDir: config.data.dir })
    return masterKey === null ? null : createSecrets(masterKey)
  }
  return {
    ...{ settings: config, complaints: warnings ?? [], env, clock, isHub, packages, programFolder, openStore },
    whereOf: (setting) => origins?.get(setting)?.where ?? 'default',
    migrationStates: (database) => migrationStatus(database, migrations),
    masterKeyId: () => secretsOf()?.keyId ?? null,
    listBackups: () => listBackups(placeOf(config.backups, config.data.dir)),
    findUnfinishedRestore: () => findUnfinishedRestore({ url: config.database.url, dataDir: config.data.dir }),
    async verifyAudit(database) {
      const secrets = secretsOf()
      if (secrets === null) throw new Error('There is no master key, and the chain is sealed with it')
      const { isWhole, rows, firstBreak } = await verifyAudit(
        { db: asTables<IdentityTables>(database).kysely, secrets },
        { from: undefined, to: undefined, anchor: undefined },
      )
      return { isWhole, rows, told: firstBreak === null ? '' : `${firstBreak.reason}: ${firstBreak.message}` }
    },
    async reconcile(database, from) {
      const audit = openUsageAudit({ db: asTables<UsageTables>(database).kysely, now: clock.now })
      const { verdict, hours, requests, differing, differences } = await audit.reconcile({
        ...{ from, retentionDays: config.usage.retention_days, isFix: false },
      })
      const first = differences[0]
      const named = first === undefined ? '' : `; first ${first.measure}: rows ${first.rows}, sums ${first.sums}`
      return {
        verdict,
        told: `${requests} requests of ${hours} hours${differing > 0 ? `, ${differing} differences${named}` : ''}`,
      }
    },
    async openProviders(database) {
      const secrets = secretsOf()
      if (secrets === null) throw new Error('There is no master key, and the keys of providers are sealed with it')
      const { upstreams, close } = openUpstreams()
      const providers = await openProviderQuestions({
        ...{ db: asTables<GatewayTables>(database).kysely, secrets, upstreams, clock },
      })
      return { providers, close }
    },
  }
}

/** The same for whoever opens everything anew: the command line, and a hub that tries settings it does not have yet. */
export function outsideParts(
  around: Pick<Around, 'loaded' | 'env' | 'secretKey' | 'clock'>,
): Omit<DoctorParts, 'isOffline'> {
  const { config } = around.loaded
  return doctorParts({
    ...{ ...around, isHub: false },
    async openStore() {
      const { url, statement_timeout_seconds } = config.database
      const database = await openDatabase<DoctorTables>({
        ...{ url, dataDir: config.data.dir, poolSize: 2, statementTimeoutMs: statement_timeout_seconds * 1000 },
        log: quiet,
      })
      return { database, close: () => database.close() }
    },
    openUpstreams() {
      const { allow_private, connect_timeout_seconds, proxy } = config.network
      const upstreams = createUpstreams({
        ...{
          allow: allow_private,
          connectTimeoutMs: Math.min(connect_timeout_seconds * 1000, 4000),
          proxy,
          log: quiet,
        },
      })
      return { upstreams, close: () => upstreams.close(0) }
    },
  })
}

// What goes wrong is told by the findings.
const quiet = createLog({ level: 'critical', format: 'text', stream: { write() {} } })

// One store holds the tables of every room; each names its own.
function asTables<Tables>(database: Database<DoctorTables>): Database<Tables> {
  return database as unknown as Database<Tables>
}
