import { z } from 'zod'
import { reply } from '../../http/reply.ts'
import { defineRoute, type Route } from '../../http/route.ts'
import { fail } from '../../kernel/errors.ts'
import { type Scope, scopeOf } from '../../kernel/scope.ts'
import type { PostedAlert } from '../alert.ts'
import type { Hooks } from './hooks.ts'
import { type Matcher, type MatcherOp, matchesAll, parseMatchers } from './matchers.ts'
import { never } from './merge.ts'
import { type SilenceRow, stateOf } from './silences.ts'
import { isSuppressed, momentOf, type PipelineView, type Shown, show } from './view.ts'

const words = z.record(z.string(), z.string())
const moment = z.string().max(64)
const postable = z.looseObject({
  labels: words,
  annotations: words.optional(),
  startsAt: moment.optional(),
  endsAt: moment.optional(),
  generatorURL: z.string().max(8192).optional(),
})
const flag = z.enum(['true', 'false']).default('true')
const filter = z.union([z.string(), z.array(z.string()).max(50)]).optional()
const matcher = z.looseObject({
  name: z.string().min(1).max(256),
  value: z.string().max(4096),
  isRegex: z.boolean(),
  isEqual: z.boolean().default(true),
})
const silenceBody = z.looseObject({
  id: z.string().max(64).nullish(),
  matchers: z.array(matcher).min(1).max(50),
  ...{ startsAt: moment, endsAt: moment, createdBy: z.string().max(200), comment: z.string().max(2000) },
})
/** Go's zero time: what was never said. */
const zero = Date.parse('0001-01-01T00:00:00Z')
const mostShown = 20_000

/**
 * Alertmanager's own API, for Prometheus and amtool:
 * https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml
 */
export function v2Routes(view: PipelineView & { hooks: Hooks }): Route[] {
  const { clock, hooks, silences } = view
  const own = { tag: 'alertmanager', access: 'tenant_admin' } as const
  const anything = { reply: z.unknown() }

  async function shown(scope: Scope, filters: readonly Matcher[]): Promise<Shown[]> {
    const [now, all] = await Promise.all([momentOf(view), view.store.listActive(scope, { state: 'firing' }, mostShown)])
    return all.filter(({ labels }) => matchesAll(filters, labels)).map((alert) => show(alert, now))
  }
  const showSilence = (row: SilenceRow) => {
    const state = stateOf(row, clock.now())
    return {
      ...{ id: row.id, status: { state: state === 'waiting' ? 'pending' : state }, comment: row.comment },
      ...{ createdBy: row.author, startsAt: toIso(row.startsAt), endsAt: toIso(Math.min(row.endsAt, farAway)) },
      updatedAt: toIso(row.updatedAt),
      matchers: row.matchers.map(({ name, op, value }) => ({
        ...{ name, value, isRegex: op.endsWith('~'), isEqual: op.startsWith('=') },
      })),
    }
  }

  return [
    defineRoute({
      ...{ tag: 'alertmanager', access: 'public', method: 'POST', path: '/api/v2/alerts', changes: false, status: 200 },
      summary: "Takes alerts as Prometheus sends them: Alertmanager's API.",
      limit: { points: 6000, seconds: 60 },
      body: z.array(postable).max(10_000),
      ...anything,
      handle: async ({ principal, headers, body }) => {
        const tenantId = await hooks.tenantOf(principal, headers)
        const read = body.map((alert) => readPostable(alert, tenantId, clock.now(), view.resolveTimeoutMs))
        const [guessed, named] = [read.filter(({ isGuess }) => isGuess), read.filter(({ isGuess }) => !isGuess)]
        const source = 'alertmanager_v2'
        // What is wrong with some keeps the others from nothing.
        const results = await Promise.allSettled([
          view.take(
            guessed.map(({ alert }) => alert),
            { source, isGuess: true },
          ),
          view.take(
            named.map(({ alert }) => alert),
            { source },
          ),
        ])
        const failed = results.find((result) => result.status === 'rejected')
        if (failed !== undefined) throw failed.reason
        return reply(200, '')
      },
    }),
    defineRoute({
      ...{ ...own, method: 'GET', path: '/api/v2/alerts', ...anything },
      summary: 'What fires, in the shape of Alertmanager.',
      query: z.strictObject({
        ...{ active: flag, silenced: flag, inhibited: flag, unprocessed: flag, muted: flag, filter },
        receiver: z.string().max(200).optional(),
      }),
      handle: async ({ principal, query }) => {
        const found = await shown(scopeOf(principal!), readFilter(query.filter))
        const isReceiver = query.receiver === undefined ? () => true : receiverTest(query.receiver)
        return found
          .filter(
            (each) =>
              (query.silenced === 'true' || each.silencedBy.length === 0) &&
              (query.inhibited === 'true' || each.inhibitedBy === '') &&
              (query.active === 'true' || isSuppressed(each)) &&
              each.receivers.some(({ receiver }) => isReceiver(receiver)),
          )
          .map(gettable)
      },
    }),
    defineRoute({
      ...{ ...own, method: 'GET', path: '/api/v2/alerts/groups', ...anything },
      summary: 'What fires, by receiver and group.',
      query: z.strictObject({
        ...{ active: flag, silenced: flag, inhibited: flag, muted: flag, filter },
        receiver: z.string().max(200).optional(),
      }),
      handle: async ({ principal, query }) => {
        const groups = new Map<
          string,
          { labels: Record<string, string>; receiver: { name: string }; alerts: unknown[] }
        >()
        const moment = await momentOf(view)
        const isReceiver = query.receiver === undefined ? () => true : receiverTest(query.receiver)
        for (const each of await shown(scopeOf(principal!), readFilter(query.filter))) {
          for (const { node } of moment.routing.find(each.alert.labels)) {
            if (!isReceiver(node.receiver)) continue
            const wanted = node.groupBy ?? Object.keys(each.alert.labels)
            const labels = Object.fromEntries(
              wanted.flatMap((name) => (each.alert.labels[name] ? [[name, each.alert.labels[name]]] : [])),
            )
            const key = JSON.stringify([node.receiver, node.key, labels])
            const group = groups.get(key) ?? { labels, receiver: { name: node.receiver }, alerts: [] }
            group.alerts.push(gettable(each))
            groups.set(key, group)
          }
        }
        return [...groups.values()]
      },
    }),
    defineRoute({
      ...{ ...own, method: 'GET', path: '/api/v2/receivers', ...anything, summary: 'Receivers that routes name.' },
      handle: async () => (await view.routing.compiled()).receivers.map((name) => ({ name })),
    }),
    defineRoute({
      ...{ ...own, access: 'super_admin', method: 'GET', path: '/api/v2/status', ...anything },
      summary: 'The version and the routing that holds.',
      handle: async () => {
        const [{ settings }, { receivers }] = await Promise.all([view.routing.current(), view.routing.compiled()])
        // amtool reads it as a whole configuration, and misses receivers that routes name.
        const original = { ...settings, receivers: receivers.map((name) => ({ name })) }
        const version = { version: view.version, revision: '', branch: '', buildUser: '', buildDate: '', goVersion: '' }
        return {
          cluster: { status: 'disabled', peers: [], name: '' },
          versionInfo: version,
          config: { original: JSON.stringify(original, null, 2) },
          uptime: toIso(view.startedAt),
        }
      },
    }),
    defineRoute({
      ...{ ...own, method: 'GET', path: '/api/v2/silences', ...anything, query: z.strictObject({ filter }) },
      summary: 'Silences, in the shape of Alertmanager.',
      handle: async ({ principal, query }) => {
        const filters = readFilter(query.filter)
        const rows = await view.store.listSilences(scopeOf(principal!), 5000)
        return rows
          .filter((row) =>
            matchesAll(filters, Object.fromEntries(row.matchers.map(({ name, value }) => [name, value]))),
          )
          .map(showSilence)
      },
    }),
    defineRoute({
      ...{ ...own, method: 'POST', path: '/api/v2/silences', body: silenceBody, ...anything, action: 'silence.create' },
      summary: 'Makes or changes a silence.',
      handle: async ({ principal, body }) => {
        const wish = {
          matchers: body.matchers.map(({ name, value, isRegex, isEqual }) => {
            const op: MatcherOp = isRegex ? (isEqual ? '=~' : '!~') : isEqual ? '=' : '!='
            return { name, op, value }
          }),
          startsAt: Math.max(readTime(body.startsAt, 'startsAt'), body.id ? 0 : clock.now()),
          ...{ endsAt: readTime(body.endsAt, 'endsAt'), recurrence: null },
          ...{ author: body.createdBy === '' ? principal!.id : body.createdBy, comment: body.comment },
        }
        const made = body.id
          ? await silences.change(scopeOf(principal!), body.id, wish)
          : await silences.create(principal!.tenantId, wish)
        return { silenceID: made.id }
      },
    }),
    defineRoute({
      ...{
        ...own,
        method: 'GET',
        path: '/api/v2/silence/:id',
        ...anything,
        params: z.object({ id: z.string().max(64) }),
      },
      summary: 'One silence.',
      handle: async ({ principal, params }) => showSilence(await silences.get(scopeOf(principal!), params.id)),
    }),
    defineRoute({
      ...{ ...own, method: 'DELETE', path: '/api/v2/silence/:id', params: z.object({ id: z.string().max(64) }) },
      ...{ ...anything, summary: 'Ends a silence now.', status: 200 },
      handle: async ({ principal, params }) => {
        await silences.expire(scopeOf(principal!), params.id)
        return reply(200, '')
      },
    }),
  ]
}

/** The last moment that Go's programs write in four digits. */
const farAway = Date.parse('9999-12-31T23:59:59Z')

function readPostable(
  { labels, annotations = {}, startsAt, endsAt, generatorURL = '' }: z.infer<typeof postable>,
  tenantId: string,
  now: number,
  resolveTimeoutMs: number,
): { alert: PostedAlert; isGuess: boolean } {
  const end = readOptional(endsAt)
  const isOver = end !== null && end <= now
  const start = readOptional(startsAt) ?? (isOver ? end : now)
  return {
    isGuess: end === null,
    alert: {
      ...{ labels, annotations, generatorUrl: generatorURL, tenantId, startsAt: start },
      endsAt: isOver ? end : null,
      expiresAt: isOver ? null : (end ?? now + resolveTimeoutMs),
    },
  }
}

function readOptional(text: string | undefined): number | null {
  if (text === undefined || text === '') return null
  const at = Date.parse(text)
  // What is no time at all is refused with the alert it belongs to.
  return at === zero ? null : Number.isNaN(at) ? Number.NaN : at
}

function readTime(text: string, param: string): number {
  const at = Date.parse(text)
  if (Number.isFinite(at) && at < never) return at
  throw fail('invalid_request', `${param} is no time: write it as RFC 3339 has it`, { param })
}

function readFilter(written: string | string[] | undefined): Matcher[] {
  if (written === undefined) return []
  return (typeof written === 'string' ? [written] : written).flatMap(parseMatchers)
}

function receiverTest(pattern: string): (receiver: string) => boolean {
  const [test] = parseMatchers(`r=~${JSON.stringify(pattern)}`)
  return (receiver) => test!.matches({ r: receiver })
}

function gettable(shown: Shown) {
  const { alert, receivers, silencedBy, inhibitedBy } = shown
  return {
    ...{ labels: alert.labels, annotations: alert.annotations, fingerprint: alert.fingerprint },
    ...{ startsAt: toIso(alert.startsAt), endsAt: toIso(Math.min(alert.endsAt, farAway)) },
    ...{ updatedAt: toIso(alert.updatedAt), generatorURL: alert.generatorUrl },
    receivers: receivers.map(({ receiver }) => ({ name: receiver })),
    status: {
      state: isSuppressed(shown) ? 'suppressed' : 'active',
      ...{ silencedBy, inhibitedBy: inhibitedBy === '' ? [] : [inhibitedBy] },
      mutedBy: receivers.flatMap(({ mutedBy }) => (mutedBy === null ? [] : [mutedBy])),
    },
  }
}

function toIso(at: number): string {
  return new Date(at).toISOString()
}
