import { defineRoute, type Route } from '../http/route.ts'
import type { Clock } from '../kernel/clock.ts'
import { fail } from '../kernel/errors.ts'
import type { Principal } from '../kernel/principal.ts'
import type { KeyScope } from './key-store.ts'
import type { Key, KeyChange, Keys } from './keys.ts'
import { byId, keyCreate, keyCreatedReply, keyPatch, keyReply, pageOf, pageQuery, toInstant } from './schema.ts'

export type KeyRoutesSource = { keys: Keys; clock: Clock }

export function keyRoutes({ keys, clock }: KeyRoutesSource): Route[] {
  const tag = 'keys'
  return [
    defineRoute({
      method: 'GET',
      path: '/api/keys',
      access: 'user',
      summary: 'API keys, newest first; never the keys themselves.',
      tag,
      query: pageQuery,
      reply: pageOf(keyReply),
      handle: async ({ principal, query }) => {
        const page = await keys.list(scopeOf(principal!), query.limit, query.cursor)
        return { ...page, data: page.data.map(showKey) }
      },
    }),
    defineRoute({
      method: 'POST',
      path: '/api/keys',
      access: 'tenant_admin',
      summary: 'Makes an API key; this answer is the only place that ever shows it.',
      tag,
      body: keyCreate,
      reply: keyCreatedReply,
      status: 201,
      handle: async ({ principal, body }) => {
        const change = readChange(body)
        if (change.expiresAt && change.expiresAt <= clock.now()) {
          throw fail('invalid_request', 'expires_at is in the past', { param: 'expires_at' })
        }
        const tenantId =
          principal!.role === 'super_admin' ? (body.tenant_id ?? principal!.tenantId) : principal!.tenantId
        const { key, text } = await keys.create({ ...change, name: body.name, tenantId, userId: principal!.userId })
        return { ...showKey(key), key: text }
      },
    }),
    defineRoute({
      method: 'GET',
      path: '/api/keys/:id',
      access: 'user',
      summary: 'One API key.',
      tag,
      params: byId,
      reply: keyReply,
      handle: async ({ principal, params }) => showKey(await keys.get(params.id, scopeOf(principal!))),
    }),
    defineRoute({
      method: 'PATCH',
      path: '/api/keys/:id',
      access: 'tenant_admin',
      summary: 'Changes name, models, limit, expiry, or switches the key off and on.',
      tag,
      params: byId,
      body: keyPatch,
      reply: keyReply,
      handle: async ({ principal, params, body }) =>
        showKey(await keys.patch(params.id, readChange(body), scopeOf(principal!))),
    }),
    defineRoute({
      method: 'DELETE',
      path: '/api/keys/:id',
      access: 'tenant_admin',
      summary: 'Withdraws an API key for good.',
      tag,
      params: byId,
      handle: ({ principal, params }) => keys.delete(params.id, scopeOf(principal!)),
    }),
  ]
}

/** A super_admin sees all keys, a tenant_admin those of the tenant, a user its own; the rest is as if it were not. */
function scopeOf(principal: Principal): KeyScope {
  if (principal.role === 'super_admin') return {}
  if (principal.role === 'tenant_admin') return { tenantId: principal.tenantId }
  return { userId: principal.userId }
}

type WrittenChange = {
  name?: string | undefined
  allowed_models?: string[] | null | undefined
  rate_limit?: number | null | undefined
  tpm_limit?: number | null | undefined
  concurrency_limit?: number | null | undefined
  tags?: string[] | undefined
  expires_at?: string | null | undefined
  enabled?: boolean | undefined
}

function readChange(written: WrittenChange): KeyChange {
  const { name, allowed_models, rate_limit, tpm_limit, concurrency_limit, tags, expires_at, enabled } = written
  return {
    ...(name === undefined ? {} : { name }),
    ...(allowed_models === undefined ? {} : { allowedModels: allowed_models }),
    ...(rate_limit === undefined ? {} : { rateLimit: rate_limit }),
    ...(tpm_limit === undefined ? {} : { tokenLimit: tpm_limit }),
    ...(concurrency_limit === undefined ? {} : { concurrencyLimit: concurrency_limit }),
    ...(tags === undefined ? {} : { tags: [...new Set(tags)] }),
    ...(expires_at === undefined ? {} : { expiresAt: expires_at === null ? null : Date.parse(expires_at) }),
    ...(enabled === undefined ? {} : { enabled }),
  }
}

function showKey(key: Key) {
  return {
    id: key.id,
    name: key.name,
    masked: `sk-gh-…${key.lastFour}`,
    allowed_models: key.allowedModels,
    rate_limit: key.rateLimit,
    tpm_limit: key.tokenLimit,
    concurrency_limit: key.concurrencyLimit,
    tags: key.tags,
    enabled: key.enabled,
    expires_at: key.expiresAt === null ? null : toInstant(key.expiresAt),
    created_at: toInstant(key.createdAt),
    last_used_at: key.lastUsedAt === null ? null : toInstant(key.lastUsedAt),
    tenant_id: key.tenantId,
    user_id: key.userId,
  }
}
