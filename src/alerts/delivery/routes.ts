import { z } from 'zod'
import { defineRoute, type Route } from '../../http/route.ts'
import { fail } from '../../kernel/errors.ts'
import { toPage } from '../../kernel/page.ts'
import type { Principal } from '../../kernel/principal.ts'
import { scopeOf, tenantWrittenFor } from '../../kernel/scope.ts'
import type { Outcome } from '../channels/channel.ts'
import { channels } from '../channels/index.ts'
import type { Configure } from './configure.ts'
import {
  type ConfiguredChannel,
  channelCreate,
  channelPatch,
  channelReply,
  deliveryQuery,
  deliveryReply,
  previewBody,
  previewReply,
  receiverCreate,
  receiverPatch,
  receiverReply,
  testReply,
} from './schema.ts'
import { showChannel, showDelivery, showReceiver } from './show.ts'
import type { DeliveryStore } from './store.ts'

const byId = z.object({ id: z.string().max(64) })
const page = z.object({
  limit: z.coerce.number().int().min(1).max(200).default(50),
  cursor: z.string().max(64).optional(),
})
const listOf = <T extends z.ZodType>(item: T) => z.object({ data: z.array(item), next_cursor: z.string().nullable() })

export type DeliveryView = {
  configure: Configure
  store: Pick<DeliveryStore, 'listDeliveries' | 'attemptsOf'>
  test(channel: ConfiguredChannel): Promise<{ outcome: Outcome; latencyMs: number; templateError: string }>
  preview(channel: ConfiguredChannel, wish: z.infer<typeof previewBody>): z.infer<typeof previewReply>
  /** The id of a tenant written as id or name; null when there is none. */
  tenantIdOf(written: string): Promise<string | null>
}

/** `/api/channels`, `/api/receivers`, `/api/deliveries`: a super_admin's for all tenants, a tenant_admin's for its own. */
export function deliveryRoutes(view: DeliveryView): Route[] {
  const { configure } = view
  const own = { tag: 'alerts', access: 'tenant_admin' } as const

  const tenantFor = (principal: Principal, written: string | undefined) =>
    tenantWrittenFor(principal, written, view.tenantIdOf)

  return [
    defineRoute({
      ...{ ...own, method: 'GET', path: '/api/channels', summary: 'Channels and how they stand, newest first.' },
      query: page,
      reply: listOf(channelReply),
      handle: async ({ principal, query }) => {
        const found = await configure.listChannels(scopeOf(principal!), query.limit, query.cursor)
        return { ...found, data: found.data.map(showChannel) }
      },
    }),
    defineRoute({
      ...{ ...own, method: 'POST', path: '/api/channels', status: 201, body: channelCreate, reply: channelReply },
      summary: 'Configures a channel.',
      handle: async ({ principal, body }) =>
        showChannel(await configure.createChannel(await tenantFor(principal!, body.tenant_id), body)),
    }),
    defineRoute({
      ...{
        ...own,
        method: 'GET',
        path: '/api/channels/:id',
        summary: 'One channel.',
        params: byId,
        reply: channelReply,
      },
      handle: async ({ principal, params }) => showChannel(await configure.getChannel(scopeOf(principal!), params.id)),
    }),
    defineRoute({
      ...{ ...own, method: 'PATCH', path: '/api/channels/:id', params: byId, body: channelPatch, reply: channelReply },
      summary: 'Changes a channel; parameters are replaced whole, masked secrets stay.',
      handle: async ({ principal, params, body }) =>
        showChannel(await configure.patchChannel(scopeOf(principal!), params.id, body)),
    }),
    defineRoute({
      ...{ ...own, method: 'DELETE', path: '/api/channels/:id', params: byId },
      summary: 'Removes a channel that no receiver names; the ledger keeps what it sent.',
      handle: ({ principal, params }) => configure.deleteChannel(scopeOf(principal!), params.id),
    }),
    defineRoute({
      ...{ ...own, method: 'POST', path: '/api/channels/:id/test', params: byId, reply: testReply },
      summary: 'Sends a test message now, once, and tells what came.',
      limit: { points: 60, seconds: 60 },
      handle: async ({ principal, params }) => {
        const { channel } = await configure.getChannel(scopeOf(principal!), params.id)
        const { outcome, latencyMs, templateError } = await view.test(channel)
        const { isDelivered, reason, message, status, code } = outcome
        return {
          ...{ delivered: isDelivered, reason, message, status, code },
          ...{ latency_ms: latencyMs, template_error: templateError },
        }
      },
    }),
    defineRoute({
      ...{ ...own, method: 'POST', path: '/api/channels/:id/preview', params: byId, body: previewBody },
      ...{ reply: previewReply, changes: false },
      summary: 'What a message would look like, with these templates or its own; nothing is sent.',
      handle: async ({ principal, params, body }) => {
        const { channel } = await configure.getChannel(scopeOf(principal!), params.id)
        return view.preview(channel, body)
      },
    }),
    defineRoute({
      ...{ ...own, method: 'GET', path: '/api/channel-types' },
      summary: 'The kinds of channels, their parameters as JSON Schema.',
      reply: z.object({
        data: z.array(
          z.object({
            type: z.string(),
            medium: z.string(),
            description: z.object({ en: z.string(), zh: z.string() }),
            secrets: z.array(z.string()),
            rates: z.array(z.object({ messages: z.number(), per_seconds: z.number() })),
            parameters: z.record(z.string(), z.unknown()),
          }),
        ),
      }),
      handle: () => ({
        data: channels.map(({ type, medium, describe, secrets, rates, parameters }) => ({
          ...{ type, medium, description: describe, secrets: [...secrets] },
          rates: rates.map(({ messages, perMs }) => ({ messages, per_seconds: perMs / 1000 })),
          parameters: z.toJSONSchema(parameters, { io: 'input', unrepresentable: 'any' }) as Record<string, unknown>,
        })),
      }),
    }),

    defineRoute({
      ...{ ...own, method: 'GET', path: '/api/receivers', summary: 'Receivers, newest first.' },
      query: page,
      reply: listOf(receiverReply),
      handle: async ({ principal, query }) => {
        const found = await configure.listReceivers(scopeOf(principal!), query.limit, query.cursor)
        return { ...found, data: found.data.map(showReceiver) }
      },
    }),
    defineRoute({
      ...{ ...own, method: 'POST', path: '/api/receivers', status: 201, body: receiverCreate, reply: receiverReply },
      summary: 'Names who is told over which channels, by severity and time.',
      handle: async ({ principal, body }) =>
        showReceiver(await configure.createReceiver(await tenantFor(principal!, body.tenant_id), body)),
    }),
    defineRoute({
      ...{ ...own, method: 'GET', path: '/api/receivers/:id', summary: 'One receiver.', params: byId },
      reply: receiverReply,
      handle: async ({ principal, params }) =>
        showReceiver(await configure.getReceiver(scopeOf(principal!), params.id)),
    }),
    defineRoute({
      ...{
        ...own,
        method: 'PATCH',
        path: '/api/receivers/:id',
        params: byId,
        body: receiverPatch,
        reply: receiverReply,
      },
      summary: 'Changes a receiver; targets are replaced whole.',
      handle: async ({ principal, params, body }) =>
        showReceiver(await configure.patchReceiver(scopeOf(principal!), params.id, body)),
    }),
    defineRoute({
      ...{ ...own, method: 'DELETE', path: '/api/receivers/:id', params: byId, summary: 'Removes a receiver.' },
      handle: ({ principal, params }) => configure.deleteReceiver(scopeOf(principal!), params.id),
    }),

    defineRoute({
      ...{ ...own, method: 'GET', path: '/api/deliveries', query: deliveryQuery, reply: listOf(deliveryReply) },
      summary:
        'Who was told what, how, and why not: ?alert=<fingerprint> has everything about one alert, newest first.',
      handle: async ({ principal, query }) => {
        const { limit, cursor, channel_id, notification_id, trace_id, ...rest } = query
        const filter = { ...rest, channelId: channel_id, notificationId: notification_id, traceId: trace_id }
        const rows = await view.store.listDeliveries(scopeOf(principal!), filter, limit + 1, readCursor(cursor))
        const found = toPage(rows, limit, ({ created_at, id }) => `${created_at}.${id}`)
        const attempts = await view.store.attemptsOf(found.data.map(({ id }) => id))
        return {
          ...found,
          data: found.data.map((row) =>
            showDelivery(
              row,
              attempts.filter(({ delivery_id }) => delivery_id === row.id),
            ),
          ),
        }
      },
    }),
  ]
}

function readCursor(text: string | undefined): { at: number; id: string } | undefined {
  if (text === undefined) return undefined
  const [, at, id] = /^(\d{1,16})\.(dlv_\w{1,60})$/.exec(text) ?? []
  if (at === undefined || id === undefined)
    throw fail('invalid_request', 'this is no cursor of this list', { param: 'cursor' })
  return { at: Number(at), id }
}
