import type { Clock } from '../kernel/clock.ts'
import { fail } from '../kernel/errors.ts'
import { everything, type Scope } from '../kernel/scope.ts'
import type { Bus } from '../platform/bus/bus.ts'
import { composePage, type MessageParts } from './escalation/messages.ts'
import { type Declaration, declare, type LifeRules, type NewPage, type Turn } from './life.ts'
import type { Actor, Incident } from './schema.ts'
import { hubActor } from './schema.ts'
import type { IncidentsStore, Line, Saving } from './store.ts'
import { nextMoment, settle } from './timers.ts'

type Trx = Parameters<Parameters<IncidentsStore['transaction']>[0]>[0]
export type Work<T> = (incident: Incident, turn: Turn, trx: Trx) => Promise<T> | T

export type Incidents = ReturnType<typeof createIncidents>

export type IncidentsParts = {
  store: IncidentsStore
  rules(): LifeRules
  message: MessageParts
  bus: Bus
  clock: Clock
}

/** The one way in which incidents are made and changed: a transaction each, with its lines, its messages and its next moment. */
export function createIncidents({ store, rules, message, bus, clock }: IncidentsParts) {
  function begin(actor: Actor) {
    const lines: Line[] = []
    const pages: NewPage[] = []
    const now = clock.now()
    const turn: Turn = {
      ...{ now, actor, rules: rules() },
      say: (kind, text, data = {}) => void lines.push({ at: now, kind, actor, text: text.slice(0, 10_000), data }),
      page: (page) => void (page.channels.length > 0 && pages.push(page)),
    }
    const end = (incident: Incident) => {
      settle(incident, {
        ...turn,
        actor: hubActor,
        say: (kind, text, data = {}) => void lines.push({ at: now, kind, actor: hubActor, text, data }),
      })
      incident.updatedAt = now
      return {
        ...{ incident, lines, dueAt: nextMoment(incident, turn) },
        pages: pages.map((page) => composePage(page, incident, now, message)),
      }
    }
    return { turn, lines, end }
  }

  function told({ id, state, severity, tenantId, title }: Incident): void {
    bus.announce('incident.changed', { id, state, severity, tenantId, title })
  }

  const newId = async (trx: Trx, day: string) =>
    `ALT-${day}-${String(await store.nextNumber(trx, day)).padStart(3, '0')}`

  async function openIn(trx: Trx, actor: Actor, make: Omit<Declaration, 'id' | 'declaredAt'>): Promise<Incident> {
    const { turn, end } = begin(actor)
    const id = await newId(trx, message.zone.wallOf(turn.now).date)
    const saving = end(declare({ ...make, id, declaredAt: turn.now }, turn))
    await store.insert(trx, saving)
    return saving.incident
  }

  async function changeIn<T>(trx: Trx, scope: Scope, id: string, actor: Actor, work: Work<T>) {
    const found = await store.lock(trx, scope, id)
    if (found === undefined) throw fail('not_found', `there is no incident ${id}`, { param: 'id' })
    const { turn, end } = begin(actor)
    const result = await work(found.incident, turn, trx)
    const saving = end(found.incident)
    await store.save(trx, saving, found.head)
    return { incident: saving.incident, result, isChanged: saving.lines.length > 0 }
  }

  return {
    /** A change of one that is in no store yet: `end` settles it and returns what would be stored. */
    begin,
    /** Stores one that was kept elsewhere, with all that happened to it, under an id of its day; tells nobody. */
    async adoptIn(trx: Trx, { incident, lines, pages, dueAt }: Saving): Promise<Incident> {
      const day = message.zone.wallOf(incident.declaredAt).date
      const id = await newId(trx, day)
      const moved = { ...incident, id }
      const own = pages.map((page) => ({ ...page, incidentId: id, id: page.id.replace(incident.id, id) }))
      await store.insert(trx, { incident: moved, lines, pages: own, dueAt })
      return moved
    },
    /** For whoever has a transaction open already; tells nobody. */
    openIn,
    changeIn,
    told,
    async open(actor: Actor, make: Omit<Declaration, 'id' | 'declaredAt'>): Promise<Incident> {
      const made = await store.transaction((trx) => openIn(trx, actor, make))
      told(made)
      return made
    },
    /** Throws `not_found` for what is not there or somebody else's. What is due is done with it. */
    async change<T>(scope: Scope, id: string, actor: Actor, work: Work<T>): Promise<{ incident: Incident; result: T }> {
      const { incident, result, isChanged } = await store.transaction((trx) => changeIn(trx, scope, id, actor, work))
      if (isChanged) told(incident)
      return { incident, result }
    },
    /** Does what is due by now; several nodes may do it at once. Returns how many incidents it looked at. */
    async settleDue(signal?: AbortSignal): Promise<number> {
      let count = 0
      for (;;) {
        const ids = await store.due(clock.now(), 100)
        for (const id of ids) {
          if (signal?.aborted) return count
          await this.change(everything, id, hubActor, () => {})
          count++
        }
        if (ids.length < 100) return count
      }
    },
  }
}
