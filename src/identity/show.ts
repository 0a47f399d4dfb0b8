import { showTenantId } from '../kernel/scope.ts'
import type { InvitationRow } from './invitation-store.ts'
import type { LoggedIn } from './login.ts'
import { toInstant } from './schema.ts'
import type { SecondFactor } from './second-factor.ts'
import type { SessionRow } from './session-store.ts'
import type { Tokens } from './sessions.ts'
import type { UserRow } from './store.ts'
import type { Tenant } from './tenants.ts'

/** People and what belongs to them, as the control API tells of them. */
export function showUser(user: UserRow, hasTotp: boolean) {
  const lastLogin = user.last_login_at === null ? null : toInstant(user.last_login_at)
  return {
    ...{ id: user.id, email: user.email, username: user.username, name: user.name, language: user.language },
    ...{ role: user.role, tenant_id: showTenantId(user.tenant_id) },
    ...{ enabled: user.enabled === 1, is_active: user.enabled === 1, totp_enabled: hasTotp },
    ...{ created_at: toInstant(user.created_at), last_login_at: lastLogin, last_login: lastLogin },
  }
}

/** The holder of ADMIN_KEY, in the shape of a person. */
export const adminKeyHolder = {
  ...{ id: 'admin', email: '', username: null, name: 'ADMIN_KEY', language: '' },
  ...{ role: 'super_admin' as const, tenant_id: showTenantId(''), enabled: true, is_active: true, totp_enabled: false },
  ...{ created_at: null, last_login_at: null, last_login: null },
}

export function showTokens({ accessToken, refreshToken, expiresInSeconds, user }: Tokens, hasTotp: boolean) {
  return {
    access_token: accessToken,
    refresh_token: refreshToken,
    token_type: 'bearer' as const,
    expires_in: expiresInSeconds,
    user: showUser(user, hasTotp),
  }
}

export async function showLogin(result: LoggedIn, secondFactor: Pick<SecondFactor, 'isEnrolled'>) {
  if ('tokens' in result) {
    return showTokens(result.tokens, await secondFactor.isEnrolled(result.tokens.user.id))
  }
  const { ticket, mustEnrol, expiresInSeconds } = result.secondStep
  return { mfa_required: true as const, mfa_enrolled: !mustEnrol, ticket, expires_in: expiresInSeconds }
}

export function showSession(row: SessionRow, currentId: string) {
  return {
    ...{ id: row.family, started_at: toInstant(row.started_at), last_used_at: toInstant(row.created_at) },
    ...{ expires_at: toInstant(row.expires_at), ip: row.ip, user_agent: row.user_agent },
    current: row.family === currentId,
  }
}

export function showTenant(tenant: Tenant) {
  return {
    ...{ id: showTenantId(tenant.id), name: tenant.name, display_name: tenant.displayName },
    ...{ enabled: tenant.enabled, is_active: tenant.enabled },
    ...{ config: tenant.config, enabled_services: tenant.enabledServices },
    ...{ created_at: toInstant(tenant.createdAt), updated_at: toInstant(tenant.updatedAt) },
  }
}

export function showInvitation(row: InvitationRow) {
  return {
    ...{ id: row.id, email: row.email, role: row.role, tenant_id: showTenantId(row.tenant_id) },
    ...{ invited_by: row.invited_by, created_at: toInstant(row.created_at), expires_at: toInstant(row.expires_at) },
  }
}
