import { limitKeyOf } from '../http/addresses.ts'
import { defineRoute, type Route } from '../http/route.ts'
import { fail } from '../kernel/errors.ts'
import type { Invitations } from './invitations.ts'
import {
  acceptBody,
  byId,
  invitationCreate,
  invitationCreatedReply,
  invitationReply,
  loginReply,
  pageOf,
  pageQuery,
} from './schema.ts'
import type { SecondFactor } from './second-factor.ts'
import { showInvitation, showLogin } from './show.ts'

export type InvitationRoutesSource = { invitations: Invitations; secondFactor: SecondFactor }

export function invitationRoutes({ invitations, secondFactor }: InvitationRoutesSource): Route[] {
  const tag = 'users'
  const access = 'tenant_admin' as const
  const limit = { points: 60, seconds: 60 }
  return [
    defineRoute({
      method: 'GET',
      path: '/api/invitations',
      access,
      summary: 'Invitations nobody has accepted yet, newest first.',
      tag,
      query: pageQuery,
      reply: pageOf(invitationReply),
      handle: async ({ principal, query }) => {
        const page = await invitations.list(principal!, query.limit, query.cursor)
        return { ...page, data: page.data.map(showInvitation) }
      },
    }),
    defineRoute({
      method: 'POST',
      path: '/api/invitations',
      access,
      summary: 'Invites a person by mail; without a mail server the link is in the answer, this once.',
      tag,
      body: invitationCreate,
      reply: invitationCreatedReply,
      status: 201,
      handle: async ({ principal, language, body }) => {
        const { row, isMailed, link, token } = await invitations.create(principal!, {
          ...{ email: body.email, role: body.role, tenant: body.tenant_id, hours: body.expires_in_hours },
          language: body.language ?? language ?? 'en',
        })
        return { ...showInvitation(row), mailed: isMailed, link, token }
      },
    }),
    defineRoute({
      method: 'DELETE',
      path: '/api/invitations/:id',
      access,
      summary: 'Withdraws an invitation.',
      tag,
      params: byId,
      handle: ({ principal, params }) => invitations.delete(principal!, params.id),
    }),
    defineRoute({
      method: 'POST',
      path: '/api/auth/invitation/accept',
      access: 'public',
      summary: 'Makes the invited person with a password of its own, and logs in.',
      tag: 'auth',
      limit,
      body: acceptBody,
      reply: loginReply,
      handle: async ({ body, clientIp, userAgent }) => {
        const origin = { ip: clientIp, network: limitKeyOf(clientIp), userAgent }
        return showLogin(await invitations.accept(body, origin), secondFactor)
      },
    }),
    defineRoute({
      method: 'POST',
      path: '/api/auth/register',
      access: 'public',
      summary: 'Nobody makes itself a person here: answers 403.',
      tag: 'auth',
      limit,
      handle: () => {
        throw fail(
          'forbidden',
          'nobody registers here by itself; ask an administrator for an invitation (POST /api/invitations)',
        )
      },
    }),
  ]
}
