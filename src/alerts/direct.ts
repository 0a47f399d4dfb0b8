import type { Clock } from '../kernel/clock.ts'
import type { Bus } from '../platform/bus/bus.ts'
import type { Log } from '../platform/log.ts'
import type { Alert, PostedAlert } from './alert.ts'
import { readPosted } from './pipeline/posts.ts'

/**
 * Tells of alerts past the pipeline, because the store is away and nothing can be kept: of what hides nothing and is hidden
 * by nothing each its own message, with what is hidden behind it. Whoever was told of a beginning so is told of its end so.
 */
export type Direct = {
  /** These could not be written down for a while. Tells whom nobody has told yet, of ends first. */
  turn(due: readonly PostedAlert[]): Promise<void>
  /** It is over: whoever heard of it here hears of that at the next turn. */
  ended(alert: PostedAlert): void
  /** It is written down now: what was not told here is the pipeline's to tell. */
  recorded(alert: PostedAlert): void
}

type Known = { alert: Alert; inhibitedBy: string | null; isTold: boolean }

/** Messages in one turn: a store that is away is one fault, not a storm. */
const mostATurn = 10
const mostKnown = 2000
const mostHidden = 100

export function createDirect(parts: {
  bus: Bus
  clock: Clock
  log: Log
  /** Which of these hides which: the hider's fingerprint by that of each hidden. */
  hidersOf(alerts: readonly Alert[]): ReadonlyMap<string, string>
  tell(alert: Alert, hidden: readonly Alert[]): Promise<void>
}): Direct {
  const { bus, clock, log, hidersOf } = parts
  const known = new Map<string, Known>()
  let over: Known[] = []

  function read(posted: PostedAlert): Alert | null {
    const alert = readPosted(posted)
    return typeof alert === 'string' ? null : alert
  }

  function announce({ alert, inhibitedBy }: Known): void {
    const { fingerprint, labels, annotations, startsAt, endsAt, tenantId } = alert
    bus.announce('alert.unrecorded', {
      ...{ fingerprint, labels: { ...labels }, annotations: { ...annotations }, startsAt, endsAt, tenantId },
      ...{ inhibitedBy: inhibitedBy ?? '', at: clock.now() },
    })
  }

  const tell = (alert: Alert, hidden: readonly Alert[]) =>
    parts
      .tell(alert, hidden)
      .catch((error: unknown) =>
        log.error(`The store is away, and nobody could be told without it: ${alert.annotations.summary}`, { error }),
      )

  return {
    async turn(due) {
      for (const posted of due) {
        const alert = read(posted)
        if (alert === null || known.has(alert.fingerprint) || known.size >= mostKnown) continue
        known.set(alert.fingerprint, { alert, inhibitedBy: null, isTold: false })
      }
      const ends = over
      over = []
      for (const each of ends) {
        announce(each)
        if (each.isTold) await tell(each.alert, [])
      }
      if (known.size === 0) return
      const all = [...known.values()]
      const hiders = hidersOf(all.map(({ alert }) => alert))
      for (const each of all) {
        const by = hiders.get(each.alert.fingerprint) ?? ''
        if (each.inhibitedBy === by) continue
        each.inhibitedBy = by
        announce(each)
      }
      const untold = all.filter(({ isTold, inhibitedBy }) => !isTold && inhibitedBy === '')
      for (const each of untold.slice(0, mostATurn)) {
        each.isTold = true
        const hidden = all.filter(({ inhibitedBy }) => inhibitedBy === each.alert.fingerprint)
        await tell(
          each.alert,
          hidden.slice(0, mostHidden).map(({ alert }) => alert),
        )
      }
    },
    ended(posted) {
      const fingerprint = read(posted)?.fingerprint ?? ''
      const before = known.get(fingerprint)
      if (before === undefined) return
      known.delete(fingerprint)
      const { annotations, endsAt } = posted
      over.push({ ...before, alert: { ...before.alert, annotations, endsAt } })
    },
    recorded(posted) {
      const fingerprint = read(posted)?.fingerprint ?? ''
      if (posted.endsAt === null && known.get(fingerprint)?.isTold === false) known.delete(fingerprint)
    },
  }
}
