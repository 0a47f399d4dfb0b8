import { defineRoute, type Route } from '../http/route.ts'
import { everything, scopeOf } from '../kernel/scope.ts'
import { byId, pageOf, pageQuery, readEnabled, tenantCreate, tenantPatch, tenantReply } from './schema.ts'
import { showTenant } from './show.ts'
import type { TenantChange, Tenants } from './tenants.ts'

export type TenantRoutesSource = { tenants: Tenants }

export function tenantRoutes({ tenants }: TenantRoutesSource): Route[] {
  const tag = 'tenants'
  return [
    defineRoute({
      method: 'GET',
      path: '/api/tenants',
      access: 'tenant_admin',
      summary: 'Tenants by name; a tenant_admin sees its own.',
      tag,
      query: pageQuery,
      reply: pageOf(tenantReply),
      handle: async ({ principal, query }) => {
        const page = await tenants.list(scopeOf(principal!), query.limit, query.cursor)
        return { ...page, data: page.data.map(showTenant) }
      },
    }),
    defineRoute({
      method: 'POST',
      path: '/api/tenants',
      access: 'super_admin',
      summary: 'Makes a tenant.',
      tag,
      body: tenantCreate,
      reply: tenantReply,
      status: 201,
      handle: async ({ body }) => showTenant(await tenants.create({ ...readChange(body), name: body.name })),
    }),
    defineRoute({
      method: 'GET',
      path: '/api/tenants/:id',
      access: 'tenant_admin',
      summary: 'One tenant, by id or name.',
      tag,
      params: byId,
      reply: tenantReply,
      handle: async ({ principal, params }) => showTenant(await tenants.get(scopeOf(principal!), params.id)),
    }),
    defineRoute({
      method: 'PATCH',
      path: '/api/tenants/:id',
      access: 'super_admin',
      summary: 'Changes a tenant; switched off, its sessions end and its keys stop within two seconds.',
      tag,
      params: byId,
      body: tenantPatch,
      reply: tenantReply,
      handle: async ({ params, body }) => showTenant(await tenants.patch(everything, params.id, readChange(body))),
    }),
    defineRoute({
      method: 'DELETE',
      path: '/api/tenants/:id',
      access: 'super_admin',
      summary:
        'Removes a tenant that owns nothing any more: no people, keys, accounts, invitations or plugin services.',
      tag,
      params: byId,
      handle: ({ params }) => tenants.delete(everything, params.id),
    }),
  ]
}

type WrittenChange = {
  name?: string | undefined
  display_name?: string | undefined
  enabled?: boolean | undefined
  is_active?: boolean | undefined
  config?: Record<string, unknown> | undefined
  enabled_services?: string[] | null | undefined
}

function readChange(body: WrittenChange): TenantChange {
  const enabled = readEnabled(body)
  const { name, display_name: displayName, config, enabled_services: services } = body
  return {
    ...(name === undefined ? {} : { name }),
    ...(displayName === undefined ? {} : { displayName }),
    ...(enabled === undefined ? {} : { enabled }),
    ...(config === undefined ? {} : { config }),
    ...(services === undefined ? {} : { enabledServices: services === null ? null : [...new Set(services)] }),
  }
}
