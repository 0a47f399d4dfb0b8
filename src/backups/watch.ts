import type { Clock } from '../kernel/clock.ts'
import type { Log } from '../platform/log.ts'
import type { BackupsConfig } from './config.ts'
import type { Desk } from './desk.ts'
import { isScheduled, type RunKind } from './schema.ts'
import type { BackupsStore } from './store.ts'

const minuteMs = 60_000
const hourMs = 60 * minuteMs
const dayMs = 24 * hourMs
/** What failed is tried again, but not every minute. */
const retryMs = 10 * minuteMs
const retryProofMs = 6 * hourMs
/** Nothing of ours takes longer; what is still called running then was left by a process that died. */
const longestRunMs = 6 * hourMs
const keepRunsMs = 2 * 366 * dayMs

export type Ages = { backup: number; full: number; verify: number; drill: number }

/** What is due is done: backups, then proofs. Called every minute on one node; each call does at most one of each. */
export function createWatch(parts: { store: BackupsStore; desk: Desk; clock: Clock; log: Log }, config: BackupsConfig) {
  const { store, desk, clock, log } = parts

  async function isOutOfBackoff(kinds: readonly RunKind[], backoffMs: number): Promise<boolean> {
    return clock.now() - (await store.lastBegun(kinds)) >= backoffMs
  }

  async function takeIfDue(): Promise<void> {
    const last = await store.lastOk()
    const at = (kind: RunKind) => last.get(kind)?.startedAt ?? 0
    const now = clock.now()
    const isFullDue = now - at('full') >= config.full_every_hours * hourMs
    const sinceAny = now - Math.max(at('full'), at('increment'))
    const isIncrementDue = config.increment_every_minutes > 0 && sinceAny >= config.increment_every_minutes * minuteMs
    if (!isFullDue && !isIncrementDue) return
    // An interval may be shorter than the backoff; then it is the interval that counts.
    const backoff = Math.min(retryMs, (config.increment_every_minutes || 60) * minuteMs)
    if (!(await isOutOfBackoff(['full', 'increment'], backoff))) return
    await desk.take(isFullDue ? 'full' : 'increment')
    const removed = await desk.clear()
    if (removed.length > 0)
      log.info('Old backups were removed, as the rules of [backups] say', { count: removed.length })
  }

  /** Every backup that no other builds on, and with it what it builds on. */
  async function verifyIfDue(signal: AbortSignal): Promise<void> {
    if (!(await isProofDue('verify', config.verify_every_days))) return
    const backups = await desk.usable()
    const inner = new Set(backups.flatMap(({ chain }) => chain))
    for (const { id } of backups.filter((each) => !inner.has(each.id))) {
      if (signal.aborted) return
      // One that is bad is told, and does not keep the others from being read.
      await desk.verify(id).catch(() => {})
    }
  }

  async function isProofDue(kind: 'verify' | 'drill', everyDays: number): Promise<boolean> {
    if (everyDays === 0 || !(await isOutOfBackoff([kind], retryProofMs))) return false
    const last = (await store.lastOk()).get(kind)?.finishedAt
    if (last !== undefined) return clock.now() - last >= everyDays * dayMs
    // Backups are read back as they are taken: the first proof is due when the first of them is old enough.
    const first = (await desk.usable()).filter(isScheduled).at(-1)?.takenAt
    return first !== undefined && clock.now() - first >= everyDays * dayMs
  }

  return {
    async turn(signal: AbortSignal): Promise<void> {
      const stop = () => desk.interrupt()
      signal.addEventListener('abort', stop, { once: true })
      try {
        const now = clock.now()
        await store.endAbandoned(now - longestRunMs, now)
        await store.forget(now - keepRunsMs)
        await takeIfDue()
        if (!signal.aborted) await verifyIfDue(signal)
        if (!signal.aborted && (await isProofDue('drill', config.drill_every_days))) await desk.drill()
      } finally {
        signal.removeEventListener('abort', stop)
      }
    },

    /** In ms since what was read back or restored last; since the store was made where nothing ever was. */
    async ages(): Promise<Ages> {
      const last = await store.lastOk()
      const born = await store.bornAt()
      const now = clock.now()
      const age = (...kinds: RunKind[]) =>
        Math.max(0, now - Math.max(born, ...kinds.map((kind) => last.get(kind)?.startedAt ?? 0)))
      return {
        backup: age('full', 'increment'),
        full: age('full'),
        verify: age('full', 'increment', 'verify'),
        drill: age('drill'),
      }
    },
  }
}
