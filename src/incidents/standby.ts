import { randomBytes } from 'node:crypto'
import type { Clock } from '../kernel/clock.ts'
import { HubError } from '../kernel/errors.ts'
import { everything } from '../kernel/scope.ts'
import { readTextIfPresent, removeFile, replaceFile } from '../platform/files.ts'
import type { Log } from '../platform/log.ts'
import { introduce, raise, sayAlert } from './alerts.ts'
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
import { type createDelivery, sayHanded } from './escalation/deliver.ts'
import type { Incidents } from './incidents.ts'
import { acknowledge, alertBegan, alertsEnded, declare, type Turn } from './life.ts'
import { type Actor, hubActor, type Incident, type Page, type ToldAlert } from './schema.ts'
import { alertKey, type IncidentsStore, type Saving } from './store.ts'

/** An incident that is in no store yet: all that is known of it. */
type Held = Saving & {
  lines: Saving['lines'][number][]
  pages: Page[]
  alerts: (ToldAlert & { endedAt: number | null })[]
}
/** Somebody has an incident of the store, and said so while the store was away. */
type Acknowledged = { id: string; cycle: number; actor: Actor; at: number }
type Trx = Parameters<Parameters<IncidentsStore['transaction']>[0]>[0]

/** More are taken up by the comparison with alerts, when the store is back. */
const mostHeld = 50
const mostAlerts = 1000
const mostHidden = 100
const mostAcknowledged = 200

/**
 * Incidents while the store is away, which is what somebody most needs to be told of. They live as all do, by the same
 * rules, under an id of their own; people are paged, and may acknowledge by the link. Each change is in a file before anybody
 * is told of it, so that a kill loses none. When the store is back each becomes one of its incidents, with its whole
 * timeline: nobody is paged anew for what they were paged for, and what was acknowledged is.
 */
export type Standby = ReturnType<typeof createStandby>

export function createStandby(parts: {
  incidents: Incidents
  store: IncidentsStore
  delivery: Pick<ReturnType<typeof createDelivery>, 'hand' | 'moved'>
  config: { open_at_severity: AlertSeverity; cause_labels: readonly string[] }
  blastMinutes: number
  /** Where they are kept meanwhile. */
  path: string
  clock: Clock
  log: Log
}) {
  const { incidents, store, delivery, config, path, clock, log } = parts
  const held = new Map<string, Held>()
  let acknowledged: Acknowledged[] = []
  let busy: Promise<unknown> = Promise.resolve()

  function load(): void {
    const text = readTextIfPresent(path)
    if (text === null) return
    try {
      const kept = JSON.parse(text) as { incidents: Held[]; acknowledged: Acknowledged[] }
      for (const each of kept.incidents) held.set(each.incident.id, each)
      acknowledged = kept.acknowledged
    } catch (error) {
      log.error('What was kept of incidents while the store was away cannot be read; the file is left as it is', {
        error,
        path,
      })
    }
  }

  function keep(): void {
    if (held.size + acknowledged.length === 0) removeFile(path)
    else replaceFile(path, JSON.stringify({ incidents: [...held.values()], acknowledged }))
  }

  /** A disk that is full holds up no page: it is in memory all the same. */
  function tryToKeep(): boolean {
    try {
      keep()
      return true
    } catch (error) {
      log.error('Incidents are in memory only: neither the store nor the data folder takes them', { error, path })
      return false
    }
  }

  /** One at a time: what is written down and what is told stay in their order. */
  function alone<T>(work: () => Promise<T> | T): Promise<T> {
    const done = busy.then(work, work)
    busy = done.catch(() => {})
    return done
  }

  function change<T>(of: Held, actor: Actor, work: (incident: Incident, turn: Turn) => T): T {
    const { turn, end } = incidents.begin(actor)
    const result = work(of.incident, turn)
    const saving = end(of.incident)
    of.lines.push(...saving.lines)
    const known = new Set(of.pages.map(({ id }) => id))
    of.pages.push(...saving.pages.filter(({ id }) => !known.has(id)))
    of.dueAt = saving.dueAt
    return result
  }

  function open(alert: ToldAlert, cause: Record<string, string>): Held {
    const { turn, end } = incidents.begin(hubActor)
    const causeKey = writeCause(cause)
    const labelled = severityOfLabels(alert.labels)
    const { severity, arithmetic } = propose(labelled, null, parts.blastMinutes)
    const id = `HELD-${new Date(turn.now).toISOString().slice(0, 10)}-${randomBytes(4).toString('hex')}`
    const incident = declare(
      {
        ...{ id, tenantId: alert.tenantId, severity, category: categoryOf(alert.labels), cause, causeKey },
        ...introduce(alert, causeKey),
        ...{ origin: 'alerts', declaredAt: turn.now, labelled, blast: null, arithmetic, suspects: [], follows: '' },
      },
      turn,
    )
    const saving = end(incident)
    const made: Held = { ...saving, lines: [...saving.lines], pages: [...saving.pages], alerts: [] }
    held.set(id, made)
    log.error(`The store is away: the incident ${id} is kept in the data folder until it is back`, { path })
    return made
  }

  function place(alert: ToldAlert): Held | null {
    const all = [...held.values()]
    const explaining = all.find(
      ({ alerts }) => alert.inhibitedBy !== '' && alerts.some((each) => each.fingerprint === alert.inhibitedBy),
    )
    if (explaining !== undefined) return explaining
    const cause = causeOf(alert, config.cause_labels)
    const same = all.filter(({ incident }) => incident.tenantId === alert.tenantId)
    for (const key of widerCauses(cause)) {
      const found = same.find(({ incident }) => incident.causeKey === key)
      if (found !== undefined) return found
    }
    return all.length >= mostHeld ? null : open(alert, cause)
  }

  function take(alert: ToldAlert): void {
    if (!isAtLeast(alert, config.open_at_severity)) return
    for (const { alerts } of held.values()) {
      const known = alerts.find((each) => alertKey(each) === alertKey(alert))
      if (known === undefined) continue
      known.inhibitedBy = alert.inhibitedBy
      return
    }
    const of = place(alert)
    if (of === null || of.alerts.length >= mostAlerts) return
    change(of, hubActor, (incident, turn) => {
      of.alerts.push({ ...alert, endedAt: null })
      sayAlert(turn, alert)
      alertBegan(incident, turn)
      raise(incident, turn, alert)
    })
  }

  function end(alert: ToldAlert): void {
    for (const of of held.values()) {
      const known = of.alerts.find((each) => each.endedAt === null && alertKey(each) === alertKey(alert))
      if (known === undefined) continue
      known.endedAt = Math.max(known.startsAt, Math.min(alert.endsAt ?? clock.now(), clock.now()))
      change(of, hubActor, (incident, turn) => {
        turn.say('alert_ended', known.labels.alertname ?? 'alert')
        const isOver = of.alerts.every(({ endedAt }) => endedAt !== null)
        if (isOver) alertsEnded(incident, turn, Math.max(...of.alerts.map(({ endedAt }) => endedAt!)))
      })
    }
  }

  async function send(of: Held, page: Page, signal?: AbortSignal): Promise<void> {
    const firing = of.alerts.filter(({ endedAt }) => endedAt === null)
    const isPage = page.reason === 'escalation'
    const hidden = isPage
      ? firing
          .filter(({ inhibitedBy }) => inhibitedBy !== '')
          .slice(0, mostHidden)
          .map(nameOf)
      : []
    const about = isPage ? firing.map(({ fingerprint }) => fingerprint) : []
    const handed = await delivery.hand(page, { hidden, about, signal })
    Object.assign(page, delivery.moved(page, handed))
    if (handed.result === 'later' || handed.result === 'stopped') return
    const wasSaid = of.lines.some(({ kind }) => kind === 'nobody_told')
    change(of, hubActor, (incident, turn) => sayHanded(incident, turn, page, handed, wasSaid))
    tryToKeep()
  }

  /** Moves one into the store; again after a kill it changes nothing. */
  async function adopt(of: Held): Promise<Incident | null> {
    const { id: heldId, tenantId, cause } = of.incident
    return store.transaction(async (trx) => {
      await store.lockCauses(trx)
      if ((await store.adoptedAs(trx, heldId)) !== undefined) return null
      const active = await store.activeOf(trx, tenantId, widerCauses(cause))
      const joined = widerCauses(cause).flatMap((key) => active.get(key) ?? [])[0]
      const { turn, lines } = incidents.begin(hubActor)
      turn.say('adopted', `kept as ${heldId} while the store was away`)
      const known = await store.known(trx, of.alerts)
      const news = of.alerts.filter((each) => !known.has(alertKey(each)))
      const incident =
        joined === undefined
          ? await incidents.adoptIn(trx, { ...of, lines: [...of.lines, ...lines] })
          : await join(trx, of, joined)
      for (const alert of news) {
        await store.insertAlert(trx, incident.id, alert, clock.now())
        if (alert.endedAt !== null) await store.endAlert(trx, alert, alert.endedAt)
      }
      await store.markAdopted(trx, heldId, incident.id, clock.now())
      return incident
    })
  }

  /** There is one of its cause already: it learns what happened, who was told, and who has it. */
  async function join(trx: Trx, of: Held, id: string): Promise<Incident> {
    const { incident } = await incidents.changeIn(trx, everything, id, hubActor, (found, turn) => {
      turn.say('adopted', `kept as ${of.incident.id} while the store was away`)
      for (const { at, kind, text, actor, data } of of.lines) {
        turn.say('held', `${new Date(at).toISOString()} ${kind}: ${text}`, { ...data, kind, at, by: actor.name })
      }
      const { escalation, acknowledgedAt } = of.incident
      const told = [...new Set([...found.escalation.told, ...escalation.told])]
      // Who was paged meanwhile is not paged for the same again.
      const goesOn =
        found.state === 'open' &&
        found.escalation.step === 0 &&
        found.escalation.round === 0 &&
        escalation.told.length > 0
      found.escalation = goesOn ? { ...escalation, cycle: found.escalation.cycle, told } : { ...found.escalation, told }
      const by = of.lines.find(({ kind }) => kind === 'acknowledged')?.actor
      if (acknowledgedAt !== null && by !== undefined && found.state === 'open')
        acknowledge(found, { ...turn, actor: by })
      if (of.alerts.some(({ endedAt }) => endedAt === null)) alertBegan(found, turn)
    })
    return incident
  }

  async function adoptAll(): Promise<void> {
    for (const each of [...held.values()]) {
      const incident = await adopt(each)
      held.delete(each.incident.id)
      tryToKeep()
      if (incident === null) continue
      log.info(`The store is back: ${each.incident.id} is the incident ${incident.id}`)
      incidents.told(incident)
    }
    for (const each of [...acknowledged]) {
      await enter(each)
      acknowledged = acknowledged.filter((other) => other !== each)
      tryToKeep()
    }
  }

  async function enter({ id, cycle, actor, at }: Acknowledged): Promise<void> {
    try {
      await incidents.change(everything, id, actor, (incident, turn) => {
        if (incident.escalation.cycle !== cycle) return
        if (acknowledge(incident, turn))
          turn.say('note', `said at ${new Date(at).toISOString()}, while the store was away`)
      })
    } catch (error) {
      if (!(error instanceof HubError)) throw error
      log.warn(`That ${actor.name} has the incident ${id} changes nothing any more: ${error.message}`)
    }
  }

  load()

  return {
    began: (alerts: readonly ToldAlert[]) =>
      alone(() => {
        for (const alert of alerts) take(alert)
        tryToKeep()
      }),
    ended: (alerts: readonly ToldAlert[]) =>
      alone(() => {
        for (const alert of alerts) end(alert)
        tryToKeep()
      }),
    /** Moves them into the store. Rejects while it is away. */
    adopt: () => (held.size + acknowledged.length === 0 ? Promise.resolve() : alone(adoptAll)),
    /** One turn: into the store where it is back, else what is due is done here. Never rejects. */
    async turn(signal?: AbortSignal): Promise<void> {
      if (held.size + acknowledged.length === 0) return
      await alone(async () => {
        try {
          return await adoptAll()
        } catch {
          // It is away still.
        }
        const now = clock.now()
        for (const of of held.values()) {
          if ((of.dueAt ?? Number.POSITIVE_INFINITY) <= now) change(of, hubActor, () => {})
        }
        tryToKeep()
        for (const of of held.values()) {
          for (const page of of.pages) {
            if (page.state === 'intended' && page.dueAt <= clock.now()) await send(of, page, signal)
          }
        }
      })
    },
    find: (id: string): Incident | undefined => held.get(id)?.incident,
    /**
     * Acknowledges one that is held: true when this did it, false when somebody had; null for a former escalation's link.
     * `isKept` says whether it outlives the process.
     */
    acknowledge: (id: string, cycle: number, actor: Actor) =>
      alone(() => {
        const of = held.get(id)
        if (of === undefined) return undefined
        const result = change(of, actor, (incident, turn) =>
          incident.escalation.cycle === cycle ? acknowledge(incident, turn) : null,
        )
        return { result, incident: of.incident, isKept: tryToKeep() }
      }),
    /** The same of one that is in the store, which is away: entered when that is back. False where it is in memory only. */
    acknowledgeLater: (id: string, cycle: number, actor: Actor) =>
      alone(() => {
        if (!acknowledged.some((each) => each.id === id && each.cycle === cycle && each.actor.id === actor.id)) {
          acknowledged = [...acknowledged, { id, cycle, actor, at: clock.now() }].slice(-mostAcknowledged)
        }
        return tryToKeep()
      }),
    /** Under what id one that was held is in the store. */
    adoptedAs: (id: string) => store.adoptedAs(store.db, id),
    count: () => held.size + acknowledged.length,
  }
}

function nameOf({ labels }: ToldAlert): string {
  const { alertname = 'alert', check, service, instance, model, provider } = labels
  const about = check ?? service ?? instance ?? model ?? provider
  return about === undefined ? alertname : `${alertname} ${about}`
}
