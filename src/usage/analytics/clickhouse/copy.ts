import type { Clock } from '../../../kernel/clock.ts'
import { fail } from '../../../kernel/errors.ts'
import type { ClickHouse } from '../../../platform/clickhouse/client.ts'
import type { Log } from '../../../platform/log.ts'
import { dayMs } from '../schema.ts'
import { type CopiedSlot, type CopySource, type CopyTarget, keyOf, slotsOfDay } from './copy-store.ts'
import { type CopiedTable, columnsOfCopy, copyGrains, tablesOf } from './tables-store.ts'

/** Up to when everything is copied, epoch ms, as the copy itself says. */
export const asOfName = 'copied_as_of'

/** From this one on every function that the statements use is there. */
const leastVersion = [25, 8] as const

/** A copy that takes longer is given up, so that what it has left behind may be deleted after three times that. */
const longestCopyMs = 20 * 60_000
/** After so long the rest of a first copy is left to the next turn: nobody is to take the job for one that hangs. */
const longestRunMs = 5 * 60_000

export type CopyParts = {
  source: CopySource
  target: CopyTarget
  clickhouse: Pick<ClickHouse, 'version' | 'where'>
  clock: Pick<Clock, 'now' | 'monotonic'>
  log: Log
  /** Told of each copy: rows that were sent, and how long it took. */
  tell?(copied: { rows: number; tookMs: number }): void
}

/**
 * Carries the sums and the rows of reports to ClickHouse, day by day of UTC: a day whose version has moved in the main
 * store is copied again, whole, and takes the place of what was copied of it before at one moment. One process at a time;
 * two of them do no harm but twice the work.
 */
export function createCopier(parts: CopyParts) {
  const { source, target, clickhouse, clock, log } = parts
  let isVersionKnown = false
  let restUntil = Number.NEGATIVE_INFINITY
  let cleanedAt = Number.NEGATIVE_INFINITY

  async function prepare(): Promise<void> {
    if (!isVersionKnown) {
      const version = await clickhouse.version()
      if (!isNewEnough(version)) {
        throw fail('unavailable', `This ClickHouse is too old: ${leastVersion.join('.')} or later is needed`, {
          detail: `${clickhouse.where} is ${version.slice(0, 40)}`,
        })
      }
      isVersionKnown = true
    }
    await target.prepare(clock.now())
  }

  async function copyDay(day: number, version: number, copy: number, signal: AbortSignal): Promise<number> {
    const begunAt = clock.monotonic()
    const check = () => {
      signal.throwIfAborted()
      if (clock.monotonic() - begunAt > longestCopyMs) throw fail('unavailable', 'A day took too long to be copied')
    }
    const slots: CopiedSlot[] = copyGrains.flatMap((grain) =>
      slotsOfDay(grain, day).map((slot) => ({ grain, slot, version })),
    )
    await target.begin(slots, copy)
    const known = await target.slotsOf(day)
    let sent = 0
    for (const grain of copyGrains) {
      for (const table of tablesOf[grain] as readonly CopiedTable[]) {
        const slotAt = columnsOfCopy(table).indexOf('slot')
        const see = (row: unknown[]) => {
          check()
          known.add(keyOf(grain, row[slotAt] as number))
        }
        sent += await target.rows(table, copy, watched(source.rows(table, { from: day, to: day + dayMs }), see))
      }
    }
    check()
    // Read after the rows were: what is no longer among them, it says is gone.
    await target.writeState(await source.state(), copy)
    // Of the others nothing was ever there.
    await target.finish(
      slots.filter(({ grain, slot }) => grain === 'day' || known.has(keyOf(grain, slot))),
      copy,
    )
    return sent
  }

  return {
    /** Copies what has changed since, unless the last copy was long and is not long ago. */
    async run(signal: AbortSignal): Promise<void> {
      const begunAt = clock.monotonic()
      if (begunAt < restUntil) return
      await prepare()
      const asOf = clock.now()
      const versions = await source.dayVersions()
      // A copy that lacks what is being added up would answer less than the store knows.
      if (versions === null) return
      const { days, lastCopy } = await target.copied()
      let copy = lastCopy
      // Rises even where clocks of nodes differ or go back; close to the time, by which what was given up is known.
      const nextCopy = () => {
        copy = Math.max(clock.now(), copy + 1)
        return copy
      }
      const changed = [...versions].filter(([day, version]) => days.get(day) !== version)
      // A store that was restored may know less than it did.
      for (const [day, version] of days) {
        if (!versions.has(day) && version !== noVersion) changed.push([day, noVersion])
      }
      let rows = 0
      for (const [day, version] of changed.sort(([a], [b]) => b - a)) {
        if (clock.monotonic() - begunAt > longestRunMs) {
          parts.tell?.({ rows, tookMs: clock.monotonic() - begunAt })
          return
        }
        rows += await copyDay(day, version, nextCopy(), signal)
      }
      const state = await source.state()
      await target.writeState(new Map([...state, [asOfName, asOf]]), nextCopy())
      const tookMs = clock.monotonic() - begunAt
      restUntil = begunAt + tookMs * 11
      parts.tell?.({ rows, tookMs })
      if (clock.monotonic() - cleanedAt < cleanEveryMs) return
      cleanedAt = clock.monotonic()
      await target.clean(clock.now() - 3 * longestCopyMs, state).catch((error: unknown) => {
        log.warn('What is no longer needed in ClickHouse could not be deleted', { error })
      })
    },
  }
}

const cleanEveryMs = 3_600_000
const noVersion = -1

async function* watched<Row>(rows: AsyncGenerator<Row>, see: (row: Row) => void): AsyncGenerator<Row> {
  for await (const row of rows) {
    see(row)
    yield row
  }
}

/** Whether a version such as `26.7.2.1` is the least one or later. */
export function isNewEnough(version: string): boolean {
  const [year = Number.NaN, month = Number.NaN] = version.split('.').map(Number)
  return year > leastVersion[0] || (year === leastVersion[0] && month >= leastVersion[1])
}
