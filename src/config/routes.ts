import { z } from 'zod'
import { defineRoute, type Route, type RouteCall } from '../http/route.ts'
import { fail } from '../kernel/errors.ts'
import { toPage } from '../kernel/page.ts'
import type { Principal } from '../kernel/principal.ts'
import type { Outcome, Reloading } from './reload.ts'
import { type Author, origins, type Revision, type RevisionsStore, revisionOutcomes } from './revisions-store.ts'
import type { Setting } from './settings.ts'
import { ConfigError, type Finding } from './words.ts'

const tag = 'configuration'
const access = 'super_admin'
const instant = z.iso.datetime()
const words = z.object({ en: z.string(), zh: z.string() })
const byId = z.strictObject({ id: z.string().regex(/^rev_[0-9A-Z]{26}$/i) })

const findingReply = z.object({
  level: z.enum(['error', 'warning']),
  where: z.string().describe('File and line, variable or flag.'),
  setting: z.string(),
  cause: words,
  remedy: words,
})

const changeReply = z.object({
  name: z.string(),
  before: z.unknown().describe('Secrets are masked.'),
  after: z.unknown(),
})

const revisionReply = z.object({
  id: z.string(),
  at: instant,
  node: z.string(),
  author: z.object({ kind: z.string(), id: z.string(), name: z.string() }),
  origin: z.enum(origins),
  outcome: z
    .enum(revisionOutcomes)
    .describe('watched: its health is being watched; rolled_back: the hub took it back by itself, see reason.'),
  reason: z.string(),
  diff: z.array(changeReply),
  applied: z.array(z.string()).describe('In use since then.'),
  waiting: z.array(z.string()).describe('Settings that are in use after the next start only.'),
})

const outcomeReply = z.object({
  revision: revisionReply.nullable().describe('null: nothing differs from what runs.'),
  applied: z.array(z.string()),
  waiting: z.array(z.string()).describe('Settings that are in use after the next start only.'),
  watched_until: instant.nullable().describe('Until then the settings are taken back if health gets worse.'),
  findings: z.array(findingReply),
})

const settingReply = z.object({
  name: z.string(),
  section: z.string(),
  value: z.unknown().describe('In use now; secrets are masked.'),
  pending: z.unknown().optional().describe('In use after the next start.'),
  default: z.unknown(),
  source: z.enum(['default', 'file', 'env', 'flag']),
  where: z.string(),
  kind: z.enum(['string', 'number', 'boolean', 'list', 'json']),
  description: words,
  allowed: words,
  secret: z.boolean(),
  reloadable: z.boolean().describe('A running hub takes a new value.'),
})

type Source = {
  reloading: Reloading
  store: RevisionsStore
  settings: readonly Setting[]
  /** What somebody is called. */
  nameOf(principal: Principal): Promise<string>
}

/** `/api/config`: the settings of this process. They are one machine's own, so each node is asked for itself. */
export function configRoutes({ reloading, store, settings, nameOf }: Source): Route[] {
  async function authorOf({ principal }: Pick<RouteCall, 'principal'>): Promise<Author> {
    if (principal === null) return { kind: 'nobody', id: '', name: '' }
    return { kind: principal.kind, id: principal.id, name: await nameOf(principal) }
  }

  return [
    defineRoute({
      method: 'GET',
      path: '/api/config',
      summary: 'Every setting of this node: value, origin, what it means, and whether it changes without a restart.',
      ...{ access, tag },
      reply: z.object({
        node: z.string(),
        file: z.string().nullable(),
        revision_id: z.string().nullable().describe('Of the settings that are being watched.'),
        watched_until: instant.nullable(),
        sections: z.array(z.object({ name: z.string(), settings: z.array(settingReply) })),
      }),
      handle() {
        const { node, file, revisionId, watchedUntil, settings: shown } = reloading.show()
        const names = [...new Set(settings.map(({ path }) => path[0]!))]
        const rows = shown.map(({ setting, value, origin, pending }) => ({
          ...{
            name: setting.name,
            section: setting.path[0]!,
            value,
            default: setting.isSecret ? null : setting.default,
          },
          ...(pending === undefined ? {} : { pending }),
          ...{ ...origin, kind: setting.kind, description: setting.description, allowed: setting.allowed },
          ...{ secret: setting.isSecret, reloadable: setting.isReloadable },
        }))
        return {
          ...{ node, file, revision_id: revisionId, watched_until: toInstant(watchedUntil) },
          sections: names.map((name) => ({ name, settings: rows.filter(({ section }) => section === name) })),
        }
      },
    }),
    defineRoute({
      method: 'PATCH',
      path: '/api/config',
      action: 'config.set',
      summary:
        'Writes settings into the file, which keeps its comments, and takes them over. null takes a setting out of the file.',
      ...{ access, tag },
      body: z.strictObject({ set: z.record(z.string(), z.unknown()) }),
      reply: outcomeReply,
      async handle(call) {
        return tell(call, async () => reloading.set(call.body.set, await authorOf(call)))
      },
    }),
    defineRoute({
      method: 'POST',
      path: '/api/config/validate',
      changes: false,
      summary: 'What the file of this node, or `toml` in its place, would change and what is wrong with it.',
      ...{ access, tag },
      body: z.strictObject({
        toml: z.string().max(1_000_000).optional(),
        live: z.boolean().default(false).describe('Also connects, opens and writes what the settings name.'),
      }),
      reply: z.object({ ok: z.boolean(), diff: z.array(changeReply), findings: z.array(findingReply) }),
      async handle({ body }) {
        try {
          const { diff, findings } = await reloading.preview(body.toml, body.live)
          return { ok: !findings.some(({ level }) => level === 'error'), diff, findings }
        } catch (error) {
          if (error instanceof ConfigError) return { ok: false, diff: [], findings: error.findings }
          throw error
        }
      },
    }),
    defineRoute({
      method: 'POST',
      path: '/api/config/reload',
      summary: 'Reads file and variables again, as SIGHUP does: validated, tried, applied, watched.',
      ...{ access, tag },
      reply: outcomeReply,
      handle: (call) => tell(call, async () => reloading.reload(await authorOf(call), 'api')),
    }),
    defineRoute({
      method: 'GET',
      path: '/api/config/revisions',
      summary: 'Settings that nodes ran with, the newest first: who changed what, and what came of it.',
      ...{ access, tag },
      query: z.strictObject({
        limit: z.coerce.number().int().min(1).max(200).default(50),
        cursor: z.string().max(64).default(''),
      }),
      reply: z.object({ data: z.array(revisionReply), next_cursor: z.string().nullable() }),
      async handle({ query }) {
        const rows = await store.list({ limit: query.limit + 1, before: query.cursor })
        const { data, ...rest } = toPage(rows, query.limit, ({ id }) => id)
        return { ...rest, data: data.map(showRevision) }
      },
    }),
    defineRoute({
      method: 'GET',
      path: '/api/config/revisions/:id',
      summary: 'One revision.',
      ...{ access, tag },
      params: byId,
      reply: revisionReply,
      async handle({ params }) {
        const found = await store.find(params.id)
        if (found === undefined) throw fail('not_found', `There is no revision ${params.id}`)
        return showRevision(found)
      },
    }),
    defineRoute({
      method: 'POST',
      path: '/api/config/revisions/:id/rollback',
      summary: 'Writes the file as it was with this revision, and takes it over.',
      ...{ access, tag },
      params: byId,
      reply: outcomeReply,
      handle: (call) => tell(call, async () => reloading.rollback(call.params.id, await authorOf(call))),
    }),
  ]
}

/** What came of it, for the caller and for the audit log; settings that will not do are told one by one. */
async function tell(call: Pick<RouteCall, 'audit'>, change: () => Promise<Outcome>) {
  try {
    const outcome = await change()
    const revision = outcome.revision === null ? null : showRevision(outcome.revision)
    call.audit?.({
      target: revision?.id ?? '',
      after: revision === null ? null : { id: revision.id, diff: revision.diff },
    })
    const { applied, waiting, findings } = outcome
    return { revision, applied, waiting, watched_until: toInstant(outcome.watchedUntil), findings }
  } catch (error) {
    if (error instanceof ConfigError) throw refuse(error.findings)
    throw error
  }
}

function refuse(findings: readonly Finding[]) {
  const wrong = findings.filter(({ level }) => level === 'error')
  const [first] = wrong
  return fail(
    'invalid_request',
    `The settings will not do, and nothing was changed: ${first?.where ?? ''} ${first?.cause.en ?? ''} ${first?.remedy.en ?? ''}`,
    {
      issues: wrong.map(({ where, setting, cause, remedy }) => ({
        path: setting || where,
        message: `${where}: ${cause.en} ${remedy.en}`,
      })),
    },
  )
}

function showRevision({ at, ...rest }: Revision) {
  return { ...rest, at: new Date(at).toISOString() }
}

function toInstant(at: number | null): string | null {
  return at === null ? null : new Date(at).toISOString()
}
