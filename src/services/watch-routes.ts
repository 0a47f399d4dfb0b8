import { z } from 'zod'
import { reply } from '../http/reply.ts'
import { defineRoute, type Route } from '../http/route.ts'
import type { Desk, RegistryRouteParts } from './desk.ts'
import { serviceReply } from './schema.ts'
import { listSeen, maySee } from './views.ts'

const mostWaitMs = 600_000
const defaultWaitMs = 300_000

/** `30s`, `500ms`, `5m`, or seconds. */
const duration = z
  .string()
  .regex(/^\d{1,7}(\.\d{1,3})?(ms|s|m)?$/, 'must be a duration such as 30s or 5m')
  .transform((text) => {
    const [, number, unit] = /^([\d.]+)(ms|s|m)?$/.exec(text)!
    return Math.min(mostWaitMs, Number(number) * { ms: 1, s: 1000, m: 60_000 }[unit ?? 's']!)
  })

/** `/api/registry/watch`: a blocking query, or server-sent events for those who accept them. */
export function watchRoutes(parts: Pick<RegistryRouteParts, 'catalogue' | 'watches'>, desk: Desk): Route[] {
  const { catalogue, watches } = parts
  return [
    defineRoute({
      method: 'GET',
      path: '/api/registry/watch',
      access: 'public',
      summary: 'Answers when services have changed since `index`; with Accept: text/event-stream a stream of changes.',
      tag: 'services',
      query: z.strictObject({
        index: z.coerce.number().int().min(0).optional(),
        wait: duration.default(defaultWaitMs),
        service: z.string().max(200).default(''),
      }),
      reply: z.array(serviceReply),
      async handle(call) {
        const viewer = await desk.viewerOf(call)
        const { query } = call
        const record = query.service === '' ? undefined : catalogue.find(query.service)
        // What this caller may not see is watched like what is not there.
        const service = record !== undefined && !maySee(viewer, record) ? '(hidden)' : query.service
        if (call.accept.includes('text/event-stream')) {
          const stream = watches.stream({
            after: readIndex(call.headers['last-event-id']) ?? query.index ?? null,
            service,
            show: (each) => (maySee(viewer, each) ? desk.show(each, viewer) : null),
            signal: call.closed,
          })
          const headers = { 'content-type': 'text/event-stream; charset=utf-8', 'x-accel-buffering': 'no' }
          return reply(200, stream, headers)
        }
        // Without an index, or with 0, nothing is waited for: that is how a caller learns the first one.
        if (query.index) {
          await watches.wait({ index: query.index, waitMs: query.wait, service, signal: call.closed })
        }
        const seen = listSeen(catalogue, viewer).filter(
          ({ row }) => service === '' || row.name === service || row.id === service,
        )
        return reply(
          200,
          seen.map((each) => desk.show(each, viewer)),
          { 'content-type': 'application/json', 'x-gatehouse-index': String(watches.indexOf(service)) },
        )
      },
    }),
  ]
}

function readIndex(header: string | string[] | undefined): number | null {
  return typeof header === 'string' && /^\d{1,15}$/.test(header) ? Number(header) : null
}
