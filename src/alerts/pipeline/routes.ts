import { z } from 'zod'
import { defineRoute, type Route } from '../../http/route.ts'
import { fail } from '../../kernel/errors.ts'
import { toPage } from '../../kernel/page.ts'
import { scopeOf, showTenantId } from '../../kernel/scope.ts'
import { inhibitionSchema } from './inhibition.ts'
import { matcherOps, parseMatchers, showMatcher } from './matchers.ts'
import { never } from './merge.ts'
import { compileRouting, routingSchema } from './routing.ts'
import type { SilenceWish } from './silence-book.ts'
import { type SilenceRow, stateOf } from './silences.ts'
import { namedIntervalsSchema } from './time-intervals.ts'
import { isSuppressed, listAlerts, momentOf, type PipelineView, type Shown, show, tryRouting } from './view.ts'

const time = z.string().describe('ISO 8601, UTC')
const labels = z.record(z.string(), z.string())
const page = {
  limit: z.coerce.number().int().min(1).max(500).default(100),
  cursor: z.string().max(100).optional(),
}
const alertReply = z.object({
  ...{ fingerprint: z.string(), state: z.enum(['firing', 'suppressed', 'resolved']), tenant_id: z.string() },
  ...{ labels, annotations: labels, starts_at: time, ends_at: time.nullable() },
  expires_at: time.nullable().describe('When it is over unless it is said again.'),
  generator_url: z.string(),
  silenced_by: z.array(z.string()).describe('Ids of silences.'),
  inhibited_by: z.string().nullable().describe('Fingerprint of the alert that hides it.'),
  receivers: z.array(
    z.object({ receiver: z.string(), route: z.string(), group_key: z.string(), muted_by: z.string().nullable() }),
  ),
})
const routingReply = z.object({
  source: z.enum(['file', 'stored']),
  updated_by: z.string(),
  updated_at: time.nullable(),
  route: z.unknown(),
  inhibit_rules: z.array(inhibitionSchema),
  time_intervals: z.array(namedIntervalsSchema),
})
const wayReply = z.object({
  ...{ receiver: z.string(), route: z.string(), group_key: z.string(), group_labels: labels },
  path: z.array(z.object({ route: z.string(), matchers: z.string(), continue: z.boolean() })),
  ...{ group_wait_seconds: z.number(), group_interval_seconds: z.number(), repeat_interval_seconds: z.number() },
  muted_by: z.string().nullable(),
})
const matcherSchema = z.union([
  z.string().min(1).max(2000).describe('As team="a" or env=~"p.*"'),
  z.strictObject({ name: z.string().min(1).max(256), op: z.enum(matcherOps), value: z.string().max(4096) }),
])
const moment = z.union([z.string().max(40), z.number().int()]).describe('ISO 8601 or epoch ms')
const recurrence = z.strictObject({
  cron: z.string().min(1).max(100).describe('When it begins, as 0 2 * * sat'),
  zone: z.string().max(64).default('UTC'),
  minutes: z
    .int()
    .min(1)
    .max(7 * 1440),
})
const silenceWish = z.strictObject({
  matchers: z.array(matcherSchema).min(1).max(50),
  starts_at: moment.optional().describe('Now, unless said.'),
  ends_at: moment.optional().describe('Needed, unless it comes again and again.'),
  recurrence: recurrence.nullish().describe('It holds from each of these times for so many minutes.'),
  comment: z.string().min(1).max(2000),
})
const silenceReply = z.object({
  ...{ id: z.string(), state: z.enum(['pending', 'active', 'waiting', 'expired']), tenant_id: z.string() },
  matchers: z.array(z.string()),
  ...{ starts_at: time, ends_at: time.nullable(), recurrence: recurrence.nullable() },
  ...{ author: z.string(), comment: z.string(), created_at: time, updated_at: time },
})
const previewAlert = z.object({ fingerprint: z.string(), labels, starts_at: time, ends_at: time.nullable() })
const dayMs = 86_400_000
const byId = z.object({ id: z.string().max(64) })

/** `/api/alerts`, `/api/alerts/routing` and `/api/silences`: for administrators, each for what is theirs. */
export function pipelineRoutes(view: PipelineView): Route[] {
  const { silences, routing, clock } = view
  const own = { tag: 'alerts', access: 'tenant_admin' } as const
  const hub = { tag: 'alerts', access: 'super_admin' } as const
  const showSilence = (row: SilenceRow) => ({
    ...{ id: row.id, state: stateOf(row, clock.now()), tenant_id: showTenantId(row.tenantId) },
    matchers: row.matchers.map(showMatcher),
    ...{ starts_at: toIso(row.startsAt), ends_at: row.endsAt >= never ? null : toIso(row.endsAt) },
    ...{ recurrence: row.recurrence, author: row.author, comment: row.comment },
    ...{ created_at: toIso(row.createdAt), updated_at: toIso(row.updatedAt) },
  })
  function readWish(body: z.infer<typeof silenceWish>, author: string, before?: SilenceRow): SilenceWish {
    const startsAt =
      body.starts_at === undefined ? (before?.startsAt ?? clock.now()) : readMoment(body.starts_at, 'starts_at')
    if (body.ends_at === undefined && body.recurrence == null) {
      throw fail('invalid_request', 'say when the silence ends', { param: 'ends_at' })
    }
    return {
      matchers: readMatchers(body.matchers),
      ...{ startsAt, endsAt: body.ends_at === undefined ? never : readMoment(body.ends_at, 'ends_at') },
      ...{ recurrence: body.recurrence ?? null, author, comment: body.comment },
    }
  }
  const showRouting = async () => {
    const { settings, source, by, at } = await routing.current()
    return { source, updated_by: by, updated_at: at === null ? null : toIso(at), ...settings }
  }

  return [
    defineRoute({
      ...{ ...own, method: 'GET', path: '/api/alerts' },
      summary: 'What fires, or what fired and is over: who is told of it, and what keeps anybody from being told.',
      query: z.strictObject({
        ...page,
        state: z.enum(['firing', 'suppressed', 'resolved']).default('firing'),
        severity: z.string().max(50).optional(),
        filter: z.string().max(4000).optional().describe('Matchers, as {team="a",env=~"p.*"}'),
        receiver: z.string().max(100).optional(),
      }),
      reply: z.object({ data: z.array(alertReply), next_cursor: z.string().nullable() }),
      handle: async ({ principal, query }) => {
        const { state, severity, receiver, limit, cursor } = query
        const matchers = query.filter === undefined ? [] : parseMatchers(query.filter)
        const found = await listAlerts(
          view,
          scopeOf(principal!),
          { state, severity, receiver, matchers },
          limit,
          cursor,
        )
        return { data: found.data.map(showAlert), next_cursor: found.next }
      },
    }),
    defineRoute({
      ...{ ...own, method: 'GET', path: '/api/alerts/active/:fingerprint', reply: alertReply },
      summary: 'One alert that is active.',
      params: z.object({ fingerprint: z.string().max(32) }),
      handle: async ({ principal, params }) => {
        const found = await view.store.findActive(scopeOf(principal!), params.fingerprint)
        if (found === null) throw fail('not_found', 'no alert of that fingerprint is active', { param: 'fingerprint' })
        return showAlert(show(found, await momentOf(view)))
      },
    }),
    defineRoute({
      ...{ ...hub, method: 'GET', path: '/api/alerts/routing', reply: routingReply },
      summary: 'The routing that holds, and where it comes from.',
      handle: showRouting,
    }),
    defineRoute({
      ...{ ...hub, method: 'PUT', path: '/api/alerts/routing', body: routingSchema, reply: routingReply },
      summary: 'Stores a routing; it holds within a second, in the place of the one in the file.',
      handle: async ({ principal, body }) => {
        await routing.write(body, principal!.id)
        return showRouting()
      },
    }),
    defineRoute({
      ...{ ...hub, method: 'DELETE', path: '/api/alerts/routing' },
      summary: 'Takes the stored routing away: the one in the file holds again.',
      handle: () => routing.reset(),
    }),
    defineRoute({
      ...{ ...hub, method: 'POST', path: '/api/alerts/routing/validate', changes: false },
      summary: 'Whether a routing can be stored; nothing is.',
      body: z.looseObject({}),
      reply: z.object({ valid: z.boolean(), errors: z.array(z.string()), receivers: z.array(z.string()) }),
      handle: async ({ body }) => {
        try {
          const { routing: compiled } = await routing.check(body)
          return { valid: true, errors: [], receivers: compiled.receivers }
        } catch (error) {
          return { valid: false, errors: [error instanceof Error ? error.message : String(error)], receivers: [] }
        }
      },
    }),
    defineRoute({
      ...{ ...hub, method: 'POST', path: '/api/alerts/routing/try', changes: false },
      summary: 'Who would be told of an alert with these labels, and why: the way through the tree.',
      body: z.strictObject({
        labels,
        routing: routingSchema.optional().describe('The one that holds, unless another is to be tried.'),
        at: moment.optional(),
      }),
      reply: z.object({ data: z.array(wayReply) }),
      handle: async ({ body }) => {
        const tried = body.routing === undefined ? await routing.compiled() : compileRouting(body.routing)
        const at = body.at === undefined ? clock.now() : readMoment(body.at, 'at')
        return { data: tryRouting(tried, body.labels, body.labels.tenant_id ?? '', at) }
      },
    }),
    defineRoute({
      ...{ ...own, method: 'GET', path: '/api/silences', summary: 'Silences, newest first; those that are over too.' },
      query: z.strictObject(page),
      reply: z.object({ data: z.array(silenceReply), next_cursor: z.string().nullable() }),
      handle: async ({ principal, query }) => {
        const rows = await view.store.listSilences(scopeOf(principal!), query.limit + 1, query.cursor)
        const found = toPage(rows, query.limit, ({ id }) => id)
        return { ...found, data: found.data.map(showSilence) }
      },
    }),
    defineRoute({
      ...{ ...own, method: 'POST', path: '/api/silences', status: 201, body: silenceWish, reply: silenceReply },
      summary: 'Hides what matches: it is tracked as before, and nobody is told. A tenant silences what is its own.',
      handle: async ({ principal, body }) =>
        showSilence(await silences.create(principal!.tenantId, readWish(body, principal!.id))),
    }),
    defineRoute({
      ...{ ...own, method: 'POST', path: '/api/silences/preview', changes: false },
      summary: 'What a silence would hide: of what fires now, and of what fired in the last 24 hours.',
      body: z.strictObject({ matchers: z.array(matcherSchema).min(1).max(50) }),
      reply: z.object({
        now: z.object({ count: z.number(), alerts: z.array(previewAlert) }),
        last_day: z.object({ firings: z.number(), ended: z.array(previewAlert) }),
      }),
      handle: async ({ principal, body }) => {
        const scope = scopeOf(principal!)
        const since = clock.now() - dayMs
        const found = await silences.preview(scope, principal!.tenantId, readMatchers(body.matchers), since)
        const some = (alerts: typeof found.now) =>
          alerts.slice(0, 100).map(({ fingerprint, labels: words, startsAt, endsAt }) => ({
            ...{
              fingerprint,
              labels: words,
              starts_at: toIso(startsAt),
              ends_at: endsAt === null ? null : toIso(endsAt),
            },
          }))
        return {
          now: { count: found.now.length, alerts: some(found.now) },
          last_day: { firings: found.firings, ended: some(found.ended) },
        }
      },
    }),
    defineRoute({
      ...{
        ...own,
        method: 'GET',
        path: '/api/silences/:id',
        summary: 'One silence.',
        params: byId,
        reply: silenceReply,
      },
      handle: async ({ principal, params }) => showSilence(await silences.get(scopeOf(principal!), params.id)),
    }),
    defineRoute({
      ...{ ...own, method: 'PUT', path: '/api/silences/:id', params: byId, body: silenceWish, reply: silenceReply },
      summary: 'Changes a silence; other matchers make a new one and end this, so that what hid what stays true.',
      handle: async ({ principal, params, body }) => {
        const scope = scopeOf(principal!)
        const before = await silences.get(scope, params.id)
        return showSilence(await silences.change(scope, params.id, readWish(body, principal!.id, before)))
      },
    }),
    defineRoute({
      ...{ ...own, method: 'POST', path: '/api/silences/:id/expire', params: byId, reply: silenceReply },
      summary: 'Ends a silence now.',
      handle: async ({ principal, params }) => showSilence(await silences.expire(scopeOf(principal!), params.id)),
    }),
    defineRoute({
      ...{ ...own, method: 'DELETE', path: '/api/silences/:id', params: byId, summary: 'Ends a silence now.' },
      handle: async ({ principal, params }) => {
        await silences.expire(scopeOf(principal!), params.id)
      },
    }),
  ]
}

function showAlert(shown: Shown): z.infer<typeof alertReply> {
  const { alert, isFiring, silencedBy, inhibitedBy, receivers } = shown
  return {
    fingerprint: alert.fingerprint,
    state: !isFiring ? 'resolved' : isSuppressed(shown) ? 'suppressed' : 'firing',
    tenant_id: showTenantId(alert.tenantId),
    ...{ labels: { ...alert.labels }, annotations: { ...alert.annotations }, starts_at: toIso(alert.startsAt) },
    ends_at: isFiring ? null : toIso(alert.endsAt),
    expires_at: isFiring && alert.endsAt < never ? toIso(alert.endsAt) : null,
    ...{ generator_url: alert.generatorUrl, silenced_by: silencedBy },
    inhibited_by: inhibitedBy === '' ? null : inhibitedBy,
    receivers: receivers.map(({ receiver, route, groupKey, mutedBy }) => ({
      ...{ receiver, route, group_key: groupKey, muted_by: mutedBy },
    })),
  }
}

function readMatchers(written: readonly z.infer<typeof matcherSchema>[]) {
  return written.flatMap((each) =>
    typeof each === 'string' ? parseMatchers(each).map(({ name, op, value }) => ({ name, op, value })) : [each],
  )
}

function readMoment(written: string | number, param: string): number {
  const at = typeof written === 'number' ? written : /^\d{9,}$/.test(written) ? Number(written) : Date.parse(written)
  if (Number.isFinite(at) && at >= 0 && at < never) return at
  throw fail('invalid_request', `${param} is no time: write ISO 8601 or epoch milliseconds`, { param })
}

function toIso(at: number): string {
  return new Date(at).toISOString()
}
