import { z } from 'zod'
import { defineRoute, type Route } from '../http/route.ts'
import type { Principal } from '../kernel/principal.ts'
import { showTenantId } from '../kernel/scope.ts'
import type { Desk } from './desk.ts'
import type { RegistrationTokens } from './registry/tokens.ts'
import { toInstant, tokenCreate, tokenCreatedReply, tokenReply } from './schema.ts'
import type { RegistrationTokenRow } from './store.ts'

/** `/api/registry/tokens`: what administrators hand to those who deploy plugins. */
export function tokenRoutes({ tokens }: { tokens: RegistrationTokens }, desk: Pick<Desk, 'readTenant'>): Route[] {
  const tag = 'services'
  return [
    defineRoute({
      method: 'GET',
      path: '/api/registry/tokens',
      access: 'tenant_admin',
      summary: 'Registration tokens, newest first; never the tokens themselves.',
      tag,
      query: z.strictObject({
        limit: z.coerce.number().int().min(1).max(200).default(50),
        cursor: z.string().max(64).optional(),
      }),
      reply: z.object({ data: z.array(tokenReply), next_cursor: z.string().nullable() }),
      async handle({ principal, query }) {
        const page = await tokens.list(tenantOf(principal!), query.limit, query.cursor)
        return { ...page, data: page.data.map(showToken) }
      },
    }),
    defineRoute({
      method: 'POST',
      path: '/api/registry/tokens',
      access: 'tenant_admin',
      summary: 'A token that lets a plugin register under one name or a beginning of names; shown this once.',
      tag,
      body: tokenCreate,
      reply: tokenCreatedReply,
      status: 201,
      async handle({ principal, body }) {
        const { tenantId: own, userId } = principal!
        const tenantId = body.tenant_id === undefined ? own : await desk.readTenant(body.tenant_id, principal!)
        const { row, text } = await tokens.create({
          tenantId,
          ...{ service: body.service ?? null, prefix: body.prefix ?? null, uses: body.uses },
          ...{ lifeMs: body.expires_in * 1000, allowedModels: body.allowed_models, createdBy: userId },
        })
        return { ...showToken(row), token: text }
      },
    }),
    defineRoute({
      method: 'DELETE',
      path: '/api/registry/tokens/:id',
      access: 'tenant_admin',
      summary: 'Revokes a registration token; services that used it keep their service tokens.',
      tag,
      params: z.strictObject({ id: z.string().max(64) }),
      handle: ({ principal, params }) => tokens.revoke(params.id, tenantOf(principal!)),
    }),
  ]
}

/** Null for all. */
function tenantOf({ role, tenantId }: Principal): string | null {
  return role === 'super_admin' ? null : tenantId
}

function showToken(row: RegistrationTokenRow) {
  return {
    ...{ id: row.id, masked: `grt_…${row.last_four}`, tenant_id: showTenantId(row.tenant_id) },
    service: row.is_prefix === 1 ? null : row.service_name,
    prefix: row.is_prefix === 1 ? row.service_name : null,
    ...{ uses_left: row.uses_left, max_uses: row.max_uses },
    allowed_models: row.allowed_models === '' ? null : (JSON.parse(row.allowed_models) as string[]),
    expires_at: toInstant(row.expires_at),
    created_at: toInstant(row.created_at),
    last_used_at: row.last_used_at === null ? null : toInstant(row.last_used_at),
    created_by: row.created_by,
  }
}
