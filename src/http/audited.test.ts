import { expect, test } from 'vitest'
import { z } from 'zod'
import { createManualClock } from '../kernel/clock.ts'
import { fail } from '../kernel/errors.ts'
import type { Principal } from '../kernel/principal.ts'
import { silentLog } from '../platform/database/testing-log.ts'
import { createMetrics } from '../platform/metrics.ts'
import { type AuditIntent, type AuditPort, type AuditResult, actionOf } from './audited.ts'
import { createControlApp } from './mount.ts'
import { reply } from './reply.ts'
import { defineRoute, type Route } from './route.ts'

const principals: Record<string, Partial<Principal>> = {
  boss: { kind: 'admin_key', id: 'admin', role: 'super_admin', service: '' },
  joe: { kind: 'user', id: 'usr_joe', role: 'user', service: '' },
  wiki: { kind: 'api_key', id: 'key_wiki', role: 'user', service: 'wiki', allowedEndpoints: ['/api/beats'] },
}

const thing = z.object({ id: z.string(), name: z.string() })
const about = { tag: 't', summary: 's' }

function thingRoutes(told: string[]): Route[] {
  let name = 'first'
  return [
    defineRoute({
      ...{ method: 'GET', path: '/api/things/:id', access: 'user', reply: thing, ...about },
      handle: ({ params }) => ({ id: (params as unknown as { id: string }).id, name, password: 'hidden' }),
    }),
    defineRoute({
      ...{ method: 'PATCH', path: '/api/things/:id', access: 'super_admin', reply: thing, ...about },
      body: z.object({ name: z.string() }),
      handle: ({ body }) => {
        told.push('changed')
        if (body.name === 'bad') throw fail('conflict')
        name = body.name
        return { id: 't1', name, password: 'hidden' }
      },
    }),
    defineRoute({
      ...{ method: 'POST', path: '/api/things', access: 'super_admin', reply: thing, status: 201, ...about },
      handle: (call) => {
        call.audit?.({ before: { none: true } })
        return reply(201, { id: 't2', name: 'second' })
      },
    }),
    defineRoute({
      ...{ method: 'POST', path: '/api/beats', access: 'service', changes: false, ...about },
      handle: ({ principal }) => void told.push(principal!.id),
    }),
    defineRoute({
      ...{ method: 'POST', path: '/api/other', access: 'service', ...about },
      handle: () => void told.push('other'),
    }),
  ]
}

async function open(options: { isAway?: boolean } = {}) {
  const told: string[] = []
  const intents: AuditIntent[] = []
  const results: AuditResult[] = []
  const audit: AuditPort = {
    async begin(intent) {
      if (options.isAway) throw fail('unavailable', 'no audit')
      told.push('intent')
      intents.push(intent)
      return {
        async end(result) {
          told.push('result')
          results.push(result)
        },
      }
    },
  }
  const app = await createControlApp({
    routes: thingRoutes(told),
    authenticate: ({ authorization = '' }, opens) => {
      const found = principals[authorization] as Principal | undefined
      if (found?.kind === 'api_key' && opens !== 'service') throw fail('forbidden', 'no API keys here')
      return found ?? null
    },
    checkScope(principal, path) {
      if (principal.allowedEndpoints?.includes(path) === false) throw fail('forbidden', 'out of scope')
    },
    audit,
    log: silentLog,
    metrics: createMetrics(),
    corsOrigins: () => [],
    version: '0',
    clock: createManualClock(),
  })
  await app.ready()
  const call = async (method: 'GET' | 'POST' | 'PATCH', url: string, who = 'boss', payload?: object) =>
    (await app.inject({ method, url, headers: { authorization: who }, ...(payload && { payload }) })).statusCode
  return { app, call, told, intents, results }
}

test('a change is written down before its handler runs and after, with what the thing was and is', async () => {
  const { call, told, intents, results } = await open()
  expect(await call('PATCH', '/api/things/t1', 'boss', { name: 'new' })).toBe(200)
  expect(told).toEqual(['intent', 'changed', 'result'])
  expect(intents[0]).toMatchObject({
    action: 'things.update',
    target: 't1',
    before: { id: 't1', name: 'first' },
    principal: { id: 'admin' },
    requestId: expect.stringMatching(/^req_/),
  })
  // What the answers do not show is nowhere.
  expect(JSON.stringify([intents, results])).not.toContain('hidden')
  expect(results[0]).toEqual({
    status: 200,
    code: '',
    target: 't1',
    before: { id: 't1', name: 'first' },
    after: { id: 't1', name: 'new' },
  })
})

test('a refusal of the handler is a result too, and a request that reaches no handler is no change', async () => {
  const { call, results, intents } = await open()
  expect(await call('PATCH', '/api/things/t1', 'boss', { name: 'bad' })).toBe(409)
  expect(results[0]).toMatchObject({ status: 409, code: 'conflict' })
  expect(await call('PATCH', '/api/things/t1', 'joe', { name: 'new' })).toBe(403)
  expect(await call('PATCH', '/api/things/t1', 'boss', { nme: 'new' })).toBe(400)
  expect(await call('GET', '/api/things/t1')).toBe(200)
  expect(intents).toHaveLength(1)
})

test('what is made is named by its answer, and a handler can say more', async () => {
  const { call, results } = await open()
  expect(await call('POST', '/api/things')).toBe(201)
  expect(results[0]).toMatchObject({ status: 201, target: 't2', before: { none: true }, after: { id: 't2' } })
})

test('where nothing can be written down nothing is changed', async () => {
  const { call, told } = await open({ isAway: true })
  expect(await call('PATCH', '/api/things/t1', 'boss', { name: 'new' })).toBe(503)
  expect(told).toEqual([])
  expect(await call('GET', '/api/things/t1')).toBe(200)
})

test('a route for services takes their tokens, within their scopes, and administrators; no other key and no person', async () => {
  const { call, told, intents, app } = await open()
  expect(await call('POST', '/api/beats', 'wiki')).toBe(204)
  expect(await call('POST', '/api/beats', 'boss')).toBe(204)
  expect(await call('POST', '/api/beats', 'joe')).toBe(403)
  expect(await call('POST', '/api/beats', 'nobody')).toBe(401)
  expect(await call('POST', '/api/other', 'wiki')).toBe(403)
  expect(await call('PATCH', '/api/things/t1', 'wiki', { name: 'new' })).toBe(403)
  expect(told).toEqual(['key_wiki', 'admin'])
  expect(intents).toEqual([])
  const { paths, components } = (await app.inject('/openapi.json')).json()
  expect(paths['/api/beats'].post.security).toEqual([{ serviceToken: [] }, { bearer: [] }, { adminKey: [] }])
  expect(components.securitySchemes.serviceToken).toMatchObject({ type: 'http', scheme: 'bearer' })
})

test.each([
  ['POST', '/api/keys', 201, 'keys.create'],
  ['POST', '/api/keys/:id/rotate', undefined, 'keys.rotate'],
  ['PATCH', '/api/keys/:id', undefined, 'keys.update'],
  ['DELETE', '/api/providers/:id/keys/:key', 204, 'providers.keys.delete'],
  ['POST', '/api/providers/:id/keys', 201, 'providers.keys.create'],
  ['PATCH', '/api/models/:id*', undefined, 'models.update'],
  ['POST', '/api/auth/login', undefined, 'auth.login'],
  ['PUT', '/api/x', undefined, 'x.replace'],
] as const)('%s %s answering %s is called %s', (method, path, status, action) => {
  expect(actionOf({ method, path, ...(status === undefined ? {} : { status }) })).toBe(action)
})
