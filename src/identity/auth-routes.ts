import { limitKeyOf } from '../http/addresses.ts'
import { defineRoute, type Route, type RouteCall } from '../http/route.ts'
import { fail } from '../kernel/errors.ts'
import type { Principal } from '../kernel/principal.ts'
import { scopeOf } from '../kernel/scope.ts'
import type { Login } from './login.ts'
import type { PasswordChange } from './password-change.ts'
import {
  acceptedReply,
  byId,
  finishBody,
  finishReply,
  loginBody,
  loginMethodsReply,
  loginReply,
  oidcFinishBody,
  oidcReply,
  pageOf,
  passwordBody,
  refreshBody,
  resetBody,
  resetRequestBody,
  selfPatch,
  sessionReply,
  setupBody,
  ticketBody,
  tokensReply,
  totpBeginReply,
  userReply,
} from './schema.ts'
import type { SecondFactor } from './second-factor.ts'
import type { Origin, Sessions } from './sessions.ts'
import type { Setup } from './setup.ts'
import { adminKeyHolder, showLogin, showSession, showTokens, showUser } from './show.ts'
import type { SingleSignOn } from './single-sign-on.ts'
import type { Users } from './users.ts'

export type AuthRoutesSource = {
  setup: Setup
  login: Login
  sessions: Sessions
  users: Users
  passwordChange: PasswordChange
  secondFactor: SecondFactor
  singleSignOn: SingleSignOn
  /** Whether the hub can write to people. */
  canMail: boolean
}

const tag = 'auth'
/** No single address may try out set-up tokens, passwords or refresh tokens at leisure. */
export const authLimit = { points: 60, seconds: 60 }

export function authRoutes(own: AuthRoutesSource): Route[] {
  return [
    ...loginRoutes(own),
    ...providerRoutes(own),
    ...selfRoutes(own),
    ...passwordRoutes(own),
    ...sessionRoutes(own),
  ]
}

function loginRoutes({ setup, login, sessions, secondFactor }: AuthRoutesSource): Route[] {
  return [
    defineRoute({
      method: 'POST',
      path: '/api/auth/setup',
      access: 'public',
      summary: 'Makes the first super admin with the one-time token of the start-up log.',
      tag,
      limit: authLimit,
      body: setupBody,
      reply: tokensReply,
      handle: async (call) => showTokens(await setup.claim(call.body, originOf(call)), false),
    }),
    defineRoute({
      method: 'POST',
      path: '/api/auth/login',
      access: 'public',
      summary: 'Begins a session, or answers a ticket where a second factor is asked for.',
      tag,
      limit: authLimit,
      body: loginBody,
      reply: loginReply,
      handle: async (call) => {
        const { email, username, password } = call.body
        return showLogin(await login.login(email ?? username ?? '', password, originOf(call)), secondFactor)
      },
    }),
    defineRoute({
      method: 'POST',
      path: '/api/auth/login/totp',
      access: 'public',
      summary: 'The second step: a code of the authenticator app, or a recovery code.',
      tag,
      limit: authLimit,
      body: finishBody,
      reply: finishReply,
      handle: async (call) => {
        const { ticket, code, recovery_code: recoveryCode } = call.body
        const { tokens, recoveryCodes } = await login.finish(ticket, { code, recoveryCode }, originOf(call))
        return { ...showTokens(tokens, true), ...(recoveryCodes === null ? {} : { recovery_codes: recoveryCodes }) }
      },
    }),
    defineRoute({
      method: 'POST',
      path: '/api/auth/login/totp/enrol',
      access: 'public',
      summary: 'Sets a second factor up for who must have one; the next step confirms it with its first code.',
      tag,
      limit: authLimit,
      body: ticketBody,
      reply: totpBeginReply,
      handle: async ({ body }) => {
        const { secret, otpauthUrl } = await login.enrol(body.ticket)
        return { secret, otpauth_url: otpauthUrl }
      },
    }),
    defineRoute({
      method: 'POST',
      path: '/api/auth/refresh',
      access: 'public',
      summary: 'Trades a refresh token for new tokens; a token used twice ends its session.',
      tag,
      limit: authLimit,
      body: refreshBody,
      reply: tokensReply,
      handle: async (call) => {
        const tokens = await sessions.refresh(call.body.refresh_token, originOf(call))
        return showTokens(tokens, await secondFactor.isEnrolled(tokens.user.id))
      },
    }),
    defineRoute({
      method: 'POST',
      path: '/api/auth/logout',
      access: 'user',
      summary: 'Ends this session.',
      tag,
      handle: async ({ principal }) => {
        const id = sessions.idOf(principal!)
        if (id !== '') await sessions.end([id])
      },
    }),
  ]
}

function providerRoutes({ setup, singleSignOn, secondFactor, canMail }: AuthRoutesSource): Route[] {
  return [
    defineRoute({
      method: 'GET',
      path: '/api/auth/methods',
      access: 'public',
      summary: 'How people may log in here.',
      tag,
      limit: authLimit,
      reply: loginMethodsReply,
      handle: () => ({
        password: true as const,
        oidc: singleSignOn.isOn,
        password_reset: canMail,
        needs_setup: !setup.isClaimed(),
      }),
    }),
    defineRoute({
      method: 'POST',
      path: '/api/auth/oidc/start',
      access: 'public',
      summary: 'Where to send the browser for a log-in by the OpenID provider.',
      tag,
      limit: authLimit,
      reply: oidcReply,
      handle: async () => {
        const { url, loginToken, expiresInSeconds } = await singleSignOn.begin()
        return { authorization_url: url, login_token: loginToken, expires_in: expiresInSeconds }
      },
    }),
    defineRoute({
      method: 'POST',
      path: '/api/auth/oidc/finish',
      access: 'public',
      summary: 'Begins a session with what the OpenID provider sent the browser back with.',
      tag,
      limit: authLimit,
      body: oidcFinishBody,
      reply: loginReply,
      handle: async (call) => {
        const { login_token: loginToken, query } = call.body
        return showLogin(await singleSignOn.finish(loginToken, query, originOf(call)), secondFactor)
      },
    }),
  ]
}

function selfRoutes({ users, secondFactor }: AuthRoutesSource): Route[] {
  return [
    defineRoute({
      method: 'GET',
      path: '/api/auth/me',
      access: 'user',
      summary: 'Who is calling.',
      tag,
      reply: userReply,
      handle: async ({ principal }) => {
        if (principal!.kind === 'admin_key') return adminKeyHolder
        const user = await users.get(principal!, principal!.id)
        return showUser(user, await secondFactor.isEnrolled(user.id))
      },
    }),
    defineRoute({
      method: 'PATCH',
      path: '/api/auth/me',
      access: 'user',
      summary: 'Changes what people may change about themselves.',
      tag,
      body: selfPatch,
      reply: userReply,
      handle: async ({ principal, body: { name, username, language } }) => {
        const user = await users.patchSelf(personOf(principal).id, {
          ...(name === undefined ? {} : { name }),
          ...(username === undefined ? {} : { username }),
          ...(language === undefined ? {} : { language }),
        })
        return showUser(user, await secondFactor.isEnrolled(user.id))
      },
    }),
  ]
}

function passwordRoutes({ passwordChange, sessions }: AuthRoutesSource): Route[] {
  return [
    defineRoute({
      method: 'POST',
      path: '/api/auth/password',
      access: 'user',
      summary: 'Sets a new password and ends all other sessions.',
      tag,
      limit: authLimit,
      body: passwordBody,
      handle: async (call) => {
        const { id } = personOf(call.principal)
        const { current_password: current, new_password: next } = call.body
        const sessionId = sessions.idOf(call.principal!)
        await passwordChange.change({ userId: id, current, next, sessionId }, originOf(call))
      },
    }),
    defineRoute({
      method: 'POST',
      path: '/api/auth/password/reset-request',
      access: 'public',
      summary: 'Asks for a link by mail; the answer is the same whoever has the address.',
      tag,
      limit: authLimit,
      body: resetRequestBody,
      reply: acceptedReply,
      status: 202,
      handle: ({ body, language }) => {
        passwordChange.request(body.email, language)
        return { status: 'accepted' as const }
      },
    }),
    defineRoute({
      method: 'POST',
      path: '/api/auth/password/reset',
      access: 'public',
      summary: 'Sets a new password with the token of a mailed link, once, and ends all sessions.',
      tag,
      limit: authLimit,
      body: resetBody,
      handle: ({ body }) => passwordChange.redeem(body.token, body.new_password),
    }),
  ]
}

function sessionRoutes({ sessions }: AuthRoutesSource): Route[] {
  const listOwn = (principal: Principal) => sessions.list(scopeOf(principal), principal.userId)
  return [
    defineRoute({
      method: 'GET',
      path: '/api/auth/sessions',
      access: 'user',
      summary: 'The open sessions of the caller.',
      tag,
      reply: pageOf(sessionReply),
      handle: async ({ principal }) => {
        const current = sessions.idOf(principal!)
        const rows = await listOwn(principal!)
        return { data: rows.map((row) => showSession(row, current)), next_cursor: null }
      },
    }),
    defineRoute({
      method: 'DELETE',
      path: '/api/auth/sessions',
      access: 'user',
      summary: 'Ends all sessions of the caller but this one.',
      tag,
      handle: async ({ principal }) => {
        await sessions.endAllOf(personOf(principal).id, sessions.idOf(principal!))
      },
    }),
    defineRoute({
      method: 'DELETE',
      path: '/api/auth/sessions/:id',
      access: 'user',
      summary: 'Ends one session of the caller.',
      tag,
      params: byId,
      handle: async ({ principal, params }) => {
        const open = await listOwn(principal!)
        if (!open.some((row) => row.family === params.id)) {
          throw fail('not_found', `there is no session ${params.id}`, { param: 'id' })
        }
        await sessions.end([params.id])
      },
    }),
  ]
}

/** The caller as a person; `forbidden` for the holder of ADMIN_KEY, who has none of what people have. */
export function personOf(principal: Principal | null): Principal {
  if (principal?.kind === 'user') return principal
  throw fail('forbidden', 'ADMIN_KEY is no person; log in as one')
}

export function originOf(call: Pick<RouteCall, 'clientIp' | 'userAgent'>): Origin {
  return { ip: call.clientIp, network: limitKeyOf(call.clientIp), userAgent: call.userAgent }
}
