import type { Clock } from '../kernel/clock.ts'
import { type Closers, closeAll } from '../kernel/closing.ts'
import { HubError } from '../kernel/errors.ts'
import { sqliteFileOf } from '../platform/database/connect.ts'
import type { Database } from '../platform/database/index.ts'
import { lookAtPostgres, type PostgresLook } from '../platform/diagnose/postgres.ts'
import { lookAtRedis, type RedisLook } from '../platform/diagnose/redis.ts'
import { askWeb, type WebAnswer } from '../platform/diagnose/web.ts'
import { readFileSize } from '../platform/files.ts'
import { createDoctorStore, type DoctorStore, type DoctorTables } from './store.ts'
import type { Words } from './words.ts'

/** As much of the configuration as any check reads. */
export type DoctorSettings = {
  server: { host: string; port: number; public_url: string; cors_origins: readonly string[] }
  data: { dir: string }
  database: { url: string }
  redis: { url: string }
  network: { proxy: string }
  auth: { admin_key: string }
  backups: { enabled: boolean; full_every_hours: number; drill_every_days: number }
  maintenance: { enabled: boolean }
}

/** Something wrong or doubtful about the configuration, as its reader says it. */
export type Complaint = { level: 'error' | 'warning'; where: string; setting: string; cause: Words; remedy: Words }

/** A provider that is enabled, and its free question. */
export type KnownProvider = { name: string; ask(): Promise<string[]> }

/** What the doctor is given: it opens nothing by itself but what these say, and knows no other room. */
export type DoctorParts = {
  /** null: the configuration cannot be read, and `complaints` say why. */
  settings: DoctorSettings | null
  complaints: readonly Complaint[]
  env: Readonly<Record<string, string | undefined>>
  clock: Clock
  /** Asks nobody outside this machine's own servers. */
  isOffline: boolean
  /** This process is the hub. */
  isHub: boolean
  /** What package.json needs. */
  packages: readonly string[]
  /** Where the program lies. */
  programFolder: string
  /** Where a setting was set. */
  whereOf(setting: string): string
  openStore(): Promise<{ database: Database<DoctorTables>; close(): Promise<void> }>
  migrationStates(
    database: Database<DoctorTables>,
  ): Promise<{ name: string; appliedAt: number | null; isKnown: boolean }[]>
  verifyAudit(database: Database<DoctorTables>): Promise<{ isWhole: boolean; rows: number; told: string }>
  /** Whether the ledger's rows since then add up to the sums kept of them. */
  reconcile(
    database: Database<DoctorTables>,
    from: number,
  ): Promise<{ verdict: 'equal' | 'different' | 'inconclusive'; told: string }>
  /** The fingerprint of the master key; null where the first start would make one. Throws when it cannot be read. */
  masterKeyId(): string | null
  listBackups(): Promise<{ id: string; takenAt: number; fault: string }[]>
  /** A restore that was killed, and what it has left. */
  findUnfinishedRestore(): Promise<{
    id: string
    at: number
    store: 'restored' | 'before'
    told: Words
    clear(): Promise<void>
  } | null>
  /** Providers with what is needed to ask them; `close` ends their connections. */
  openProviders(database: Database<DoctorTables>): Promise<{ providers: KnownProvider[]; close(): Promise<void> }>
}

export type StoreAnswer =
  | { kind: 'open'; database: Database<DoctorTables>; store: DoctorStore }
  /** Nothing was ever started here. */
  | { kind: 'absent'; where: string }
  | { kind: 'fault'; message: string }

/** One look at the hub and what is around it; what several checks need is looked at once. */
export type World = ReturnType<typeof createWorld>

export function createWorld(parts: DoctorParts) {
  const { settings, clock } = parts
  const closers: Closers = []
  let isClosed = false
  /** What comes after the end is closed at once. */
  const keep = async (close: () => Promise<void>) => {
    if (isClosed) await close()
    else closers.push(close)
  }

  const isPostgres = settings !== null && /^postgres(ql)?:/i.test(settings.database.url)
  const postgres = once(
    (): Promise<PostgresLook | null> =>
      isPostgres ? lookAtPostgres(settings.database.url, clock) : Promise.resolve(null),
  )
  const redis = once(
    (): Promise<RedisLook | null> =>
      settings === null || settings.redis.url === '' ? Promise.resolve(null) : lookAtRedis(settings.redis.url, clock),
  )
  const store = once(async (): Promise<StoreAnswer> => {
    if (settings === null) return { kind: 'fault', message: 'the configuration cannot be read' }
    const file = isPostgres ? null : sqliteFileOf(settings.database.url, settings.data.dir)
    if (file !== null && readFileSize(file) === null) return { kind: 'absent', where: file }
    const look = await postgres()
    if (look?.kind === 'fault') return { kind: 'fault', message: look.message }
    try {
      const { database, close } = await parts.openStore()
      await keep(close)
      await database.ping()
      return { kind: 'open', database, store: createDoctorStore(database.kysely) }
    } catch (error) {
      return { kind: 'fault', message: messageOf(error) }
    }
  })
  const migrations = once(async () => {
    const opened = await store()
    return opened.kind === 'open' ? await parts.migrationStates(opened.database) : null
  })
  const providers = once(async () => {
    const opened = await store()
    if (opened.kind !== 'open') return null
    const found = await parts.openProviders(opened.database)
    await keep(found.close)
    return Promise.all(
      found.providers.map(async ({ name, ask }) => ({
        name,
        answer: await ask().then(
          (models) => ({ models }),
          (error: unknown) => ({ error }),
        ),
      })),
    )
  })
  /** What answers where the hub should; null on a hub whose port nobody knows before it listens. */
  const hub = once(async (): Promise<WebAnswer | null> => {
    if (settings === null || settings.server.port === 0) return null
    return askWeb(`${ownAddress(settings)}/livez`, { timeoutMs: 3000 })
  })

  return {
    ...parts,
    ...{ isPostgres, postgres, redis, store, migrations, providers, hub },
    async close() {
      isClosed = true
      await closeAll(closers).catch(() => {})
    },
  }
}

/** Where the hub is reached from its own machine. */
export function ownAddress({ server }: DoctorSettings): string {
  const host = ['0.0.0.0', '::', '[::]', ''].includes(server.host) ? '127.0.0.1' : server.host
  return `http://${host.includes(':') && !host.startsWith('[') ? `[${host}]` : host}:${server.port}`
}

export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error instanceof HubError && error.detail !== undefined ? `${error.message}: ${error.detail}` : error.message
}

function once<T>(look: () => Promise<T>): () => Promise<T> {
  let looked: Promise<T> | undefined
  return () => {
    looked ??= look()
    return looked
  }
}
