import { z } from 'zod'
import { reply } from '../http/reply.ts'
import { defineRoute, type Route } from '../http/route.ts'
import type { Clock } from '../kernel/clock.ts'
import { fail } from '../kernel/errors.ts'
import { toPage } from '../kernel/page.ts'
import type { Principal } from '../kernel/principal.ts'
import { readTenantId, scopeOf } from '../kernel/scope.ts'
import type { AckLinks } from './escalation/links.ts'
import { acknowledgeRoutes } from './escalation/routes.ts'
import type { Incidents, Work } from './incidents.ts'
import * as life from './life.ts'
import { onCallRoutes } from './on-call/routes.ts'
import type { OnCallSettings } from './on-call/settings.ts'
import { recoveryOf, recoverySteps } from './recovery.ts'
import type { Remedies } from './remedies/remedies.ts'
import { remedyRoutes } from './remedies/routes.ts'
import { type Reports, reportFormats } from './report/reports.ts'
import { runbookRoutes } from './runbooks/routes.ts'
import { runbooksFor } from './runbooks/runbooks.ts'
import { type Actor, categories, type Incident, severities, states } from './schema.ts'
import { detailReply, incidentReply, iso, lineReply, recoveryReply, showAlert, showIncident, showLine } from './show.ts'
import { slaRoutes } from './sla/routes.ts'
import type { Calendars } from './sla/targets.ts'
import type { Standby } from './standby.ts'
import type { IncidentsStore } from './store.ts'
import { type TimelineChain, verifyTimeline } from './timeline/chain.ts'
import { readWhole } from './timeline/read.ts'
import type { Zone } from './zone.ts'

const text = (most: number) => z.string().trim().max(most)
const said = z.strictObject({ note: text(4000).default('') })
const reasoned = z.strictObject({ reason: text(1000).min(1, 'Say why') })
const idParam = z.object({ id: z.string().max(40) })

export type IncidentRouteParts = {
  incidents: Incidents
  store: IncidentsStore
  remedies: Remedies
  reports: Reports
  onCall: OnCallSettings
  links: AckLinks
  standby: Standby
  chain: TimelineChain
  calendars: Calendars
  zone: Zone
  clock: Clock
  namesOf(ids: readonly string[]): Promise<ReadonlyMap<string, string>>
  tenantIdOf(written: string): Promise<string | null>
}

/** `/api/incidents/*`, `/api/sla`, `/api/on-call/*`, `/api/runbooks/*`. */
export function incidentRoutes(parts: IncidentRouteParts): Route[] {
  const { incidents, store, reports, calendars, clock, chain } = parts
  const shared = { access: 'tenant_admin', tag: 'incidents' } as const
  const show = (incident: Incident) => showIncident(incident, clock.now(), calendars)

  async function actorOf(principal: Principal): Promise<Actor> {
    const { kind, id, userId } = principal
    const named = userId === '' ? undefined : (await parts.namesOf([userId])).get(userId)
    return { kind: kind === 'user' ? 'person' : 'program', id, name: named ?? id }
  }

  const change = async <T>(principal: Principal | null, id: string, work: Work<T>) =>
    incidents.change(scopeOf(principal!), id, await actorOf(principal!), work)

  /** A verb of the life of an incident, as `POST /api/incidents/{id}/{verb}`. */
  function verb<B extends z.ZodType>(
    name: string,
    summary: string,
    body: B,
    work: (body: z.infer<B>) => Work<unknown>,
  ) {
    return defineRoute({
      ...{ ...shared, method: 'POST', path: `/api/incidents/:id/${name}`, summary, params: idParam, body },
      reply: incidentReply,
      async handle({ principal, params, body }) {
        return show((await change(principal, params.id, work(body as z.infer<B>))).incident)
      },
    })
  }

  async function detail(incident: Incident) {
    const [alerts, timeline, pages] = await Promise.all([
      store.alertsOf(incident.id, 500),
      store.timeline(incident.id, 20_000),
      store.pagesOf(incident.id),
    ])
    const names = alerts.map(({ labels }) => labels.alertname ?? '')
    const { blast, postmortem } = incident
    return {
      ...show(incident),
      ...{ blast, diagnosis: incident.diagnosis, alerts: alerts.map(showAlert) },
      suspects: incident.suspects.map(({ at, beforeMs, ...rest }) => ({ ...rest, at: iso(at), before_ms: beforeMs })),
      recovery: showRecovery(incident, timeline),
      runbooks: runbooksFor(names, incident.cause, incident.category).map(({ name, title }) => ({ name, title })),
      pages: pages.map((page) => ({ ...page, at: iso(page.at), channels: JSON.parse(page.channels) as string[] })),
      postmortem: postmortem && {
        ...{ root_cause: postmortem.rootCause, impact: postmortem.impact, lessons: postmortem.lessons },
        actions: [...postmortem.actions],
      },
    }
  }

  async function find(principal: Principal | null, id: string) {
    const found = await store.find(scopeOf(principal!), id)
    if (found === undefined) throw fail('not_found', `there is no incident ${id}`, { param: 'id' })
    return found
  }

  return [
    defineRoute({
      ...{ ...shared, method: 'GET', path: '/api/incidents', summary: 'Incidents, newest first.' },
      query: z.strictObject({
        state: z
          .enum([...states, 'active'])
          .optional()
          .describe('`active` is all that is not over.'),
        severity: z.enum(severities).optional(),
        limit: z.coerce.number().int().min(1).max(200).default(50),
        cursor: z.string().max(100).optional(),
      }),
      reply: z.object({ data: z.array(incidentReply), next_cursor: z.string().nullable() }),
      async handle({ principal, query }) {
        const { state, severity, limit, cursor } = query
        const wanted = state === 'active' ? (['open', 'acknowledged', 'mitigated'] as const) : state && [state]
        const filter = { ...(wanted && { states: wanted }), ...(severity && { severity }) }
        const before = cursor === undefined ? undefined : readCursor(cursor)
        const rows = await store.list(scopeOf(principal!), filter, limit + 1, before)
        const page = toPage(rows, limit, ({ declaredAt, id }) => `${declaredAt}.${id}`)
        return { ...page, data: page.data.map(show) }
      },
    }),
    defineRoute({
      ...{ ...shared, method: 'POST', path: '/api/incidents', status: 201, summary: 'Opens an incident by hand.' },
      body: z.strictObject({
        title: text(200).min(1),
        severity: z.enum(severities),
        category: z.enum(categories).default('function'),
        description: text(4000).default(''),
        reporter: text(200).default('').describe('Who saw it; whoever asks where nobody is named.'),
        contact: text(200).default('').describe('Telephone or mail.'),
        follows: z.string().max(40).default('').describe('The incident that this one follows.'),
        tenant_id: z.string().max(100).optional().describe('For a super_admin; whose it is, the hub for its own.'),
      }),
      reply: detailReply,
      async handle({ principal, body }) {
        const tenantId = await tenantOf(principal!, body.tenant_id)
        if (body.follows !== '') await find(principal, body.follows)
        const actor = await actorOf(principal!)
        const { title, severity, category, description, contact, follows } = body
        const made = await incidents.open(actor, {
          ...{ tenantId, title, severity, category, description, contact, follows, origin: 'person' },
          ...{ reporter: body.reporter || actor.name, cause: {}, causeKey: '', labelled: null, blast: null },
          ...{ arithmetic: '', suspects: [] },
        })
        return detail(made)
      },
    }),
    defineRoute({
      ...{
        ...shared,
        method: 'GET',
        path: '/api/incidents/:id',
        summary: 'One incident with all that is known of it.',
      },
      ...{ params: idParam, reply: detailReply },
      handle: async ({ principal, params }) => detail((await find(principal, params.id)).incident),
    }),
    verb('ack', 'Somebody has it: nobody else is told.', said, ({ note }) => (incident, turn) => {
      if (life.acknowledge(incident, turn) && note !== '') life.note(incident, turn, note)
    }),
    verb(
      'mitigate',
      'A workaround holds, nobody is hurt any longer.',
      said,
      ({ note }) =>
        (incident, turn) =>
          life.mitigate(incident, turn, note),
    ),
    verb(
      'resolve',
      'All is as it was, and that was verified.',
      said,
      ({ note }) =>
        async (incident, turn, trx) =>
          life.resolve(incident, turn, note, await store.firing(trx, incident.id)),
    ),
    verb(
      'close',
      'Nothing more will come.',
      said,
      ({ note }) =>
        (incident, turn) =>
          life.close(incident, turn, note),
    ),
    verb(
      'reopen',
      'It was not over: the clocks run on.',
      reasoned,
      ({ reason }) =>
        (incident, turn) =>
          life.reopen(incident, turn, reason),
    ),
    verb(
      'pause',
      'It waits for somebody else: its clocks stand still.',
      z.strictObject({ reason: text(1000).min(1, 'Say for whom or what it waits') }),
      ({ reason }) =>
        (incident, turn) =>
          life.pause(incident, turn, reason),
    ),
    verb('resume', 'It waits no longer.', z.strictObject({}), () => (incident, turn) => life.resume(incident, turn)),
    verb(
      'assign',
      "Who works on it; '' for nobody.",
      z.strictObject({ assignee: text(200).default('') }),
      ({ assignee }) =>
        (incident, turn) =>
          life.assign(incident, turn, assignee),
    ),
    verb(
      'notes',
      'Adds to its timeline, which only ever grows.',
      z.strictObject({
        text: text(10_000).min(1),
        is_diagnosis: z.boolean().default(false).describe('What is thought to be the reason.'),
      }),
      ({ text, is_diagnosis }) =>
        (incident, turn) =>
          is_diagnosis ? life.diagnose(incident, turn, text) : life.note(incident, turn, text),
    ),
    verb(
      'severity',
      'Changes the severity: targets are of the new one, from the beginning on.',
      z.strictObject({ severity: z.enum(severities), reason: text(1000).min(1, 'Say why') }),
      ({ severity, reason }) =>
        (incident, turn) =>
          life.setSeverity(incident, turn, severity, reason),
    ),
    defineRoute({
      ...{ ...shared, method: 'POST', path: '/api/incidents/:id/recovery', params: idParam },
      summary: 'Ticks a step of the recovery flow, or takes the tick back.',
      body: z.strictObject({
        step: z.enum(recoverySteps),
        done: z.boolean().default(true),
        note: text(1000).default(''),
      }),
      reply: recoveryReply,
      async handle({ principal, params, body }) {
        const { step, done, note } = body
        const { incident } = await change(principal, params.id, (incident, turn) => {
          incident.lastWordAt = turn.now
          turn.say('recovery', `${step}: ${done ? 'done' : 'not done'}${note === '' ? '' : ` – ${note}`}`, {
            step,
            done,
          })
        })
        return showRecovery(incident, await store.timeline(incident.id, 20_000))
      },
    }),
    defineRoute({
      ...{ ...shared, method: 'PUT', path: '/api/incidents/:id/postmortem', params: idParam, reply: detailReply },
      summary: 'What was learnt; the rest of the postmortem is filled from the timeline.',
      body: z.strictObject({
        root_cause: text(4000),
        impact: text(4000).default(''),
        lessons: text(4000).default(''),
        actions: z.array(text(500).min(1)).max(50).default([]),
      }),
      async handle({ principal, params, body }) {
        const { incident } = await change(principal, params.id, (incident, turn) => {
          const { root_cause: rootCause, impact, lessons, actions } = body
          incident.postmortem = { rootCause, impact, lessons, actions }
          turn.say('postmortem', rootCause)
        })
        return detail(incident)
      },
    }),
    defineRoute({
      ...{ ...shared, method: 'GET', path: '/api/incidents/:id/report', params: idParam },
      summary: 'The report in the template of seed 003, or the postmortem, as Markdown, HTML, CSV, JSON or PDF.',
      query: z.strictObject({
        format: z.enum(reportFormats).default('md'),
        kind: z.enum(['report', 'postmortem']).default('report'),
        language: z.enum(['en', 'zh']).optional().describe('By Accept-Language where it is not said.'),
      }),
      async handle({ principal, params, query, language }) {
        const wish = { ...query, language: query.language ?? language ?? 'zh' }
        const { content, contentType, name } = await reports.write(scopeOf(principal!), params.id, wish)
        return reply(200, content, {
          ...{ 'content-type': contentType, 'cache-control': 'no-store' },
          'content-disposition': `${query.format === 'html' ? 'inline' : 'attachment'}; filename="${name}"`,
          'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'",
        })
      },
    }),
    defineRoute({
      ...{ ...shared, method: 'GET', path: '/api/incidents/:id/timeline', params: idParam },
      summary: 'What happened, line by line, and whether the lines are as they were written.',
      query: z.strictObject({
        after: z.coerce.number().int().min(0).default(0).describe('`seq` of the last line that is known.'),
        limit: z.coerce.number().int().min(1).max(1000).default(200),
      }),
      reply: z.object({
        data: z.array(lineReply),
        chain: z.object({ is_whole: z.boolean(), entries: z.number().int(), head: z.string(), message: z.string() }),
      }),
      async handle({ principal, params, query }) {
        const { incident, head, lines } = await readWhole(
          () => find(principal, params.id),
          () => store.timeline(params.id, 100_000),
        )
        const verdict = verifyTimeline(chain, incident.id, lines, head)
        return {
          data: lines
            .filter(({ seq }) => seq > query.after)
            .slice(0, query.limit)
            .map(showLine),
          chain: {
            ...{ is_whole: verdict.isWhole, entries: verdict.entries, head: verdict.head },
            message: verdict.firstBreak?.message ?? '',
          },
        }
      },
    }),
    ...remedyRoutes({ ...parts, actorOf }),
    ...acknowledgeRoutes(parts),
    ...slaRoutes(parts),
    ...onCallRoutes(parts),
    ...runbookRoutes(),
  ]

  async function tenantOf(principal: Principal, written: string | undefined): Promise<string> {
    if (principal.role !== 'super_admin') {
      if (written !== undefined && readTenantId(written) !== principal.tenantId) throw noTenant()
      return principal.tenantId
    }
    if (written === undefined) return ''
    const found = readTenantId(written) === '' ? '' : await parts.tenantIdOf(written)
    if (found === null) throw noTenant()
    return found
  }
}

function showRecovery(incident: Incident, timeline: Parameters<typeof recoveryOf>[1]) {
  return recoveryOf(incident, timeline).map(({ isDone, at, ...rest }) => ({
    ...rest,
    ...{ is_done: isDone, at: at === null ? null : iso(at) },
  }))
}

function readCursor(cursor: string): { declaredAt: number; id: string } {
  const found = /^(\d{1,16})\.(ALT-[\d-]{1,30})$/.exec(cursor)
  if (found === null) {
    throw fail('invalid_request', 'cursor is none of ours: take it from next_cursor as it is', { param: 'cursor' })
  }
  return { declaredAt: Number(found[1]), id: found[2]! }
}

function noTenant() {
  return fail('not_found', 'there is no such tenant', { param: 'tenant_id' })
}
