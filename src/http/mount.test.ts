import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { createManualClock } from '../kernel/clock.ts'
import { fail } from '../kernel/errors.ts'
import type { Principal } from '../kernel/principal.ts'
import type { Log, LogFields } from '../platform/log.ts'
import { createMetrics } from '../platform/metrics.ts'
import { createControlApp } from './mount.ts'
import { reply } from './reply.ts'
import { defineRoute, type Route } from './route.ts'

const person = (role: Principal['role']): Principal => ({
  kind: 'user',
  id: `usr_${role}`,
  role,
  tenantId: '',
  userId: `usr_${role}`,
  keyId: '',
  keyName: '',
  allowedModels: null,
  rateLimit: null,
  tokenLimit: null,
  concurrencyLimit: null,
  tags: [],
  allowedServices: null,
  allowedEndpoints: null,
  service: '',
})

const thing = z.object({ name: z.string(), tags: z.array(z.object({ label: z.string() })).default([]) })

const routes: Route[] = [
  defineRoute({
    method: 'POST',
    path: '/api/things',
    access: 'super_admin',
    summary: 'Makes a thing',
    tag: 'things',
    body: thing,
    reply: z.object({ name: z.string() }),
    status: 201,
    handle: ({ body }) => ({ ...body, hidden: 'not in the reply schema' }),
  }),
  defineRoute({
    method: 'GET',
    path: '/api/things',
    access: 'user',
    summary: 'Lists things',
    tag: 'things',
    query: z.object({ limit: z.coerce.number().int().max(10).default(5) }),
    reply: z.array(z.number()),
    handle: ({ query }) => [query.limit],
  }),
  defineRoute({
    method: 'GET',
    path: '/api/models/:id*',
    access: 'public',
    summary: 'Reads a model',
    tag: 'things',
    params: z.object({ id: z.string() }),
    reply: z.object({ id: z.string() }),
    handle: ({ params }) => params,
  }),
  defineRoute({
    method: 'DELETE',
    path: '/api/things/:id',
    access: 'super_admin',
    summary: 'Forgets a thing',
    tag: 'things',
    handle: () => undefined,
  }),
  defineRoute({
    method: 'GET',
    path: '/health',
    access: 'public',
    summary: 'Health',
    tag: 'health',
    reply: z.object({ status: z.string() }),
    handle: ({ principal }) => reply(503, { status: 'down', who: principal?.id }, { 'x-extra': '1' }),
  }),
  defineRoute({
    method: 'GET',
    path: '/text',
    access: 'public',
    summary: 'Text',
    tag: 'health',
    handle: () => reply(200, 'a 1\n', { 'content-type': 'text/plain; version=0.0.4' }),
  }),
  defineRoute({
    method: 'POST',
    path: '/api/auth/login',
    access: 'public',
    summary: 'Logs in',
    tag: 'auth',
    limit: { points: 2, seconds: 60 },
    body: z.object({ name: z.string() }),
    reply: z.object({ ok: z.boolean() }),
    handle: () => ({ ok: true }),
  }),
  defineRoute({
    method: 'GET',
    path: '/api/broken',
    access: 'public',
    summary: 'Breaks',
    tag: 'health',
    handle: () => {
      throw new Error('the story with SELECT * FROM users')
    },
  }),
  defineRoute({
    method: 'GET',
    path: '/api/away',
    access: 'public',
    summary: 'Is away',
    tag: 'health',
    handle: () => {
      throw fail('unavailable', 'the database does not answer', { retryAfterMs: 4200 })
    },
  }),
]

async function open(corsOrigins: string[] = []) {
  const lines: { message: string; fields: LogFields | undefined }[] = []
  const write = (message: string, fields?: LogFields) => void lines.push({ message, fields })
  const log: Log = { debug: write, info: write, warn: write, error: write, critical: write, child: () => log }
  const metrics = createMetrics()
  const app = await createControlApp({
    routes,
    authenticate(headers) {
      const sent = headers.authorization
      if (sent === undefined) return null
      const found = { 'Bearer root': person('super_admin'), 'Bearer joe': person('user') }[sent]
      if (found === undefined) throw fail('session_expired')
      return found
    },
    log,
    metrics,
    corsOrigins: () => corsOrigins,
    version: '1.2.3',
    clock: createManualClock(),
  })
  await app.ready()
  return { app, lines, metrics }
}

const root = { authorization: 'Bearer root' }

describe('access', () => {
  test('a closed route asks for credentials, and for the role it names', async () => {
    const { app } = await open()
    const call = (headers: Record<string, string>) => app.inject({ method: 'DELETE', url: '/api/things/1', headers })
    const none = await call({})
    expect(none.statusCode).toBe(401)
    expect(none.headers['www-authenticate']).toBe('Bearer')
    expect((await call({ authorization: 'Bearer joe' })).json().code).toBe('forbidden')
    expect((await call({ authorization: 'Bearer stale' })).json().code).toBe('session_expired')
    expect((await call(root)).statusCode).toBe(204)
  })

  test('bad credentials do not close a public route', async () => {
    const { app } = await open()
    const stale = await app.inject({ url: '/api/models/m', headers: { authorization: 'Bearer stale' } })
    expect(stale.statusCode).toBe(200)
  })

  test('an unauthenticated caller is refused before its body is read', async () => {
    const { app } = await open()
    const answer = await app.inject({
      method: 'POST',
      url: '/api/things',
      payload: '{broken',
      headers: { 'content-type': 'application/json' },
    })
    expect(answer.statusCode).toBe(401)
  })

  test('a limited route turns the third call of an address away with Retry-After', async () => {
    const { app } = await open()
    const call = (remoteAddress: string) =>
      app.inject({ method: 'POST', url: '/api/auth/login', payload: { name: 'a' }, remoteAddress })
    expect((await call('203.0.113.1')).statusCode).toBe(200)
    expect((await call('203.0.113.1')).statusCode).toBe(200)
    const third = await call('203.0.113.1')
    expect(third.statusCode).toBe(429)
    expect(Number(third.headers['retry-after'])).toBeGreaterThan(0)
    expect((await call('203.0.113.2')).statusCode).toBe(200)
    // One IPv6 host owns a whole /64.
    await call('2001:db8::1')
    await call('2001:db8::2')
    expect((await call('2001:db8::ffff')).statusCode).toBe(429)
    expect((await call('2001:db8:0:1::1')).statusCode).toBe(200)
  })
})

describe('requests', () => {
  const post = async (payload: string | object, headers: Record<string, string> = {}) => {
    const { app } = await open()
    return app.inject({
      method: 'POST',
      url: '/api/things',
      payload,
      headers: { ...root, 'content-type': 'application/json', ...headers },
    })
  }

  test('an unknown member is refused by name, also deep inside and in the query', async () => {
    const top = await post({ name: 'a', nmae: 'b' })
    expect(top.statusCode).toBe(400)
    expect(top.headers['content-type']).toMatch(/^application\/problem\+json/)
    expect(top.json()).toMatchObject({ code: 'invalid_request', errors: [{ path: 'nmae' }] })
    const deep = await post({ name: 'a', tags: [{ label: 'x', colour: 'red' }] })
    expect(deep.json().errors).toEqual([{ path: 'tags.0.colour', message: 'is not known here' }])
    const { app } = await open()
    const query = await app.inject({ url: '/api/things?limt=1', headers: root })
    expect(query.json().errors).toMatchObject([{ path: 'limt' }])
  })

  test('a wrong type names its place', async () => {
    const answer = await post({ name: 1 })
    expect(answer.json()).toMatchObject({ status: 400, errors: [{ path: 'name' }] })
  })

  test('broken JSON is told with its position and without its text', async () => {
    const answer = await post('{"name": sk-secret}')
    expect(answer.json()).toMatchObject({ code: 'invalid_json', status: 400 })
    expect(answer.json().detail).toContain('position 9')
    expect(answer.body).not.toContain('sk-secret')
  })

  test('another content type is 415, a missing body 400', async () => {
    expect((await post('name=a', { 'content-type': 'application/x-www-form-urlencoded' })).statusCode).toBe(415)
    expect((await post('')).statusCode).toBe(400)
  })

  test('a rest parameter keeps its slashes', async () => {
    const { app } = await open()
    expect((await app.inject('/api/models/meta/llama-3/8b')).json()).toEqual({ id: 'meta/llama-3/8b' })
    expect((await app.inject('/api/models/meta%2Fllama')).json()).toEqual({ id: 'meta/llama' })
  })

  test.each(['/admin/things', '/api/admin/things', '/api/things/'])('%s is the route /api/things', async (url) => {
    const { app } = await open()
    expect((await app.inject({ url: `${url}?limit=7`, headers: root })).json()).toEqual([7])
  })

  test('/auth/x is /api/auth/x, /admin-ui is left alone', async () => {
    const { app } = await open()
    const login = await app.inject({ method: 'POST', url: '/auth/login', payload: { name: 'a' } })
    expect(login.statusCode).toBe(200)
    expect((await app.inject('/admin-ui/login.html')).statusCode).toBe(404)
  })
})

describe('answers', () => {
  test('only what the reply schema names is sent', async () => {
    const { app } = await open()
    const made = await app.inject({ method: 'POST', url: '/api/things', payload: { name: 'a' }, headers: root })
    expect(made.statusCode).toBe(201)
    expect(made.json()).toEqual({ name: 'a' })
  })

  test('a handler may set status and headers; the reply schema still holds', async () => {
    const { app } = await open()
    const health = await app.inject({ url: '/health', headers: root })
    expect(health.statusCode).toBe(503)
    expect(health.headers['x-extra']).toBe('1')
    expect(health.json()).toEqual({ status: 'down' })
    const text = await app.inject('/text')
    expect(text.headers['content-type']).toBe('text/plain; version=0.0.4')
    expect(text.body).toBe('a 1\n')
    // A browser that is not told it is JSON reads text.
    expect(health.headers['content-type']).toBe('application/json; charset=utf-8')
  })

  test('every answer carries ids and security headers, also 404 and 401', async () => {
    const { app } = await open()
    for (const url of ['/api/models/m', '/api/nothing', '/api/things', '/api/broken']) {
      const { headers } = await app.inject({ url, headers: { 'x-request-id': 'abc-1' } })
      expect(headers).toMatchObject({
        'x-request-id': 'abc-1',
        'x-content-type-options': 'nosniff',
        'x-frame-options': 'DENY',
        'cache-control': 'no-store',
      })
      expect(headers['x-trace-id']).toMatch(/^[0-9a-f]{32}$/)
    }
  })

  test('an unforeseen error shows its id to the caller and its story to the log', async () => {
    const { app, lines } = await open()
    const answer = await app.inject('/api/broken')
    expect(answer.statusCode).toBe(500)
    expect(answer.body).not.toContain('SELECT')
    const told = lines.find((line) => line.fields?.requestId === answer.json().request_id)
    expect((told!.fields!.error as Error).message).toContain('SELECT')
  })

  test('Retry-After is rounded up to whole seconds', async () => {
    const { app } = await open()
    expect((await app.inject('/api/away')).headers['retry-after']).toBe('5')
  })

  test('the title follows Accept-Language', async () => {
    const { app } = await open()
    const title = async (language: string) =>
      (await app.inject({ url: '/api/nothing', headers: { 'accept-language': language } })).json().title
    expect(await title('zh-CN,zh;q=0.9,en;q=0.8')).toBe('资源不存在')
    expect(await title('en-GB,zh;q=0.5')).toBe('There is no such thing here')
  })

  test('another method on a known path is 405 and says what is served', async () => {
    const { app } = await open()
    const answer = await app.inject({ method: 'PUT', url: '/admin/things' })
    expect(answer.statusCode).toBe(405)
    expect(answer.headers.allow).toBe('GET, HEAD, POST')
    expect(answer.json().code).toBe('method_not_allowed')
  })

  test('answers are counted by route, not by path', async () => {
    const { app, metrics } = await open()
    await app.inject('/api/models/some/name')
    const { text } = await metrics.render()
    expect(text).toContain('gatehouse_http_requests_total{route="/api/models/*",method="GET",status="200"} 1')
    expect(text).not.toContain('some/name')
  })
})

describe('cors', () => {
  const ask = async (allowed: string[], origin: string) => {
    const { app } = await open(allowed)
    const { headers } = await app.inject({ url: '/api/models/m', headers: { origin } })
    return headers
  }

  test('only an exactly equal origin is allowed', async () => {
    const allowed = ['https://app.example.com']
    expect((await ask(allowed, 'https://app.example.com'))['access-control-allow-origin']).toBe(
      'https://app.example.com',
    )
    expect((await ask(allowed, 'https://app.example.co'))['access-control-allow-origin']).toBeUndefined()
    expect((await ask(allowed, 'https://app.example.com.evil.net'))['access-control-allow-origin']).toBeUndefined()
    expect((await ask([], 'https://app.example.com'))['access-control-allow-origin']).toBeUndefined()
  })

  test('a star never comes with credentials', async () => {
    const headers = await ask(['*'], 'https://anywhere.example')
    expect(headers['access-control-allow-origin']).toBe('*')
    expect(headers['access-control-allow-credentials']).toBeUndefined()
  })

  test('a preflight is answered without credentials', async () => {
    const { app } = await open(['https://app.example.com'])
    const answer = await app.inject({
      method: 'OPTIONS',
      url: '/api/things',
      headers: { origin: 'https://app.example.com', 'access-control-request-method': 'DELETE' },
    })
    expect(answer.statusCode).toBe(204)
    expect(answer.headers['access-control-allow-methods']).toContain('DELETE')
  })
})

describe('documents', () => {
  test('the OpenAPI document is 3.1 and derives from the routes', async () => {
    const { app } = await open()
    const document = (await app.inject('/openapi.json')).json()
    expect(document.openapi).toBe('3.1.0')
    expect(Object.keys(document.paths)).toContain('/api/models/{id}')
    const post = document.paths['/api/things'].post
    expect(post.security).toEqual([{ bearer: [] }, { adminKey: [] }])
    const body = post.requestBody.content['application/json'].schema
    expect(body).toMatchObject({ additionalProperties: false, required: ['name'] })
    expect(document.paths['/docs/']).toBeUndefined()
  })

  test('the reference page loads nothing from elsewhere', async () => {
    const { app } = await open()
    expect((await app.inject('/docs')).headers.location).toBe('/docs/')
    const page = await app.inject('/docs/')
    expect(page.headers['content-type']).toMatch(/^text\/html/)
    expect(page.body).not.toMatch(/https?:\/\//)
    const script = await app.inject('/docs/js/scalar.js')
    expect(script.statusCode).toBe(200)
    expect(script.rawPayload.length).toBeGreaterThan(1_000_000)
  })
})
