import type { Kysely } from 'kysely'
import type { Clock } from '../kernel/clock.ts'
import { lookUp } from '../kernel/derive.ts'
import { fail } from '../kernel/errors.ts'
import { everything } from '../kernel/scope.ts'
import type { Bus } from '../platform/bus/bus.ts'
import type { Log } from '../platform/log.ts'
import type { Secrets } from '../platform/secrets.ts'
import type { IncidentsConfig } from './config.ts'
import { createIncidents } from './incidents.ts'
import { acknowledge, type LifeRules, note, resolve } from './life.ts'
import { createOnCallSettings } from './on-call/settings.ts'
import type { Language } from './report/build.ts'
import { createReports, type ReportFormat } from './report/reports.ts'
import { type Actor, activeStates, type State } from './schema.ts'
import { showIncident, showLine } from './show.ts'
import { alwaysCalendar, createWorkingCalendar } from './sla/calendar.ts'
import { createIncidentsStore } from './store.ts'
import type { IncidentsTables } from './tables.ts'
import { createTimelineChain } from './timeline/chain.ts'
import { openZone } from './zone.ts'

export type OpenedIncidents = Awaited<ReturnType<typeof openIncidents>>

/**
 * Incidents over the store alone, beside a running hub or without one: whoever has a shell on the machine may do what an
 * administrator may. Call `stop` when done.
 */
export async function openIncidents(
  parts: { db: Kysely<IncidentsTables>; secrets: Pick<Secrets, 'derive'>; bus: Bus; clock: Clock; log: Log },
  config: IncidentsConfig,
) {
  const { clock, bus, log } = parts
  const rules = createRules(config)
  const chain = createTimelineChain(parts.secrets)
  const store = createIncidentsStore(parts.db, chain)
  const channels = lookUp({ urgent: () => config.urgent_channels, normal: () => config.normal_channels })
  const onCall = createOnCallSettings({ store, channels, clock, log })
  await onCall.ready()
  const { calendars, zone } = rules
  const incidents = createIncidents({
    ...{ store, bus, clock, message: { language: config.language, zone, calendars } },
    rules: () => ({ ...rules.life(), policyOf: onCall.policyOf, onCall: onCall.onCall }),
  })
  const reports = createReports({ store, chain, calendars, zone, clock, config })
  const show = (incident: Parameters<typeof showIncident>[0]) => showIncident(incident, clock.now(), calendars)
  return {
    stop: () => onCall.stop(),
    async list(state: State | 'active' | 'all', limit: number) {
      const states = state === 'active' ? activeStates : state === 'all' ? undefined : [state]
      return (await store.list(everything, states === undefined ? {} : { states }, limit)).map(show)
    },
    async show(id: string) {
      const found = await store.find(everything, id)
      if (found === undefined) throw fail('not_found', `there is no incident ${id}`, { param: 'id' })
      const { timeline, verdict } = await reports.factsOf(everything, id)
      return {
        incident: show(found.incident),
        timeline: timeline.map((line) => showLine({ hash: '', ...line })),
        verdict,
      }
    },
    async acknowledge(id: string, actor: Actor, words: string) {
      const work = await incidents.change(everything, id, actor, (incident, turn) => {
        if (acknowledge(incident, turn) && words !== '') note(incident, turn, words)
      })
      return show(work.incident)
    },
    async resolve(id: string, actor: Actor, words: string) {
      const work = await incidents.change(everything, id, actor, async (incident, turn, trx) =>
        resolve(incident, turn, words, await store.firing(trx, id)),
      )
      return show(work.incident)
    },
    report: (id: string, kind: 'report' | 'postmortem', format: ReportFormat, language: Language) =>
      reports.write(everything, id, { kind, format, language }),
  }
}

/** What settings say of calendars and of the life of incidents. */
export function createRules(config: IncidentsConfig) {
  const zone = openZone(config.zone)
  const working = createWorkingCalendar({
    ...{ zone, days: config.working_days, hours: config.working_hours },
    ...{ holidays: config.holidays, makeUpDays: config.make_up_days },
  })
  const calendars = { always: alwaysCalendar, working }
  const life = (): Omit<LifeRules, 'policyOf' | 'onCall'> => ({
    ...{ calendars, normalChannels: config.normal_channels, pageWaitMs: config.page_wait_seconds * 1000 },
    ...{ quietMs: config.quiet_minutes * 60_000, reopenMs: config.reopen_minutes * 60_000 },
    ...{ mostReopens: config.most_reopens, closeAfterMs: config.close_after_days * 86_400_000 },
  })
  return { zone, calendars, life }
}
