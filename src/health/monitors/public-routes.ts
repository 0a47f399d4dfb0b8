import { z } from 'zod'
import { reply } from '../../http/reply.ts'
import { defineRoute, type Route } from '../../http/route.ts'
import { fail } from '../../kernel/errors.ts'
import { monitorStates } from './judge.ts'
import { levels } from './schema.ts'
import { colourOf, colourOfUptime, type PublicOverview, percent, renderBadge, renderStatusPage } from './status-page.ts'

const share = z.number().nullable()
const overviewReply = z.object({
  status: z.enum(['operational', 'degraded', 'outage', 'maintenance', 'unknown']),
  at: z.string(),
  checks: z.array(
    z.object({
      ...{ id: z.string(), name: z.string(), level: z.enum(levels), state: z.enum(monitorStates) },
      ...{ uptime_day: share, uptime_month: share, state_since: z.string().nullable() },
    }),
  ),
})

const cached = { 'cache-control': 'public, max-age=30' }
const svg = { ...cached, 'content-type': 'image/svg+xml; charset=utf-8' }

/** What anybody may read: checks that are marked public, by name, state and uptime. */
export function statusRoutes(view: { overview(): Promise<PublicOverview>; title: string }): Route[] {
  const open = { tag: 'status', access: 'public', method: 'GET', limit: { points: 600, seconds: 60 } } as const
  const badge = async (id: string) => {
    const found = (await view.overview()).checks.find((each) => each.id === id)
    if (found === undefined) throw fail('not_found', 'there is no public check of that id', { param: 'id' })
    return found
  }
  const byId = z.object({ id: z.string().max(64) })
  return [
    defineRoute({
      ...{ ...open, path: '/status', summary: 'The public status page, in English or Chinese by Accept-Language.' },
      handle: async ({ language }) =>
        reply(200, renderStatusPage(await view.overview(), language ?? 'en', view.title), {
          ...{ ...cached, 'content-type': 'text/html; charset=utf-8', vary: 'accept-language' },
          'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'",
        }),
    }),
    defineRoute({
      ...{ ...open, path: '/api/status-page', summary: 'The status page as JSON.', reply: overviewReply },
      handle: async () => reply(200, await view.overview(), cached),
    }),
    defineRoute({
      ...{ ...open, path: '/api/badge/:id/status', summary: 'The state of a public check, as SVG.', params: byId },
      handle: async ({ params }) => {
        const { name, state } = await badge(params.id)
        return reply(200, renderBadge(name, state, colourOf(state)), svg)
      },
    }),
    defineRoute({
      ...{
        ...open,
        path: '/api/badge/:id/uptime',
        summary: 'The uptime of a public check over 30 days, as SVG.',
        params: byId,
      },
      handle: async ({ params }) => {
        const { name, uptime_month: uptime } = await badge(params.id)
        return reply(200, renderBadge(name, percent(uptime), colourOfUptime(uptime)), svg)
      },
    }),
  ]
}
