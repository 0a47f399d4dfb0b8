import { z } from 'zod'
import { reply } from '../http/reply.ts'
import { defineRoute, type Route, type RouteCall } from '../http/route.ts'
import { fail } from '../kernel/errors.ts'
import type { Principal } from '../kernel/principal.ts'
import { type Desk, openDesk, type RegistryRouteParts, readBearer } from './desk.ts'
import { pickInstance } from './registry/beats.ts'
import type { ServiceRecord } from './registry/records.ts'
import type { Registrant } from './registry/register.ts'
import { looksLikeRegistrationToken } from './registry/tokens.ts'
import {
  doneReply,
  heartbeat,
  heartbeatReply,
  instanceChange,
  type Manifest,
  manifest,
  registeredReply,
  serviceChange,
  serviceReply,
  staleReply,
  toInstant,
  whichInstance,
} from './schema.ts'
import { tokenRoutes } from './token-routes.ts'
import { isActive, isStale, listSeen, type Viewer } from './views.ts'
import { watchRoutes } from './watch-routes.ts'

const tag = 'services'
const byId = z.strictObject({ id: z.string().max(200) })

/** `/api/registry/…` and `/gateway/…`: one list of routes for plugins, administrators and those who watch. */
export function registryRoutes(parts: RegistryRouteParts): Route[] {
  const desk = openDesk(parts)
  return [
    ...pluginRoutes(parts, desk),
    ...readRoutes(parts, desk),
    ...changeRoutes(parts, desk),
    ...tokenRoutes(parts, desk),
    ...watchRoutes(parts, desk),
  ]
}

function pluginRoutes(parts: RegistryRouteParts, desk: Desk): Route[] {
  const { registration, documents, changes, beats, count, catalogue } = parts

  async function registrantOf(call: RouteCall<unknown, unknown, Manifest>): Promise<Registrant> {
    const sent = call.headers['x-registration-token'] ?? readBearer(call.headers)
    if (typeof sent === 'string' && looksLikeRegistrationToken(sent)) {
      return { kind: 'token', token: await parts.tokens.admit(sent, call.body.name) }
    }
    if (call.principal === null && readBearer(call.headers) === null && call.headers['x-api-key'] === undefined) {
      throw fail(
        'unauthenticated',
        'registering takes a credential: a registration token the first time (an administrator makes one with POST /api/registry/tokens), the service token it answers with from then on. Send it as "Authorization: Bearer".',
      )
    }
    const viewer = await desk.viewerOf(call)
    if (viewer.service !== '') return { kind: 'service', name: viewer.service }
    if (viewer.principal.role !== 'user') return { kind: 'admin', principal: viewer.principal }
    throw fail('forbidden', 'registering takes the role tenant_admin, or a registration token of an administrator')
  }

  return [
    defineRoute({
      method: 'POST',
      path: '/api/registry/register',
      access: 'public',
      actorOf: desk.actorOf,
      summary: 'Registers an instance and its service; answers with the service token the first time.',
      tag,
      body: manifest,
      reply: registeredReply,
      status: 201,
      async handle(call) {
        try {
          const by = await registrantOf(call)
          const named = by.kind === 'admin' ? call.body.tenant_id : undefined
          const manifest =
            named === undefined
              ? call.body
              : { ...call.body, tenant_id: await desk.readTenant(named, (by as { principal: Principal }).principal) }
          const { service, instance, serviceToken, isNews } = await registration.register(manifest, by)
          count.registration('accepted')
          if (isNews) {
            changes.greet(service.name, instance.id)
            if (service.openapi_path !== '') documents.follow(service.name, instance.id)
          }
          const owner: Viewer = { principal: adminView, service: '' }
          return {
            ...desk.show(catalogue.find(service.name)!, owner),
            ...{ instance_id: instance.id, service_token: serviceToken },
            ...desk.nextBeat(),
          }
        } catch (error) {
          count.registration('refused')
          throw error
        }
      },
    }),
    defineRoute({
      method: 'POST',
      path: '/api/registry/heartbeat',
      access: 'public',
      changes: false,
      summary: 'Says that an instance lives and how it is; answers when to come again.',
      tag,
      body: heartbeat,
      reply: heartbeatReply,
      async handle(call) {
        try {
          const { body } = call
          const viewer = await desk.viewerOf(call)
          const record = await desk.find(body.service_id, viewer)
          desk.assertOwn(record, viewer)
          const instance = pickInstance(record, body, body.service_id)
          const state = await beats.hear(record, instance, body)
          count.beat('heard')
          return {
            ...{ status: 'ok' as const, message: 'Heartbeat received' as const, service_id: record.row.id },
            ...{ instance_id: instance.row.id, state, last_heartbeat: toInstant(parts.clock.now()) },
            ...desk.nextBeat(),
          }
        } catch (error) {
          count.beat('refused')
          throw error
        }
      },
    }),
    defineRoute({
      method: 'POST',
      path: '/api/registry/deregister/:id',
      access: 'public',
      actorOf: desk.actorOf,
      summary: 'Takes an instance off: once this is answered, this node sends it no further call.',
      tag,
      params: byId,
      body: whichInstance.nullish(),
      reply: doneReply,
      async handle(call) {
        const viewer = await desk.viewerOf(call)
        const record = await desk.find(call.params.id, viewer)
        desk.assertOwn(record, viewer)
        const { row } = pickInstance(record, call.body ?? {}, call.params.id)
        await registration.deregister(record, [row.id])
        return {
          ...{ status: 'ok' as const, message: 'Service deregistered', service_id: record.row.id },
          instance_ids: [row.id],
        }
      },
    }),
  ]
}

function readRoutes(parts: RegistryRouteParts, desk: Desk): Route[] {
  const { catalogue, documents, keepWatch, clock } = parts
  const one = (path: string, name: 'id' | 'name') =>
    defineRoute({
      method: 'GET',
      path,
      access: 'public',
      summary: 'One service with its endpoints and instances.',
      tag,
      params: z.strictObject({ [name]: z.string().max(200) }),
      reply: serviceReply,
      async handle(call) {
        const viewer = await desk.viewerOf(call)
        return desk.show(await desk.find((call.params as Record<string, string>)[name]!, viewer), viewer)
      },
    })
  return [
    defineRoute({
      method: 'GET',
      path: '/api/registry/services',
      access: 'public',
      summary: 'Services of the own tenant and shared ones, by name.',
      tag,
      query: z.strictObject({
        active_only: z.stringbool().default(true),
        is_active: z.stringbool().optional(),
        tag: z.string().max(64).optional(),
      }),
      reply: z.array(serviceReply),
      async handle(call) {
        const viewer = await desk.viewerOf(call)
        const { active_only, is_active, tag: wanted } = call.query
        const seen = listSeen(catalogue, viewer).filter((record) => {
          if (wanted !== undefined && !record.tags.includes(wanted)) return false
          return is_active === undefined ? !active_only || isActive(record) : isActive(record) === is_active
        })
        const headers = { 'content-type': 'application/json', 'x-gatehouse-index': String(catalogue.index()) }
        return reply(
          200,
          seen.map((record) => desk.show(record, viewer)),
          headers,
        )
      },
    }),
    one('/api/registry/services/by-name/:name', 'name'),
    one('/api/registry/services/:id', 'id'),
    defineRoute({
      method: 'GET',
      path: '/api/registry/services/:id/openapi',
      access: 'public',
      summary: "The plugin's own OpenAPI document, as it was fetched last.",
      tag,
      params: byId,
      reply: z.looseObject({ openapi: z.string() }),
      async handle(call) {
        const viewer = await desk.viewerOf(call)
        const { document, fetchedAt } = await documents.get(await desk.find(call.params.id, viewer))
        return reply(200, document, {
          'content-type': 'application/json; charset=utf-8',
          'last-modified': new Date(fetchedAt).toUTCString(),
        })
      },
    }),
    defineRoute({
      method: 'GET',
      path: '/api/registry/health',
      access: 'public',
      summary: 'Services without an instance that may be called. Looks, and changes nothing.',
      tag,
      reply: staleReply,
      async handle(call) {
        const seen = listSeen(catalogue, await desk.viewerOf(call))
        const stale = seen.filter(isStale).map(({ row: { id, name } }) => ({ id, name }))
        const instances: Record<string, number> = {}
        for (const { state } of seen.flatMap((record) => record.instances))
          instances[state] = (instances[state] ?? 0) + 1
        return {
          ...{ checked_at: toInstant(clock.now()), stale_services_count: stale.length, stale_services: stale },
          ...{ services: seen.length, instances, protected: keepWatch.protection().isProtected },
        }
      },
    }),
    defineRoute({
      method: 'GET',
      path: '/gateway/services',
      access: 'tenant_admin',
      summary: 'Services as this node routes them.',
      tag,
      reply: z.object({ services: z.array(serviceReply), count: z.number() }),
      handle({ principal }) {
        const viewer: Viewer = { principal: principal!, service: '' }
        const services = listSeen(catalogue, viewer).map((record) => desk.show(record, viewer))
        return { services, count: services.length }
      },
    }),
    defineRoute({
      method: 'POST',
      path: '/gateway/refresh-services',
      access: 'tenant_admin',
      summary: 'Reads the services from the store again; they follow it by themselves within a second.',
      tag,
      reply: z.object({ status: z.literal('ok'), services_count: z.number(), updated_at: z.string() }),
      async handle({ principal }) {
        await catalogue.apply()
        if (catalogue.isStale()) {
          throw fail('unavailable', 'the store is away; services are routed from memory as they were', {
            retryAfterMs: 5000,
          })
        }
        const seen = listSeen(catalogue, { principal: principal!, service: '' })
        return { status: 'ok' as const, services_count: seen.length, updated_at: toInstant(clock.now()) }
      },
    }),
  ]
}

function changeRoutes(parts: RegistryRouteParts, desk: Desk): Route[] {
  const { catalogue, registration, changes, documents } = parts
  return [
    defineRoute({
      method: 'PUT',
      path: '/api/registry/services/:id',
      access: 'public',
      actorOf: desk.actorOf,
      summary: 'Changes what is sent and leaves the rest; is_active=false takes it out of service at once.',
      tag,
      params: byId,
      body: serviceChange,
      reply: serviceReply,
      async handle(call) {
        const viewer = await desk.viewerOf(call)
        const record = await desk.find(call.params.id, viewer)
        desk.assertOwn(record, viewer)
        if (viewer.service !== '' && call.body.is_active !== undefined) {
          throw fail('forbidden', 'only an administrator switches a service off and on', { param: 'is_active' })
        }
        await registration.change(record.row.id, call.body)
        const changed = catalogue.find(record.row.id)
        if (changed === undefined) throw fail('not_found', `there is no service ${call.params.id}`, { param: 'id' })
        const first = changed.instances.find(({ state }) => state !== 'gone')
        if (call.body.openapi && first !== undefined) documents.follow(changed.row.name, first.row.id)
        return desk.show(changed, viewer)
      },
    }),
    defineRoute({
      method: 'DELETE',
      path: '/api/registry/services/:id',
      access: 'tenant_admin',
      summary: 'Removes a service, its instances and its tokens.',
      tag,
      params: byId,
      reply: doneReply,
      async handle({ principal, params }) {
        const record = await findToChange(desk, params.id, principal!)
        await registration.remove(record)
        const instance_ids = record.instances.map(({ row }) => row.id)
        return { status: 'ok' as const, message: 'Service deleted', service_id: record.row.id, instance_ids }
      },
    }),
    defineRoute({
      method: 'PUT',
      path: '/api/registry/services/:id/instances/:instance',
      access: 'tenant_admin',
      summary: 'Puts an instance into maintenance or back, and sets its weight.',
      tag,
      params: byId.extend({ instance: z.string().max(200) }),
      body: instanceChange,
      reply: serviceReply,
      async handle({ principal, params, body }) {
        const record = await findToChange(desk, params.id, principal!)
        await changes.changeInstance(record, pickInstance(record, { instance_id: params.instance }, ''), body)
        const viewer: Viewer = { principal: principal!, service: '' }
        return desk.show(await desk.find(record.row.id, viewer), viewer)
      },
    }),
    defineRoute({
      method: 'POST',
      path: '/api/registry/services/:id/token',
      access: 'tenant_admin',
      summary: 'A new service token, shown this once; the former ones are refused from now on.',
      tag,
      params: byId,
      body: z
        .object({ allowed_models: z.array(z.string().min(1).max(200)).min(1).max(1000).nullable().default(null) })
        .nullish(),
      reply: z.object({ service_id: z.string(), service_token: z.string() }),
      status: 201,
      async handle({ principal, params, body }) {
        const record = await findToChange(desk, params.id, principal!)
        const models = body?.allowed_models ?? null
        return {
          service_id: record.row.id,
          service_token: await registration.renewToken(record, models, principal!.userId),
        }
      },
    }),
  ]
}

async function findToChange(desk: Desk, id: string, principal: Principal): Promise<ServiceRecord> {
  const viewer: Viewer = { principal, service: '' }
  const record = await desk.find(id, viewer)
  desk.assertOwn(record, viewer)
  return record
}

/** Who registers a service sees all of it, addresses included. */
const adminView = { role: 'super_admin', tenantId: '' } as Principal
