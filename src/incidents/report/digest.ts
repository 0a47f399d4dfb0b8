import { type Incident, severities } from '../schema.ts'
import type { Calendars } from '../sla/targets.ts'
import { addDays, type Zone } from '../zone.ts'
import { writeSpan } from './build.ts'
import { statistics } from './statistics.ts'

const hour = 9 * 60

/** The week that is to be told of at `now`: the last whole one, from Monday nine o'clock on. */
export function weekToTell(zone: Zone, now: number): { name: string; from: number; to: number; tellAt: number } {
  const { date, weekday } = zone.wallOf(now)
  const thisMonday = addDays(date, 1 - weekday)
  const monday = now >= zone.instantOf(thisMonday, hour) ? thisMonday : addDays(thisMonday, -7)
  const [from, to] = [zone.instantOf(addDays(monday, -7), 0), zone.instantOf(monday, 0)]
  return { name: addDays(monday, -7), from, to, tellAt: zone.instantOf(monday, hour) }
}

export type DigestFacts = {
  week: { name: string }
  /** Of the week. */
  incidents: readonly Incident[]
  /** All that are not over, of whatever week. */
  active: readonly Incident[]
  now: number
  calendars: Calendars
}

/** What happened, what is still open and what is fragile. */
export function writeDigest(facts: DigestFacts, language: 'en' | 'zh'): { title: string; text: string } {
  const { week, incidents, active, now, calendars } = facts
  const isZh = language === 'zh'
  const [all] = statistics(incidents, now, calendars)
  const span = (ms: number | null | undefined) => (ms === null || ms === undefined ? '–' : writeSpan(ms))
  const counts = severities.map((each) => `${each} ${incidents.filter(({ severity }) => severity === each).length}`)
  const [response, , recovery] = all!.clocks
  const missed = all!.clocks.map(({ clock, met, breached }) => `${clock} ${breached}/${met + breached}`)
  const causes = new Map<string, number>()
  for (const { causeKey, reopens } of incidents) {
    if (causeKey !== '') causes.set(causeKey, (causes.get(causeKey) ?? 0) + 1 + reopens)
  }
  const fragile = [...causes].filter(([, count]) => count > 1).sort((a, b) => b[1] - a[1])
  const without = incidents.filter(({ severity, postmortem }) => severity <= 'P1' && postmortem === null)
  const list = (heading: string, lines: readonly string[]) =>
    lines.length === 0 ? [] : [`${heading}:`, ...lines.slice(0, 10).map((line) => `- ${line}`)]
  const lines = [
    `${isZh ? '故障数' : 'Incidents'}: ${incidents.length} (${counts.join(', ')})`,
    `MTTA ${span(response?.meanGrossMs)} · MTTR ${span(recovery?.meanGrossMs)}`,
    `${isZh ? 'SLA 超时' : 'Targets missed'}: ${missed.join(', ')}`,
    ...list(
      isZh ? '未结故障' : 'Not over',
      active.map(({ id, severity, title, state }) => `[${severity}] ${id} ${title} (${state})`),
    ),
    ...list(
      isZh ? '反复发生' : 'Came again',
      fragile.map(([cause, count]) => `${cause}: ${count}`),
    ),
    ...list(
      isZh ? '尚无复盘' : 'Without a postmortem',
      without.map(({ id, title }) => `${id} ${title}`),
    ),
  ]
  return { title: `${isZh ? '故障周报' : 'Incidents of the week from'} ${week.name}`, text: lines.join('\n') }
}
