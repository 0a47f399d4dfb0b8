import { limitKeyOf } from '../http/addresses.ts'
import { defineRoute, type Route, type RouteCall } from '../http/route.ts'
import { fail } from '../kernel/errors.ts'
import type { Principal } from '../kernel/principal.ts'
import { type KeyRoutesSource, keyRoutes } from './key-routes.ts'
import type { Login } from './login.ts'
import {
  byId,
  loginBody,
  pageOf,
  pageQuery,
  passwordBody,
  refreshBody,
  sessionReply,
  setupBody,
  toInstant,
  tokensReply,
  userCreate,
  userPatch,
  userReply,
} from './schema.ts'
import type { Sessions, Tokens } from './sessions.ts'
import type { Setup } from './setup.ts'
import type { UserRow } from './store.ts'
import type { Users } from './users.ts'

export type IdentityRoutesSource = KeyRoutesSource & {
  setup: Setup
  login: Login
  sessions: Sessions
  users: Users
}

export function identityRoutes(own: IdentityRoutesSource): Route[] {
  return [...authRoutes(own), ...sessionRoutes(own), ...keyRoutes(own), ...userRoutes(own)]
}

/** No single address may try out set-up tokens, passwords or refresh tokens at leisure. */
const limit = { points: 60, seconds: 60 }

function authRoutes({ setup, login, sessions, users }: IdentityRoutesSource): Route[] {
  const tag = 'auth'
  return [
    defineRoute({
      method: 'POST',
      path: '/api/auth/setup',
      access: 'public',
      summary: 'Makes the first super admin with the one-time token of the start-up log.',
      tag,
      limit,
      body: setupBody,
      reply: tokensReply,
      handle: async (call) => showTokens(await setup.claim(call.body, originOf(call))),
    }),
    defineRoute({
      method: 'POST',
      path: '/api/auth/login',
      access: 'public',
      summary: 'Begins a session.',
      tag,
      limit,
      body: loginBody,
      reply: tokensReply,
      handle: async (call) => showTokens(await login.login(call.body.email, call.body.password, originOf(call))),
    }),
    defineRoute({
      method: 'POST',
      path: '/api/auth/refresh',
      access: 'public',
      summary: 'Trades a refresh token for new tokens; a token used twice ends its session.',
      tag,
      limit,
      body: refreshBody,
      reply: tokensReply,
      handle: async (call) => showTokens(await sessions.refresh(call.body.refresh_token, originOf(call))),
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
    defineRoute({
      method: 'GET',
      path: '/api/auth/me',
      access: 'user',
      summary: 'Who is calling.',
      tag,
      reply: userReply,
      handle: async ({ principal }) =>
        principal!.kind === 'admin_key' ? adminKeyHolder : showUser(await users.get(principal!.id)),
    }),
    defineRoute({
      method: 'POST',
      path: '/api/auth/password',
      access: 'user',
      summary: 'Sets a new password and ends all other sessions.',
      tag,
      limit,
      body: passwordBody,
      handle: async (call) => {
        const { id } = personOf(call.principal)
        const { current_password, new_password } = call.body
        await login.changePassword(id, current_password, new_password, sessions.idOf(call.principal!), originOf(call))
      },
    }),
  ]
}

function sessionRoutes({ sessions }: IdentityRoutesSource): Route[] {
  const tag = 'auth'
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
        const rows = await sessions.list(principal!.userId)
        const data = rows.map((row) => ({
          id: row.family,
          started_at: toInstant(row.started_at),
          last_used_at: toInstant(row.created_at),
          expires_at: toInstant(row.expires_at),
          ip: row.ip,
          user_agent: row.user_agent,
          current: row.family === current,
        }))
        return { data, next_cursor: null }
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
        const open = await sessions.list(principal!.userId)
        if (!open.some((row) => row.family === params.id)) throw fail('not_found', `there is no session ${params.id}`)
        await sessions.end([params.id])
      },
    }),
  ]
}

function userRoutes({ users }: IdentityRoutesSource): Route[] {
  const tag = 'users'
  const access = 'super_admin' as const
  return [
    defineRoute({
      method: 'GET',
      path: '/api/users',
      access,
      summary: 'Users, newest first.',
      tag,
      query: pageQuery,
      reply: pageOf(userReply),
      handle: async ({ query }) => {
        const page = await users.list(query.limit, query.cursor)
        return { ...page, data: page.data.map(showUser) }
      },
    }),
    defineRoute({
      method: 'POST',
      path: '/api/users',
      access,
      summary: 'Makes a user.',
      tag,
      body: userCreate,
      reply: userReply,
      status: 201,
      handle: async ({ body: { tenant_id: tenantId, ...rest } }) => showUser(await users.create({ ...rest, tenantId })),
    }),
    defineRoute({
      method: 'GET',
      path: '/api/users/:id',
      access,
      summary: 'One user.',
      tag,
      params: byId,
      reply: userReply,
      handle: async ({ params }) => showUser(await users.get(params.id)),
    }),
    defineRoute({
      method: 'PATCH',
      path: '/api/users/:id',
      access,
      summary: 'Changes a user; a new role, password or a disabled user ends all its sessions.',
      tag,
      params: byId,
      body: userPatch,
      reply: userReply,
      handle: async ({ params, body: { name, role, tenant_id, enabled, password } }) =>
        showUser(
          await users.patch(params.id, {
            ...(name === undefined ? {} : { name }),
            ...(role === undefined ? {} : { role }),
            ...(tenant_id === undefined ? {} : { tenantId: tenant_id }),
            ...(enabled === undefined ? {} : { enabled }),
            ...(password === undefined ? {} : { password }),
          }),
        ),
    }),
    defineRoute({
      method: 'DELETE',
      path: '/api/users/:id',
      access,
      summary: 'Removes a user with sessions and API keys.',
      tag,
      params: byId,
      handle: ({ params }) => users.delete(params.id),
    }),
  ]
}

function personOf(principal: Principal | null): Principal {
  if (principal?.kind === 'user') return principal
  throw fail('forbidden', 'ADMIN_KEY has no password of its own here; change it in the configuration')
}

function originOf(call: Pick<RouteCall, 'clientIp' | 'userAgent'>) {
  return { ip: call.clientIp, network: limitKeyOf(call.clientIp), userAgent: call.userAgent }
}

function showUser(user: UserRow) {
  return {
    id: user.id,
    email: user.email,
    name: user.name,
    role: user.role,
    tenant_id: user.tenant_id,
    enabled: user.enabled === 1,
    created_at: toInstant(user.created_at),
    last_login_at: user.last_login_at === null ? null : toInstant(user.last_login_at),
  }
}

const adminKeyHolder = {
  id: 'admin',
  email: '',
  name: 'ADMIN_KEY',
  role: 'super_admin' as const,
  tenant_id: '',
  enabled: true,
  created_at: null,
  last_login_at: null,
}

function showTokens({ accessToken, refreshToken, expiresInSeconds, user }: Tokens) {
  return {
    access_token: accessToken,
    refresh_token: refreshToken,
    token_type: 'bearer' as const,
    expires_in: expiresInSeconds,
    user: showUser(user),
  }
}
