import type { Clock } from '../kernel/clock.ts'
import { everything } from '../kernel/scope.ts'
import type { Log } from '../platform/log.ts'
import { propose } from './blast.ts'
import {
  type AlertSeverity,
  categoryOf,
  causeOf,
  isAtLeast,
  severityOfLabels,
  widerCauses,
  writeCause,
} from './cause.ts'
import type { Incidents } from './incidents.ts'
import { alertBegan, alertsEnded, reopen, reopenBar, setSeverity, type Turn } from './life.ts'
import type { Blast, Change, Incident, ToldAlert } from './schema.ts'
import { hubActor } from './schema.ts'
import { alertKey, type IncidentsStore } from './store.ts'
import { rankSuspects } from './suspects.ts'

/** Whom what is broken hurts, over the last `minutes`; null where nobody can say. */
export type AskBlast = (cause: Readonly<Record<string, string>>, tenantId: string) => Promise<Blast | null>

export type AlertsParts = {
  incidents: Incidents
  store: IncidentsStore
  config: {
    open_at_severity: AlertSeverity
    cause_labels: readonly string[]
    most_open: number
    suspect_minutes: number
  }
  /** May be told late or in vain; incidents are opened all the same. */
  blastRadius: AskBlast
  blastMinutes: number
  changes(from: number, to: number): Promise<readonly Change[]>
  clock: Clock
  log: Log
}

export type AlertIntake = ReturnType<typeof createAlertIntake>
type Trx = Parameters<Parameters<IncidentsStore['transaction']>[0]>[0]
type Background = { blasts: ReadonlyMap<string, Blast | null>; changes: readonly Change[] }

/** One transaction holds up other nodes no longer than this many take. */
const batch = 50
/** In a storm nobody waits for numbers of every cause. */
const mostBlasts = 10
const stormCause = { storm: 'alerts' }

/** Turns alerts into incidents: each that is severe enough has one, of each cause there is one at a time. */
export function createAlertIntake(parts: AlertsParts) {
  const { incidents, store, config, clock, log } = parts

  /** Joins or opens incidents for alerts that began; those that are known already change nothing. Idempotent. */
  async function began(alerts: readonly ToldAlert[]): Promise<void> {
    const severe = alerts
      .filter((alert) => isAtLeast(alert, config.open_at_severity))
      // What explains others comes before them.
      .sort((a, b) => Number(a.inhibitedBy !== '') - Number(b.inhibitedBy !== '') || a.startsAt - b.startsAt)
    for (let index = 0; index < severe.length; index += batch) {
      const some = severe.slice(index, index + batch)
      const known = await store.known(store.db, some)
      const news = some.filter((alert) => {
        const found = known.get(alertKey(alert))
        return found === undefined || (found.endedAt === null && found.inhibitedBy !== alert.inhibitedBy)
      })
      if (news.length === 0) continue
      const background = await look(news)
      const changed = await store.transaction((trx) => take(trx, news, background))
      for (const incident of changed) incidents.told(incident)
    }
  }

  async function take(trx: Trx, alerts: readonly ToldAlert[], background: Background): Promise<Incident[]> {
    await store.lockCauses(trx)
    const changed = new Map<string, Incident>()
    const known = await store.known(trx, alerts)
    for (const alert of alerts) {
      const found = known.get(alertKey(alert))
      if (found !== undefined) {
        if (found.endedAt === null && found.inhibitedBy !== alert.inhibitedBy) await store.explainAlert(trx, alert)
        continue
      }
      const incident = await place(trx, alert, background)
      changed.set(incident.id, incident)
      known.set(alertKey(alert), { ...alert, incidentId: incident.id, endedAt: null, joinedAt: clock.now() })
    }
    return [...changed.values()]
  }

  async function place(trx: Trx, alert: ToldAlert, background: Background): Promise<Incident> {
    const cause = causeOf(alert, config.cause_labels)
    const parent =
      alert.inhibitedBy === '' ? undefined : await store.incidentOfFiring(trx, alert.tenantId, alert.inhibitedBy)
    const active = await store.activeOf(trx, alert.tenantId, widerCauses(cause))
    const wider = widerCauses(cause).find((key) => active.has(key))
    const joined = parent ?? (wider === undefined ? undefined : active.get(wider))
    if (joined !== undefined) return join(trx, joined, alert)
    const causeKey = writeCause(cause)
    const last = await store.lastOf(trx, alert.tenantId, causeKey)
    return (
      (last !== undefined && (await again(trx, last, alert))) ||
      (await openNew(trx, alert, { cause, causeKey, last }, background))
    )
  }

  async function join(trx: Trx, id: string, alert: ToldAlert): Promise<Incident> {
    const { incident } = await incidents.changeIn(trx, everything, id, hubActor, async (incident, turn) => {
      await store.insertAlert(trx, id, alert, turn.now)
      sayAlert(turn, alert)
      alertBegan(incident, turn)
      raise(incident, turn, alert)
    })
    return incident
  }

  /** Opens the former incident of the same cause again, while that may be. */
  async function again(trx: Trx, last: Incident, alert: ToldAlert): Promise<Incident | undefined> {
    // Its own rules are asked under the lock; here it is only not worth asking.
    if (last.state !== 'resolved' && last.state !== 'closed') return undefined
    const { incident, result } = await incidents.changeIn(
      trx,
      everything,
      last.id,
      hubActor,
      async (incident, turn) => {
        if (reopenBar(incident, turn.now, turn.rules) !== null) return false
        await store.insertAlert(trx, last.id, alert, turn.now)
        sayAlert(turn, alert)
        incident.quietAt = null
        reopen(incident, turn, 'an alert of it fires again')
        raise(incident, turn, alert)
        return true
      },
    )
    return result ? incident : undefined
  }

  async function openNew(
    trx: Trx,
    alert: ToldAlert,
    found: { cause: Record<string, string>; causeKey: string; last: Incident | undefined },
    background: Background,
  ): Promise<Incident> {
    if ((await store.countOpenOfAlerts(trx)) >= config.most_open) {
      const stormKey = writeCause(stormCause)
      const storm = (await store.activeOf(trx, alert.tenantId, [stormKey])).get(stormKey)
      if (storm !== undefined) return join(trx, storm, alert)
      log.warn('More causes than incidents.most_open: further ones are gathered in one incident', {
        count: config.most_open,
      })
      return openNewOf(trx, alert, { cause: stormCause, causeKey: stormKey, last: undefined }, background)
    }
    return openNewOf(trx, alert, found, background)
  }

  async function openNewOf(
    trx: Trx,
    alert: ToldAlert,
    { cause, causeKey, last }: { cause: Record<string, string>; causeKey: string; last: Incident | undefined },
    background: Background,
  ): Promise<Incident> {
    const labelled = severityOfLabels(alert.labels)
    const blast = background.blasts.get(`${alert.tenantId}/${causeKey}`) ?? null
    const { severity, arithmetic } = propose(labelled, blast, parts.blastMinutes)
    const from = alert.startsAt - config.suspect_minutes * 60_000
    const suspects = rankSuspects(
      background.changes.filter(({ at }) => at >= from),
      cause,
      alert.startsAt,
    )
    const opened = await incidents.openIn(trx, hubActor, {
      ...{ tenantId: alert.tenantId, severity, category: categoryOf(alert.labels), origin: 'alerts', cause, causeKey },
      ...introduce(alert, causeKey),
      ...{ labelled, blast, arithmetic, suspects },
      follows: last?.id ?? '',
    })
    return join(trx, opened.id, alert)
  }

  /** Ends alerts; those of which nothing is known, or that have ended, change nothing. Idempotent. */
  async function ended(alerts: readonly Pick<ToldAlert, 'fingerprint' | 'tenantId' | 'startsAt' | 'endsAt'>[]) {
    for (let index = 0; index < alerts.length; index += batch) {
      const some = alerts.slice(index, index + batch)
      const before = await store.known(store.db, some)
      // Most of what is compared was ended before: nobody waits in line for that.
      if (![...before.values()].some(({ endedAt }) => endedAt === null)) continue
      const changed = await store.transaction(async (trx) => {
        await store.lockCauses(trx)
        const touched = new Map<string, string[]>()
        const known = await store.known(trx, some)
        for (const alert of some) {
          const found = known.get(alertKey(alert))
          if (found === undefined || found.endedAt !== null) continue
          const at = Math.max(alert.startsAt, Math.min(alert.endsAt ?? clock.now(), clock.now()))
          if (!(await store.endAlert(trx, alert, at))) continue
          const name = found.labels.alertname ?? 'alert'
          touched.set(found.incidentId, [...(touched.get(found.incidentId) ?? []), name])
        }
        const incidentsOf: Incident[] = []
        for (const [id, names] of touched) {
          const { incident } = await incidents.changeIn(trx, everything, id, hubActor, async (incident, turn) => {
            turn.say('alert_ended', names.join(', '))
            if ((await store.firing(trx, id)).length === 0) alertsEnded(incident, turn, await store.lastEnd(trx, id))
          })
          incidentsOf.push(incident)
        }
        return incidentsOf
      })
      for (const incident of changed) incidents.told(incident)
    }
  }

  /** What may be asked of others before anything is decided: nobody waits for them with the store locked. */
  async function look(alerts: readonly ToldAlert[]): Promise<Background> {
    const blasts = new Map<string, Blast | null>()
    for (const alert of alerts.filter(({ inhibitedBy }) => inhibitedBy === '')) {
      const cause = causeOf(alert, config.cause_labels)
      const key = `${alert.tenantId}/${writeCause(cause)}`
      if (!blasts.has(key) && blasts.size < mostBlasts) blasts.set(key, await askBlast(cause, alert.tenantId))
    }
    const starts = alerts.map(({ startsAt }) => startsAt)
    const from = Math.min(...starts) - config.suspect_minutes * 60_000
    const changes = await parts.changes(from, Math.max(...starts)).catch((error: unknown) => {
      log.warn('What was changed lately is not known: incidents have no suspects', { error })
      return []
    })
    return { blasts, changes }
  }

  async function askBlast(cause: Readonly<Record<string, string>>, tenantId: string): Promise<Blast | null> {
    try {
      return await parts.blastRadius(cause, tenantId)
    } catch (error) {
      log.warn('Whom an incident hurts is not known', { error })
      return null
    }
  }

  return {
    began,
    ended,
    /** Asks again whom a young incident hurts, and makes it severer where that is so. */
    async weigh(incident: Incident): Promise<void> {
      if (incident.severityBy !== 'alerts' || incident.labelled === null) return
      const blast = await askBlast(incident.cause, incident.tenantId)
      if (blast === null) return
      const { severity, arithmetic } = propose(incident.labelled, blast, parts.blastMinutes)
      if (severity >= incident.severity) return
      await incidents.change(everything, incident.id, hubActor, (found, turn) => {
        if (found.severityBy !== 'alerts' || severity >= found.severity) return
        found.blast = blast
        found.arithmetic = arithmetic
        setSeverity(found, turn, severity, arithmetic)
      })
    },
  }
}

/** An alert that is graver than what its incident was opened for makes it graver. */
export function raise(incident: Incident, turn: Turn, alert: ToldAlert): void {
  const labelled = severityOfLabels(alert.labels)
  if (incident.severityBy !== 'alerts' || alert.inhibitedBy !== '') return
  if (incident.labelled === null || labelled.severity < incident.labelled.severity) incident.labelled = labelled
  if (labelled.severity < incident.severity) setSeverity(incident, turn, labelled.severity, labelled.from)
}

/** What an incident that an alert opens is called, and by whom. */
export function introduce({ labels, annotations }: ToldAlert, causeKey: string) {
  const { alertname = 'alert' } = labels
  return {
    title: (annotations.summary || annotations.message || `${alertname}: ${causeKey}`).slice(0, 200),
    description: (annotations.description ?? '').slice(0, 4000),
    ...{ reporter: `alert ${alertname}`, contact: '' },
  }
}

export function sayAlert(turn: Turn, alert: ToldAlert): void {
  const { alertname = 'alert', severity = '' } = alert.labels
  turn.say(
    alert.inhibitedBy === '' ? 'alert' : 'alert_explained',
    `${alertname}${severity === '' ? '' : ` (${severity})`} since ${new Date(alert.startsAt).toISOString()}`,
    { fingerprint: alert.fingerprint, labels: alert.labels, inhibited_by: alert.inhibitedBy },
  )
}
