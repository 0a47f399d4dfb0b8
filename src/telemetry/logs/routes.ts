import { z } from 'zod'
import { reply } from '../../http/reply.ts'
import { defineRoute, type Route } from '../../http/route.ts'
import { type Asked, readLevelNamed } from './asked.ts'
import type { LogVerbs } from './schema.ts'

const level = z.string().max(20).describe('DEBUG, INFO, WARNING, ERROR or CRITICAL; names of pino are taken too.')
const moduleName = z.string().max(64)
const time = z.string().max(40).describe('ISO 8601, epoch milliseconds, or how long ago: 30s, 15m, 2h, 7d.')
const file = z.enum(['all', 'api', 'access', 'error', 'ai'])

const filters = {
  level: level.optional().describe('Lines at least as bad.'),
  trace: z.string().max(128).optional().describe('A trace id, a request id, or the id the caller gave its request.'),
  module: moduleName.optional(),
  q: z.string().max(200).optional().describe('A text that stands on the line, in any case.'),
  file: file
    .default('all')
    .describe('api.log, api-access.log, api-error.log or ai.log; all is the three without api-error.'),
}

const line = z.looseObject({ time: z.string(), level: z.string(), module: z.string(), msg: z.string() })

const moduleLevel = z.object({
  module: z.string().describe('`*` stands for all that have no level of their own.'),
  level: z.string(),
  configured: z.string().describe('What the settings say.'),
  until: z.string().nullable().describe('When a changed level goes back by itself.'),
})
const levelsReply = z.object({ modules: z.array(moduleLevel) })

/** `/api/system/logs` and `/api/system/log-level`: the log files of this node, what comes now, and how much is written. */
export function logRoutes(logs: LogVerbs): Route[] {
  const common = { access: 'super_admin', tag: 'telemetry' } as const
  const read = (query: unknown) => query as Asked
  return [
    defineRoute({
      ...common,
      method: 'GET',
      path: '/api/system/logs',
      summary: 'Lines of the log files of this node, newest first, packed files included.',
      query: z.strictObject({
        ...filters,
        since: time.optional().describe('24 hours before `until` when absent.'),
        until: time.optional(),
        limit: z.coerce.number().int().min(1).max(1000).default(100),
        cursor: z.string().max(100).optional(),
      }),
      reply: z.object({ data: z.array(line), next_cursor: z.string().nullable() }),
      handle: ({ query }) => logs.find(read(query)),
    }),
    defineRoute({
      ...common,
      method: 'GET',
      path: '/api/system/logs/digest',
      summary: 'What went wrong in a period: lines that say the same, counted, most frequent first.',
      query: z.strictObject({
        since: time.optional().describe('24 hours before `until` when absent.'),
        until: time.optional(),
        level: level.default('ERROR').describe('Lines at least as bad.'),
        module: moduleName.optional(),
        limit: z.coerce.number().int().min(1).max(200).default(20),
      }),
      reply: z.object({
        data: z.array(
          z.object({
            fingerprint: z.string().describe('The same for lines that say the same but for ids, numbers and quotes.'),
            level: z.string(),
            module: z.string(),
            msg: z.string().describe('As the newest of them says it.'),
            error: z.string().describe('Code or name of the error; empty where there is none.'),
            count: z.number().int().describe('Lines that were not written, because they came too often, included.'),
            first_at: z.string(),
            last_at: z.string(),
            trace_ids: z.array(z.string()),
          }),
        ),
        lines: z.number().int().describe('Of all entries, those beyond `limit` included.'),
        complete_since: z.string().describe('Lines that are older were not looked at.'),
      }),
      handle: ({ query }) => logs.digest(read(query)),
    }),
    defineRoute({
      ...common,
      method: 'GET',
      path: '/api/system/logs/tail',
      summary:
        'Lines as they are written, as server-sent events; a reader that is too slow is told how many it missed.',
      query: z.strictObject(filters),
      reply: z.string(),
      handle: ({ query, closed }) =>
        reply(200, logs.tail(read(query), closed), {
          'content-type': 'text/event-stream; charset=utf-8',
          'x-accel-buffering': 'no',
        }),
    }),
    defineRoute({
      ...common,
      method: 'GET',
      path: '/api/system/log-level',
      summary: 'The level of each module on this node.',
      reply: levelsReply,
      handle: () => ({ modules: logs.levels() }),
    }),
    defineRoute({
      ...common,
      method: 'PUT',
      path: '/api/system/log-level',
      summary: 'Changes a level on every node for some minutes, or, with the level `default`, back to the settings.',
      body: z.strictObject({
        module: moduleName.default('*').describe('`*` for all that have no level of their own.'),
        level: level.describe('A level, or `default`.'),
        minutes: z.number().min(0.01).max(1440).default(15),
      }),
      reply: levelsReply,
      handle({ body: { module, level: asked, minutes } }) {
        logs.changeLevel(module, asked === 'default' ? null : readLevelNamed(asked), minutes * 60_000)
        return { modules: logs.levels() }
      },
    }),
  ]
}
