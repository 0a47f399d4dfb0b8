import { categoryWords, type Incident, type IncidentAlert, severityWords, type TimelineEntry } from '../schema.ts'
import { type ClockReading, readClocks } from '../sla/clocks.ts'
import { type Calendars, writeAmount } from '../sla/targets.ts'
import type { TimelineVerdict } from '../timeline/chain.ts'
import { writeWall, type Zone } from '../zone.ts'
import { lineWords } from './line-words.ts'

export type Language = 'en' | 'zh'

/** A report as all formats draw it: headings with lines of their own kinds. */
export type Report = { title: string; sections: Section[] }
export type Section = { heading: string; lines: ReportLine[] }
export type ReportLine =
  | { kind: 'field'; name: string; value: string }
  | { kind: 'text'; text: string }
  | { kind: 'check'; name: string; isDone: boolean }
  | { kind: 'step'; number: number; at: string; text: string }

export type ReportFacts = {
  incident: Incident
  alerts: readonly IncidentAlert[]
  timeline: readonly TimelineEntry[]
  verdict: TimelineVerdict
  now: number
  calendars: Calendars
  zone: Zone
}

const words = {
  en: {
    ...{ report: 'Incident report', postmortem: 'Postmortem', basics: 'Basic information', id: 'Incident' },
    ...{ level: 'Severity', found: 'Found at', reporter: 'Reported by', contact: 'Contact', type: 'Kind of fault' },
    ...{ description: 'Description', impact: 'Impact', users: 'Users', functions: 'Functions', degree: 'Degree' },
    ...{ diagnosis: 'First diagnosis', process: 'What was done', status: 'Current state', remarks: 'Remarks' },
    ...{ located: 'Located', working: 'In progress', solved: 'Resolved', verify: 'To be verified', sla: 'SLA' },
    ...{
      all: 'all',
      some: 'some',
      few: 'few',
      unknown: 'not known',
      severe: 'severe',
      medium: 'medium',
      slight: 'slight',
    },
    ...{
      response: 'Response',
      handling: 'Handling',
      recovery: 'Recovery',
      target: 'target',
      net: 'net',
      gross: 'gross',
    },
    ...{
      due: 'due',
      none: '–',
      cause: 'Cause',
      follows: 'Follows',
      chain: 'Timeline',
      whole: 'whole',
      broken: 'BROKEN',
    },
    ...{ alerts: 'Alerts', explained: 'explained by another', suspects: 'Changes shortly before', min: 'min before' },
    ...{
      pauses: 'Paused',
      root: 'Root cause',
      lessons: 'What was learnt',
      actions: 'What will be done',
      assignee: 'Assigned to',
    },
    ...{
      met: 'met',
      breached: 'missed',
      running: 'running',
      at_risk: 'at risk',
      paused: 'paused',
      why: 'Why this severity',
    },
    five: ['Confirm the fault', 'Assess the impact', 'Begin recovery', 'Verify the result', 'Improve'],
  },
  zh: {
    ...{
      report: '故障报告',
      postmortem: '故障复盘',
      basics: '基本信息',
      id: '故障ID',
      level: '故障级别',
      found: '发现时间',
    },
    ...{ reporter: '上报人', contact: '联系方式', type: '故障类型', description: '故障描述', impact: '影响范围' },
    ...{ users: '影响用户', functions: '影响功能', degree: '影响程度', diagnosis: '初步诊断', process: '排查过程' },
    ...{
      status: '当前状态',
      remarks: '备注',
      located: '已定位',
      working: '处理中',
      solved: '已解决',
      verify: '待验证',
    },
    ...{
      sla: 'SLA',
      all: '全部',
      some: '部分',
      few: '个别',
      unknown: '未知',
      severe: '严重',
      medium: '中等',
      slight: '轻微',
    },
    ...{
      response: '响应时间',
      handling: '处理时间',
      recovery: '恢复时间',
      target: '目标',
      net: '净用时',
      gross: '总用时',
    },
    ...{
      due: '截止',
      none: '–',
      cause: '故障原因标识',
      follows: '前一故障',
      chain: '时间线校验',
      whole: '完整',
      broken: '已被篡改',
    },
    ...{ alerts: '相关告警', explained: '由其他告警引起', suspects: '故障前的变更', min: '分钟前', pauses: '暂停计时' },
    ...{ root: '根本原因', lessons: '经验总结', actions: '改进措施', assignee: '负责人' },
    ...{ met: '达标', breached: '超时', running: '计时中', at_risk: '即将超时', paused: '已暂停', why: '定级依据' },
    five: ['确认故障', '评估影响', '启动恢复', '验证结果', '总结改进'],
  },
} as const

/** Seed 003 §5.1, heading by heading, filled from what is kept; what nobody knows is said to be unknown. */
export function buildReport(facts: ReportFacts, language: Language): Report {
  const { incident, zone } = facts
  const say = words[language]
  const field = (name: string, value: string): ReportLine => ({ kind: 'field', name, value: value || say.none })
  const degree = { P0: say.severe, P1: say.severe, P2: say.medium, P3: say.slight }[incident.severity]
  const sections: Section[] = [
    {
      heading: say.basics,
      lines: [
        field(say.id, incident.id),
        field(say.level, incident.severity),
        field(say.found, writeWall(zone, incident.declaredAt)),
        field(say.reporter, incident.reporter),
        field(say.contact, incident.contact),
      ],
    },
    { heading: say.description, lines: [text(incident.title), ...texts(incident.description)] },
    {
      heading: say.impact,
      lines: [
        field(say.users, writeUsers(incident, say)),
        field(say.functions, functionsOf(incident)),
        field(say.degree, degree),
      ],
    },
    {
      heading: say.diagnosis,
      lines: [
        ...(incident.diagnosis === '' && incident.suspects.length === 0 ? [text(say.unknown)] : []),
        ...texts(incident.diagnosis),
        ...incident.suspects
          .slice(0, 5)
          .map((each) =>
            field(
              say.suspects,
              `${each.what} ${each.target} (${each.by}), ${Math.round(each.beforeMs / 60_000)} ${say.min}`,
            ),
          ),
      ],
    },
    { heading: say.process, lines: steps(facts, language) },
    {
      heading: say.status,
      lines: [
        check(say.located, incident.diagnosis !== '' || incident.postmortem !== null),
        check(say.working, incident.state === 'acknowledged' || incident.state === 'mitigated'),
        check(say.solved, incident.resolvedAt !== null),
        check(say.verify, incident.state === 'mitigated' || incident.state === 'resolved'),
      ],
    },
    {
      heading: say.remarks,
      lines: [
        field(say.type, categoryWords[incident.category][language]),
        field(say.why, incident.arithmetic),
        field(say.cause, incident.causeKey),
        ...(incident.assignee === '' ? [] : [field(say.assignee, incident.assignee)]),
        ...(incident.follows === '' ? [] : [field(say.follows, incident.follows)]),
        ...alertLines(facts, say, field),
        field(
          say.chain,
          `${facts.verdict.isWhole ? say.whole : `${say.broken}: ${facts.verdict.firstBreak?.message}`} (${facts.verdict.head})`,
        ),
      ],
    },
    slaSection(facts, language),
  ]
  return { title: say.report, sections }
}

/** The five steps of seed 003 §6.3, filled as far as they were taken; people add what only they know. */
export function buildPostmortem(facts: ReportFacts, language: Language): Report {
  const { incident } = facts
  const say = words[language]
  const [confirm, assess, begin, verify, improve] = say.five
  const of = (...kinds: string[]) => facts.timeline.filter(({ kind }) => kinds.includes(kind))
  const post = incident.postmortem
  const section = (heading: string, lines: ReportLine[]) => ({
    heading,
    lines: lines.length > 0 ? lines : [text(say.none)],
  })
  const told = (entries: readonly TimelineEntry[]) => steps({ ...facts, timeline: entries }, language)
  return {
    title: `${say.postmortem} ${incident.id}`,
    sections: [
      section(confirm, [
        text(`[${incident.severity}] ${incident.title}`),
        ...told(of('opened', 'alert', 'acknowledged')),
      ]),
      section(assess, [
        { kind: 'field', name: say.users, value: writeUsers(incident, say) },
        { kind: 'field', name: say.why, value: incident.arithmetic || say.none },
        ...texts(post?.impact ?? ''),
      ]),
      section(begin, told(of('note', 'diagnosed', 'recovery', 'assigned', 'paused', 'resumed', 'severity'))),
      section(verify, told(of('mitigated', 'relapsed', 'resolved', 'reopened', 'closed'))),
      section(improve, [
        { kind: 'field', name: say.root, value: post?.rootCause || say.unknown },
        { kind: 'field', name: say.lessons, value: post?.lessons || say.none },
        ...(post?.actions ?? []).map((name) => ({ kind: 'check', name, isDone: false }) as const),
      ]),
      slaSection(facts, language),
    ],
  }
}

type Say = (typeof words)[Language]
type Field = (name: string, value: string) => ReportLine

function slaSection({ incident, now, calendars, zone }: ReportFacts, language: Language): Section {
  const say = words[language]
  const describe = ({ clock, state, target, dueAt, netMs, grossMs }: ClockReading): ReportLine => ({
    ...{ kind: 'field', name: say[clock] },
    value: [
      say[state],
      `${say.target} ${writeAmount(target, language)}`,
      ...(dueAt === null ? [] : [`${say.due} ${writeWall(zone, dueAt)}`]),
      `${say.net} ${writeSpan(netMs)}`,
      `${say.gross} ${writeSpan(grossMs)}`,
    ].join(', '),
  })
  const pauses = incident.sla.gaps.filter(({ by }) => by !== '')
  return {
    heading: say.sla,
    lines: [
      { kind: 'text', text: `${incident.severity}: ${severityWords[incident.severity][language]}` },
      ...readClocks(incident.sla, now, calendars).map(describe),
      ...pauses.map(({ from, to, reason, by }) => ({
        ...({ kind: 'field', name: say.pauses } as const),
        value: `${writeWall(zone, from)} – ${to === null ? '…' : writeWall(zone, to)}: ${reason} (${by})`,
      })),
    ],
  }
}

function writeUsers({ blast }: Incident, say: Say): string {
  if (blast === null) return say.unknown
  const share = blast.share >= 0.95 ? say.all : blast.share >= 0.05 ? say.some : say.few
  return `${share} (${blast.users}, ${Math.round(blast.share * 1000) / 10} %)`
}

function functionsOf({ cause }: Incident): string {
  return Object.entries(cause)
    .map(([name, value]) => `${name} ${value}`)
    .join(', ')
}

function alertLines({ alerts }: ReportFacts, say: Say, field: Field): ReportLine[] {
  return alerts
    .slice(0, 50)
    .map(({ labels, inhibitedBy }) =>
      field(say.alerts, `${labels.alertname ?? '?'}${inhibitedBy === '' ? '' : ` (${say.explained})`}`),
    )
}

function steps({ timeline, zone }: Pick<ReportFacts, 'timeline' | 'zone'>, language: Language): ReportLine[] {
  return timeline.map(({ seq, at, kind, actor, text }) => ({
    ...({ kind: 'step', number: seq, at: writeWall(zone, at) } as const),
    text: `${language === 'zh' ? (lineWords[kind] ?? kind) : kind}${text === '' ? '' : `: ${text}`} (${actor.name})`,
  }))
}

const text = (value: string): ReportLine => ({ kind: 'text', text: value })
const check = (name: string, isDone: boolean): ReportLine => ({ kind: 'check', name, isDone })
const texts = (value: string) => (value === '' ? [] : value.split('\n').map(text))

/** `3 h 20 min 5 s` */
export function writeSpan(ms: number): string {
  const seconds = Math.floor(ms / 1000)
  const parts = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'min'],
    [seconds % 60, 's'],
  ].filter(([value]) => value !== 0)
  return parts.length === 0 ? '0 s' : parts.map((each) => each.join(' ')).join(' ')
}
