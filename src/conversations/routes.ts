import { z } from 'zod'
import { reply } from '../http/reply.ts'
import { defineRoute, type Route, type RouteCall } from '../http/route.ts'
import type { Clock } from '../kernel/clock.ts'
import { fail } from '../kernel/errors.ts'
import { toPage } from '../kernel/page.ts'
import type { Principal } from '../kernel/principal.ts'
import { scopeOf, showTenantId } from '../kernel/scope.ts'
import { readTime } from '../usage/index.ts'
import { toSetting } from './choices.ts'
import { type EraseParts, eraseOwner, eraseSession } from './erase.ts'
import { packNames } from './redaction/index.ts'
import { type SettingScope, settingScopes } from './schema.ts'
import {
  findSession,
  listMessages,
  listSessions,
  searchMessages,
  showReceipt,
  showSession,
  writeMarkdown,
} from './sessions.ts'
import type { ConversationStore, ReceiptRow, SettingRow } from './store.ts'

export type ConversationRouteParts = EraseParts & {
  store: ConversationStore
  /** The tenant of a user, key or tenant; null when there is no such thing. */
  tenantOf(scope: 'key' | 'user' | 'tenant', id: string): Promise<string | null>
  /** Tells every node, this one included. */
  changed(): Promise<void>
  clock: Clock
}

const time = z.string().describe('ISO 8601, UTC')
const count = z.number().int()
const byId = z.strictObject({ id: z.string().max(100) })
const paging = {
  limit: z.coerce.number().int().min(1).max(200).default(50),
  cursor: z.string().max(500).optional(),
}

const sessionReply = z.object({
  id: z.string(),
  session_id: z.string().describe("As callers write it, or the id of a chain's first response."),
  tenant_id: z.string(),
  user_id: z.string().describe('The person or service account; the key where it stands for nobody.'),
  key_id: z.string().describe('Of the last call, as model is.'),
  model: z.string(),
  first_at: time,
  last_at: time,
  calls: count,
  failures: count,
  tokens_in: count,
  tokens_out: count,
  cost_nano_usd: count,
  cost_usd: z.string(),
  unpriced_calls: count.describe('Calls whose price is unknown: they are not in the cost.'),
})

const messageReply = z.object({
  id: z.string(),
  session_id: z.string().describe("The session's id here."),
  request_id: z.string().describe('The call, as in /api/logs.'),
  user_id: z.string(),
  role: z.enum(['user', 'assistant', 'tool']),
  name: z.string(),
  content: z.string(),
  tool_calls: z.array(z.object({ name: z.string(), arguments: z.string() })),
  is_from_user: z.boolean(),
  is_from_bot: z.boolean(),
  timestamp: time,
  expires_at: time,
  digest: z.string().describe('SHA-256, by which a receipt of its deletion can be checked.'),
})

const receiptReply = z.object({
  id: z.string(),
  tenant_id: z.string(),
  user_id: z.string(),
  session_id: z.string().nullable().describe('null: all sessions of the user.'),
  state: z.enum(['running', 'done']).describe('running: hidden already, not all deleted yet.'),
  sessions: count,
  messages: count,
  digest: z.string(),
  requested_by: z.string(),
  said_before: time,
  deleted_at: time.nullable(),
  signature: z.string().nullable().describe('JWS over all of this; its key is in /.well-known/jwks.json.'),
})

const settingReply = z.object({
  scope: z.enum(settingScopes),
  scope_id: z.string(),
  messages: z.boolean(),
  redact: z.array(z.string()).nullable(),
  words: z.array(z.string()),
  retention_days: count.nullable(),
  updated_at: time,
})

const settingBody = z.strictObject({
  messages: z.boolean().describe('Whether what is said is kept.'),
  redact: z.array(z.enum(packNames)).nullable().default(null).describe('null: as the hub is set.'),
  words: z.array(z.string().trim().min(2).max(200)).max(200).default([]).describe('Never kept, as they are written.'),
  retention_days: z.int().min(1).max(3650).nullable().default(null).describe('null: as the hub is set.'),
})

/** What a setting may be, by column: for whoever reads it in from elsewhere. */
export const conversationShape = {
  scope: z.enum(settingScopes),
  ...{ redact: settingBody.shape.redact.unwrap(), words: settingBody.shape.words },
  retention_days: settingBody.shape.retention_days.unwrap(),
}

/** `/api/sessions`, `/api/deletion-receipts` and `/api/conversation-settings`. */
export function conversationRoutes(parts: ConversationRouteParts): Route[] {
  return [...readingRoutes(parts), ...erasingRoutes(parts), ...settingRoutes(parts)]
}

function readingRoutes({ store, clock, tenantOf }: ConversationRouteParts): Route[] {
  const tag = 'conversations'
  return [
    defineRoute({
      method: 'GET',
      path: '/api/sessions',
      access: 'user',
      summary: 'Sessions of calls, the latest first; people see their own.',
      tag,
      query: z.strictObject({
        user_id: z.string().max(100).optional(),
        session_id: z.string().max(200).optional().describe('As callers write it.'),
        from: z.string().max(40).optional().describe('Of the last call: ISO 8601 or epoch ms, exclusive.'),
        to: z.string().max(40).optional().describe('ISO 8601 or epoch ms, exclusive.'),
        ...paging,
      }),
      reply: z.object({ data: z.array(sessionReply), next_cursor: z.string().nullable() }),
      handle: ({ principal, query }) =>
        listSessions(
          store,
          principal!,
          {
            ...{ userId: query.user_id, sessionId: query.session_id },
            from: query.from === undefined ? undefined : readTime(query.from, 'from'),
            to: query.to === undefined ? undefined : readTime(query.to, 'to'),
          },
          query,
        ),
    }),
    defineRoute({
      method: 'GET',
      path: '/api/sessions/search',
      access: 'user',
      summary: 'Messages of one person in which a text stands, the newest first, of its newest 20 000.',
      tag,
      query: z.strictObject({
        q: z.string().trim().min(2).max(200),
        user_id: z.string().max(100).optional().describe("Absent: the caller's own."),
        limit: z.coerce.number().int().min(1).max(100).default(20),
      }),
      reply: z.object({
        data: z.array(messageReply),
        looked_at: count,
        is_complete: z.boolean().describe('false: there may be more.'),
      }),
      async handle({ principal, query }) {
        const owner = await readOwner(query.user_id ?? 'me', principal!, { store, tenantOf }, 'user_id')
        return searchMessages(store, principal!, owner, query.q, clock.now(), query.limit)
      },
    }),
    defineRoute({
      method: 'GET',
      path: '/api/sessions/:id',
      access: 'user',
      summary: 'One session.',
      tag,
      params: byId,
      reply: sessionReply,
      handle: async ({ principal, params }) => showSession(await findSession(store, principal!, params.id)),
    }),
    defineRoute({
      method: 'GET',
      path: '/api/sessions/:id/messages',
      access: 'user',
      summary: 'What was said in a session, in order; empty where its tenant or key does not keep it.',
      tag,
      params: byId,
      query: z.strictObject({
        ...paging,
        format: z.enum(['json', 'markdown']).default('json'),
      }),
      reply: z.object({ data: z.array(messageReply), next_cursor: z.string().nullable() }),
      async handle({ principal, params, query }) {
        const { session, ...page } = await listMessages(store, principal!, params.id, clock.now(), query)
        if (query.format === 'json') return page
        const text = writeMarkdown(session, page.data, page.next_cursor === null)
        const next = page.next_cursor === null ? {} : { 'x-next-cursor': page.next_cursor }
        return reply(200, text, { 'content-type': 'text/markdown; charset=utf-8', ...next })
      },
    }),
  ]
}

function erasingRoutes(parts: ConversationRouteParts): Route[] {
  const { store } = parts
  const tag = 'conversations'
  const answer = (receipt: ReceiptRow, { audit }: Pick<RouteCall, 'audit'>) => {
    const shown = showReceipt(receipt)
    // What was deleted leaves no trace of its name in the log either.
    audit?.({ target: shown.session_id ?? shown.user_id, before: { id: shown.session_id }, after: shown })
    // Gone at once for everybody; 202 where the last messages are still being deleted.
    return shown.state === 'done' ? shown : reply(202, shown, { 'content-type': 'application/json; charset=utf-8' })
  }
  return [
    defineRoute({
      method: 'DELETE',
      path: '/api/sessions/:id',
      access: 'user',
      summary: 'Deletes a session with all that was said in it; answers a signed receipt.',
      tag,
      params: byId,
      reply: receiptReply,
      handle: async (call) => answer(await eraseSession(call.params.id, call.principal!, parts), call),
    }),
    defineRoute({
      method: 'DELETE',
      path: '/api/users/:id/conversations',
      access: 'user',
      summary: 'Deletes every session of a person or service account, `me` for oneself; answers a signed receipt.',
      tag,
      params: byId,
      reply: receiptReply,
      async handle(call) {
        const owner = await readOwner(call.params.id, call.principal!, parts, 'id')
        return answer(await eraseOwner(owner, call.principal!, parts), call)
      },
    }),
    defineRoute({
      method: 'GET',
      path: '/api/deletion-receipts',
      access: 'user',
      summary: 'Receipts of deleted conversations, newest first.',
      tag,
      query: z.strictObject(paging),
      reply: z.object({ data: z.array(receiptReply), next_cursor: z.string().nullable() }),
      async handle({ principal, query }) {
        const rows = await store.listReceipts(scopeOf(principal!), query.cursor, query.limit + 1)
        const page = toPage(rows, query.limit, (row) => row.id)
        return { ...page, data: page.data.map(showReceipt) }
      },
    }),
    defineRoute({
      method: 'GET',
      path: '/api/deletion-receipts/:id',
      access: 'user',
      summary: 'One receipt.',
      tag,
      params: byId,
      reply: receiptReply,
      async handle({ principal, params }) {
        const row = await store.findReceipt(scopeOf(principal!), params.id)
        if (row === undefined) throw fail('not_found', 'There is no such receipt', { param: 'id' })
        return showReceipt(row)
      },
    }),
  ]
}

function settingRoutes({ store, tenantOf, changed, clock }: ConversationRouteParts): Route[] {
  const tag = 'conversations'
  const list = defineRoute({
    method: 'GET',
    path: '/api/conversation-settings',
    access: 'tenant_admin',
    summary: 'Which tenants and keys have chosen whether what is said is kept.',
    tag,
    reply: z.array(settingReply),
    handle: async ({ principal }) =>
      (await store.listSettings(principal!.role === 'super_admin' ? null : principal!.tenantId)).map(showSetting),
  })
  /** Of what a path names; of the caller's own tenant where it names nothing. */
  const ofScope = (
    path: string,
    access: 'super_admin' | 'tenant_admin',
    whose: string,
    find: (call: Pick<RouteCall<{ id?: string }>, 'principal' | 'params'>) => Promise<Owned> | Owned,
  ): Route[] => {
    const params = path.includes(':') ? byId : z.strictObject({})
    return [
      defineRoute({
        ...{ method: 'PUT', path, access, tag, params, action: 'conversation-settings.replace' },
        summary: `Chooses for ${whose} whether and how what is said is kept; a key wins over its tenant.`,
        body: settingBody,
        reply: settingReply,
        async handle({ body, ...call }) {
          const owned = await find(call)
          const row: SettingRow = {
            ...{ scope: owned.scope, scope_id: owned.id, tenant_id: owned.tenantId },
            ...{ is_stored: body.messages ? 1 : 0, words: JSON.stringify(body.words) },
            redact: body.redact === null ? '' : JSON.stringify(body.redact),
            ...{ retention_days: body.retention_days, updated_at: clock.now() },
          }
          await store.putSetting(row)
          await changed()
          return showSetting(row)
        },
      }),
      defineRoute({
        ...{ method: 'DELETE', path, access, tag, params, action: 'conversation-settings.delete' },
        summary: `Takes the choice of ${whose} back.`,
        async handle(call) {
          const owned = await find(call)
          if (!(await store.deleteSetting(owned.scope, owned.id))) throw noSetting()
          await changed()
        },
      }),
    ]
  }
  const root = '/api/conversation-settings'
  return [
    list,
    ...ofScope(`${root}/keys/:id`, 'tenant_admin', 'a key', ({ principal, params }) =>
      readScope('key', params.id!, principal!, tenantOf),
    ),
    ...ofScope(`${root}/tenants/:id`, 'super_admin', 'a tenant', ({ principal, params }) =>
      readScope('tenant', params.id!, principal!, tenantOf),
    ),
    ...ofScope(`${root}/tenant`, 'tenant_admin', "the caller's own tenant", ({ principal }) => ({
      ...{ scope: 'tenant', id: principal!.tenantId, tenantId: principal!.tenantId },
    })),
  ]
}

type Owned = { scope: SettingScope; id: string; tenantId: string }

/** One answer for what is absent and what is somebody else's. */
async function readScope(
  scope: SettingScope,
  id: string,
  { role, tenantId: own }: Principal,
  tenantOf: ConversationRouteParts['tenantOf'],
): Promise<Owned> {
  const tenantId = await tenantOf(scope, id)
  if (tenantId === null || (role !== 'super_admin' && tenantId !== own)) throw noSetting()
  return { scope, id: scope === 'tenant' ? tenantId : id, tenantId }
}

function noSetting() {
  return fail('not_found', 'There is nothing of that id here that has chosen', { param: 'id' })
}

/** Somebody whose conversations the caller may see and delete; also one who is gone and left some. */
async function readOwner(
  written: string,
  principal: Principal,
  { store, tenantOf }: Pick<ConversationRouteParts, 'store' | 'tenantOf'>,
  param: string,
): Promise<{ user_id: string; tenant_id: string }> {
  const { role, userId, tenantId } = principal
  const id = written === 'me' ? userId : written
  const nobody = fail('not_found', 'There is no such user', { param })
  if (id === '') throw nobody
  if (role === 'user') {
    if (id !== userId) throw nobody
    return { user_id: id, tenant_id: tenantId }
  }
  const tenants = [await tenantOf('user', id), await tenantOf('key', id), ...(await store.tenantsOf(id))]
  const seen = tenants.find((each) => each !== null && (role === 'super_admin' || each === tenantId))
  if (seen === undefined || seen === null) throw nobody
  return { user_id: id, tenant_id: seen }
}

function showSetting(row: SettingRow) {
  const { scope, redact, words, isStored, retentionDays } = toSetting(row)
  return {
    scope,
    scope_id: scope === 'tenant' ? showTenantId(row.scope_id) : row.scope_id,
    messages: isStored,
    redact: redact === null ? null : [...redact],
    words: [...words],
    retention_days: retentionDays,
    updated_at: new Date(row.updated_at).toISOString(),
  }
}
