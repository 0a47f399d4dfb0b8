import { fail } from './errors.ts'
import type { Principal } from './principal.ts'

declare const made: unique symbol

/**
 * Whose rows a query may see or change. Every store function over what belongs to a tenant takes one, so that nobody
 * reads across tenants by forgetting a condition; all tenants at once is a scope too, and says so.
 */
export type Scope = (
  | { readonly kind: 'everything' }
  | { readonly kind: 'tenant'; readonly tenantId: string }
  | { readonly kind: 'person'; readonly tenantId: string; readonly userId: string }
) & { readonly [made]: true }

/** All tenants: for a super_admin, and for what the hub does on its own account. */
export const everything = { kind: 'everything' } as Scope

/** What belongs to one tenant. */
export function withinTenant(tenantId: string): Scope {
  return { kind: 'tenant', tenantId } as Scope
}

/** What `principal` may see: a super_admin everything, a tenant_admin its tenant, anybody else its own. */
export function scopeOf({ role, tenantId, userId }: Principal): Scope {
  if (role === 'super_admin') return everything
  if (role === 'tenant_admin') return withinTenant(tenantId)
  // Rows of nobody carry '' for their person: whoever is no person owns none of them.
  return { kind: 'person', tenantId, userId: userId === '' ? 'nobody' : userId } as Scope
}

/** The hub's own tenant: `id` in rows, `name` wherever people read or write it. */
export const hubTenant = { id: '', name: 'hub' } as const

/** A tenant's id as people write it. */
export function readTenantId(written: string): string {
  return written === hubTenant.name ? hubTenant.id : written
}

/** A tenant's id as people read it. */
export function showTenantId(id: string): string {
  return id === hubTenant.id ? hubTenant.name : id
}

/**
 * The tenant that somebody writes for: their own unless they name another, which only a super_admin may.
 * @param tenantIdOf the id of a tenant written as id or name; null when there is none
 * @throws `not_found` for what is not there and what is not theirs alike
 */
export async function tenantWrittenFor(
  principal: Principal,
  written: string | undefined,
  tenantIdOf: (written: string) => Promise<string | null>,
): Promise<string> {
  if (written === undefined) return principal.tenantId
  const id = await tenantIdOf(written)
  if (id !== null && (principal.role === 'super_admin' || id === principal.tenantId)) return id
  throw fail('not_found', `there is no tenant ${written}`, { param: 'tenant_id' })
}
