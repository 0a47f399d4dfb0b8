import type { Clock } from '../../../kernel/clock.ts'
import { HubError } from '../../../kernel/errors.ts'
import type { Log } from '../../../platform/log.ts'
import type { AnalyticsStore } from '../store.ts'
import { asOfName } from './copy.ts'
import type { CopyTarget } from './copy-store.ts'

/** A copy of the sums that answers in the main store's stead while it can. */
export type ReportCopy = {
  store: AnalyticsStore
  /** Everything up to then is in it, epoch ms; null: it is not to be asked now. */
  usableAsOf(): number | null
  /** Takes note that it did not answer; false where that was not its fault. */
  noteFailure(error: unknown): boolean
}

/** Follows how far the copy in ClickHouse has come. While it is away or too far behind it is asked nothing. */
export function followCopy(parts: {
  target: Pick<CopyTarget, 'readState'>
  store: AnalyticsStore
  clock: Pick<Clock, 'now'>
  log: Log
  mostBehindMs: number
}): ReportCopy & { look(): Promise<void>; behindMs(): number | null } {
  const { target, clock, log, mostBehindMs } = parts
  let asOf: number | null = null
  let isAway = true
  let told: 'usable' | 'away' | null = null

  function tellAway(message: string, error?: unknown): void {
    if (told === 'away') return
    told = 'away'
    log.warn(message, error === undefined ? {} : { error })
  }

  const behindMs = () => (asOf === null ? null : Math.max(0, clock.now() - asOf))
  const isFresh = () => asOf !== null && behindMs()! <= mostBehindMs

  return {
    store: parts.store,
    behindMs,
    usableAsOf: () => (!isAway && isFresh() ? asOf : null),

    noteFailure(error) {
      if (!(error instanceof HubError) || error.code !== 'unavailable') return false
      isAway = true
      tellAway('ClickHouse did not answer a report; the main store answers until it does', error)
      return true
    },

    /** Asks how far it is; what failed before is asked again from the first look on that succeeds. */
    async look() {
      try {
        asOf = (await target.readState()).get(asOfName) ?? null
        isAway = false
      } catch (error) {
        isAway = true
        tellAway('ClickHouse cannot be asked how far its copy is; the main store answers reports', error)
        return
      }
      if (asOf === null) return
      if (!isFresh()) return tellAway('The copy in ClickHouse is too old; the main store answers reports')
      if (told !== 'usable') log.info('ClickHouse answers reports')
      told = 'usable'
    },
  }
}
