import { defineRoute, type Route } from '../http/route.ts'
import { fail } from '../kernel/errors.ts'
import type { Principal } from '../kernel/principal.ts'
import { scopeOf } from '../kernel/scope.ts'
import { authLimit, originOf, personOf } from './auth-routes.ts'
import type { Login } from './login.ts'
import {
  recoveryCodesReply,
  totpBeginBody,
  totpBeginReply,
  totpCodeBody,
  totpDisableBody,
  totpReply,
} from './schema.ts'
import type { SecondFactor } from './second-factor.ts'
import type { Origin } from './sessions.ts'
import type { UserRow } from './store.ts'
import type { Users } from './users.ts'

export type TotpRoutesSource = { login: Login; users: Users; secondFactor: SecondFactor }

export function totpRoutes({ login, users, secondFactor }: TotpRoutesSource): Route[] {
  const tag = 'auth'
  const limit = authLimit
  const selfOf = async (principal: Principal | null) => {
    const person = personOf(principal)
    return users.get(person, person.id)
  }
  /** Whoever found an open session must not take the account over. People without a password have none to prove. */
  const provePassword = async (user: UserRow, password: string, origin: Origin) => {
    if (user.password_hash !== '') await login.confirmPassword(user, password, origin)
  }

  return [
    defineRoute({
      method: 'GET',
      path: '/api/auth/totp',
      access: 'user',
      summary: "Whether the caller's second factor is on, and must be.",
      tag,
      reply: totpReply,
      handle: async ({ principal }) => {
        const user = await selfOf(principal)
        return {
          enabled: await secondFactor.isEnrolled(user.id),
          required: secondFactor.isRequired(user),
          recovery_codes_left: await secondFactor.recoveryCodesLeft(user.id),
        }
      },
    }),
    defineRoute({
      method: 'POST',
      path: '/api/auth/totp',
      access: 'user',
      summary: 'Makes a secret for an authenticator app, shown this once; it counts once confirmed.',
      tag,
      limit,
      body: totpBeginBody,
      reply: totpBeginReply,
      status: 201,
      handle: async (call) => {
        const user = await selfOf(call.principal)
        await provePassword(user, call.body.password, originOf(call))
        const { secret, otpauthUrl } = await secondFactor.begin(user)
        return { secret, otpauth_url: otpauthUrl }
      },
    }),
    defineRoute({
      method: 'POST',
      path: '/api/auth/totp/confirm',
      access: 'user',
      summary: 'Switches the second factor on with its first code; answers the recovery codes, this once.',
      tag,
      limit,
      body: totpCodeBody,
      reply: recoveryCodesReply,
      handle: async ({ principal, body }) => ({
        recovery_codes: await secondFactor.confirm(await selfOf(principal), body.code),
      }),
    }),
    defineRoute({
      method: 'POST',
      path: '/api/auth/totp/recovery-codes',
      access: 'user',
      summary: 'Makes new recovery codes; the old ones end.',
      tag,
      limit,
      body: totpCodeBody,
      reply: recoveryCodesReply,
      handle: async (call) => {
        const user = await selfOf(call.principal)
        await login.confirmCode(user, { code: call.body.code }, originOf(call))
        return { recovery_codes: await secondFactor.renewRecoveryCodes(user) }
      },
    }),
    defineRoute({
      method: 'POST',
      path: '/api/auth/totp/disable',
      access: 'user',
      summary: 'Switches the second factor off, with password and code.',
      tag,
      limit,
      body: totpDisableBody,
      handle: async (call) => {
        const user = await selfOf(call.principal)
        const { password, code, recovery_code: recoveryCode } = call.body
        if (secondFactor.isRequired(user)) {
          throw fail('forbidden', `a ${user.role} must have a second factor here; an administrator can reset it`)
        }
        await provePassword(user, password, originOf(call))
        await login.confirmCode(user, { code, recoveryCode }, originOf(call))
        await secondFactor.remove(scopeOf(call.principal!), user.id)
      },
    }),
  ]
}
