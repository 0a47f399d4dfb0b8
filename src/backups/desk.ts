import { join } from 'node:path'
import type { Clock } from '../kernel/clock.ts'
import { fail, HubError } from '../kernel/errors.ts'
import { createId } from '../kernel/ids.ts'
import type { Bus } from '../platform/bus/bus.ts'
import type { StoreAddress } from '../platform/database/copying/index.ts'
import type { Migration } from '../platform/database/index.ts'
import { readFileSize } from '../platform/files.ts'
import type { Log } from '../platform/log.ts'
import {
  createFolderStore,
  type ObjectPlace,
  type ObjectStore,
  openObjectStore,
} from '../platform/object-store/index.ts'
import type { Header } from './archive/format.ts'
import type { OwnKey } from './archive/keys.ts'
import { readHeader, suffix } from './archive/read.ts'
import type { BackupsConfig } from './config.ts'
import { type DrillResult, drill, type Smoke } from './drill.ts'
import { auditPrefix, configurationFile, masterKeyFile } from './restore.ts'
import { chooseRemovable } from './retention.ts'
import { type Runner, saysNothing, tellOf } from './runner.ts'
import { type BackupKind, type BackupReply, isScheduled, type Outcome, type Run, type RunKind } from './schema.ts'
import type { BackupsStore } from './store.ts'
import { createGauge, type FileWish, type Gauge, gaugePlaces, gaugeSteps } from './work.ts'

export type DeskParts = {
  /** null where the store has no table for runs yet, as before a migration: then nothing is written down. */
  store: BackupsStore | null
  address: StoreAddress
  own: OwnKey
  /** The text of the master key, for backups that open with a recovery key; null where nobody can tell. */
  masterKey: () => string | null
  /** Of the configuration; null where there is none. */
  configurationPath: string | null
  migrations: readonly Migration[]
  version: string
  runner: Runner
  smoke: Smoke | null
  bus: Bus
  clock: Clock
  log: Log
  /** 0 to below 1. */
  random: () => number
  noted(kind: RunKind, outcome: Outcome, seconds: number, bytes: number): void
}

/** Nothing of ours is written for longer: what is older was left by a process that died. */
const unfinishedMs = 24 * 3_600_000

/** Told the run's id once it is written down: from then on it can be followed. */
export type Begun = (runId: string) => void

export type Desk = ReturnType<typeof createDesk>

/** Takes, lists, verifies, drills and clears away backups, and keeps a record of each; one at a time on a node. */
export function createDesk(parts: DeskParts, config: BackupsConfig) {
  const { store, address, own, clock, bus, log } = parts
  const place = placeOf(config, address.dataDir)
  const objects = openObjectStore(place)
  const keys = { own, recoverySecret: null }
  let running: { id: string; kind: RunKind; gauge: Gauge } | null = null

  /** Those whose header can be read, newest first. */
  async function usable(): Promise<(Header & { bytes: number })[]> {
    const found = (await listHeaders(objects)).flatMap(({ header, bytes }) =>
      header === null ? [] : [{ ...header, bytes }],
    )
    return found.sort((a, b) => b.takenAt - a.takenAt)
  }

  /** Runs `work` as the only one of this node, and writes down how it ended. Rejects as `work` does. */
  async function record<T>(
    kind: RunKind,
    { id, archiveId, onBegun }: { id: string; archiveId: string; onBegun?: Begun | undefined },
    work: (gauge: Gauge) => Promise<T>,
    tell: (result: T) => { outcome: Outcome; bytes: number; rows: number; message: string; details: object },
  ): Promise<T> {
    if (running !== null) {
      throw fail('conflict', `A ${running.kind} (${running.id}) is under way on this node; wait until it has ended.`)
    }
    const gauge = createGauge()
    running = { id, kind, gauge }
    const startedAt = clock.now()
    const end = async (told: ReturnType<typeof tell>, at: string) => {
      const finishedAt = clock.now()
      parts.noted(kind, told.outcome, (finishedAt - startedAt) / 1000, told.bytes)
      await store?.end(id, { ...told, finishedAt })
      if (told.outcome === 'ok') bus.announce('backup.finished', { runId: id, kind, backupId: at, bytes: told.bytes })
      else bus.announce('backup.failed', { runId: id, kind, backupId: at, outcome: told.outcome, reason: told.message })
    }
    try {
      await store?.begin({ id, kind, archiveId, startedAt })
      onBegun?.(id)
      const result = await work(gauge)
      await end(tell(result), archiveId)
      return result
    } catch (error) {
      const outcome = saysNothing(error) && kind !== 'full' && kind !== 'increment' ? 'inconclusive' : 'failed'
      const told = { outcome, bytes: 0, rows: 0, message: tellOf(error), details: {} } as const
      // That the store is away, too, is no reason to lose what went wrong first.
      await end(told, archiveId).catch((cause: unknown) =>
        log.warn('How a backup ended was not kept', { error: cause }),
      )
      throw error
    } finally {
      running = null
    }
  }

  async function filesToKeep(): Promise<FileWish[]> {
    const files: FileWish[] = []
    if (parts.configurationPath !== null && readFileSize(parts.configurationPath) !== null) {
      files.push({ name: configurationFile, path: parts.configurationPath })
    }
    const masterKey = config.recovery_key === '' ? null : parts.masterKey()
    if (masterKey !== null) files.push({ name: masterKeyFile, text: masterKey })
    const audit = createFolderStore(join(address.dataDir, 'audit'))
    for (const { name } of await audit.list()) {
      files.push({ name: auditPrefix + name, path: join(address.dataDir, 'audit', name) })
    }
    return files
  }

  /** The newest backup that an increment of now can build on; '' when there is none. */
  async function baseFor(): Promise<string> {
    const all = (await usable()).filter(isScheduled)
    const there = new Set(all.map(({ id }) => id))
    const newest = all[0]
    const schema = parts.migrations.at(-1)?.name
    if (newest === undefined || newest.schema !== schema || newest.keyId !== own.keyId) return ''
    const isSame = newest.slots.some((slot) => slot.for === 'recovery') === (config.recovery_key !== '')
    return isSame && newest.chain.every((id) => there.has(id)) ? newest.id : ''
  }

  async function takeNow(kind: BackupKind, onBegun?: Begun): Promise<Run> {
    const id = createId('backup', clock.now())
    const baseId = kind === 'increment' ? await baseFor() : ''
    const real = kind === 'increment' && baseId === '' ? 'full' : kind
    const startedAt = clock.now()
    const taken = await record(
      real,
      { id, archiveId: id, onBegun },
      async (gauge) =>
        parts.runner.take({
          ...{ id, kind: real, baseId, address, place, own, gauge, version: parts.version },
          recoveryKey: config.recovery_key,
          files: await filesToKeep(),
          sentinel: store === null ? '' : id,
        }),
      (done) => ({
        ...{ outcome: 'ok', bytes: done.fileBytes, rows: done.rows, message: '' },
        details: {
          ...{ tables: done.tables, plain_bytes: done.bytes, pieces: done.pieces, new_pieces: done.ownPieces },
          needs: done.chain,
        },
      }),
    )
    return {
      ...{ id, kind: real, outcome: 'ok', archiveId: id, startedAt, finishedAt: clock.now(), message: '' },
      ...{ bytes: taken.fileBytes, rows: taken.rows, details: { needs: taken.chain } },
    }
  }

  return {
    where: objects.where,
    place,
    keys,
    /** What is under way on this node. */
    progress() {
      if (running === null) return null
      const { id, kind, gauge } = running
      const at = (name: keyof typeof gaugePlaces) => gauge[gaugePlaces[name]]!
      const step = gaugeSteps[at('step')]!
      return { id, kind, step, rows: at('rows'), bytes: at('bytes'), writtenBytes: at('writtenBytes') }
    },

    /** Ends what is under way; it fails and leaves nothing. */
    interrupt(): void {
      if (running !== null) running.gauge[gaugePlaces.stop] = 1
    },

    async list(): Promise<BackupReply[]> {
      const proofs = (await store?.proofs().catch(() => null)) ?? new Map()
      return (await listHeaders(objects)).map(({ id, bytes, header, fault }) => ({
        id,
        kind: header?.kind ?? 'full',
        taken_at: header?.takenAt ?? 0,
        bytes,
        version: header?.version ?? '',
        schema: header?.schema ?? '',
        needs: header?.chain ?? [],
        key_id: header?.keyId ?? '',
        opens_with_recovery_key: header?.slots.some((slot) => slot.for === 'recovery') ?? false,
        verified_at: proofs.get(id)?.verifiedAt || null,
        drilled_at: proofs.get(id)?.drilledAt || null,
        fault,
      }))
    },

    usable,

    take: takeNow,

    /** Reads a backup and its chain back; rejects with `backup_unusable` when it is not what was written. */
    async verify(id: string, onBegun?: Begun): Promise<{ runId: string; rows: number; bytes: number }> {
      const runId = createId('backup', clock.now())
      const done = await record(
        'verify',
        { id: runId, archiveId: id, onBegun },
        (gauge) => parts.runner.verify({ id, place, keys, gauge }),
        (told) => ({ outcome: 'ok', bytes: told.fileBytes, rows: told.rows, message: '', details: {} }),
      )
      return { runId, rows: done.rows, bytes: done.bytes }
    },

    /** Restores the newest backup and a random older one beside the store, and looks at them. Never rejects for what it finds. */
    async drill(onBegun?: Begun): Promise<DrillResult & { runId: string }> {
      const runId = createId('backup', clock.now())
      const all = (await usable()).filter(isScheduled)
      const ids = pickForDrill(
        all.map(({ id }) => id),
        parts.random,
      )
      const result = await record(
        'drill',
        { id: runId, archiveId: ids[0] ?? '', onBegun },
        (gauge) =>
          drill({ ...parts, place, keys, gauge, ids, backups: all, isRecoverable: config.recovery_key !== '' }),
        (told) => ({
          ...{ outcome: told.outcome, bytes: 0, message: told.outcome === 'ok' ? '' : told.cause, details: told },
          rows: told.backups.reduce((sum, { rows }) => sum + rows, 0),
        }),
      )
      return { ...result, runId }
    },

    /** Removes what no rule keeps; returns the ids. */
    async clear(): Promise<string[]> {
      const proofs = (await store?.proofs()) ?? new Map()
      const removable = chooseRemovable(await usable(), proofs, config, clock.now())
      for (const id of removable) await objects.remove(id + suffix)
      await objects.clearUnfinished(clock.now() - unfinishedMs)
      return removable
    },
  }
}

/** Every file that calls itself a backup, the newest first; `header` is null where it tells nothing, and `fault` why. */
async function listHeaders(objects: ObjectStore) {
  const found: { id: string; bytes: number; header: Header | null; fault: string }[] = []
  for (const { name, bytes } of await objects.list()) {
    if (!name.endsWith(suffix)) continue
    const id = name.slice(0, -suffix.length)
    try {
      found.push({ id, bytes, header: (await readHeader(objects, id)).header, fault: '' })
    } catch (error) {
      if (!(error instanceof HubError)) throw error
      found.push({ id, bytes, header: null, fault: error.message })
    }
  }
  return found.reverse()
}

/** What lies in a place, for those who have no store to ask about it. */
export async function listBackups(place: ObjectPlace) {
  const found = await listHeaders(openObjectStore(place))
  return found.map(({ id, bytes, header, fault }) => ({
    ...{ id, bytes, fault, kind: header?.kind ?? '', takenAt: header?.takenAt ?? 0, chain: header?.chain ?? [] },
  }))
}

/** The newest, and any one of the others. */
function pickForDrill(newestFirst: readonly string[], random: () => number): string[] {
  const [newest, ...older] = newestFirst
  if (newest === undefined) return []
  const other = older[Math.floor(random() * older.length)]
  return other === undefined ? [newest] : [newest, other]
}

/** The bucket, or else the folder, that backups lie in. */
export function placeOf(config: BackupsConfig, dataDir: string): ObjectPlace {
  if (config.s3_bucket === '')
    return { kind: 'folder', path: config.folder === '' ? join(dataDir, 'backups') : config.folder }
  return {
    kind: 's3',
    bucket: config.s3_bucket,
    endpoint: config.s3_endpoint || `https://s3.${config.s3_region}.amazonaws.com`,
    region: config.s3_region,
    prefix: config.s3_prefix,
    accessKeyId: config.s3_access_key_id,
    secretAccessKey: config.s3_secret_access_key,
    isPathStyle: config.s3_path_style,
  }
}
