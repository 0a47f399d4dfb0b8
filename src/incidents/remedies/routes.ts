import { z } from 'zod'
import { defineRoute, type Route } from '../../http/route.ts'
import { fail } from '../../kernel/errors.ts'
import type { Principal } from '../../kernel/principal.ts'
import { scopeOf } from '../../kernel/scope.ts'
import { actions } from '../actions/index.ts'
import type { Actor } from '../schema.ts'
import { iso, isoOrNull } from '../show.ts'
import type { IncidentsStore } from '../store.ts'
import type { Remedies } from './remedies.ts'
import type { Remedy } from './store.ts'

const words = z.object({ en: z.string(), zh: z.string() })
const time = z.string().describe('ISO 8601, UTC')
const takenReply = z.object({
  id: z.string(),
  action: z.string(),
  target: z.string(),
  parameters: z.record(z.string(), z.unknown()),
  will: words,
  undo: words.nullable().describe('null for what cannot be taken back.'),
  state: z
    .enum(['intended', 'done', 'failed', 'undoing', 'undone'])
    .describe('intended and undoing are under way, or were when the hub died: it goes on with them.'),
  error: z.string(),
  by: z.string(),
  at: time,
  ends_at: time.nullable().describe('When it is taken back by itself.'),
  updated_at: time,
})
const idParam = z.object({ id: z.string().max(40) })

/** `/api/incidents/{id}/actions`: remedies that the hub does itself. */
export function remedyRoutes(parts: {
  remedies: Remedies
  store: IncidentsStore
  actorOf(principal: Principal): Promise<Actor>
}): Route[] {
  const { remedies, store, actorOf } = parts
  const shared = { access: 'tenant_admin', tag: 'incidents' } as const
  return [
    defineRoute({
      ...{ ...shared, method: 'GET', path: '/api/incidents/:id/actions', params: idParam },
      summary: 'What the hub can do about it, and what was done.',
      reply: z.object({
        available: z.array(
          z.object({
            ...{ action: z.string(), title: words, runbooks: z.array(z.string()) },
            parameters: z.record(z.string(), z.unknown()).describe('As JSON Schema.'),
            suggested: z
              .record(z.string(), z.unknown())
              .nullable()
              .describe('From what the incident says is broken, and what was changed before it.'),
          }),
        ),
        data: z.array(takenReply),
      }),
      async handle({ principal, params }) {
        const scope = scopeOf(principal!)
        const found = await store.find(scope, params.id)
        if (found === undefined) throw fail('not_found', `there is no incident ${params.id}`, { param: 'id' })
        const may = actions.filter(({ access }) => access === 'tenant_admin' || scope.kind === 'everything')
        return {
          available: may.map(({ name, title, runbooks, parameters, suggest }) => ({
            ...{
              action: name,
              title,
              runbooks: [...runbooks],
              suggested: suggest(found.incident.cause, found.incident.suspects),
            },
            parameters: z.toJSONSchema(parameters, { io: 'input' }) as Record<string, unknown>,
          })),
          data: (await remedies.list(params.id)).map(show),
        }
      },
    }),
    defineRoute({
      ...{ ...shared, method: 'POST', path: '/api/incidents/:id/actions', params: idParam },
      summary: 'Says what an action would do (dry_run), or does what was said.',
      body: z.strictObject({
        action: z.string().max(100),
        parameters: z.record(z.string().max(100), z.json()).default({}),
        dry_run: z
          .boolean()
          .default(true)
          .describe('Only says what it would do; nothing is done unless this is false.'),
        confirm: z.string().max(200).default('').describe('Of the dry run: what was read is what is done.'),
      }),
      reply: z.object({
        plan: z.object({ target: z.string(), will: words, undo: words.nullable() }).nullable(),
        confirm: z.string(),
        taken: takenReply.nullable(),
      }),
      async handle({ principal, params, body }) {
        const { action, parameters, dry_run: isDry, confirm } = body
        const scope = scopeOf(principal!)
        if (isDry) {
          const found = await remedies.dryRun(scope, params.id, { action, parameters })
          const { target, will, undo } = found.plan
          return { plan: { target, will, undo }, confirm: found.confirm, taken: null }
        }
        const wish = { action, parameters, confirm }
        const taken = await remedies.take(scope, params.id, await actorOf(principal!), wish)
        return { plan: null, confirm: '', taken: show(taken) }
      },
    }),
    defineRoute({
      ...{ ...shared, method: 'POST', path: '/api/incidents/:id/actions/:action/undo' },
      summary: 'Takes an action back; what somebody changed meanwhile stays.',
      params: z.object({ id: z.string().max(40), action: z.string().max(40) }),
      reply: takenReply,
      async handle({ principal, params }) {
        return show(await remedies.undo(scopeOf(principal!), params.id, await actorOf(principal!), params.action))
      },
    }),
  ]
}

function show({ id, action, target, parameters, will, undo, state, error, by, at, endsAt, updatedAt }: Remedy) {
  return {
    ...{ id, action, target, parameters: { ...parameters }, will, undo, state, error, by: by.name },
    ...{ at: iso(at), ends_at: isoOrNull(endsAt), updated_at: iso(updatedAt) },
  }
}
