import { differenceOf, hourMs, rollUp } from '../roll-up.ts'
import { type HourlyMeasure, type HourlyRow, hourlyKeys, hourlyMeasures, type SummedRow } from '../rows.ts'
import type { LogPosition } from '../store.ts'
import type { AuditStore } from './store.ts'

const pageRows = 2000
const tries = 5
/** A list of more is of no use to anybody; the number of all is told. */
const mostListed = 1000

/** What limits count beside the ledger, for as long as their windows last. Whoever keeps such counters may offer them. */
export type SpendCounters = {
  /** Settled spend alone, without reservations; windows of real time, epoch ms. */
  totals(): Promise<CounterTotal[]>
  /** Sets a counter to what the ledger says. */
  correct?(total: CounterTotal, spentNanoUsd: number): Promise<void>
}

export type CounterTotal = {
  scope: 'key' | 'user' | 'tenant' | 'provider'
  id: string
  from: number
  /** Exclusive. */
  to: number
  spentNanoUsd: number
}

export type Difference = Pick<HourlyRow, (typeof hourlyKeys)[number]> & {
  measure: HourlyMeasure
  /** As the rows add up. */
  rows: number
  /** As the sums of the hour say. */
  sums: number
}

export type Reconciled = {
  verdict: 'equal' | 'different' | 'inconclusive'
  from: number
  to: number
  hours: number
  requests: number
  /** Number of all differences; the first thousand are listed. */
  differing: number
  differences: Difference[]
  /** Hours of which nothing can be proved: their rows were deleted, or they changed faster than they could be read. */
  unproved: { hour: number; reason: 'rows_deleted' | 'busy' }[]
  counters: (CounterTotal & { ledgerNanoUsd: number })[]
  /** Everything that differed was corrected: the next run finds it equal. */
  isFixed: boolean
}

export type ReconcileParts = { store: AuditStore; counters?: SpendCounters | undefined; now: () => number }

/**
 * Adds up the rows of every hour once more and compares each measure with the sums kept of it, then the counters of
 * limits with those sums. Without `from` it looks as far back as rows are kept. Where rows of an hour were deleted, fewer
 * rows than the sums say prove nothing. `isFix` corrects the sums, and counters that can be, by what the rows say.
 */
export async function reconcile(
  { store, counters, now }: ReconcileParts,
  options: { from?: number | undefined; to?: number | undefined; retentionDays: number; isFix: boolean },
): Promise<Reconciled> {
  const firstRowAt = await store.firstRowAt()
  // Rows go oldest first: hours after the oldest row have all of theirs.
  const isMaybeCut = (hour: number) => firstRowAt === null || hour <= firstRowAt
  const to = options.to ?? floorHour(now()) + hourMs
  const from =
    options.from === undefined
      ? floorHour(now() - options.retentionDays * 86_400_000) + hourMs
      : floorHour(options.from)
  const told: Reconciled = {
    ...{ verdict: 'equal', from, to, hours: 0, requests: 0, differing: 0, differences: [], unproved: [] },
    ...{ counters: [], isFixed: false },
  }
  for (const hour of await store.listHours(from, to)) {
    const read = await readHour(store, hour)
    if (read === null) {
      told.unproved.push({ hour, reason: 'busy' })
      continue
    }
    const { rows, sums, differences } = read
    if (rows.length + sums.length === 0) continue
    told.hours++
    told.requests += rows.reduce((sum, row) => sum + row.requests, 0)
    const proved = differences.filter((difference) => !(isMaybeCut(hour) && difference.requests < 0))
    if (proved.length < differences.length) told.unproved.push({ hour, reason: 'rows_deleted' })
    list(told, proved, sums)
    if (options.isFix && proved.length > 0) {
      await store.correctSums(proved)
    }
  }
  if (counters !== undefined) await compareCounters(told, { store, counters }, options.isFix)
  if (told.differing > 0 || told.counters.length > 0) {
    told.verdict = 'different'
    told.isFixed = options.isFix && (told.counters.length === 0 || counters?.correct !== undefined)
  } else if (told.unproved.length > 0) told.verdict = 'inconclusive'
  return told
}

/** One hour as it stood at one moment: its sums are the same before and after its rows were read. Null: it never was. */
async function readHour(store: AuditStore, hour: number) {
  let sums = await store.listSums(hour)
  for (let attempt = 0; attempt < tries; attempt++) {
    const rows = await addUp(store, hour)
    const differences = differenceOf(rows, sums)
    if (differences.length === 0) return { rows, sums, differences }
    const again = await store.listSums(hour)
    if (differenceOf(sums, again).length === 0) return { rows, sums, differences }
    sums = again
  }
  return null
}

async function addUp(store: AuditStore, hour: number): Promise<HourlyRow[]> {
  let sums: HourlyRow[] = []
  let after: LogPosition | null = null
  for (;;) {
    const rows: SummedRow[] = await store.listSummed(hour, after, pageRows)
    sums = differenceOf(sums, negative(rollUp(rows)))
    const last = rows.at(-1)
    if (last === undefined || rows.length < pageRows) return sums
    after = { startedAt: last.started_at, id: last.id }
  }
}

function negative(sums: readonly HourlyRow[]): HourlyRow[] {
  return sums.map((sum) => ({
    ...sum,
    ...(Object.fromEntries(hourlyMeasures.map((measure) => [measure, -sum[measure]])) as Record<HourlyMeasure, number>),
  }))
}

function list(told: Reconciled, differences: readonly HourlyRow[], sums: readonly HourlyRow[]): void {
  for (const difference of differences) {
    const kept = sums.find((sum) => hourlyKeys.every((key) => sum[key] === difference[key]))
    const keys = Object.fromEntries(hourlyKeys.map((key) => [key, difference[key]])) as Pick<
      HourlyRow,
      (typeof hourlyKeys)[number]
    >
    for (const measure of hourlyMeasures) {
      if (difference[measure] === 0) continue
      told.differing++
      if (told.differences.length === mostListed) continue
      const inSums = kept?.[measure] ?? 0
      told.differences.push({ ...keys, measure, rows: inSums + difference[measure], sums: inSums })
    }
  }
}

async function compareCounters(
  told: Reconciled,
  { store, counters }: { store: AuditStore; counters: SpendCounters },
  isFix: boolean,
): Promise<void> {
  for (const total of await counters.totals()) {
    const { scope, id, from, to, spentNanoUsd } = total
    // Sums know whole hours only.
    if (from % hourMs !== 0 || to % hourMs !== 0) continue
    const ledgerNanoUsd = await store.spentBy(scope, id, from, to)
    if (ledgerNanoUsd === spentNanoUsd) continue
    told.counters.push({ ...total, ledgerNanoUsd })
    if (isFix && counters.correct !== undefined) {
      await counters.correct(total, ledgerNanoUsd)
    }
  }
}

function floorHour(time: number): number {
  return time - (time % hourMs)
}
