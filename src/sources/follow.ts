import type { Clock } from '../kernel/clock.ts'
import type { Log } from '../platform/log.ts'
import type { Thread } from '../platform/thread.ts'
import type { Replaced, UsageFact } from '../usage/index.ts'
import type { SourcesConfig } from './config.ts'
import { type Desk, showProbe, toldOf } from './desk.ts'
import type { createFeed } from './feed.ts'
import type { HourMark, Reading } from './reader.ts'
import type { CursorRecord, SourceRecord, SourcesStore } from './store.ts'
import type { Opened, SourceVerbs } from './thread.ts'

/** Resolves with the days that were left as they are, for they can only be replaced whole. */
export type Ingest = (facts: readonly UsageFact[], into: Replaced) => Promise<number[]>

export type FollowParts = {
  store: SourcesStore
  desk: Pick<Desk, 'openedOf'>
  verbs(): Pick<Thread<SourceVerbs>, 'call'>
  ingest: Ingest
  feed: ReturnType<typeof createFeed>
  clock: Clock
  log: Log
  config: SourcesConfig
  /** What became of it, for metrics. */
  noted(source: string, told: { rows?: number; lastRowAt?: number; readUpTo?: number; isUp?: boolean }): void
}

const hourMs = 3_600_000
const dayMs = 24 * hourMs
const recheckMs = 600_000
const probeMs = hourMs
const namesMs = hourMs
/** Rows that are taken up together: what they add up to is stored in one transaction. */
const rowsAtOnce = 100_000
/** How long history is filled in at a stretch, before new rows are looked for again. */
const stretchMs = 5000

type Memory = { probedAt: number; recheckedAt: number; dueAt: number; state: string }
type Window = { from: number; to: number; rowsPerSecond: number; singlyFrom: number | null }

/**
 * Follows sources: asks what each hour holds, reads whole hours that hold something else than what was read of them, and
 * puts their sums in the place of the former. Late rows, a run that was cut off and the same rows twice thus come to
 * the same figures. Hours of which rows were deleted keep theirs.
 */
export function createFollower(parts: FollowParts) {
  const { store, desk, ingest, feed, clock, log, config, noted } = parts
  const memories = new Map<string, Memory>()
  const ask: Thread<SourceVerbs>['call'] = (verb, input) => parts.verbs().call(verb, input)

  function memoryOf({ id }: SourceRecord): Memory {
    let memory = memories.get(id)
    if (memory === undefined) {
      const never = Number.NEGATIVE_INFINITY
      memory = { probedAt: never, recheckedAt: never, dueAt: never, state: '' }
      memories.set(id, memory)
    }
    return memory
  }

  /** False when nothing can be read. */
  async function probe(source: SourceRecord, opened: Opened, memory: Memory): Promise<boolean> {
    const found = await ask('probe', opened)
    memory.probedAt = clock.monotonic()
    const isDegraded = found.degraded.length > 0
    const state = found.problem !== null ? 'unreadable' : isDegraded ? 'degraded' : 'reading'
    const message = found.problem ?? (isDegraded ? found.degraded.map(({ effect }) => effect).join('; ') : '')
    await store.note(source.id, { state, message, probe: JSON.stringify(showProbe(found)) })
    tell(source, memory, state, message)
    return found.problem === null
  }

  function tell(source: SourceRecord, memory: Memory, state: string, message: string): void {
    noted(source.name, { isUp: state === 'reading' || state === 'degraded' })
    if (memory.state === state) return
    memory.state = state
    const isWell = state === 'reading'
    log[isWell ? 'info' : 'warn'](`The source ${source.name} is ${state}`, { cause: message })
  }

  /** Reads what has changed in some hours. Resolves with the number of rows that were read. */
  async function take(source: SourceRecord, opened: Opened, window: Window, signal: AbortSignal): Promise<number> {
    const startedAt = clock.monotonic()
    const done = new Set<number>()
    let rows = 0
    let wanted: { from: number; to: number; isWhole?: boolean }[] = [window]
    while (wanted.length > 0) {
      const again = new Set<number>()
      const wholeDays = new Set<number>()
      for (const { from, to, isWhole } of wanted) {
        const marks = await ask('survey', { source: opened, from, to })
        const known = new Map((await store.hours(source.id, from, to)).map((each) => [each.hour, each]))
        if (isWhole && hasLostRows(marks, known)) {
          const changed = marks.filter((mark) => mark.rows >= (known.get(mark.hour)?.rows ?? 0))
          await store.noteRead(source.id, { hours: changed, again: [], rows: 0, rowsPerSecond: 0 }, null)
          log.warn(
            `Rows came late to the source ${source.name}, and others of their day are gone: it keeps its figures`,
            {
              from: new Date(from).toISOString(),
            },
          )
          continue
        }
        const runs = isWhole ? [marks] : runsOf(marks, known)
        const spanIn = (run: HourMark[]) => (isWhole ? { from, to } : spanOf(run))
        const read = (run: HourMark[]) => {
          const reading = ask('read', { source: opened, ...spanIn(run), rows: sum(run), ...limitsOf(window) })
          // While one is stored the next is read already; that it fails is heard when its turn comes.
          reading.catch(() => {})
          return reading
        }
        let next = runs[0] === undefined ? null : read(runs[0])
        for (const [index, run] of runs.entries()) {
          if (signal.aborted) return rows
          const reading = await next!
          const following = runs[index + 1]
          next = following === undefined ? null : read(following)
          const span = spanIn(run)
          // Rows that went away between the two questions: what was counted stays.
          if (reading.hours.some(({ hour, rows }) => rows < (known.get(hour)?.rows ?? 0))) continue
          const current = await store.find(source.id)
          if (current === undefined || current.enabled === 0) return rows
          const replaced = { source: source.name, replaceFrom: span.from, replaceTo: span.to }
          const left = new Set(await ingest(reading.facts, replaced))
          for (const day of left) wholeDays.add(day)
          for (const { hour } of run) done.add(hour)
          const touched = reading.touched.filter((hour) => !done.has(hour))
          for (const hour of touched) again.add(hour)
          rows += reading.rows
          const seconds = Math.max(0.001, (clock.monotonic() - startedAt) / 1000)
          const progress = {
            hours: reading.hours.filter(({ hour }) => !left.has(hour - (hour % dayMs))),
            again: touched,
            rows: reading.rows,
            rowsPerSecond: Math.round(rows / seconds),
          }
          await store.noteRead(source.id, progress, await newest(source, reading))
          noted(source.name, { rows: reading.rows, ...(reading.last !== null && { lastRowAt: reading.last.at }) })
          await keepNames(source, opened, reading)
          await feed.tell(source, reading.singles)
        }
      }
      if (signal.aborted) return rows
      const known = [...again].filter((hour) => !done.has(hour)).sort((a, b) => a - b)
      for (const hour of known) done.add(hour)
      wanted = [
        ...known.map((hour) => ({ from: hour, to: hour + hourMs })),
        ...[...wholeDays].map((day) => ({ from: day, to: day + dayMs, isWhole: true })),
      ]
    }
    return rows
  }

  async function newest(source: SourceRecord, { last }: Reading): Promise<Reading['last']> {
    const cursor = await store.cursor(source.id)
    if (last === null || cursor === undefined) return null
    const before = cursor.last_row_at ?? -1
    return last.at > before || (last.at === before && last.id > (cursor.last_row_id ?? -1)) ? last : null
  }

  /** Names of today come first, those of the rows after; what is gone keeps the last it had. */
  async function keepNames(source: SourceRecord, opened: Opened, reading: Reading): Promise<void> {
    const now = clock.now()
    const seen = [...reading.names, ...reading.channels.map((id) => ({ kind: 'provider' as const, id, name: '' }))]
    const ids = seen.map(({ id }) => id)
    const fresh = await store.lookedUp(source.id, ids, now - namesMs)
    const due = seen.filter(({ id, kind }) => !fresh.has(id) && kind !== undefined)
    if (due.length === 0) return
    const byId = new Map(due.filter(({ name }) => name !== '').map((each) => [`${each.kind} ${each.id}`, each]))
    for (const kind of ['user', 'key', 'provider'] as const) {
      const some = due.filter((each) => each.kind === kind).map(({ id }) => id)
      if (some.length === 0) continue
      try {
        for (const each of await ask('names', { source: opened, kind, ids: some })) {
          byId.set(`${kind} ${each.id}`, { kind, ...each })
        }
      } catch (error) {
        // Not granted or not there: the probe has told so. Names are no reason to read nothing.
        const { type } = error as { type?: string }
        if (type !== 'denied' && type !== 'missing') throw error
      }
    }
    await store.keepNames(source.id, [...byId.values()], now)
  }

  async function followNew(source: SourceRecord, opened: Opened, memory: Memory, signal: AbortSignal): Promise<void> {
    const began = clock.monotonic()
    if (began < memory.dueAt) return
    const now = clock.now()
    const cursor = (await store.cursor(source.id))!
    const last = cursor.last_row_at === null ? null : { at: cursor.last_row_at, id: cursor.last_row_id ?? -1 }
    const isRecheck = began - memory.recheckedAt >= recheckMs || last === null
    const back = isRecheck ? config.recheck_hours * hourMs : 0
    const since = Math.min(now - back, (cursor.read_up_to ?? now) - config.overlap_seconds * 1000)
    const singlyFrom = feed.from(source.id, last, now)
    // Clocks of other machines may be ahead.
    const window = { from: floorHour(since), to: floorHour(now) + dayMs, rowsPerSecond: 0, singlyFrom }
    await take(source, opened, window, signal)
    if (signal.aborted) return
    // What nobody took before is told again, though nothing is new.
    await feed.tell(source, [])
    if (isRecheck) memory.recheckedAt = began
    await store.note(source.id, { read_up_to: now })
    noted(source.name, { readUpTo: now })
    // Nine tenths of the time the source is left alone, however slow it is.
    memory.dueAt = began + Math.max(config.poll_seconds * 1000, 10 * (clock.monotonic() - began))
  }

  /** From the newest day to the oldest: what people look at first is there first. */
  async function fillIn(source: SourceRecord, opened: Opened, signal: AbortSignal): Promise<void> {
    const endsAt = clock.monotonic() + stretchMs
    while (!signal.aborted && clock.monotonic() < endsAt) {
      const cursor = (await store.cursor(source.id)) as CursorRecord
      const { backfill_to: to, backfill_reached: reached } = cursor
      if (to === null || reached === null) return
      const from = cursor.backfill_from ?? (await firstHour(opened)) ?? to
      if (reached <= from) {
        if (cursor.backfill_from === null) await store.noteReached(source.id, to, reached, 0, from)
        return
      }
      const start = Math.max(from, reached % dayMs === 0 ? reached - dayMs : reached - (reached % dayMs))
      const rowsPerSecond = source.rows_per_second ?? config.rows_per_second
      const window = { from: start, to: reached, rowsPerSecond, singlyFrom: null }
      const rows = await take(source, opened, window, signal)
      if (signal.aborted) return
      await store.noteReached(source.id, to, start, rows, from)
      if (start <= from) log.info(`The history of the source ${source.name} is read`)
    }
  }

  async function firstHour(opened: Opened): Promise<number | null> {
    const { firstRowAt } = await ask('probe', opened)
    return firstRowAt === null ? null : floorHour(firstRowAt)
  }

  return {
    /** One turn of a source. Never rejects: what went wrong becomes its state, and the next turn tries again. */
    async turn(source: SourceRecord, signal: AbortSignal): Promise<void> {
      const memory = memoryOf(source)
      try {
        const opened = desk.openedOf(source)
        for (let tries = 0; ; tries++) {
          try {
            const isDue = clock.monotonic() - memory.probedAt >= probeMs || memory.state === '' || tries > 0
            const wasWell = memory.state === 'reading' || memory.state === 'degraded'
            if ((isDue || !wasWell) && !(await probe(source, opened, memory))) return
            await followNew(source, opened, memory, signal)
            await fillIn(source, opened, signal)
            return
          } catch (error) {
            const { type } = error as { type?: string }
            // A column or a right was there when it was looked for: it is looked for again, once.
            if (tries > 0 || (type !== 'missing' && type !== 'denied')) throw error
          }
        }
      } catch (error) {
        if (signal.aborted) return
        const { state, message } = toldOf(error)
        // What the reader remembers was of a run that came to nothing.
        await ask('close', source.id).catch(() => {})
        await store.note(source.id, { state, message }).catch(() => {})
        tell(source, memory, state, message)
        if (state === 'failed') log.error(`The source ${source.name} could not be read`, { error })
      }
    },

    forget(sourceId: string): void {
      memories.delete(sourceId)
      feed.forget(sourceId)
    },
  }
}

/** Hours that hold something else than what was read of them, in runs that are replaced together. */
function runsOf(marks: readonly HourMark[], known: ReadonlyMap<number, HourMark>): HourMark[][] {
  const isChanged = (now: HourMark) => {
    const before = known.get(now.hour)
    if (before === undefined) return true
    if (now.rows < before.rows) return false
    return now.rows !== before.rows || now.lastId !== before.lastId || now.mark !== before.mark
  }
  const runs: HourMark[][] = []
  for (const mark of marks.filter(isChanged)) {
    const run = runs.at(-1)
    const isNear =
      run !== undefined &&
      mark.hour + hourMs - run[0]!.hour <= dayMs &&
      sum(run) + mark.rows <= rowsAtOnce &&
      isEmptyBetween(run.at(-1)!.hour, mark.hour, marks, known)
    if (isNear) run.push(mark)
    else runs.push([mark])
  }
  return runs
}

function hasLostRows(marks: readonly HourMark[], known: ReadonlyMap<number, HourMark>): boolean {
  const now = new Map(marks.map(({ hour, rows }) => [hour, rows]))
  return [...known.values()].some(({ hour, rows }) => rows > (now.get(hour) ?? 0))
}

/** Hours in between would be replaced too: by nothing, which is right only where there is nothing. */
function isEmptyBetween(
  after: number,
  before: number,
  marks: readonly HourMark[],
  known: ReadonlyMap<number, HourMark>,
): boolean {
  for (let hour = after + hourMs; hour < before; hour += hourMs) {
    if (known.has(hour) || marks.some((mark) => mark.hour === hour)) return false
  }
  return true
}

function spanOf(run: readonly HourMark[]): { from: number; to: number } {
  return { from: run[0]!.hour, to: run.at(-1)!.hour + hourMs }
}

function limitsOf({ rowsPerSecond, singlyFrom }: Window) {
  return { rowsPerSecond, singlyFrom }
}

function sum(run: readonly HourMark[]): number {
  return run.reduce((total, { rows }) => total + rows, 0)
}

function floorHour(time: number): number {
  return time - (time % hourMs)
}
