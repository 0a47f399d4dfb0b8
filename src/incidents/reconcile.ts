import type { Clock } from '../kernel/clock.ts'
import { everything } from '../kernel/scope.ts'
import type { AlertIntake } from './alerts.ts'
import { type AlertSeverity, isAtLeast } from './cause.ts'
import type { ToldAlert } from './schema.ts'
import { alertKey, type IncidentsStore } from './store.ts'

export type AlertSource = {
  /** Every alert that fires now. Rejects rather than leaving some out. */
  activeAlerts(): Promise<readonly ToldAlert[]>
  /** Those that were seen to end since `at`. */
  endedAlertsSince(at: number): Promise<readonly (Omit<ToldAlert, 'inhibitedBy'> & { inhibitedBy?: string })[]>
}

const overlapMs = 5 * 60_000
const weighEveryMs = 60_000
const youngMs = 30 * 60_000
const mostAlerts = 50_000

/**
 * Compares incidents with alerts, because announcements may be lost: what fires, or fired and ended meanwhile, gets its
 * incident, and what is over is ended. An alert that is in neither list is over only when it is missing twice running.
 */
export function createReconciler(parts: {
  source: AlertSource
  intake: AlertIntake
  store: IncidentsStore
  openAt(): AlertSeverity
  clock: Clock
}) {
  const { source, intake, store, openAt, clock } = parts
  let missing = new Set<string>()
  let weighedAt = Number.NEGATIVE_INFINITY

  async function compare(): Promise<void> {
    const startedAt = clock.now()
    const since = await store.reconciledAt()
    const active = await source.activeAlerts()
    const over =
      since === null
        ? []
        : (await source.endedAlertsSince(since - overlapMs))
            .map((alert) => ({ ...alert, inhibitedBy: alert.inhibitedBy ?? '' }))
            .filter((alert) => isAtLeast(alert, openAt()))
    await intake.began([...active, ...over])
    await intake.ended(over)

    const firing = new Set(active.map(alertKey))
    const lost = (await store.openAlerts(mostAlerts)).filter(
      (alert) => alert.joinedAt < startedAt && !firing.has(alertKey(alert)),
    )
    await intake.ended(
      lost.filter((alert) => missing.has(alertKey(alert))).map((alert) => ({ ...alert, endsAt: startedAt })),
    )
    missing = new Set(lost.map(alertKey))
    // Last: whoever dies before this reads the same again.
    await store.setReconciledAt(startedAt)
  }

  async function weigh(): Promise<void> {
    const now = clock.now()
    if (now - weighedAt < weighEveryMs) return
    weighedAt = now
    const young = await store.list(everything, { states: ['open', 'acknowledged'], from: now - youngMs }, 20)
    for (const incident of young) await intake.weigh(incident)
  }

  return {
    async reconcile(): Promise<void> {
      await compare()
      await weigh()
    },
  }
}
