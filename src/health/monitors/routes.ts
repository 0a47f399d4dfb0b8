import { z } from 'zod'
import { reply } from '../../http/reply.ts'
import { defineRoute, type Route } from '../../http/route.ts'
import { fail } from '../../kernel/errors.ts'
import type { Principal } from '../../kernel/principal.ts'
import { scopeOf, tenantWrittenFor } from '../../kernel/scope.ts'
import { checksToHealthJson, healthJsonType } from '../health-json.ts'
import { probes } from '../probes/index.ts'
import type { Finding } from '../probes/probe.ts'
import type { History } from './history.ts'
import type { Monitors } from './monitors.ts'
import type { PushWish } from './pushes.ts'
import {
  historyQuery,
  historyReply,
  levels,
  type Monitor,
  monitorCreate,
  monitorPatch,
  monitorReply,
  testReply,
} from './schema.ts'
import { showMonitor } from './show.ts'
import type { ResultRow } from './store.ts'
import { describeSum, hourMs } from './sums.ts'

const byId = z.object({ id: z.string().max(64) })
const page = z.object({
  limit: z.coerce.number().int().min(1).max(200).default(50),
  cursor: z.string().max(64).optional(),
})

export type ChecksView = {
  monitors: Monitors
  test(monitor: Monitor): Promise<{ finding: Finding; latencyMs: number }>
  history(checkId: string, from: number, to: number): Promise<History>
  results(checkId: string, from: number, to: number, limit: number): Promise<ResultRow[]>
  push(token: string, wish: PushWish): Promise<boolean>
  /** The id of a tenant written as id or name; null when there is none. */
  tenantIdOf(written: string): Promise<string | null>
  now(): number
  spend(): Promise<{ canaryNanoUsd: number; limitNanoUsd: number }>
}

const listSummary = `Configured checks and how they stand, newest first; this one and the next also as ${healthJsonType} when Accept asks for it.`

function asHealthJson(checks: readonly ReturnType<typeof showMonitor>[]) {
  const { status, body } = checksToHealthJson(checks)
  return reply(status, body, { 'cache-control': 'no-store', 'content-type': healthJsonType })
}

/** `/api/checks`: a super_admin's for all tenants, a tenant_admin's for its own; `/api/push`: whoever has a token. */
export function checksRoutes(view: ChecksView): Route[] {
  const { monitors } = view
  const own = { tag: 'checks', access: 'tenant_admin' } as const

  const tenantFor = (principal: Principal, written: string | undefined) =>
    tenantWrittenFor(principal, written, view.tenantIdOf)

  return [
    defineRoute({
      ...{ ...own, method: 'GET', path: '/api/checks', summary: listSummary },
      query: page,
      reply: z.object({ data: z.array(monitorReply), next_cursor: z.string().nullable() }),
      handle: async ({ principal, query, accept }) => {
        const found = await monitors.list(scopeOf(principal!), query.limit, query.cursor)
        const data = found.data.map(showMonitor)
        return accept.includes(healthJsonType) ? asHealthJson(data) : { ...found, data }
      },
    }),
    defineRoute({
      ...{ ...own, method: 'POST', path: '/api/checks', status: 201 },
      summary: 'Configures a check; of a push check the address to call is told this once.',
      body: monitorCreate,
      reply: monitorReply.extend({ push_path: z.string().optional() }),
      handle: async ({ principal, body }) => {
        const { view: made, pushToken } = await monitors.create(await tenantFor(principal!, body.tenant_id), body)
        return { ...showMonitor(made), ...(pushToken === null ? {} : { push_path: `/api/push/${pushToken}` }) }
      },
    }),
    defineRoute({
      ...{ ...own, method: 'GET', path: '/api/checks/:id', summary: 'One check.', params: byId, reply: monitorReply },
      handle: async ({ principal, params, accept }) => {
        const told = showMonitor(await monitors.get(scopeOf(principal!), params.id))
        return accept.includes(healthJsonType) ? asHealthJson([told]) : told
      },
    }),
    defineRoute({
      ...{ ...own, method: 'PATCH', path: '/api/checks/:id', params: byId, body: monitorPatch, reply: monitorReply },
      summary: 'Changes a check; parameters are replaced whole, masked secrets stay.',
      handle: async ({ principal, params, body }) =>
        showMonitor(await monitors.patch(scopeOf(principal!), params.id, body)),
    }),
    defineRoute({
      ...{
        ...own,
        method: 'DELETE',
        path: '/api/checks/:id',
        params: byId,
        summary: 'Removes a check with its history.',
      },
      handle: ({ principal, params }) => monitors.delete(scopeOf(principal!), params.id),
    }),
    defineRoute({
      ...{ ...own, method: 'POST', path: '/api/checks/:id/pause', params: byId, reply: monitorReply },
      summary: 'Stops asking, or goes on with `{"paused": false}`.',
      body: z.strictObject({ paused: z.boolean().default(true) }),
      handle: async ({ principal, params, body }) =>
        showMonitor(await monitors.patch(scopeOf(principal!), params.id, { enabled: !body.paused })),
    }),
    defineRoute({
      ...{ ...own, method: 'POST', path: '/api/checks/:id/test', params: byId, reply: testReply, changes: false },
      summary: 'Asks once, now, and tells what came; nothing is counted.',
      limit: { points: 60, seconds: 60 },
      handle: async ({ principal, params }) => {
        const { monitor } = await monitors.get(scopeOf(principal!), params.id)
        const { finding, latencyMs } = await view.test(monitor)
        const { outcome, reason, message, observed } = finding
        return { outcome, reason, message, observed, latency_ms: finding.latencyMs ?? latencyMs }
      },
    }),
    defineRoute({
      ...{ ...own, method: 'POST', path: '/api/checks/:id/push-token', params: byId },
      summary: 'A new push address; the old one is no longer known.',
      reply: z.object({ push_path: z.string() }),
      handle: async ({ principal, params }) => ({
        push_path: `/api/push/${await monitors.renewPushToken(scopeOf(principal!), params.id)}`,
      }),
    }),
    defineRoute({
      ...{
        ...own,
        method: 'GET',
        path: '/api/checks/:id/history',
        params: byId,
        query: historyQuery,
        reply: historyReply,
      },
      summary: 'Uptime and response times, by minute or hour, and the newest single results.',
      handle: async ({ principal, params, query }) => {
        const { monitor } = await monitors.get(scopeOf(principal!), params.id)
        const to = readMoment(query.to, 'to') ?? Math.ceil((view.now() + 1) / hourMs) * hourMs
        const from = readMoment(query.from, 'from') ?? to - 86_400_000
        if (from >= to) throw fail('invalid_request', 'from must be before to', { param: 'from' })
        if (to - from > 800 * 86_400_000) throw fail('invalid_request', 'at most 800 days at a time', { param: 'from' })
        const [found, results] = await Promise.all([
          view.history(monitor.id, from, to),
          view.results(monitor.id, from, to, query.limit),
        ])
        return {
          ...{ from: new Date(from).toISOString(), to: new Date(to).toISOString(), grain: found.grain },
          total: describeSum(found.total),
          points: found.points.map(({ at, sum }) => ({ at: new Date(at).toISOString(), ...describeSum(sum) })),
          results: results.map((row) => ({
            ...{ at: new Date(row.at).toISOString(), state: row.state, in_maintenance: row.in_maintenance === 1 },
            ...{ latency_ms: row.latency_ms, reason: row.reason, message: row.message },
          })),
        }
      },
    }),
    defineRoute({
      ...{
        ...own,
        method: 'GET',
        path: '/api/check-types',
        summary: 'The kinds of checks, their parameters as JSON Schema.',
      },
      reply: z.object({
        levels: z.array(z.enum(levels)),
        data: z.array(
          z.object({
            type: z.string(),
            description: z.object({ en: z.string(), zh: z.string() }),
            secrets: z.array(z.string()),
            parameters: z.record(z.string(), z.unknown()),
          }),
        ),
      }),
      handle: ({ principal }) => ({
        levels: [...levels],
        data: probes
          .filter(({ isHubOnly }) => !isHubOnly || principal!.role === 'super_admin')
          .map(({ type, describe, secrets, parameters }) => ({
            ...{ type, description: describe, secrets: [...secrets] },
            parameters: z.toJSONSchema(parameters, { io: 'input', unrepresentable: 'any' }) as Record<string, unknown>,
          })),
      }),
    }),
    defineRoute({
      ...{ tag: 'checks', access: 'super_admin', method: 'GET', path: '/api/check-spend' },
      summary: 'What checks of providers have cost today, and what they may.',
      reply: z.object({ day: z.string(), spent_usd: z.string(), limit_usd: z.string() }),
      handle: async () => {
        const { canaryNanoUsd, limitNanoUsd } = await view.spend()
        return {
          day: new Date(view.now()).toISOString().slice(0, 10),
          spent_usd: toUsd(canaryNanoUsd),
          limit_usd: toUsd(limitNanoUsd),
        }
      },
    }),
    ...(['GET', 'POST'] as const).map((method) =>
      defineRoute({
        ...{ tag: 'checks', access: 'public', method, path: '/api/push/:token', changes: false },
        summary: "A job calls in: Uptime Kuma's address, ?status=up|down&msg=…&ping=<ms>.",
        params: z.object({ token: z.string().min(1).max(200) }),
        query: z.looseObject({
          status: z.string().max(20).default('up'),
          msg: z.string().max(2000).default('OK'),
          ping: z.string().max(20).default(''),
        }),
        limit: { points: 1200, seconds: 60 },
        reply: z.object({ ok: z.boolean(), msg: z.string().optional() }),
        handle: async ({ params, query }) =>
          (await view.push(params.token, query))
            ? { ok: true }
            : reply(404, { ok: false, msg: 'Monitor not found or not active.' }),
      }),
    ),
  ]
}

function readMoment(text: string | undefined, param: string): number | null {
  if (text === undefined) return null
  const at = /^\d{9,}$/.test(text) ? Number(text) : Date.parse(text)
  if (Number.isFinite(at)) return at
  throw fail('invalid_request', `${param} is no time: write ISO 8601 or epoch milliseconds`, { param })
}

function toUsd(nanoUsd: number): string {
  return (nanoUsd / 1e9).toFixed(9).replace(/\.?0+$/, '') || '0'
}
