import type { Kysely } from 'kysely'
import type { Window } from '../kernel/windows.ts'
import type { Reason, Run, State, Told } from './schema.ts'

type RunRow = {
  id: string
  job: string
  outcome: string
  reason: string
  due_at: number
  until_at: number
  wanted_by: string
  node: string
  begun_at: number
  beat_at: number
  finished_at: number
  progress_done: number
  progress_total: number
  progress_note: string
  message: string
  message_zh: string
  figures: string
  evidence: string
}

export type MaintenanceTables = {
  maintenance_runs: RunRow
  maintenance_jobs: {
    name: string
    enabled: number
    cron: string
    zone: string
    window_minutes: number
    seen_at: number
    updated_at: number
  }
  checks: { id: string; name: string; enabled: number; windows: string }
  providers: { id: string; name: string; enabled: number; updated_at: number; is_synthetic: number }
  provider_keys: { name: string; provider_id: string; enabled: number; updated_at: number }
  api_keys: {
    name: string
    enabled: number
    service: string
    created_at: number
    rotated_at: number | null
    expires_at: number | null
  }
}

export type MaintenanceStore = ReturnType<typeof createStore>
/** '' and 0 stand for what is built in. */
export type StoredTiming = { enabled: boolean; cron: string; zone: string; windowMinutes: number; seenAt: number }

const ended = ['ok', 'warn', 'fail', 'inconclusive'] as const

export function createStore(db: Kysely<MaintenanceTables>) {
  return {
    /** Makes a row for each job that has none, so that its first turn is counted from now. */
    async see(names: readonly string[], now: number): Promise<void> {
      await db
        .insertInto('maintenance_jobs')
        .values(
          names.map((name) => ({
            ...{ name, enabled: 1, cron: '', zone: '', window_minutes: 0, seen_at: now, updated_at: now },
          })),
        )
        .onConflict((on) => on.column('name').doNothing())
        .execute()
    },

    async timings(): Promise<ReadonlyMap<string, StoredTiming>> {
      const rows = await db.selectFrom('maintenance_jobs').selectAll().execute()
      return new Map(
        rows.map((row) => [
          row.name,
          {
            ...{ enabled: row.enabled === 1, cron: row.cron, zone: row.zone },
            ...{ windowMinutes: row.window_minutes, seenAt: row.seen_at },
          },
        ]),
      )
    },

    async retime(name: string, { enabled, cron, zone, windowMinutes }: StoredTiming, now: number): Promise<void> {
      const row = { enabled: enabled ? 1 : 0, cron, zone, window_minutes: windowMinutes, updated_at: now }
      await db
        .insertInto('maintenance_jobs')
        .values({ name, ...row, seen_at: now })
        // Turns of the former calendar that lie behind are no turns of this one.
        .onConflict((on) => on.column('name').doUpdateSet({ ...row, seen_at: now }))
        .execute()
    },

    /** The row that is there before anything is done; false when that turn has one. */
    async want(run: Pick<Run, 'id' | 'job' | 'dueAt' | 'untilAt' | 'wantedBy'>): Promise<boolean> {
      const { numInsertedOrUpdatedRows } = await db
        .insertInto('maintenance_runs')
        .values({
          ...{ id: run.id, job: run.job, due_at: run.dueAt, until_at: run.untilAt, wanted_by: run.wantedBy },
          ...{ outcome: 'waiting', reason: '', node: '', begun_at: 0, beat_at: 0, finished_at: 0 },
          ...{ progress_done: 0, progress_total: 0, progress_note: '' },
          ...{ message: '', message_zh: '', figures: '{}', evidence: '[]' },
        })
        .onConflict((on) => on.columns(['job', 'due_at']).doNothing())
        .executeTakeFirstOrThrow()
      return Number(numInsertedOrUpdatedRows ?? 0) > 0
    },

    /** What waits or runs, the first turn first. */
    async open(): Promise<Run[]> {
      const rows = await db
        .selectFrom('maintenance_runs')
        .selectAll()
        .where('outcome', 'in', ['waiting', 'running'])
        .orderBy('due_at')
        .orderBy('id')
        .limit(200)
        .execute()
      return rows.map(toRun)
    },

    /** Makes a waiting run this node's; false when another was first. */
    async take(id: string, node: string, now: number): Promise<boolean> {
      const { numUpdatedRows } = await db
        .updateTable('maintenance_runs')
        .set({ outcome: 'running', node, begun_at: now, beat_at: now })
        .where('id', '=', id)
        .where('outcome', '=', 'waiting')
        .executeTakeFirst()
      return Number(numUpdatedRows) > 0
    },

    /** Says that it still runs; false when it was taken for dead, and is no longer this node's. */
    async beat(id: string, node: string, now: number, progress: Run['progress']): Promise<boolean> {
      const { done, total, note } = progress
      const { numUpdatedRows } = await db
        .updateTable('maintenance_runs')
        .set({ beat_at: now, progress_done: done, progress_total: total, progress_note: note })
        .where('id', '=', id)
        .where('outcome', '=', 'running')
        .where('node', '=', node)
        .executeTakeFirst()
      return Number(numUpdatedRows) > 0
    },

    /** Writes down how it ended; false when somebody else has ended it meanwhile, and then nothing is changed. */
    async end(run: Pick<Run, 'id' | 'node'>, told: Told & { reason: Reason }, now: number): Promise<boolean> {
      const { numUpdatedRows } = await db
        .updateTable('maintenance_runs')
        .set({
          ...{ outcome: told.outcome, reason: told.reason, finished_at: now },
          ...{ message: told.message.en, message_zh: told.message.zh },
          ...{ figures: JSON.stringify(told.figures), evidence: JSON.stringify(told.evidence) },
        })
        .where('id', '=', run.id)
        .where('outcome', 'in', ['waiting', 'running'])
        .where('node', '=', run.node)
        .executeTakeFirst()
      return Number(numUpdatedRows) > 0
    },

    /** Newest first. */
    async list(options: { job?: string; limit: number; before?: string; states?: readonly State[] }): Promise<Run[]> {
      let query = db.selectFrom('maintenance_runs').selectAll()
      if (options.job) query = query.where('job', '=', options.job)
      if (options.before) query = query.where('id', '<', options.before)
      if (options.states) query = query.where('outcome', 'in', options.states)
      return (await query.orderBy('id', 'desc').limit(options.limit).execute()).map(toRun)
    },

    /** Turns and wishes of a time, the first first. */
    async between(from: number, to: number, limit: number): Promise<Run[]> {
      const rows = await db
        .selectFrom('maintenance_runs')
        .selectAll()
        .where('due_at', '>=', from)
        .where('due_at', '<', to)
        .orderBy('due_at')
        .limit(limit)
        .execute()
      return rows.map(toRun)
    },

    async find(id: string): Promise<Run | undefined> {
      const row = await db.selectFrom('maintenance_runs').selectAll().where('id', '=', id).executeTakeFirst()
      return row && toRun(row)
    },

    /** By job: its last turn of the calendar, and the last turn or wish that came to a result. */
    async marks(): Promise<ReadonlyMap<string, { lastDueAt: number; conclusiveAt: number }>> {
      const rows = await db
        .selectFrom('maintenance_runs')
        .select((eb) => [
          'job',
          eb.fn.max<number | null>(eb.case().when('wanted_by', '=', '').then(eb.ref('due_at')).end()).as('due'),
          eb.fn
            .max<number | null>(eb.case().when('outcome', 'in', ['ok', 'warn', 'fail']).then(eb.ref('due_at')).end())
            .as('known'),
        ])
        .groupBy('job')
        .execute()
      return new Map(
        rows.map(({ job, due, known }) => [job, { lastDueAt: Number(due ?? 0), conclusiveAt: Number(known ?? 0) }]),
      )
    },

    /** The newest run of each job. */
    async newest(): Promise<ReadonlyMap<string, Run>> {
      const rows = await db
        .selectFrom('maintenance_runs')
        .selectAll()
        .where('id', 'in', (eb) =>
          eb
            .selectFrom('maintenance_runs')
            .select((inner) => inner.fn.max<string>('id').as('id'))
            .groupBy('job'),
        )
        .execute()
      return new Map(rows.map((row) => [row.job, toRun(row)]))
    },

    async forget(before: number): Promise<void> {
      await db.deleteFrom('maintenance_runs').where('due_at', '<', before).where('outcome', 'in', ended).execute()
    },

    /** Windows in which checks tell nobody. */
    async windows(): Promise<{ check: string; windows: Window[] }[]> {
      const rows = await db
        .selectFrom('checks')
        .select(['name', 'windows'])
        .where('enabled', '=', 1)
        .where('windows', '!=', '[]')
        .orderBy('name')
        .limit(1000)
        .execute()
      return rows.map(({ name, windows }) => ({ check: name, windows: JSON.parse(windows) as Window[] }))
    },

    /** Rows of a table that should be gone by now, counted up to a bound. */
    async overdue({ table, column, before }: { table: string; column: string; before: number }): Promise<number> {
      // biome-ignore lint/suspicious/noExplicitAny: which tables there are is said by whoever puts the rooms together
      const any = db as unknown as Kysely<any>
      const row = await any
        .selectFrom(
          any.selectFrom(table).select(column).where(column, '<', before).where(column, '>', 0).limit(1000).as('old'),
        )
        .select((eb) => eb.fn.countAll<number>().as('rows'))
        .executeTakeFirstOrThrow()
      return Number(row.rows)
    },

    /** Keys that open something, with the time since when their text is the same. */
    async secrets(): Promise<{ kind: 'provider' | 'caller'; name: string; since: number; isEndless: boolean }[]> {
      const own = await db
        .selectFrom('providers')
        .select(['name', 'updated_at'])
        .where('enabled', '=', 1)
        .where('is_synthetic', '=', 0)
        .limit(1000)
        .execute()
      const ladder = await db
        .selectFrom('provider_keys')
        .innerJoin('providers', 'providers.id', 'provider_keys.provider_id')
        .select(['providers.name as provider', 'provider_keys.name', 'provider_keys.updated_at'])
        .where('provider_keys.enabled', '=', 1)
        .limit(5000)
        .execute()
      const callers = await db
        .selectFrom('api_keys')
        .select(['name', 'created_at', 'rotated_at', 'expires_at'])
        .where('enabled', '=', 1)
        .where('service', '=', '')
        .orderBy('created_at')
        .limit(5000)
        .execute()
      return [
        // Nobody writes down when a key was replaced: since then nothing of it was.
        ...own.map(({ name, updated_at }) => ({
          ...{ kind: 'provider' as const, name, since: Number(updated_at), isEndless: true },
        })),
        ...ladder.map(({ provider, name, updated_at }) => ({
          ...{ kind: 'provider' as const, name: `${provider}/${name}`, since: Number(updated_at), isEndless: true },
        })),
        ...callers.map(({ name, created_at, rotated_at, expires_at }) => ({
          ...{ kind: 'caller' as const, name, since: Number(rotated_at ?? created_at), isEndless: expires_at === null },
        })),
      ]
    },
  }
}

function toRun(row: RunRow): Run {
  return {
    id: row.id,
    job: row.job,
    state: row.outcome as State,
    reason: row.reason as Reason,
    dueAt: row.due_at,
    untilAt: row.until_at,
    wantedBy: row.wanted_by,
    node: row.node,
    begunAt: row.begun_at,
    beatAt: row.beat_at,
    finishedAt: row.finished_at,
    progress: { done: row.progress_done, total: row.progress_total, note: row.progress_note },
    message: { en: row.message, zh: row.message_zh },
    figures: JSON.parse(row.figures) as Record<string, number>,
    evidence: JSON.parse(row.evidence) as string[],
  }
}
