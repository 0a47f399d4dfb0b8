import type { Clock } from '../kernel/clock.ts'
import { fail } from '../kernel/errors.ts'
import { createId } from '../kernel/ids.ts'
import { isUniqueViolation } from '../platform/database/index.ts'
import { readForeignAddress, secretOf } from '../platform/foreign/address.ts'
import type { Secrets } from '../platform/secrets.ts'
import type { Thread } from '../platform/thread.ts'
import type { Probe } from './reader.ts'
import type { ProbeReply, SourceCreate, SourcePatch, SourceStatus } from './schema.ts'
import type { CursorRecord, SourceRecord, SourcesStore } from './store.ts'
import type { Opened, SourceVerbs } from './thread.ts'

export type DeskParts = {
  store: SourcesStore
  secrets: Pick<Secrets, 'encrypt' | 'decrypt'>
  clock: Clock
  verbs(): Pick<Thread<SourceVerbs>, 'call'>
  /** Keeps a password out of the log. */
  guardSecret(secret: string): void
}

export type Desk = ReturnType<typeof createDesk>

const millionths = 1e6
const hourMs = 3_600_000

/** Sources as people set them up, try them and look at them. Reading is done elsewhere. */
export function createDesk({ store, secrets, clock, verbs, guardSecret }: DeskParts) {
  async function find(written: string): Promise<SourceRecord> {
    const found = await store.find(written)
    if (found === undefined) throw fail('not_found', `There is no source ${written}`, { param: 'id' })
    return found
  }

  /** With its secrets, for the thread alone. */
  function openedOf(row: SourceRecord): Opened {
    const context = `source:${row.id}`
    const dsn = secrets.decrypt(row.dsn, context)
    const logDsn = row.log_dsn === '' ? '' : secrets.decrypt(row.log_dsn, context)
    for (const each of [dsn, logDsn]) {
      const secret = each === '' ? '' : secretOf(readForeignAddress(each, 'dsn'))
      if (secret !== '') guardSecret(secret)
    }
    const { id, name, kind, updated_at: version } = row
    return { id, version, kind, name, dsn, logDsn, quotaPerUsd: row.quota_per_usd_millionths / millionths }
  }

  /** Throws `invalid_request` for an address that cannot be read. */
  function seal(id: string, { dsn, log_dsn }: { dsn: string; log_dsn: string }) {
    const places = [readForeignAddress(dsn, 'dsn').where]
    if (log_dsn !== '') places.push(readForeignAddress(log_dsn, 'log_dsn').where)
    return {
      dsn: secrets.encrypt(dsn, `source:${id}`),
      log_dsn: log_dsn === '' ? '' : secrets.encrypt(log_dsn, `source:${id}`),
      place: places.join(' · '),
    }
  }

  const nextHour = () => Math.ceil((clock.now() + 1) / hourMs) * hourMs

  return {
    find,
    openedOf,
    list: store.list,

    async create(wish: SourceCreate): Promise<SourceRecord> {
      const now = clock.now()
      const id = createId('source', now)
      const row: SourceRecord = {
        ...{ id, name: wish.name, kind: wish.kind, ...seal(id, wish), enabled: wish.enabled ? 1 : 0 },
        quota_per_usd_millionths: Math.round(wish.quota_per_usd * millionths),
        ...{ rows_per_second: wish.rows_per_second, created_at: now, updated_at: now },
      }
      try {
        await store.insert(row, wish.backfill ? nextHour() : null)
      } catch (error) {
        if (!isUniqueViolation(error)) throw error
        throw fail('conflict', `There is a source named ${wish.name} already`, { param: 'name' })
      }
      return row
    },

    async patch(written: string, change: SourcePatch): Promise<SourceRecord> {
      const row = await find(written)
      const opened = openedOf(row)
      const { enabled, quota_per_usd, rows_per_second } = change
      const isMoved = change.dsn !== undefined || change.log_dsn !== undefined
      await store.update(row.id, {
        ...(isMoved && seal(row.id, { dsn: change.dsn ?? opened.dsn, log_dsn: change.log_dsn ?? opened.logDsn })),
        ...(enabled !== undefined && { enabled: enabled ? 1 : 0 }),
        ...(quota_per_usd !== undefined && { quota_per_usd_millionths: Math.round(quota_per_usd * millionths) }),
        ...(rows_per_second !== undefined && { rows_per_second }),
        // It numbers the versions of a source too, and two within a millisecond are two.
        updated_at: Math.max(clock.now(), row.updated_at + 1),
      })
      return find(row.id)
    },

    /** Asks the database now. Never rejects for what it finds: the reply says it. */
    async test(written: string): Promise<ProbeReply> {
      const opened = openedOf(await find(written))
      try {
        return showProbe(await verbs().call('probe', opened))
      } catch (error) {
        const problem = toldOf(error).message
        return { ...nothingKnown, problem }
      }
    },

    /** Has history read, again if need be, from `from` on; null for the first row there is. It begins within seconds. */
    async backfill(written: string, range: { from: number | null; to: number | null }): Promise<SourceStatus> {
      const row = await find(written)
      const from = range.from === null ? null : Math.floor(range.from / hourMs) * hourMs
      const to = range.to === null ? nextHour() : Math.ceil(range.to / hourMs) * hourMs
      if (from !== null && from >= to) throw fail('invalid_request', '"from" is to be before "to"', { param: 'from' })
      await store.forgetHours(row.id, from ?? 0, to)
      await store.note(row.id, { backfill_from: from, backfill_to: to, backfill_reached: to, backfill_rows: 0 })
      return this.status(row.id)
    },

    async status(written: string): Promise<SourceStatus> {
      const row = await find(written)
      return showStatus(row, (await store.cursor(row.id))!, clock.now())
    },

    async states(rows: readonly SourceRecord[]) {
      const cursors = new Map((await store.cursors(rows.map(({ id }) => id))).map((each) => [each.source_id, each]))
      return rows.map((row) => showSource(row, cursors.get(row.id)))
    },
  }
}

const nothingKnown = {
  ...{ ok: false, version: '', where: [], columns: [], degraded: [], grants: [], warnings: [] },
  ...{ first_row_at: null, last_row_at: null },
}

const toTime = (ms: number | null) => (ms === null ? null : new Date(ms).toISOString())

export function showProbe(probe: Probe): ProbeReply {
  const { firstRowAt, lastRowAt, where, version, columns, degraded, grants, warnings, problem } = probe
  return {
    ...{ ok: problem === null, problem, version, where, columns, degraded, grants, warnings },
    ...{ first_row_at: toTime(firstRowAt), last_row_at: toTime(lastRowAt) },
  }
}

export function showSource(row: SourceRecord, cursor: CursorRecord | undefined) {
  return {
    ...{ id: row.id, name: row.name, kind: row.kind, place: row.place, enabled: row.enabled === 1 },
    quota_per_usd: row.quota_per_usd_millionths / millionths,
    rows_per_second: row.rows_per_second,
    state: row.enabled === 1 ? (cursor?.state ?? 'waiting') : ('off' as const),
    ...{ created_at: toTime(row.created_at)!, updated_at: toTime(row.updated_at)! },
  }
}

function showStatus(row: SourceRecord, cursor: CursorRecord, now: number): SourceStatus {
  const { backfill_from: from, backfill_to: to, backfill_reached: reached } = cursor
  const isDone = to !== null && from !== null && reached !== null && reached <= from
  const span = from === null || to === null ? 0 : to - from
  return {
    ...showSource(row, cursor),
    message: cursor.message,
    read_up_to: toTime(cursor.read_up_to),
    lag_seconds: cursor.read_up_to === null ? null : Math.max(0, (now - cursor.read_up_to) / 1000),
    ...{ last_row_at: toTime(cursor.last_row_at), last_row_id: cursor.last_row_id },
    ...{ rows_read: cursor.rows_read, rows_per_second_now: cursor.rows_per_second },
    backfill: {
      state: to === null ? 'none' : isDone ? 'done' : row.enabled === 1 ? 'running' : 'paused',
      ...{ from: toTime(from), to: toTime(to), reached: toTime(reached) },
      progress: isDone ? 1 : span <= 0 || reached === null ? 0 : (to! - reached) / span,
      rows: cursor.backfill_rows,
    },
    schema: cursor.probe === '' ? null : (JSON.parse(cursor.probe) as ProbeReply),
  }
}

/** What a failed question means for the source, and what to do about it. */
export function toldOf(error: unknown): {
  state: 'unreachable' | 'refused' | 'unreadable' | 'failed'
  message: string
} {
  const { message, type } = error as Error & { type?: string }
  switch (type) {
    case 'away':
      return { state: 'unreachable', message: `${message}. It is tried again, and nothing is lost meanwhile.` }
    case 'settings':
      return { state: 'refused', message: `${message}. Correct address, account or password of the source.` }
    case 'denied':
      return { state: 'unreadable', message: `${message}. Test the source: it tells the GRANT that is missing.` }
    case 'missing':
      return { state: 'unreadable', message: `${message}. Is this the database of the gateway?` }
    default:
      return { state: 'failed', message: String(message) }
  }
}
