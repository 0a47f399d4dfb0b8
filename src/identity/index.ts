/**
 * Who is calling, and what it may do: people with passwords and sessions, programs with API keys, the holder of
 * ADMIN_KEY, and how the first owner comes to be. Everything a request needs is kept in memory, so that a store that is
 * away closes no door that was open. Tenants, and who may see what of them, are here too. Not here: what a model may
 * cost or how often it may be called (usage).
 */
import type { Route } from '../http/route.ts'
import { auditRoutes } from './audit/routes.ts'
import { type CallIdentity, createCallIdentity, type IdentityOptions } from './identity.ts'
import { identityRoutes } from './routes.ts'
import { serviceAccountRoutes } from './service-accounts-routes.ts'

export { type Audit, type AuditRange, type AuditVerdict, verifyAudit, verifyAuditFile } from './audit/index.ts'
export type { AuthConfig } from './config.ts'
export type { Key, Keys } from './keys.ts'
export type { IdentityTables } from './store.ts'
export type { Tenant } from './tenants.ts'

export type Identity = CallIdentity & { routes: Route[] }
export type { IdentityOptions } from './identity.ts'

export function createIdentity(options: IdentityOptions): Identity {
  const identity = createCallIdentity(options)
  const { people, accounts } = identity.control
  const routes = [...identityRoutes(people), ...serviceAccountRoutes(accounts), ...auditRoutes(identity.audit.control)]
  return { ...identity, routes }
}
