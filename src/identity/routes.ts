import type { Route } from '../http/route.ts'
import { type AuthRoutesSource, authRoutes } from './auth-routes.ts'
import { type InvitationRoutesSource, invitationRoutes } from './invitation-routes.ts'
import { type KeyRoutesSource, keyRoutes } from './key-routes.ts'
import { type TenantRoutesSource, tenantRoutes } from './tenant-routes.ts'
import { type TotpRoutesSource, totpRoutes } from './totp-routes.ts'
import { type UserRoutesSource, userRoutes } from './user-routes.ts'

export type IdentityRoutesSource = AuthRoutesSource &
  TotpRoutesSource &
  KeyRoutesSource &
  TenantRoutesSource &
  UserRoutesSource &
  InvitationRoutesSource

export function identityRoutes(own: IdentityRoutesSource): Route[] {
  return [
    ...authRoutes(own),
    ...totpRoutes(own),
    ...keyRoutes(own),
    ...userRoutes(own),
    ...invitationRoutes(own),
    ...tenantRoutes(own),
  ]
}
