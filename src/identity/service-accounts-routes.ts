import { z } from 'zod'
import { defineRoute, type Route } from '../http/route.ts'
import { scopeOf, showTenantId } from '../kernel/scope.ts'
import { byId, instant, pageOf, pageQuery, toInstant } from './schema.ts'
import type { ServiceAccount, ServiceAccounts } from './service-accounts.ts'
import type { Tenants } from './tenants.ts'

const name = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, 'must be letters, digits or one of . _ -, at most 64')
  .describe('Unique in its tenant; the ledger shows it before the name of the key.')
const description = z.string().trim().max(1000)
const ownerId = z.string().max(64).describe("The person who answers for it; '' for nobody.")

const accountCreate = z.strictObject({
  name,
  description: description.default(''),
  owner_id: ownerId.optional().describe('The person who answers for it; the caller unless said.'),
  tenant_id: z.string().max(64).optional().describe("Id or name of the tenant; the caller's own unless said."),
})
const accountPatch = z.strictObject({
  name: name.optional(),
  description: description.optional(),
  owner_id: ownerId.optional(),
  enabled: z.boolean().optional(),
})
const accountReply = z.object({
  id: z.string(),
  tenant_id: z.string(),
  name: z.string(),
  description: z.string(),
  owner_id: z.string(),
  enabled: z.boolean(),
  created_at: instant,
  updated_at: instant,
})

/** `/api/service-accounts`: a super_admin's for all tenants, a tenant_admin's for its own. */
export function serviceAccountRoutes({
  accounts,
  tenants,
}: {
  accounts: ServiceAccounts
  tenants: Pick<Tenants, 'get'>
}): Route[] {
  const tag = 'service-accounts'
  const access = 'tenant_admin' as const
  return [
    defineRoute({
      method: 'GET',
      path: '/api/service-accounts',
      access,
      summary: 'Accounts of programs, newest first.',
      tag,
      query: pageQuery,
      reply: pageOf(accountReply),
      handle: async ({ principal, query }) => {
        const page = await accounts.list(scopeOf(principal!), query.limit, query.cursor)
        return { ...page, data: page.data.map(show) }
      },
    }),
    defineRoute({
      method: 'POST',
      path: '/api/service-accounts',
      access,
      summary: 'Makes an account for a program; its keys are made at /api/keys.',
      tag,
      body: accountCreate,
      reply: accountReply,
      status: 201,
      handle: async ({ principal, body }) => {
        const wished = body.tenant_id ?? principal!.tenantId
        const { id: tenantId } = await tenants.get(scopeOf(principal!), wished, 'tenant_id')
        const self = principal!.tenantId === tenantId ? principal!.userId : ''
        return show(await accounts.create({ ...body, tenantId, ownerId: body.owner_id ?? self }))
      },
    }),
    defineRoute({
      method: 'GET',
      path: '/api/service-accounts/:id',
      access,
      summary: 'One account.',
      tag,
      params: byId,
      reply: accountReply,
      handle: async ({ principal, params }) => show(await accounts.get(scopeOf(principal!), params.id)),
    }),
    defineRoute({
      method: 'PATCH',
      path: '/api/service-accounts/:id',
      access,
      summary: 'Changes an account; disabled, none of its keys opens anything.',
      tag,
      params: byId,
      body: accountPatch,
      reply: accountReply,
      handle: async ({ principal, params, body }) => {
        const change = {
          ...(body.name === undefined ? {} : { name: body.name }),
          ...(body.description === undefined ? {} : { description: body.description }),
          ...(body.owner_id === undefined ? {} : { ownerId: body.owner_id }),
          ...(body.enabled === undefined ? {} : { enabled: body.enabled }),
        }
        return show(await accounts.patch(scopeOf(principal!), params.id, change))
      },
    }),
    defineRoute({
      method: 'DELETE',
      path: '/api/service-accounts/:id',
      access,
      summary: 'Removes an account with its keys.',
      tag,
      params: byId,
      handle: ({ principal, params }) => accounts.delete(scopeOf(principal!), params.id),
    }),
  ]
}

function show(account: ServiceAccount) {
  return {
    id: account.id,
    tenant_id: showTenantId(account.tenantId),
    name: account.name,
    description: account.description,
    owner_id: account.ownerId,
    enabled: account.enabled,
    created_at: toInstant(account.createdAt),
    updated_at: toInstant(account.updatedAt),
  }
}
