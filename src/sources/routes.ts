import { z } from 'zod'
import { follow } from '../http/following.ts'
import { defineRoute, type Route } from '../http/route.ts'
import type { Clock } from '../kernel/clock.ts'
import { toPage } from '../kernel/page.ts'
import { readTime } from '../usage/index.ts'
import { type Desk, showSource } from './desk.ts'
import { probeReply, sourceCreate, sourcePatch, sourceReply, statusReply } from './schema.ts'

const tag = 'sources'
const access = 'super_admin'
const byId = z.strictObject({ id: z.string().max(200).describe('Id or name.') })
const time = z.string().max(40).nullable().default(null)

export type SourceRoutesParts = { desk: Desk; remove(written: string): Promise<void>; clock: Clock }

/** `/api/sources`: foreign gateways that are read. All of it is for super_admins: a source is of the whole hub. */
export function sourceRoutes({ desk, remove, clock }: SourceRoutesParts): Route[] {
  return [
    defineRoute({
      method: 'GET',
      path: '/api/sources',
      summary: 'Sources, the oldest first.',
      ...{ access, tag },
      query: z.strictObject({
        limit: z.coerce.number().int().min(1).max(200).default(50),
        cursor: z.string().max(64).default(''),
      }),
      reply: z.object({ data: z.array(sourceReply), next_cursor: z.string().nullable() }),
      async handle({ query }) {
        const page = toPage(await desk.list(query.limit + 1, query.cursor), query.limit, ({ id }) => id)
        return { ...page, data: await desk.states(page.data) }
      },
    }),
    defineRoute({
      method: 'POST',
      path: '/api/sources',
      summary: 'Adds a source; reading begins within seconds, its history from the newest day back.',
      ...{ access, tag },
      body: sourceCreate,
      reply: sourceReply,
      status: 201,
      handle: async ({ body }) => showSource(await desk.create(body), undefined),
    }),
    defineRoute({
      method: 'GET',
      path: '/api/sources/:id',
      summary: 'One source.',
      ...{ access, tag },
      params: byId,
      reply: sourceReply,
      handle: async ({ params }) => (await desk.states([await desk.find(params.id)]))[0],
    }),
    defineRoute({
      method: 'PATCH',
      path: '/api/sources/:id',
      summary: 'Changes what is sent; switched off it is read no more, and its figures stay.',
      ...{ access, tag },
      params: byId,
      body: sourcePatch,
      reply: sourceReply,
      handle: async ({ params, body }) => (await desk.states([await desk.patch(params.id, body)]))[0],
    }),
    defineRoute({
      method: 'DELETE',
      path: '/api/sources/:id',
      summary: 'Removes a source and every figure of it. To keep them, switch it off.',
      ...{ access, tag },
      params: byId,
      handle: ({ params }) => remove(params.id),
    }),
    defineRoute({
      method: 'POST',
      path: '/api/sources/:id/test',
      summary: 'Asks its database now: what is there, what may be read, and which GRANT is missing.',
      ...{ access, tag, changes: false },
      params: byId,
      reply: probeReply,
      handle: ({ params }) => desk.test(params.id),
    }),
    defineRoute({
      method: 'POST',
      path: '/api/sources/:id/backfill',
      summary: 'Has its history read, again if need be; the same rows come to the same figures.',
      ...{ access, tag },
      params: byId,
      body: z
        .strictObject({
          from: time.describe('ISO 8601 or epoch ms; null for its first row.'),
          to: time.describe('null for now.'),
        })
        .nullish(),
      reply: statusReply,
      status: 202,
      handle: ({ params, body }) =>
        desk.backfill(params.id, {
          from: body?.from == null ? null : readTime(body.from, 'from'),
          to: body?.to == null ? null : readTime(body.to, 'to'),
        }),
    }),
    defineRoute({
      method: 'GET',
      path: '/api/sources/:id/status',
      summary: 'How far it is read, how fast, what stands in the way, and what its schema lacks.',
      ...{ access, tag },
      params: byId,
      reply: statusReply,
      handle: ({ params }) => desk.status(params.id),
    }),
    defineRoute({
      method: 'GET',
      path: '/api/sources/:id/events',
      summary:
        'Follows the reading of its history as server-sent events: its status as `progress` each second, then as `end`.',
      ...{ access, tag },
      params: byId,
      async handle({ params: { id }, closed }) {
        await desk.find(id)
        const read = async () => {
          const told = await desk.status(id)
          return { isOver: told.backfill.state !== 'running', told }
        }
        return follow(read, { clock, closed })
      },
    }),
  ]
}
