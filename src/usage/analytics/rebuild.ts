import { setImmediate } from 'node:timers/promises'
import { fail } from '../../kernel/errors.ts'
import { type Cell, foldFacts, foldRows } from './fold.ts'
import { dayMs, everySource, hourMs, hubSource, measures, ownSources, quarterMs, type UsageFact } from './schema.ts'
import { type RollUps, spread, spreadDurations, spreadQuarters } from './spread.ts'
import type { AnalyticsStore } from './store.ts'
import { keysOfTable, type SumTable } from './sums-store.ts'

/** Where somebody's facts go: everything the source had in these whole hours is replaced by them. */
export type Replaced = { source: string; replaceFrom: number; replaceTo: number }

/**
 * Takes what a foreign source counted in some whole hours, in the place of what it said of them before: the same hours
 * may be handed in any number of times. One caller at a time for a source. Resolves with the days of UTC, if any, that
 * were left as they are because their finer sums are gone: they can be replaced as a whole. Rejects with `invalid_request`
 * for facts that lie outside, are no whole numbers, or claim to be of our own traffic.
 */
export async function ingest(
  store: Pick<AnalyticsStore, 'replace'>,
  facts: readonly UsageFact[],
  { source, replaceFrom, replaceTo }: Replaced,
): Promise<number[]> {
  const refuse = (message: string) => fail('invalid_request', message, { param: 'facts' })
  if ([...ownSources, hubSource, everySource].includes(source))
    throw refuse(`'${source}' is a source of this hub's own`)
  if (replaceFrom % hourMs !== 0 || replaceTo % hourMs !== 0 || replaceFrom >= replaceTo) {
    throw refuse('Facts are replaced by whole hours: replaceFrom and replaceTo are to be full hours in their order')
  }
  for (const fact of facts) {
    if (!(fact.at >= replaceFrom && fact.at < replaceTo)) {
      throw refuse(`A fact of ${fact.at} lies outside the hours that are replaced`)
    }
    const wrong = measures.find((name) => !Number.isSafeInteger(fact.measures[name] ?? 0))
    if (wrong !== undefined) throw refuse(`${wrong} of a fact of ${fact.at} is no whole number`)
  }
  return store.replace([source], replaceFrom, replaceTo, await spreadBySlot(facts, source))
}

/** A little at a time, so that a day of somebody else's never holds up the callers of this thread for long. */
async function spreadBySlot(facts: readonly UsageFact[], source: string): Promise<RollUps[]> {
  const hours = new Map<number, Cell[]>()
  const sums: RollUps[] = []
  for (const [slot, some] of Map.groupBy(facts, ({ at }) => at - (at % quarterMs))) {
    const cells = new Map<string, Cell>()
    foldFacts(cells, some, source)
    const all = [...cells.values()]
    sums.push(spreadQuarters(all))
    const hour = slot - (slot % hourMs)
    hours.set(hour, [...(hours.get(hour) ?? []), ...all])
    await setImmediate()
  }
  for (const cells of hours.values()) {
    sums.push(spreadDurations(cells))
    await setImmediate()
  }
  return sums
}

export type Rebuilt = {
  /** Days of UTC that were looked at. */
  days: number
  /** Days of which some rows were deleted: their sums stay as they are. */
  kept: number
  requests: number
}

type Range = { from: number; to: number }

/**
 * Makes the sums of our own traffic anew from its rows, a day of UTC in one transaction. A run that was interrupted is
 * simply repeated. Days that have lost rows keep their sums: they know more than the rows do.
 */
export async function rebuild(
  store: AnalyticsStore,
  { from, to }: Range,
  onDay?: (day: number) => void | Promise<void>,
): Promise<Rebuilt> {
  const told: Rebuilt = { days: 0, kept: 0, requests: 0 }
  for (const day of await store.days(floorDay(from), to)) {
    told.days++
    const cells = new Map<string, Cell>()
    const isRebuilt = await store.rebuildDay(
      day,
      (rows) => {
        told.requests += rows.length
        foldRows(cells, rows)
      },
      () => spread(cells.values()),
    )
    if (!isRebuilt) told.kept++
    await onDay?.(day)
  }
  return told
}

/** Adds up what was stored before there were sums; null when there is nothing of the kind. Repeated if it is cut short. */
export async function fillIn(store: AnalyticsStore): Promise<Rebuilt | null> {
  const before = await store.rowsWithoutSumsBefore()
  if (before === null) return null
  const told = await rebuild(store, { from: 0, to: before })
  await store.noteAllSummed()
  return told
}

export type RollUpDifference = { day: number; table: SumTable; rows: number }

/** The days and tables whose sums are not those of the rows, and how many of their rows are wrong. */
export async function compareSums(store: AnalyticsStore, { from, to }: Range): Promise<RollUpDifference[]> {
  const found: RollUpDifference[] = []
  for (const day of await store.days(floorDay(from), to)) {
    const cells = new Map<string, Cell>()
    const kept = await store.readDay(day, (rows) => foldRows(cells, rows))
    if (kept !== null) found.push(...differences(day, spread(cells.values()), kept))
  }
  return found
}

function differences(day: number, wanted: RollUps, kept: RollUps): RollUpDifference[] {
  return (Object.keys(wanted) as SumTable[]).flatMap((table) => {
    const [should, is] = [byKey(table, wanted[table]), byKey(table, kept[table])]
    const rows = [...new Set([...should.keys(), ...is.keys()])].filter((key) => should.get(key) !== is.get(key)).length
    return rows === 0 ? [] : [{ day, table, rows }]
  })
}

/** The sums of each row as one text; sums of nothing are as good as none. */
function byKey(table: SumTable, rows: readonly object[]): Map<string, string> {
  const keys = keysOfTable(table)
  const values = /^usage_(latency|durations)/.test(table) ? ['amount'] : measures
  const found = new Map<string, string>()
  for (const row of rows as readonly Record<string, string | number>[]) {
    const sums = values.map((name) => Number(row[name]))
    if (sums.some((sum) => sum !== 0)) found.set(keys.map((key) => row[key]).join('\0'), sums.join())
  }
  return found
}

function floorDay(time: number): number {
  return time - (time % dayMs)
}
