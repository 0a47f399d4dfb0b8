import { z } from 'zod'
import { defineRoute, type Route } from '../../http/route.ts'
import { scopeOf, showTenantId } from '../../kernel/scope.ts'
import type { PostedAlert } from '../alert.ts'
import { kumaBody, readKuma, readWebhook, webhookBody } from './hook-bodies.ts'
import type { Hooks } from './hooks.ts'
import type { HookRow } from './store.ts'
import type { PipelineView } from './view.ts'

const hookReply = z.object({
  ...{ id: z.string(), tenant_id: z.string(), name: z.string(), last_four: z.string(), created_by: z.string() },
  created_at: z.string(),
})
const taken = z.object({ received: z.number().int() })

/** Where others post alerts in their own words, and the tokens they do it with. */
export function hookRoutes(view: PipelineView & { hooks: Hooks }): Route[] {
  const { hooks, clock } = view
  const own = { tag: 'alerts', access: 'tenant_admin' } as const

  /** The same address with the token behind it, for senders that know nothing but an address. */
  function receiver<B extends z.ZodType>(
    name: string,
    summary: string,
    body: B,
    read: (body: z.infer<B>, tenantId: string, now: number) => PostedAlert[],
  ): Route[] {
    return [`/api/hooks/${name}`, `/api/hooks/${name}/:token`].map((path) =>
      defineRoute({
        ...{ tag: 'alerts', access: 'public', method: 'POST', path, summary, body, reply: taken, changes: false },
        ...(path.endsWith(':token') ? { params: z.object({ token: z.string().min(1).max(200) }) } : {}),
        limit: { points: 6000, seconds: 60 },
        handle: async ({ principal, headers, body: said, params }) => {
          const inPath = (params as { token?: string } | undefined)?.token ?? ''
          const tenantId = await hooks.tenantOf(principal, headers, inPath)
          const alerts = read(said as z.infer<B>, tenantId, clock.now())
          await view.take(alerts, { source: name })
          return { received: alerts.length }
        },
      }),
    )
  }

  return [
    ...receiver('alertmanager', "Takes Alertmanager's webhook, version 4.", webhookBody, readWebhook),
    ...receiver('grafana', "Takes the webhook of Grafana's alerting.", webhookBody, (body, tenantId, now) =>
      readWebhook(body, tenantId, now).map((alert) => ({ ...alert, labels: { source: 'grafana', ...alert.labels } })),
    ),
    ...receiver('uptime-kuma', "Takes Uptime Kuma's webhook, as JSON.", kumaBody, readKuma),
    defineRoute({
      ...{ ...own, method: 'GET', path: '/api/alert-hooks', summary: 'Tokens of those who post alerts from outside.' },
      reply: z.object({ data: z.array(hookReply) }),
      handle: async ({ principal }) => ({ data: (await hooks.list(scopeOf(principal!))).map(show) }),
    }),
    defineRoute({
      ...{ ...own, method: 'POST', path: '/api/alert-hooks', status: 201 },
      summary: 'A token for posting alerts, told this once; what comes with it belongs to your tenant.',
      body: z.strictObject({ name: z.string().min(1).max(100) }),
      reply: hookReply.extend({ token: z.string() }),
      handle: async ({ principal, body }) => {
        const { row, token } = await hooks.create(principal!.tenantId, body.name, principal!.id)
        return { ...show(row), token }
      },
    }),
    defineRoute({
      ...{ ...own, method: 'DELETE', path: '/api/alert-hooks/:id', params: z.object({ id: z.string().max(64) }) },
      summary: 'The token is no longer known.',
      handle: ({ principal, params }) => hooks.delete(scopeOf(principal!), params.id),
    }),
  ]
}

function show(row: HookRow) {
  return {
    ...{ id: row.id, tenant_id: showTenantId(row.tenant_id), name: row.name, last_four: row.last_four },
    ...{ created_by: row.created_by, created_at: new Date(row.created_at).toISOString() },
  }
}
