import type { Clock } from '../../kernel/clock.ts'
import { fail } from '../../kernel/errors.ts'
import { everything, type Scope } from '../../kernel/scope.ts'
import { activeStates, type Incident } from '../schema.ts'
import type { Calendars } from '../sla/targets.ts'
import type { IncidentsStore } from '../store.ts'
import { type TimelineChain, verifyTimeline } from '../timeline/chain.ts'
import { readWhole } from '../timeline/read.ts'
import type { Zone } from '../zone.ts'
import { buildPostmortem, buildReport, type Language, type ReportFacts } from './build.ts'
import { weekToTell, writeDigest } from './digest.ts'
import { writePdf } from './pdf.ts'
import { toCsv, toHtml, toLines, toMarkdown } from './render.ts'
import { statistics } from './statistics.ts'

export const reportFormats = ['md', 'html', 'csv', 'json', 'pdf'] as const
export type ReportFormat = (typeof reportFormats)[number]
export type ReportKind = 'report' | 'postmortem'

const contentTypes: Readonly<Record<ReportFormat, string>> = {
  md: 'text/markdown; charset=utf-8',
  html: 'text/html; charset=utf-8',
  csv: 'text/csv; charset=utf-8',
  json: 'application/json; charset=utf-8',
  pdf: 'application/pdf',
}
/** More lines than this no incident has that people work on. */
const mostLines = 20_000
const mostAlerts = 1000
const mostIncidents = 20_000

export type Reports = ReturnType<typeof createReports>

export function createReports(parts: {
  store: IncidentsStore
  chain: TimelineChain
  calendars: Calendars
  zone: Zone
  clock: Clock
  config: { digest_channels: readonly string[]; language: Language }
}) {
  const { store, chain, calendars, zone, clock, config } = parts

  async function factsOf(scope: Scope, id: string): Promise<ReportFacts> {
    const found = await store.find(scope, id)
    if (found === undefined) throw fail('not_found', `there is no incident ${id}`, { param: 'id' })
    const alerts = await store.alertsOf(id, mostAlerts)
    const { head, lines: timeline } = await readWhole(
      async () => (await store.find(scope, id)) ?? found,
      () => store.timeline(id, mostLines),
    )
    const verdict = verifyTimeline(chain, id, timeline, head)
    return { incident: found.incident, alerts, timeline, verdict, now: clock.now(), calendars, zone }
  }

  /** All of a time, newest first; throws where they are more than can be counted at once. */
  async function all(scope: Scope, from: number, to: number): Promise<Incident[]> {
    const found = await store.list(scope, { from, to }, mostIncidents + 1)
    if (found.length > mostIncidents) {
      throw fail('invalid_request', `there are more than ${mostIncidents} incidents in that time: ask for less`, {
        param: 'from',
      })
    }
    return found
  }

  return {
    factsOf,
    /** A report as a file. */
    async write(scope: Scope, id: string, wish: { kind: ReportKind; format: ReportFormat; language: Language }) {
      const { kind, format, language } = wish
      const facts = await factsOf(scope, id)
      const report = kind === 'report' ? buildReport(facts, language) : buildPostmortem(facts, language)
      const written: Record<ReportFormat, () => string | Buffer> = {
        md: () => toMarkdown(report),
        html: () => toHtml(report, language),
        csv: () => toCsv(report),
        json: () => JSON.stringify({ id, kind, ...report }, null, 2),
        pdf: () => writePdf(toLines(report), `${report.title} ${id}`),
      }
      return { content: written[format](), contentType: contentTypes[format], name: `${kind}-${id}.${format}` }
    },
    async statistics(scope: Scope, from: number, to: number) {
      return statistics(await all(scope, from, to), clock.now(), calendars)
    },
    /** Has the last week told, once, whichever node comes first. */
    async digestIfDue(): Promise<void> {
      if (config.digest_channels.length === 0) return
      const now = clock.now()
      const week = weekToTell(zone, now)
      // Weeks before the hub was told to are nobody's news.
      if (now - week.tellAt > 86_400_000 || (await store.isMarked('digest', week.name))) return
      const [incidents, active] = await Promise.all([
        all(everything, week.from, week.to),
        store.list(everything, { states: activeStates }, 200),
      ])
      const { title, text } = writeDigest({ week, incidents, active, now, calendars }, config.language)
      // The same id, whoever writes it: a second one is not kept.
      await store.keepPages([
        {
          ...{ id: `digest/${week.name}`, incidentId: '', at: now, reason: 'digest', channels: config.digest_channels },
          ...{ person: '', cycle: 0, title, text, severity: 'P3', state: 'intended', tries: 0, dueAt: now },
        },
      ])
      await store.mark('digest', week.name, now)
    },
  }
}
