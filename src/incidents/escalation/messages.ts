import type { NewPage } from '../life.ts'
import { type Incident, type Page, severityWords } from '../schema.ts'
import { readClocks } from '../sla/clocks.ts'
import { type Calendars, writeAmount } from '../sla/targets.ts'
import { writeWall, type Zone } from '../zone.ts'

const mostHidden = 20

const words = {
  en: {
    escalation: 'Nobody has acknowledged it yet',
    at_risk: 'A target is at risk',
    breached: 'A target was missed',
    resolved: 'It is resolved',
    ...{ state: 'State', severity: 'Severity', cause: 'Cause', since: 'Since', why: 'Why', suspect: 'First suspect' },
    hidden: 'Hidden behind it',
    ...{
      response: 'response',
      handling: 'handling',
      recovery: 'recovery',
      due: 'due',
      late: 'late since',
      done: 'met',
    },
  },
  zh: {
    ...{ escalation: '尚无人确认', at_risk: 'SLA 即将超时', breached: 'SLA 已超时', resolved: '故障已解决' },
    ...{ state: '状态', severity: '级别', cause: '原因', since: '开始时间', why: '定级依据', suspect: '首要可疑变更' },
    hidden: '被其抑制的告警',
    ...{ response: '响应', handling: '处理', recovery: '恢复', due: '截止', late: '已超时，自', done: '达标' },
  },
} as const

/** What else broke by it, as the last line of a message. */
export function sayHidden(names: readonly string[], language: 'en' | 'zh'): string {
  const shown = names.slice(0, mostHidden).join(', ')
  return `${words[language].hidden} (${names.length}): ${shown}${names.length > mostHidden ? ' …' : ''}`
}

export type MessageParts = { language: 'en' | 'zh'; zone: Zone; calendars: Calendars }

/** A message about an incident as it is now; its link is added when it is sent. */
export function composePage(page: NewPage, incident: Incident, now: number, parts: MessageParts): Page {
  const { language, zone, calendars } = parts
  const say = words[language]
  const clocks = readClocks(incident.sla, now, calendars).map(({ clock, state, target, dueAt, breachedAt }) => {
    const head = `${say[clock]} (${writeAmount(target, language)})`
    if (state === 'met') return `${head}: ${say.done}`
    if (state === 'breached') return `${head}: ${say.late} ${writeWall(zone, breachedAt!)}`
    return dueAt === null ? `${head}: …` : `${head}: ${say.due} ${writeWall(zone, dueAt)}`
  })
  const suspect = incident.suspects[0]
  const lines = [
    `${say[page.reason === 'digest' ? 'resolved' : page.reason]} · ${say.state}: ${incident.state}`,
    `${say.severity}: ${incident.severity} – ${severityWords[incident.severity][language]}`,
    ...(incident.causeKey === '' ? [] : [`${say.cause}: ${incident.causeKey}`]),
    `${say.since}: ${writeWall(zone, incident.declaredAt)} (${zone.name})`,
    ...(incident.arithmetic === '' ? [] : [`${say.why}: ${incident.arithmetic}`]),
    ...clocks,
    ...(suspect === undefined ? [] : [`${say.suspect}: ${suspect.what} ${suspect.target} (${suspect.by})`]),
  ]
  return {
    ...{ id: `${incident.id}/${page.key}`, incidentId: incident.id, at: now, reason: page.reason, dueAt: now },
    ...{ channels: page.channels, person: page.person, cycle: incident.escalation.cycle, severity: incident.severity },
    title: `[${incident.severity}] ${incident.id} ${incident.title}`.slice(0, 300),
    text: lines.join('\n').slice(0, 4000),
    ...{ state: 'intended', tries: 0 },
  }
}
