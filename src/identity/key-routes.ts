import { defineRoute, type Route } from '../http/route.ts'
import type { Clock } from '../kernel/clock.ts'
import { fail } from '../kernel/errors.ts'
import type { Principal } from '../kernel/principal.ts'
import { scopeOf, showTenantId } from '../kernel/scope.ts'
import { assertOpen, type KeyPolicy, narrowChange, narrowNewKey } from './key-policy.ts'
import { keyCreate, keyCreatedReply, keyPatch, keyQuery, keyReply, keyRotate, keyRotatedReply } from './key-schema.ts'
import type { KeyFilter, KeyKind } from './key-store.ts'
import type { Key, KeyChange, Keys } from './keys.ts'
import { byId, pageOf, toInstant } from './schema.ts'
import type { ServiceAccounts } from './service-accounts.ts'
import type { Tenants } from './tenants.ts'

export type KeyRoutesSource = {
  keys: Keys
  serviceAccounts: Pick<ServiceAccounts, 'get'>
  tenants: Pick<Tenants, 'get'>
  keyPolicy: KeyPolicy
  clock: Clock
}

/** Administrators make and change all keys they see; everybody else its own, as far as the policy goes. */
export function keyRoutes({ keys, serviceAccounts, tenants, keyPolicy, clock }: KeyRoutesSource): Route[] {
  const tag = 'keys'

  function assertFuture({ expiresAt }: KeyChange): void {
    if (expiresAt && expiresAt <= clock.now()) {
      throw fail('invalid_request', 'expires_at is in the past', { param: 'expires_at' })
    }
  }

  /** Whose key is asked for; an account or a tenant outside the caller's reach is as if it were not. */
  async function ownerOf(
    principal: Principal,
    body: { tenant_id?: string | undefined; service_account_id?: string | undefined },
  ) {
    const scope = scopeOf(principal)
    if (body.service_account_id !== undefined) {
      if (principal.role === 'user') throw fail('forbidden', 'keys of service accounts take the role tenant_admin')
      const account = await serviceAccounts.get(scope, body.service_account_id)
      return { tenantId: account.tenantId, userId: '', serviceAccountId: account.id }
    }
    const tenant = await tenants.get(scope, body.tenant_id ?? principal.tenantId, 'tenant_id')
    return { tenantId: tenant.id, userId: principal.userId }
  }

  return [
    defineRoute({
      method: 'GET',
      path: '/api/keys',
      access: 'user',
      summary: 'API keys, newest first; never the keys themselves.',
      tag,
      query: keyQuery,
      reply: pageOf(keyReply),
      handle: async ({ principal, query }) => {
        const filter: KeyFilter = {
          ...(query.kind === 'all' ? {} : { kinds: query.kind === undefined ? shownKinds : [query.kind] }),
          ...(query.service_account_id === undefined ? {} : { serviceAccountId: query.service_account_id }),
        }
        const page = await keys.list(scopeOf(principal!), filter, query.limit, query.cursor)
        return { ...page, data: page.data.map(showKey) }
      },
    }),
    defineRoute({
      method: 'POST',
      path: '/api/keys',
      access: 'user',
      summary: 'Makes an API key; this answer is the only place that ever shows it.',
      tag,
      body: keyCreate,
      reply: keyCreatedReply,
      status: 201,
      handle: async ({ principal, body }) => {
        const wished = readChange(body)
        assertFuture(wished)
        const owner = await ownerOf(principal!, body)
        const isOwn = principal!.role === 'user'
        const change = isOwn ? narrowNewKey(wished, keyPolicy, clock.now()) : wished
        const most = isOwn ? keyPolicy.mostKeys : undefined
        const { key, text } = await keys.create({ ...change, name: body.name, ...owner }, most)
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
      handle: async ({ principal, params }) => showKey(await keys.get(scopeOf(principal!), params.id)),
    }),
    defineRoute({
      method: 'PATCH',
      path: '/api/keys/:id',
      access: 'user',
      summary:
        'Changes name, scopes, limits, expiry, or switches the key off and on. One may take from a key of one’s own.',
      tag,
      params: byId,
      body: keyPatch,
      reply: keyReply,
      handle: async ({ principal, params, body }) => {
        const scope = scopeOf(principal!)
        const wished = readChange(body)
        const change =
          principal!.role === 'user' ? narrowChange(wished, await keys.get(scope, params.id), keyPolicy) : wished
        return showKey(await keys.patch(scope, params.id, change))
      },
    }),
    defineRoute({
      method: 'POST',
      path: '/api/keys/:id/rotate',
      access: 'user',
      summary: 'Gives the key a new text, shown this once; the old one works until the grace ends.',
      tag,
      params: byId,
      body: keyRotate,
      reply: keyRotatedReply,
      handle: async ({ principal, params, body }) => {
        if (principal!.role === 'user') assertOpen(keyPolicy)
        const graceMs = (body?.grace_seconds ?? 0) * 1000
        const { key, text, oldUntil } = await keys.rotate(scopeOf(principal!), params.id, graceMs)
        return { ...showKey(key), key: text, old_until: oldUntil === null ? null : toInstant(oldUntil) }
      },
    }),
    defineRoute({
      method: 'DELETE',
      path: '/api/keys/:id',
      access: 'user',
      summary: 'Withdraws an API key for good.',
      tag,
      params: byId,
      handle: ({ principal, params }) => keys.delete(scopeOf(principal!), params.id),
    }),
  ]
}

const shownKinds: readonly KeyKind[] = ['person', 'account']

type WrittenChange = {
  name?: string | undefined
  allowed_models?: string[] | null | undefined
  allowed_services?: string[] | null | undefined
  allowed_endpoints?: string[] | null | undefined
  allowed_ips?: string[] | null | undefined
  rate_limit?: number | null | undefined
  tpm_limit?: number | null | undefined
  concurrency_limit?: number | null | undefined
  tags?: string[] | undefined
  expires_at?: string | null | undefined
  enabled?: boolean | undefined
}

const members = {
  name: 'name',
  allowedModels: 'allowed_models',
  allowedServices: 'allowed_services',
  allowedEndpoints: 'allowed_endpoints',
  allowedIps: 'allowed_ips',
  rateLimit: 'rate_limit',
  tokenLimit: 'tpm_limit',
  concurrencyLimit: 'concurrency_limit',
  enabled: 'enabled',
} as const satisfies Partial<Record<keyof KeyChange, keyof WrittenChange>>

function readChange(written: WrittenChange): KeyChange {
  const plain = Object.entries(members)
    .map(([ours, theirs]) => [ours, written[theirs]] as const)
    .filter(([, value]) => value !== undefined)
  const { tags, expires_at } = written
  return {
    ...(Object.fromEntries(plain) as KeyChange),
    ...(tags === undefined ? {} : { tags: [...new Set(tags)] }),
    ...(expires_at === undefined ? {} : { expiresAt: expires_at === null ? null : Date.parse(expires_at) }),
  }
}

function showKey(key: Key) {
  return {
    id: key.id,
    name: key.name,
    masked: `sk-gh-…${key.lastFour}`,
    allowed_models: key.allowedModels,
    allowed_services: key.allowedServices,
    allowed_endpoints: key.allowedEndpoints,
    allowed_ips: key.allowedIps,
    rate_limit: key.rateLimit,
    tpm_limit: key.tokenLimit,
    concurrency_limit: key.concurrencyLimit,
    tags: key.tags,
    enabled: key.enabled,
    expires_at: key.expiresAt === null ? null : toInstant(key.expiresAt),
    created_at: toInstant(key.createdAt),
    last_used_at: key.lastUsedAt === null ? null : toInstant(key.lastUsedAt),
    rotated_at: key.rotatedAt === null ? null : toInstant(key.rotatedAt),
    tenant_id: showTenantId(key.tenantId),
    user_id: key.userId,
    service_account_id: key.serviceAccountId,
    service: key.service,
  }
}
