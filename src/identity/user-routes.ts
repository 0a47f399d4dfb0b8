import { defineRoute, type Route } from '../http/route.ts'
import type { Principal } from '../kernel/principal.ts'
import { scopeOf } from '../kernel/scope.ts'
import {
  byId,
  bySession,
  pageOf,
  pageQuery,
  readEnabled,
  sessionReply,
  userCreate,
  userPatch,
  userReply,
} from './schema.ts'
import type { SecondFactor } from './second-factor.ts'
import { showSession, showUser } from './show.ts'
import type { UserRow } from './store.ts'
import type { UserChange, Users } from './users.ts'

export type UserRoutesSource = { users: Users; secondFactor: SecondFactor }

export function userRoutes({ users, secondFactor }: UserRoutesSource): Route[] {
  const tag = 'users'
  const access = 'tenant_admin' as const
  const show = async (actor: Principal, rows: readonly UserRow[]) => {
    const ids = rows.map((row) => row.id)
    const enrolled = await secondFactor.enrolled(scopeOf(actor), ids)
    return rows.map((row) => showUser(row, enrolled.has(row.id)))
  }
  const showOne = async (actor: Principal, row: UserRow) => (await show(actor, [row]))[0]

  return [
    defineRoute({
      method: 'GET',
      path: '/api/users',
      access,
      summary: 'People, newest first; a tenant_admin sees those of its tenant.',
      tag,
      query: pageQuery,
      reply: pageOf(userReply),
      handle: async ({ principal, query }) => {
        const page = await users.list(principal!, query.limit, query.cursor)
        return { ...page, data: await show(principal!, page.data) }
      },
    }),
    defineRoute({
      method: 'POST',
      path: '/api/users',
      access,
      summary: 'Makes a person with a password; POST /api/invitations lets people choose their own.',
      tag,
      body: userCreate,
      reply: userReply,
      status: 201,
      handle: async ({ principal, body: { tenant_id: tenant, ...wish } }) =>
        showUser(await users.create(principal!, { ...wish, tenant }), false),
    }),
    defineRoute({
      method: 'GET',
      path: '/api/users/:id',
      access,
      summary: 'One person.',
      tag,
      params: byId,
      reply: userReply,
      handle: async ({ principal, params }) => showOne(principal!, await users.get(principal!, params.id)),
    }),
    defineRoute({
      method: 'PATCH',
      path: '/api/users/:id',
      access,
      summary: 'Changes a person; a new role, tenant, password or a disabled person ends all its sessions.',
      tag,
      params: byId,
      body: userPatch,
      reply: userReply,
      handle: async ({ principal, params, body }) =>
        showOne(principal!, await users.patch(principal!, params.id, readChange(body))),
    }),
    defineRoute({
      method: 'DELETE',
      path: '/api/users/:id',
      access,
      summary: 'Removes a person with sessions and API keys.',
      tag,
      params: byId,
      handle: ({ principal, params }) => users.delete(principal!, params.id),
    }),
    defineRoute({
      method: 'POST',
      path: '/api/users/:id/unlock',
      access,
      summary: 'Lets a person try again who failed too often.',
      tag,
      params: byId,
      handle: ({ principal, params }) => users.unlock(principal!, params.id),
    }),
    defineRoute({
      method: 'DELETE',
      path: '/api/users/:id/totp',
      access,
      summary: 'Takes the second factor from a person who lost it, and ends its sessions.',
      tag,
      params: byId,
      handle: ({ principal, params }) => users.removeSecondFactor(principal!, params.id),
    }),
    defineRoute({
      method: 'GET',
      path: '/api/users/:id/sessions',
      access,
      summary: 'The open sessions of a person.',
      tag,
      params: byId,
      reply: pageOf(sessionReply),
      handle: async ({ principal, params }) => {
        const rows = await users.sessionsOf(principal!, params.id)
        return { data: rows.map((row) => showSession(row, '')), next_cursor: null }
      },
    }),
    defineRoute({
      method: 'DELETE',
      path: '/api/users/:id/sessions',
      access,
      summary: 'Ends all sessions of a person.',
      tag,
      params: byId,
      handle: ({ principal, params }) => users.endSessions(principal!, params.id),
    }),
    defineRoute({
      method: 'DELETE',
      path: '/api/users/:id/sessions/:session',
      access,
      summary: 'Ends one session of a person.',
      tag,
      params: bySession,
      handle: ({ principal, params }) => users.endSessions(principal!, params.id, params.session),
    }),
  ]
}

function readChange(body: {
  name?: string | undefined
  username?: string | null | undefined
  language?: UserChange['language'] | undefined
  role?: UserChange['role'] | undefined
  tenant_id?: string | undefined
  enabled?: boolean | undefined
  is_active?: boolean | undefined
  password?: string | undefined
}): UserChange {
  const enabled = readEnabled(body)
  const { name, username, language, role, tenant_id: tenant, password } = body
  return {
    ...(name === undefined ? {} : { name }),
    ...(username === undefined ? {} : { username }),
    ...(language === undefined ? {} : { language }),
    ...(role === undefined ? {} : { role }),
    ...(tenant === undefined ? {} : { tenant }),
    ...(enabled === undefined ? {} : { enabled }),
    ...(password === undefined ? {} : { password }),
  }
}
