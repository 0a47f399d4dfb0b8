import { type Incident, type Severity, severities } from '../schema.ts'
import { readClock } from '../sla/clocks.ts'
import { type Calendars, type SlaClock, slaClocks } from '../sla/targets.ts'

export type ClockStatistics = {
  clock: SlaClock
  met: number
  breached: number
  /** Of those that are decided, met; null where none is. */
  share: number | null
  /** Of stopped ones: mean and quantiles on the wall, and the mean of what counts. null where there are none. */
  meanGrossMs: number | null
  meanNetMs: number | null
  p50GrossMs: number | null
  p95GrossMs: number | null
}
export type SeverityStatistics = {
  severity: Severity | 'all'
  opened: number
  active: number
  atRisk: number
  reopened: number
  clocks: ClockStatistics[]
}

/** How well incidents were handled. MTTA is the response's mean, MTTR the recovery's; unfinished ones are in neither. */
export function statistics(incidents: readonly Incident[], now: number, calendars: Calendars): SeverityStatistics[] {
  return (['all', ...severities] as const).map((severity) => {
    const some = severity === 'all' ? incidents : incidents.filter((each) => each.severity === severity)
    const readings = some.map((each) => slaClocks.map((clock) => readClock(each.sla, clock, now, calendars)))
    return {
      ...{ severity, opened: some.length, reopened: some.reduce((sum, { reopens }) => sum + reopens, 0) },
      active: some.filter(({ resolvedAt }) => resolvedAt === null).length,
      atRisk: readings.filter((each) => each.some(({ state }) => state === 'at_risk')).length,
      clocks: slaClocks.map((clock, index) => {
        const own = readings.map((each) => each[index]!)
        const stopped = own.filter((_, at) => some[at]!.sla.stoppedAt[clock] !== null)
        const [met, breached] = ['met', 'breached'].map((state) => own.filter((each) => each.state === state).length)
        const gross = stopped.map(({ grossMs }) => grossMs).sort((a, b) => a - b)
        return {
          ...{
            clock,
            met: met!,
            breached: breached!,
            share: met! + breached! === 0 ? null : met! / (met! + breached!),
          },
          ...{ meanGrossMs: mean(gross), meanNetMs: mean(stopped.map(({ netMs }) => netMs)) },
          ...{ p50GrossMs: quantile(gross, 0.5), p95GrossMs: quantile(gross, 0.95) },
        }
      }),
    }
  })
}

function mean(values: readonly number[]): number | null {
  return values.length === 0 ? null : Math.round(values.reduce((sum, value) => sum + value, 0) / values.length)
}

/** The smallest value that so many are not above. */
function quantile(sorted: readonly number[], share: number): number | null {
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? null
}
