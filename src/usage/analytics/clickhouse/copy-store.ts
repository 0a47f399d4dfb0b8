import type { Kysely } from 'kysely'
import { fail, HubError } from '../../../kernel/errors.ts'
import type { ClickHouse } from '../../../platform/clickhouse/client.ts'
import { literal } from '../../../platform/clickhouse/dialect.ts'
import type { UsageTables } from '../../rows.ts'
import { type AgedKind, agedKinds } from '../cover.ts'
import { dayMs, grainMs } from '../schema.ts'
import { readDeletedBefore } from '../sums-store.ts'
import { type CopiedRequest, requestColumns, valuesOfRequest } from './rows.ts'
import {
  type CopiedTable,
  type CopyGrain,
  columnsOfCopy,
  copyGrains,
  createStatements,
  dropStatements,
  madeNames,
  shape,
  tablesOf,
} from './tables-store.ts'

/** One part of the time whose rows or sums are copied together, and what it was called in the main store by then. */
export type CopiedSlot = { grain: CopyGrain; slot: number; version: number }

export type Span = { from: number; to: number }

/** What is read of the main store. */
export function createCopySource(db: Kysely<UsageTables>) {
  return {
    /**
     * A number for each day of UTC that anything is known of, which moves whenever something of that day does; 0 for days that
     * nothing has changed since there are such numbers. null while rows lack their sums: they are being added up.
     */
    async dayVersions(): Promise<Map<number, number> | null> {
      const unsummed = db
        .selectFrom('usage_analytics_state')
        .select('value')
        .where('name', '=', 'rows_without_sums_before')
      if ((await unsummed.executeTakeFirst()) !== undefined) return null
      const summed = db.selectFrom('usage_facets_day').select('slot').distinct().where('facet', '=', '')
      const days = new Map((await summed.execute()).map(({ slot }) => [Number(slot), 0]))
      const rows = await db.selectFrom('usage_day_versions').selectAll().execute()
      for (const { day, version } of rows) days.set(Number(day), Number(version))
      return days
    },

    /** Up to when what was deleted, by the names that reports look for. */
    async state(): Promise<Map<string, number>> {
      const deleted = await readDeletedBefore(db)
      return new Map(agedKinds.map((kind) => [`${kind}_deleted_before`, deleted[kind]]))
    },

    /** One table over some of the time, as it stood at one moment. */
    async *rows(table: CopiedTable, { from, to }: Span): AsyncGenerator<unknown[]> {
      if (table === 'request_logs') {
        const query = db.selectFrom(table).select(requestColumns)
        const found = query.where('started_at', '>=', from).where('started_at', '<', to).stream(pageRows)
        for await (const row of found) yield valuesOfRequest(row as CopiedRequest)
        return
      }
      const columns = columnsOfCopy(table)
      // One of nine tables that have a slot in common.
      const query = db.selectFrom(table as 'usage_facets_day').selectAll()
      for await (const row of query.where('slot', '>=', from).where('slot', '<', to).stream(pageRows)) {
        const values = row as unknown as Record<string, unknown>
        yield columns.map((name) => values[name])
      }
    },
  }
}

const pageRows = 1000

export type CopySource = ReturnType<typeof createCopySource>

/** What is written into ClickHouse. Nobody sees a slot before `finish`. */
export function createCopyTarget(clickhouse: ClickHouse) {
  const shapeName = 'shape'
  const put = (table: string, columns: readonly string[], rows: readonly unknown[][]) =>
    clickhouse.insert(table, columns, linesOf(rows))

  /** The shape of what is there, and whether all of it is; null: nothing. */
  async function readShape(): Promise<{ found: number; isComplete: boolean } | null> {
    const rows = await clickhouse.ask<{ name: string }>(
      'select name from system.tables where database = currentDatabase()',
    )
    const names = new Set(rows.map(({ name }) => name))
    if (!names.has('usage_state_copies')) return null
    const states = await clickhouse.ask<{ value: number }>(
      `select argMax(value, copy) as value from usage_state_copies where name = '${shapeName}' group by name`,
    )
    return { found: Number(states[0]?.value ?? 0), isComplete: madeNames().every((name) => names.has(name)) }
  }

  return {
    /**
     * Makes the tables where one of them is not there. What a former version of the hub made goes, for all of it can be copied
     * again; what a later one made stays, and that is an error.
     */
    async prepare(copy: number): Promise<void> {
      const there = await readShape()
      if (there !== null && there.found > shape) {
        throw fail('unavailable', 'A later version of the hub copies into this ClickHouse', {
          detail: `${clickhouse.where}: it is of shape ${there.found}, this version knows ${shape}`,
        })
      }
      if (there?.found === shape && there.isComplete) return
      // All of it: where one table is gone, the others claim what is no longer there.
      for (const statement of dropStatements()) await clickhouse.run(statement)
      for (const statement of createStatements()) await clickhouse.run(statement)
      await put('usage_state_copies', ['name', 'value', 'copy'], [[shapeName, shape, copy]])
    },

    /** The version of each day that was copied last; the highest number of any copy. */
    async copied(): Promise<{ days: Map<number, number>; lastCopy: number }> {
      const rows = await clickhouse.ask<{ slot: number; version: number }>(
        `select slot, argMax(version, copy) as version from usage_copies where grain = 'day' and is_whole = 1 group by slot`,
      )
      const [last] = await clickhouse.ask<{ copy: number }>(
        `select greatest((select max(copy) from usage_copies), (select max(copy) from usage_state_copies)) as copy`,
      )
      return {
        days: new Map(rows.map(({ slot, version }) => [Number(slot), Number(version)])),
        lastCopy: Number(last?.copy ?? 0),
      }
    },

    /** The slots of a day of which something was copied, by their grain. */
    async slotsOf(day: number): Promise<Set<string>> {
      const rows = await clickhouse.ask<{ grain: CopyGrain; slot: number }>(`
        select distinct grain, slot from usage_copies
        where is_whole = 1 and slot >= ${literal(day)} and slot < ${literal(day + dayMs)}
      `)
      return new Set(rows.map(({ grain, slot }) => keyOf(grain, Number(slot))))
    },

    /** Says that rows of these slots may come: whatever becomes of them, they are found and taken away. */
    begin: (slots: readonly CopiedSlot[], copy: number) => putCopies(slots, copy, 0),

    /** How many rows were sent. */
    async rows(table: CopiedTable, copy: number, rows: AsyncGenerator<unknown[]>): Promise<number> {
      const first = await rows.next()
      if (first.done === true) return 0
      async function* lines() {
        yield JSON.stringify([...(first.value as unknown[]), copy])
        for await (const values of rows) yield JSON.stringify([...values, copy])
      }
      return clickhouse.insert(`${table}_copies`, [...columnsOfCopy(table), 'copy'], lines())
    },

    /** From here on these slots are what this copy has of them. */
    finish: (slots: readonly CopiedSlot[], copy: number) => putCopies(slots, copy, 1),

    async writeState(state: ReadonlyMap<string, number>, copy: number): Promise<void> {
      const rows = [...state].map(([name, value]) => [name, value, copy])
      await put('usage_state_copies', ['name', 'value', 'copy'], rows)
    },

    /** What was written with `writeState`; nothing where nobody has copied yet. */
    async readState(): Promise<Map<string, number>> {
      try {
        const rows = await clickhouse.ask<{ name: string; value: number }>(
          'select name, value from usage_analytics_state',
          3000,
        )
        return new Map(rows.map(({ name, value }) => [name, Number(value)]))
      } catch (error) {
        if (error instanceof HubError && /\bCode: 60\b/.test(error.detail ?? '')) return new Map()
        throw error
      }
    },

    /**
     * Deletes what no reader sees any more: copies older than `before` that are not the last whole one of their slot, and
     * whatever retention has deleted in the main store.
     */
    async clean(before: number, state: ReadonlyMap<string, number>): Promise<void> {
      const old = await clickhouse.ask<{ grain: CopyGrain; slot: number; stale: number[]; kept: number }>(`
        select grain, slot, groupUniqArrayIf(copy, copy < ${literal(before)}) as stale, maxIf(copy, is_whole = 1) as kept
        from usage_copies group by grain, slot having arrayExists(each -> each <> kept, stale)
        order by grain, slot limit 5000
      `)
      for (const grain of copyGrains) {
        const ofGrain = old.filter((each) => each.grain === grain)
        for (const [day, some] of Map.groupBy(ofGrain, ({ slot }) => Number(slot) - (Number(slot) % dayMs))) {
          const gone = some.flatMap(({ slot, stale, kept }) =>
            stale.filter((copy) => Number(copy) !== Number(kept)).map((copy) => `(${Number(slot)}, ${Number(copy)})`),
          )
          const within = `slot >= ${day} and slot < ${day + dayMs} and (slot, copy) in (${gone.join(', ')})`
          for (const table of tablesOf[grain])
            await clickhouse.run(`alter table ${table}_copies delete where ${within}`)
          await clickhouse.run(`alter table usage_copies delete where grain = '${grain}' and ${within}`)
        }
      }
      for (const kind of agedKinds) {
        const time = state.get(`${kind}_deleted_before`) ?? 0
        // Whole days of theirs: what is left of one costs room and nobody asks for it.
        const end = time - (time % dayMs)
        if (end > 0)
          for (const table of tablesOfKind[kind])
            await clickhouse.run(`alter table ${table}_copies delete where slot < ${end}`)
      }
      const endOf = (...kinds: AgedKind[]) => Math.min(...kinds.map((kind) => state.get(`${kind}_deleted_before`) ?? 0))
      for (const [grain, time] of [
        ['quarter', endOf('rows', 'quarter')],
        ['hour', endOf('hour', 'latency')],
      ] as const) {
        const end = time - (time % dayMs)
        if (end > 0) await clickhouse.run(`alter table usage_copies delete where grain = '${grain}' and slot < ${end}`)
      }
    },
  }

  async function putCopies(slots: readonly CopiedSlot[], copy: number, isWhole: 0 | 1): Promise<void> {
    const rows = slots.map(({ grain, slot, version }) => [grain, slot, copy, version, 0, isWhole])
    await put('usage_copies', ['grain', 'slot', 'copy', 'version', 'noted', 'is_whole'], rows)
  }
}

export type CopyTarget = ReturnType<typeof createCopyTarget>

const tablesOfKind: Record<AgedKind, readonly CopiedTable[]> = {
  rows: ['request_logs'],
  quarter: ['usage_facets_quarter', 'usage_cube_quarter'],
  hour: ['usage_facets_hour', 'usage_durations_hour'],
  latency: ['usage_latency_hour', 'usage_latency_day'],
  day: ['usage_facets_day', 'usage_cube_day', 'usage_durations_day'],
}

export function keyOf(grain: CopyGrain, slot: number): string {
  return `${grain} ${slot}`
}

/** Every slot of a grain that begins within a day of UTC. */
export function slotsOfDay(grain: CopyGrain, day: number): number[] {
  const size = grainMs[grain]
  return Array.from({ length: dayMs / size }, (_, index) => day + index * size)
}

async function* linesOf(rows: readonly unknown[][]): AsyncGenerator<string> {
  for (const row of rows) yield JSON.stringify(row)
}
